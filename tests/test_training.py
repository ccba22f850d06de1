"""The run: resume is exact, saves are whole, the same seed gives the same picture, what cannot work is refused before it starts."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import fenshen
import fenshen.data
from fenshen.data.groups import group
from fenshen.errors import DataError, DivergedError, OutOfMemoryError, RecipeError, RunFolderError
from fenshen.media.augment import Adaptive, classic
from fenshen.recipe import Augment, Recipe
from fenshen.run import RunFolder, read_tensors, write_atomically
from fenshen.training import session
from fenshen.training.adaptive import AdaptiveStrength
from fenshen.training.loop import Trainer, step_seed
from fenshen.training.probe import worth_compiling
from fenshen.training.session import Stop, Watcher

FAST = {"train.ticks": 2, "train.threads": 1, "train.precision": "fp32", "train.batch": 16, "autopilot": "off", "evaluate.report": False}


class StopAfter(Watcher):
    """Asks for a clean stop, as Ctrl-C does, once so many ticks are written."""

    def __init__(self, stop: Stop, ticks: int):
        self.stop, self.left = stop, ticks

    def ticked(self, entry: dict) -> None:
        self.left -= 1
        if self.left == 0:
            self.stop.signal = signal.SIGINT


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> fenshen.Run:
    return fenshen.train(kimg=0.32, changes=FAST, out=tmp_path_factory.mktemp("module") / "run")


def changed(**more: object) -> dict:
    return FAST | {key.replace("__", "."): value for key, value in more.items()}


@pytest.mark.parametrize("changes", [
    changed(train__ticks=2),
    changed(train__ticks=2, train__augmentation_strength=0.5, data__augment__flip=0.5, train__precision="bf16", model__instance_noise=0.1),
    changed(train__ticks=2, train__parts=2, train__threads=2, train__augmentation_strength=0.5, train__precision="bf16"),
    changed(train__ticks=2, model__objective="wgan", train__beta2_start=0.9),
    changed(train__ticks=2, model__network="dcgan", model__dropout=0.2),
    changed(train__ticks=2, model__codes__categorical=3, model__codes__continuous=1, model__condition="none"),
    changed(train__ticks=2, model__family="restoregan", model__task="inpaint", data__augment__flip=0.5),
    changed(train__ticks=2, model__family="restore", model__factor=2, train__parts=2, train__threads=2, train__precision="bf16"),
], ids=["default", "everything random", "two parts", "rmsprop, five critic steps", "batch normalization", "codes", "repair", "in parts"])  # fmt: skip
def test_five_and_five_steps_are_ten(changes: dict, tmp_path: Path) -> None:
    """Stopped in the middle and resumed: every byte of weights and state as if never stopped."""
    steps = 5 if changes.get("model.objective") == "wgan" else 1
    kimg = 10 * 16 * steps / 1000
    whole = fenshen.train(kimg=kimg, changes=changes, out=tmp_path / "whole")
    stop = Stop()
    part = fenshen.train(kimg=kimg, changes=changes, out=tmp_path / "part", stop=stop, watcher=StopAfter(stop, 1))
    assert 0 < read_tensors(part.folder.state)[1]["steps"] < 10
    fenshen.resume(part.path)
    (one, header), (other, other_header) = (read_tensors(r.folder.state) for r in (whole, part))
    assert header["steps"] == other_header["steps"] == 10
    assert header["strength"] == other_header["strength"] and header["drawn"] == other_header["drawn"]
    assert set(one) == set(other) and all(torch.equal(one[k], other[k]) for k in one)
    assert whole.folder.weights.read_bytes() == part.folder.weights.read_bytes()
    assert [line["shown"] for line in whole.log()] == [line["shown"] for line in part.log()]


def test_same_recipe_twice_is_the_same_run(tmp_path: Path) -> None:
    runs = [fenshen.train(kimg=0.16, changes=FAST, out=tmp_path / name) for name in "ab"]
    assert runs[0].folder.weights.read_bytes() == runs[1].folder.weights.read_bytes()
    other = fenshen.train(kimg=0.16, seed=1, changes=FAST, out=tmp_path / "c")
    assert runs[0].folder.weights.read_bytes() != other.folder.weights.read_bytes()


def test_every_weight_of_a_real_run_moves_and_the_average_follows(run: fenshen.Run) -> None:
    tensors, _ = read_tensors(run.folder.state)
    recipe, dataset = run.recipe, fenshen.data.prepare(run.recipe.data)
    fresh = Trainer(recipe, session.describe(recipe, dataset), dataset, torch.device("cpu"))
    for name, value in fresh.family.named_parameters():
        assert not torch.equal(value, tensors[f"family.{name}"]), name
    for name, _value in fresh.averaged.named_parameters():
        assert not torch.equal(tensors[f"averaged.{name}"], tensors[f"family.sampler.{name}"]), name


def test_run_folder_holds_what_the_docs_say(run: fenshen.Run) -> None:
    names = {path.relative_to(run.path).as_posix() for path in run.path.rglob("*") if path.is_file()}
    assert {"recipe.toml", "weights.safetensors", "state/last.safetensors", "data.json", "log.jsonl", "samples/animation.webp"} <= names
    assert not [name for name in names if name.endswith((".pkl", ".pt", ".pth", ".tmp"))]
    assert any(name.startswith("tensorboard/events") for name in names)
    data = json.loads((run.path / "data.json").read_text())
    assert data["train"] + data["held_out"] == 1797 and data["skipped"] == []
    assert len(run.log()) == 2 and all(math.isfinite(value) for line in run.log() for value in line.values())


def test_the_saved_recipe_is_complete(run: fenshen.Run) -> None:
    values = run.recipe.model_dump()
    of_words = {"unit", "encoding", "text_column", "label_column", "tokens", "vocabulary", "tokenizer"}
    may_be_none = {"minutes", "lr_critic", "beta2_start", "gamma_end", "start_from"} | of_words
    missing = [k for section in (values["data"], values["model"], values["model"]["penalty"], values["train"])
               for k, v in section.items() if v is None and k not in may_be_none]  # fmt: skip
    assert not missing
    assert Recipe.model_validate(values) == run.recipe


def test_same_seed_same_picture_whatever_the_count(run: fenshen.Run) -> None:
    many, few = run.generate(120, seed=5), run.generate(7, seed=5)
    assert np.array_equal(many.images[:7], few.images) and np.array_equal(many.labels[:7], few.labels)
    assert not np.array_equal(run.generate(7, seed=6).images, few.images)
    assert many.images.dtype == np.uint8 and many.images.shape == (120, 8, 8, 1)


def test_labels_and_truncation(run: fenshen.Run) -> None:
    assert set(run.generate(20, label="3").labels) == {3}
    assert run.generate(20, by_class=True).labels.tolist() == [i % 10 for i in range(20)]
    alike, various = (run.generate(40, label="3", truncation=t).images.astype(float).std(0).mean() for t in (0.0, 1.0))
    assert alike == 0 and various > 0
    with pytest.raises(DataError, match="no label 11 in this run; it knows 0, 1"):
        run.generate(1, label="11")


def test_without_labels(tmp_path: Path) -> None:
    run = fenshen.train(kimg=0.032, changes=changed(model__condition="none", model__groups=0), out=tmp_path / "run")
    assert run.generate(3).labels is None
    with pytest.raises(DataError, match="knows no labels"):
        run.generate(3, label="3")


def test_found_groups_stand_in_for_labels(tmp_path: Path) -> None:
    """Stopped and resumed they are the same; they can be asked for by name; they are not passed off as labels."""
    stop = Stop()
    changes = changed(model__condition="none", model__groups=4)
    run = fenshen.train(kimg=0.16, changes=changes, out=tmp_path / "run", stop=stop, watcher=StopAfter(stop, 1))
    fenshen.resume(run.path)
    whole = fenshen.train(kimg=0.16, changes=changes, out=tmp_path / "whole")
    assert run.folder.weights.read_bytes() == whole.folder.weights.read_bytes()
    assert run.classes == ("group-1", "group-2", "group-3", "group-4")
    assert run.generate(5, label="group-2").labels is None
    assert not np.array_equal(run.generate(5, label="group-2").images, run.generate(5, label="group-3").images)


def test_groups_put_alike_pictures_together() -> None:
    """Three kinds of made pictures, three groups: each group holds one kind, held-out pictures included; largest first."""
    rng = np.random.default_rng(0)
    kind = np.repeat([0, 1, 2], [60, 40, 20])
    pictures = np.zeros((120, 20, 20, 3), np.uint8)
    pictures[kind == 0, :10], pictures[kind == 1, :, 10:], pictures[kind == 2] = 250, 180, 90
    pictures = (pictures * rng.uniform(0.8, 1, (120, 1, 1, 1))).astype(np.uint8)
    order = rng.permutation(120)
    dataset = replace(fenshen.data.prepare(Recipe().data), pictures=pictures[order], labels=None, train=np.arange(100), held_out=np.arange(100, 120))
    found = group(dataset, 3, seed=0)
    assert found.classes == ("group-1", "group-2", "group-3")
    assert np.array_equal(found.labels, kind[order])


def test_shares_of_classes_follow_the_training_set(run: fenshen.Run) -> None:
    counts = np.bincount(run.generate(3000).labels, minlength=10) / 3000
    assert counts.min() > 0.07 and counts.max() < 0.13


def test_pictures_save(run: fenshen.Run, tmp_path: Path) -> None:
    made = run.generate(12)
    made.save(tmp_path / "grid.png")
    made.save(tmp_path / "all.npz")
    with np.load(tmp_path / "all.npz") as arrays:
        assert arrays["images"].shape == (12, 8, 8) and np.array_equal(arrays["labels"], made.labels)


@pytest.mark.parametrize("damage", ["truncated", "newer", "not of fenshen", "missing", "other shapes"])
def test_damaged_weights_are_refused(damage: str, run: fenshen.Run, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    write_atomically(tmp_path / "recipe.toml", run.recipe.toml().encode())
    whole = run.folder.weights.read_bytes()
    if damage == "truncated":
        folder.weights.write_bytes(whole[: len(whole) // 2])
    elif damage == "newer":
        folder.weights.write_bytes(whole.replace(b'\\"format\\": 1', b'\\"format\\": 9', 1))
    elif damage == "not of fenshen":
        save_file({"x": torch.zeros(3)}, folder.weights)
    elif damage == "other shapes":
        folder.weights.write_bytes(whole.replace(b'\\"latent\\": 64', b'\\"latent\\": 32', 1))
    with pytest.raises(RunFolderError, match={"newer": "newer fenshen", "missing": "saved nothing"}.get(damage, "damaged|does not fit")):
        fenshen.load(tmp_path).generate(1)


def test_a_state_that_does_not_fit_is_refused(run: fenshen.Run, tmp_path: Path) -> None:
    for name in ("data.json", "weights.safetensors", "state/last.safetensors"):
        write_atomically(tmp_path / name, (run.path / name).read_bytes())
    write_atomically(tmp_path / "recipe.toml", run.recipe.set({"model.size": "small", "train.kimg": 1.0}).toml().encode())
    with pytest.raises(RunFolderError, match="does not fit the recipe"):
        fenshen.resume(tmp_path)


def test_data_that_changed_is_refused_on_resume(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "set.npz", images=rng.integers(0, 256, (30, 8, 8), np.uint8))
    run = fenshen.train(tmp_path / "set.npz", kimg=0.032, changes=FAST, out=tmp_path / "run")
    np.savez(tmp_path / "set.npz", images=rng.integers(0, 256, (31, 8, 8), np.uint8))
    with pytest.raises(RunFolderError, match="has changed since this run began"):
        fenshen.resume(run.path)


def test_writing_is_atomic(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"old")
    with pytest.raises(TypeError):
        write_atomically(path, "not bytes")  # type: ignore[arg-type]
    assert path.read_bytes() == b"old" and [p.name for p in tmp_path.iterdir()] == ["file"]


def test_an_occupied_folder_is_refused(run: fenshen.Run) -> None:
    with pytest.raises(RunFolderError, match="exists already"):
        fenshen.train(kimg=0.032, changes=FAST, out=run.path)


def test_divergence_stops_and_keeps_the_last_good_save(tmp_path: Path) -> None:
    with pytest.raises(DivergedError, match="not finite"):
        fenshen.train(kimg=3.2, changes=changed(train__lr=1e30, train__ticks=20, model__objective="lsgan"), out=tmp_path / "run")
    if (tmp_path / "run" / "state" / "last.safetensors").exists():
        tensors, _ = read_tensors(tmp_path / "run" / "state" / "last.safetensors")
        assert all(torch.isfinite(value).all() for value in tensors.values())


def test_too_little_memory_is_said_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fenshen.training import probe

    monkeypatch.setattr(probe, "free_bytes", lambda device: 1_000_000)
    with pytest.raises(OutOfMemoryError, match=r"needs about .* GB"):
        fenshen.train(kimg=0.032, changes=FAST, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("changes,message", [
    ({"train.compile": True}, "cannot go backward twice"),
    ({"model.label_smoothing": 0.1}, "no targets to smooth"),
    ({"train.device": "cuda:77"}, "not on this machine"),
    ({"train.device": "abacus"}, "not on this machine"),
    ({"train.lr": "fast"}, "train.lr = fast"),
    ({"train.minutess": 3}, "no key train.minutess"),
])  # fmt: skip
def test_recipes_that_cannot_work(changes: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=message):
        fenshen.train(kimg=0.032, changes=FAST | changes, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_label_condition_needs_labels(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", images=np.random.default_rng(0).integers(0, 256, (30, 8, 8), np.uint8))
    with pytest.raises(RecipeError, match="have no labels"):
        fenshen.train(tmp_path / "set.npz", kimg=0.032, changes=changed(model__condition="label"))


def test_plan_tells_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plan = fenshen.plan(minutes=2, changes={"train.batch": 16, "train.ema_half_life_kimg": 0.0})
    assert plan.recipe.train.ema_half_life_kimg == 0.0
    assert plan.recipe.train.kimg and plan.seconds <= 120 and plan.memory_bytes > 1e6 and set(plan.parameters) == {"critic", "generator"}
    assert plan.recipe.train.kimg == pytest.approx(session.MARGIN * 120 * plan.probed.pictures_per_second / 1000, rel=0.01)
    assert len(plan.probed.tried) >= 1 and not list(tmp_path.iterdir())


def test_an_interrupt_that_a_library_swallows_still_stops(tmp_path: Path) -> None:
    class Swallowing(Watcher):
        def said(self, text: str) -> None:
            with contextlib.suppress(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.2)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        fenshen.train(kimg=0.032, changes=FAST | {"model.condition": "none"}, out=tmp_path / "run", watcher=Swallowing())
    assert not (tmp_path / "run").exists() and signal.getsignal(signal.SIGINT) is before


def test_minutes_stop_a_run_whose_plan_is_longer(tmp_path: Path) -> None:
    run = fenshen.train(minutes=0.03, kimg=1e6, changes=FAST, out=tmp_path / "run")
    assert run.log()[-1]["seconds"] < 6 and run.log()[-1]["lr"] < 0.5 * run.recipe.train.lr


def test_the_probe_leaves_no_trace(tmp_path: Path) -> None:
    """With and without other candidates to time, training is the same."""
    one = fenshen.train(kimg=0.08, changes=FAST, out=tmp_path / "a")
    other = fenshen.train(kimg=0.08, changes=FAST | {"train.precision": "fp32"}, out=tmp_path / "b")
    assert one.folder.weights.read_bytes() == other.folder.weights.read_bytes()


def test_a_compiler_is_tried_on_cuda_for_long_trainings_alone() -> None:
    recipe = Recipe().set({"model.family": "vae", "train.batch": 100, "train.minutes": 10})

    def tried(changes: dict, device: str = "cuda", networks: tuple = (torch.nn.Linear(1, 1),)) -> bool:
        trainer = SimpleNamespace(device=torch.device(device), family=SimpleNamespace(networks=lambda: networks), dataset=None)
        return worth_compiling(recipe.set(changes), trainer, 0.1)

    assert tried({}) and not tried({"train.minutes": 3})
    assert tried({"train.kimg": 400}) and not tried({"train.kimg": 200})
    assert not tried({"train.compile": False}) and not tried({}, device="cpu") and not tried({}, networks=())


def test_held_out_pictures_are_never_drawn() -> None:
    dataset = fenshen.data.prepare(Recipe().data)
    assert not set(dataset.train) & set(dataset.held_out) and len(dataset.held_out) >= 150
    recipe = fenshen.plan(kimg=1.0, changes=FAST).recipe
    trainer = Trainer(recipe, session.describe(recipe, dataset), dataset, torch.device("cpu"))
    drawn = trainer.data.indices[trainer.data.places(0, 5 * len(dataset.train))]
    assert set(drawn) == set(dataset.train)


def test_step_seeds_differ() -> None:
    seeds = {step_seed(seed, step) for seed in range(20) for step in range(200)}
    assert len(seeds) == 4000


def test_adaptive_strength_rises_with_overfitting_and_falls_without() -> None:
    recipe = Recipe().set({"train.batch": 16, "model.critic_steps": 1})
    on, off = torch.ones(16), -torch.ones(16)
    rising = AdaptiveStrength()
    for _ in range(50):
        rising.watch(on, off, off * 0.9, True)
        rising.adjust(recipe, True, 64, 10.0)
    assert rising.strength == recipe.train.augmentation_cap and rising.overfitting(True) > 0.9
    for _ in range(200):
        rising.watch(on, off, on, True)
        rising.adjust(recipe, True, 64, 10.0)
    assert rising.strength == 0.0
    weak_generator = AdaptiveStrength()
    weak_generator.watch(on, off, on, True)
    assert weak_generator.overfitting(False) == 1.0 and weak_generator.overfitting(True) == 0.0


def test_no_augmentation_is_the_identity_and_a_view_is_repeatable() -> None:
    x = torch.rand(6, 4, 12, 12) * 2 - 1
    assert torch.equal(Adaptive(12, 0.0)(6)(x), x) and torch.equal(classic(6, Augment())(x), x)
    view = Adaptive(12, 0.85)(6)
    assert torch.equal(view(x), view(x)) and not torch.equal(view(x), Adaptive(12, 0.85)(6)(x))
    assert Adaptive(12, 0.0)(0)(x[:0]).shape == (0, 4, 12, 12)


def test_augmentation_is_differentiable_twice() -> None:
    torch.manual_seed(0)
    view, x = Adaptive(6, 0.85)(3), (torch.rand(3, 1, 6, 6, dtype=torch.float64) * 2 - 1).requires_grad_()
    smooth = lambda y: view(y).double().pow(3).sum()  # noqa: E731
    (first,) = torch.autograd.grad(smooth(x), x, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), x)
    step, direction = 1e-3, torch.randn_like(x)
    numeric = (
        torch.autograd.grad(smooth(x + step * direction), x)[0].square().sum()
        - torch.autograd.grad(smooth(x - step * direction), x)[0].square().sum()
    )
    assert float((second * direction).sum()) == pytest.approx(float(numeric) / (2 * step), rel=2e-2)


def test_a_flip_flips_and_a_rotation_turns() -> None:
    x = torch.rand(1, 3, 16, 16) * 2 - 1
    torch.testing.assert_close(classic(1, Augment(flip=1.0))(x), x.flip(3), atol=1e-5, rtol=0)
    from fenshen.media.augment import affine, warp

    quarter = affine(torch.ones(1), torch.ones(1), torch.tensor([math.pi / 2]), torch.zeros(1, 2))
    turned = warp(x, quarter)
    assert min((turned - x.rot90(k, (2, 3))).abs().max() for k in (1, 3)) < 1e-4
    moved = warp(x, affine(torch.ones(1), torch.ones(1), torch.zeros(1), torch.tensor([[4 / 16, 0.0]])))
    torch.testing.assert_close(moved[..., 4:], x[..., :-4], atol=1e-5, rtol=0)


def test_augmentation_does_not_leak_on_average() -> None:
    """Most views keep a picture upright and unmirrored: "no change" stays the most likely view at the cap."""
    torch.manual_seed(0)
    view = Adaptive(8, 0.85)(4000)
    mirrored = (view.map_B23[:, 0, 0] < 0).float().mean()
    assert 0.2 < mirrored < 0.3
    assert (view.map_B23[:, 1, 0].abs() > 0.7).float().mean() < 0.02


def test_a_plan_made_on_a_busy_machine_is_lengthened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The probe expects a fifth of what fits into the minutes: the run does not end early. A wish for kimg is left alone."""
    monkeypatch.setattr(session, "planned_kimg", lambda recipe, probed: 0.2 * recipe.train.minutes * 60 * probed.pictures_per_second / 1000)
    monkeypatch.setattr(session, "CHECKED_AT", 0.1)  # Late enough for a first step that is slow.
    run = fenshen.train(minutes=0.04, changes=FAST, out=tmp_path / "run")
    last = run.log()[-1]
    assert last["seconds"] >= 2.2 and run.recipe.train.kimg > last["kimg"]
    wished = fenshen.train(minutes=1.0, kimg=0.08, changes=FAST, out=tmp_path / "wished")
    assert wished.recipe.train.kimg == 0.08 and wished.log()[-1]["kimg"] == 0.08

"""Adapting: the parent stays, what is frozen stays, old pictures come again, anchors hold; wishes move what is made their way."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import fenshen
from fenshen.condition import grown
from fenshen.data import Batches, prepare
from fenshen.errors import DataError, RecipeError, RunFolderError
from fenshen.evaluate.adapted import Distances, table
from fenshen.families.preference import Preference, Taste, fit
from fenshen.nets.critics import stages
from fenshen.recipe import Data, Recipe
from fenshen.run import read_tensors
from fenshen.training.adapting import Origin, Replayed, adaptation, anchored, told
from fenshen.training.loop import Trainer
from fenshen.training.plan import describe
from fenshen.training.session import Stop, Watcher, autopilot, safe_recipe
from fenshen.training.wishes import Wish, foreseen, learn, read_wishes

FAST = {"train.ticks": 2, "train.threads": 1, "train.precision": "fp32", "train.batch": 16, "autopilot": "off", "evaluate.report": False}


class StopAfter(Watcher):
    """Asks for a clean stop after the first tick."""

    def __init__(self, stop: Stop):
        self.stop = stop

    def ticked(self, entry: dict) -> None:
        self.stop.signal = signal.SIGINT


def arrays(path: Path, count: int, labels: list[str], bright: int = 200, side: int = 8) -> Path:
    """Noisy pictures, brighter towards the left, with these labels in turn."""
    rng = np.random.default_rng(count)
    images = rng.integers(0, bright, (count, side, side), np.uint8)
    images[:, :, : side // 2] = images[:, :, : side // 2] // 2 + 100
    np.savez(path, images=images, **({"labels": np.array([labels[i % len(labels)] for i in range(count)])} if labels else {}))
    return path


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> fenshen.Run:
    """Trained for a moment on cats and dogs."""
    folder = tmp_path_factory.mktemp("parent")
    return fenshen.train(arrays(folder / "old.npz", 80, ["cat", "dog"]), kimg=0.16, changes=FAST, out=folder / "run")


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory: pytest.TempPathFactory) -> fenshen.Run:
    folder = tmp_path_factory.mktemp("unlabelled")
    return fenshen.train(arrays(folder / "old.npz", 80, []), kimg=0.16, changes=FAST, out=folder / "run")


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """Dogs that the parent knows, and birds that it does not."""
    return arrays(tmp_path / "new.npz", 60, ["bird", "dog"], bright=120)


def family(run: fenshen.Run) -> dict[str, torch.Tensor]:
    return {name.removeprefix("family."): value for name, value in read_tensors(run.folder.state)[0].items() if name.startswith("family.")}


def files(run: fenshen.Run) -> dict[str, bytes]:
    return {path.relative_to(run.path).as_posix(): path.read_bytes() for path in run.path.rglob("*") if path.is_file()}


def test_the_parent_stays_and_the_new_run_records_it(parent: fenshen.Run, new: Path, tmp_path: Path) -> None:
    before = files(parent)
    run = parent.adapt(new, kimg=0.064, changes=FAST | {"adapt.replay": 0.5}, out=tmp_path / "run")
    assert files(parent) == before
    recipe = run.recipe
    assert recipe.adapt.parent == str(parent.path.resolve()) and recipe.train.lr == parent.recipe.train.lr / 2
    assert recipe.train.augmentation == "adaptive" and recipe.train.augmentation_strength == 0.3 and recipe.adapt.freeze == 1
    assert recipe.model.size == parent.recipe.model.size and recipe.data.resolution == 8
    assert recipe.toml() == Recipe.model_validate(recipe.model_dump()).toml()
    assert run.classes == ("bird", "dog", "cat")
    shares = run.folder.load_sampler()[1].shares
    assert shares[2] == 0 and sum(shares) == pytest.approx(1), "it makes what the new pictures show, and cats by name"
    assert set(run.generate(40).labels) == {0, 1} and set(run.generate(3, label="cat").labels) == {2}


def test_it_begins_with_the_parent_and_frozen_stages_stay(parent: fenshen.Run, new: Path, tmp_path: Path) -> None:
    run = parent.adapt(new, kimg=0.064, changes=FAST | {"adapt.freeze": 1}, out=tmp_path / "run")
    old, now, begun = family(parent), family(run), Origin.read(run.folder).family
    frozen = {name for name in old if name.startswith(("critic.enter", "critic.blocks.0"))}
    assert frozen and all(torch.equal(old[name], now[name]) for name in frozen)
    for name in set(old) - frozen:
        assert not torch.equal(begun[name], now[name]), name
        if "labels.label" not in name:
            assert torch.equal(begun[name], old[name]), name
    averaged = read_tensors(parent.folder.state)[0]
    assert all(torch.equal(value, averaged[f"averaged.{name}"]) for name, value in Origin.read(run.folder).averaged.items() if "labels" not in name)


def test_classes_of_the_same_name_keep_their_embedding(parent: fenshen.Run, new: Path, tmp_path: Path) -> None:
    run = parent.adapt(new, kimg=0.032, changes=FAST, out=tmp_path / "run")
    key = "sampler.knows.labels.label.weight"
    old, begun, now = family(parent)[key], Origin.read(run.folder).family[key], family(run)[key]
    cat, dog = old
    assert torch.equal(begun[1], dog) and torch.equal(begun[2], cat) and torch.allclose(begun[0], old.mean(0))
    assert torch.equal(now[2], cat), "what no picture is of does not move"
    assert torch.equal(grown(torch.eye(2), ["a", "b"], ["b", "c"]), torch.tensor([[0.0, 1.0], [0.5, 0.5]]))


@pytest.mark.parametrize("kind", ["labels", "no labels"])
def test_five_and_five_steps_are_ten(kind: str, parent: fenshen.Run, unlabelled: fenshen.Run, new: Path, tmp_path: Path) -> None:
    """Frozen layers, old pictures and anchors are there again after a stop, whatever has become of the parent's weights."""
    begun = parent if kind == "labels" else unlabelled
    changes = FAST | {"adapt.replay": 0.25, "adapt.anchor": 0.1, "train.parts": 2}
    whole = begun.adapt(new, kimg=0.16, changes=changes, out=tmp_path / "whole")
    stop = Stop()
    part = begun.adapt(new, kimg=0.16, changes=changes, out=tmp_path / "part", stop=stop, watcher=StopAfter(stop))
    assert 0 < read_tensors(part.folder.state)[1]["steps"] < 10
    fenshen.resume(part.path)
    (one, header), (other, other_header) = (read_tensors(run.folder.state) for run in (whole, part))
    assert header["steps"] == other_header["steps"] == 10 and header["strength"] == other_header["strength"]
    assert set(one) == set(other) and all(torch.equal(one[name], other[name]) for name in one)
    assert whole.folder.weights.read_bytes() == part.folder.weights.read_bytes()
    assert "generator/anchor" in whole.log()[-1]


def test_pictures_without_labels_become_one_class(parent: fenshen.Run, tmp_path: Path) -> None:
    source = arrays(tmp_path / "birds.npz", 60, [])
    run = parent.adapt(source, kimg=0.032, changes=FAST, out=tmp_path / "run")
    assert run.classes == ("birds", "cat", "dog") and set(run.generate(20).labels) == {0}
    assert 0 <= run.evaluate(50).critic["held_out_accuracy"] <= 1


def test_an_unlabelled_parent_stays_unlabelled(unlabelled: fenshen.Run, new: Path, tmp_path: Path) -> None:
    run = unlabelled.adapt(new, kimg=0.032, changes=FAST | {"adapt.replay": 0.5}, out=tmp_path / "run")
    assert run.classes == () and run.generate(3).labels is None and run.recipe.model.condition == "none"


def test_found_groups_come_again_as_classes(tmp_path: Path, new: Path) -> None:
    grouped = fenshen.train(arrays(tmp_path / "old.npz", 80, []), kimg=0.032, changes=FAST | {"model.groups": 3}, out=tmp_path / "old")
    run = grouped.adapt(new, kimg=0.032, changes=FAST | {"adapt.replay": 0.5}, out=tmp_path / "run")
    assert run.classes[:2] == ("bird", "dog") and set(run.classes[2:]) == set(grouped.classes)
    told_old = Origin.read(run.folder).dataset()
    groups = read_tensors(grouped.folder.groups)[0]["groups"]
    assert torch.equal(torch.from_numpy(told_old.labels), groups + 2)


def test_old_pictures_are_the_part_asked_for_and_every_one_in_turn() -> None:
    dataset = prepare(Data())
    new, old = (Batches(dataset, dataset.train[part], 16, 0) for part in (slice(0, 30), slice(100, 140)))
    both = Replayed(new, old, 0.25)
    seen = {picture.numpy().tobytes() for picture in old.held}
    drawn = [both.draw(position, 16)[0] for position in range(0, 320, 16)]
    counts = [sum(picture.numpy().tobytes() in seen for picture in x) for x in drawn]
    assert set(counts) == {4} and len({picture.numpy().tobytes() for x in drawn for picture in x}) == 30 + 40
    x, labels = both.draw(7, 9)
    again, told_again = both.draw(4, 20)
    assert torch.equal(x, again[3:12]) and torch.equal(labels, told_again[3:12]), "a pure function of the position"


def test_an_anchor_is_the_squared_distance() -> None:
    module = torch.nn.Linear(2, 1)
    at = {name: value.detach() - 0.5 for name, value in module.named_parameters()}
    (term,) = anchored(2.0, at)(module).values()
    assert term.item() == pytest.approx(2.0 * 3 * 0.25)


def test_an_anchor_holds(parent: fenshen.Run, new: Path, tmp_path: Path) -> None:
    def distance(anchor: float) -> float:
        run = parent.adapt(new, kimg=0.16, changes=FAST | {"adapt.anchor": anchor}, out=tmp_path / f"run{anchor}")
        origin, now = Origin.read(run.folder).maker, family(run)
        return sum(float((now[f"sampler.{name}"] - value).square().sum()) for name, value in origin.items())

    assert distance(100.0) < 0.5 * distance(0.0)


@pytest.mark.parametrize("network", ["conv", "residual", "dcgan", "mlp"])
def test_stages_hold_every_weight_once_and_in_order(network: str) -> None:
    from fenshen.nets.critics import critic
    from fenshen.space import Grid

    net = critic(Grid(1, (16, 16)), network, 4, 8)
    found = [p for stage in stages(net) for module in stage for p in module.parameters()]
    assert [id(p) for p in found] == [id(p) for p in net.parameters()] and len(stages(net)) >= 2


def test_the_autopilot_goes_back_to_the_parent_and_not_to_nothing(parent: fenshen.Run, new: Path, tmp_path: Path) -> None:
    run = parent.adapt(new, kimg=0.032, changes=FAST, out=tmp_path / "run")
    recipe, origin = run.recipe, Origin.read(run.folder)
    dataset = told(prepare(recipe.data), parent.classes, "new")
    trainer = Trainer(recipe, describe(recipe, dataset), dataset, torch.device("cpu"), origin)
    trainer.step()
    trainer.renew(("critic", "generator"))
    assert all(torch.equal(value, origin.family[name]) for name, value in trainer.family.state_dict().items())
    trainer.step()
    plan = fenshen.plan(recipe=recipe)
    assert safe_recipe(plan) == plan.recipe and plan.origin is not None and autopilot(plan, run.folder, trainer, Watcher()) is None


def test_distances_before_and_after(parent: fenshen.Run, new: Path, tmp_path: Path) -> None:
    run = parent.adapt(new, kimg=0.032, changes=FAST | {"evaluate.report": True, "evaluate.count": 60}, out=tmp_path / "run")
    found = Distances.read(run.folder)
    assert found == run.distances(60), "the same seed, the same numbers"
    assert found.parent == str(parent.path.resolve()) and found.old.encoder != found.new.encoder
    for one in (found.old, found.new):
        assert one.measure == "kid" and all(np.isfinite(value) for value in (one.before, one.after, one.real)) and one.reals >= 4
    assert len(table(found)) == 2 and json.loads((run.path / "adapt.json").read_text())["weights"]
    Path(parent.recipe.data.source).rename(tmp_path / "away.npz")
    try:
        assert "no file" in run.distances(60).old.note
    finally:
        (tmp_path / "away.npz").rename(parent.recipe.data.source)
    with pytest.raises(RunFolderError, match="not adapted"):
        parent.distances()


def test_what_cannot_be_adapted(parent: fenshen.Run, new: Path, tmp_path: Path) -> None:
    def refused(kind: type[Exception], match: str, source: Path | None = new, **more: object) -> None:
        with pytest.raises(kind, match=match):
            parent.adapt(source, kimg=0.032, out=tmp_path / "run", **{"changes": FAST, **more})
        assert not (tmp_path / "run").exists()

    refused(RecipeError, "model.size comes from the run", changes={"model.size": "large"})
    refused(RecipeError, "data.resolution comes from the run", changes={"data.resolution": 16})
    refused(RecipeError, "adapt.freeze=9: this critic has", changes=FAST | {"adapt.freeze": 9})
    refused(RecipeError, "either DATA or --wishes", source=None)
    refused(RecipeError, "--strength 0", strength=0)
    refused(DataError, "no file or folder", source=tmp_path / "nix")
    with pytest.raises(RecipeError, match="need a trained run"):
        fenshen.train(kimg=0.032, changes=FAST | {"adapt.freeze": 1})
    large = fenshen.train(arrays(tmp_path / "large.npz", 30, [], side=16), kimg=0.032, changes=FAST, out=tmp_path / "large")
    with pytest.raises(DataError, match="smaller than the 16 pixels that the run makes"):
        large.adapt(new, changes=FAST, out=tmp_path / "run")


def test_a_saved_recipe_begins_with_the_parent_too(parent: fenshen.Run, new: Path, tmp_path: Path) -> None:
    run = parent.adapt(new, kimg=0.032, changes=FAST, out=tmp_path / "run")
    again = fenshen.train(None if run.recipe.data.source is None else run.recipe.data.source, run.path / "recipe.toml", out=tmp_path / "again")
    assert again.folder.weights.read_bytes() == run.folder.weights.read_bytes()
    assert adaptation(parent.folder, str(new), {}).adapt.parent == run.recipe.adapt.parent


# Wishes


def wishes_of(run: fenshen.Run, path: Path, count: int, seed: int = 1) -> Path:
    """Likes the brighter half of `count` pictures."""
    bright = run.generate(count, seed=seed).images.mean((1, 2, 3))
    lines = [f"{seed}:{i} {'like' if value > np.median(bright) else 'dislike'}  # {value:.0f}" for i, value in enumerate(bright)]
    path.write_text("# what I think of them\n\n" + "\n".join(lines))
    return path


@pytest.mark.parametrize("kind", ["labels", "no labels"])
def test_likes_of_bright_pictures_make_brighter_ones(kind: str, parent: fenshen.Run, unlabelled: fenshen.Run, tmp_path: Path) -> None:
    begun = parent if kind == "labels" else unlabelled
    before = files(begun)
    run = begun.adapt(wishes=wishes_of(begun, tmp_path / "wishes.txt", 200), out=tmp_path / "run")
    old, now = (r.generate(400, seed=9).images.astype(float) for r in (begun, run))
    spread = old.mean((1, 2, 3)).std()
    assert now.mean() > old.mean() + 0.4 * spread, "brighter by nearly half of what pictures differ"
    assert now.std(0).mean() > 0.8 * old.std(0).mean(), "and still various"
    assert files(begun) == before
    said = run.folder.read_json("adapt.json")
    assert said["parent"] == str(begun.path.resolve()) and said["wishes"]["likes"] == 100
    assert said["wishes"]["foreseen"] > 0.6 and said["wishes"]["after"] > said["wishes"]["before"] + 0.05
    assert np.array_equal(run.generate(7, seed=9).images, now[:7].astype(np.uint8)), "the same seed, whatever the count"
    strong = begun.adapt(wishes=tmp_path / "wishes.txt", strength=10, out=tmp_path / "strong")
    assert strong.generate(400, seed=9).images.mean() > now.mean()


def test_wishes_upon_wishes_add_up(unlabelled: fenshen.Run, tmp_path: Path) -> None:
    first = unlabelled.adapt(wishes=wishes_of(unlabelled, tmp_path / "1.txt", 100), out=tmp_path / "first")
    second = first.adapt(wishes=wishes_of(first, tmp_path / "2.txt", 100), out=tmp_path / "second")
    means = [run.generate(300, seed=9).images.mean() for run in (unlabelled, first, second)]
    assert means[0] < means[1] < means[2]
    assert not any(path.suffix in (".pkl", ".pt") for path in second.path.rglob("*"))
    assert second.evaluate(50).scores


def test_a_liked_label_is_made_more_often(parent: fenshen.Run, tmp_path: Path) -> None:
    labels = parent.generate(60).labels
    (tmp_path / "wishes.txt").write_text("\n".join(f"{i} {'like' if label == 0 else 'dislike'}" for i, label in enumerate(labels)))
    run = parent.adapt(wishes=tmp_path / "wishes.txt", out=tmp_path / "run")
    assert (run.generate(400, seed=5).labels == 0).mean() > 0.7 > (parent.generate(400, seed=5).labels == 0).mean()


def test_random_wishes_foresee_nothing(unlabelled: fenshen.Run) -> None:
    sampler, made, _ = unlabelled.folder.load_sampler()
    liked = np.random.default_rng(0).random(200) < 0.5
    wishes = [Wish(0, i, bool(value)) for i, value in enumerate(liked)]
    assert 0.35 < foreseen(sampler, made, wishes) < 0.65
    assert foreseen(sampler, made, wishes[:4]) is None
    assert learn(sampler, made, wishes, 1.0).length < 1.5


@pytest.mark.parametrize("text,message", [
    ("17 like\nx like", "line 2: x like: write INDEX like"), ("17 likes\n18 dislike", "line 1"), ("1:2:3 like", "line 1"),
    ("17 like\n18 like", "at least one like and one dislike"), ("", "at least one like"), ("17 like\n17 dislike", "at least one like"),
])  # fmt: skip
def test_files_of_wishes_that_are_refused(text: str, message: str, parent: fenshen.Run, tmp_path: Path) -> None:
    (tmp_path / "wishes.txt").write_text(text)
    with pytest.raises(RecipeError, match=message):
        parent.adapt(wishes=tmp_path / "wishes.txt", out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_wishes_are_read(tmp_path: Path) -> None:
    (tmp_path / "wishes.txt").write_text("# mine\n17 like\n 3:23   dislike # too dark\n\n17 dislike\n4 like\n")
    assert read_wishes(tmp_path / "wishes.txt") == [Wish(0, 17, False), Wish(3, 23, False), Wish(0, 4, True)]
    with pytest.raises(RecipeError, match="cannot be read"):
        read_wishes(tmp_path / "nix.txt")


def test_a_taste_moves_along_one_direction_to_the_density_it_says() -> None:
    """Against importance weights: the mean and spread along w of N(0, 1) tilted by σ(w·z + b)^k; nothing else moves."""
    torch.manual_seed(0)
    weight, bias, strength = torch.tensor([1.5, -2.0, 0.0], dtype=torch.float64), torch.tensor([0.5, -1.0], dtype=torch.float64), 2.0
    taste = Taste(weight, bias, strength)
    z, label = torch.randn(200_000, 3, dtype=torch.float64), torch.arange(200_000) % 2
    moved, along = taste.move(z, label), weight / weight.norm()
    for kind in (0, 1):
        u, weights = z @ along, (z @ weight + bias[kind]).sigmoid() ** strength
        mean = float((weights * u).sum() / weights.sum())
        spread = float(((weights * (u - mean) ** 2).sum() / weights.sum()).sqrt())
        mine = (moved @ along)[label == kind]
        assert float(mine.mean()) == pytest.approx(mean, abs=0.02) and float(mine.std()) == pytest.approx(spread, abs=0.02)
    assert torch.allclose(moved - (moved @ along)[:, None] * along, z - (z @ along)[:, None] * along)
    order = torch.argsort(z[label == 0] @ along)
    assert bool(((moved[label == 0] @ along)[order].diff() >= -1e-12).all()), "monotone"
    before, after = taste.expected(torch.tensor([0.5, 0.5], dtype=torch.float64))
    liked = (z @ weight + bias[label]).sigmoid()
    assert before == pytest.approx(float(liked.mean()), abs=0.01)
    both = liked**strength
    assert after == pytest.approx(float((both * liked).sum() / both.sum()), abs=0.01)
    nothing = Preference((Taste(torch.zeros(3, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)),))
    assert torch.equal(nothing(z[:5].float(), {}), z[:5].float())


def test_a_logistic_regression_is_at_its_minimum() -> None:
    torch.manual_seed(0)
    x, precision = torch.randn(50, 4, dtype=torch.float64), torch.tensor([1.0, 2.0, 3.0, 0.01], dtype=torch.float64)
    liked = (torch.rand(50) < (x @ torch.tensor([3.0, 0.0, -2.0, 1.0], dtype=torch.float64)).sigmoid()).double()
    weights = fit(x, liked, precision)
    gradient = x.T @ ((x @ weights).sigmoid() - liked) + precision * weights
    assert float(gradient.abs().max()) < 1e-8
    apart = fit(x, (x[:, 0] > 0).double(), precision)
    assert torch.isfinite(apart).all() and apart[0] > 0


# The command line


@pytest.fixture
def say(capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """`say(code, *words)`: stdout of `fenshen adapt`, or stderr where the code is not 0."""

    def call(code: int, *words: object) -> str:
        from fenshen.cli import app

        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            app(["adapt", *map(str, words)], prog_name="fenshen")
        told = capfd.readouterr()
        assert (ended.value.code or 0) == code, told
        return told.err if code else told.out

    return call


def test_the_command_line(parent: fenshen.Run, new: Path, tmp_path: Path, say: Callable[..., str]) -> None:
    changes = [word for key, value in (FAST | {"evaluate.report": "true", "evaluate.count": 60}).items() for word in ("--set", f"{key}={value}")]
    answer = json.loads(say(0, parent.path, new, "--kimg", 0.032, "--replay", 0.5, *changes, "--out", tmp_path / "run", "--json"))
    assert answer["finished"] and answer["parent"] == str(parent.path.resolve()) and answer["distances"]["new"]["after"] is not None
    told = say(0, parent.path, "--wishes", wishes_of(parent, tmp_path / "wishes.txt", 20), "--out", tmp_path / "wished")
    assert "10 likes and 10 dislikes" in told and "fenshen generate" in told
    assert "either DATA or --wishes" in say(2, parent.path)
    assert "leave --minutes out" in say(2, parent.path, "--wishes", "x", "--minutes", 3)
    assert "no run nix" in say(2, "nix", new)

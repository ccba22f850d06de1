"""Whole runs of the variational families: exact resume, what is kept, what is said where there is no critic, volumes."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import fenshen
from fenshen.control.hand import Hand
from fenshen.data import Dataset
from fenshen.errors import DataError, RecipeError, RunFolderError
from fenshen.families.autoencoder import Autoencoder
from fenshen.families.quantized import Codec
from fenshen.generate import Order, generate
from fenshen.recipe import Recipe
from fenshen.run import Made, read_tensors
from fenshen.training.loop import Trainer
from fenshen.training.plan import complete
from fenshen.training.session import Stop, Watcher
from fenshen.writing import write_slices

FAST = {"train.ticks": 2, "train.threads": 1, "train.precision": "fp32", "train.batch": 16, "autopilot": "off", "evaluate.report": False}
VAE, VAEGAN = {"model.family": "vae", "model.network": "conv"}, {"model.family": "vaegan", "model.adversarial_from": 0.2}
KINDS = {
    "vae": FAST | VAE,
    "vae, dense": FAST | {"model.family": "vae"},
    "vae, two parts": FAST | VAE | {"train.parts": 2, "train.threads": 2, "train.precision": "bf16"},
    "vq": FAST | VAE | {"model.quantizer": "vq"},
    "vaegan": FAST | VAEGAN,
    "vaegan, two parts": FAST | VAEGAN | {"train.parts": 2, "train.threads": 2, "train.augmentation_strength": 0.5},
}


class StopAtOnce(Watcher):
    """Asks for a clean stop at the first tick."""

    def __init__(self, stop: Stop):
        self.stop = stop

    def ticked(self, entry: dict) -> None:
        self.stop.signal = signal.SIGINT


@pytest.mark.parametrize("name", KINDS)
def test_five_and_five_steps_are_ten(name: str, tmp_path: Path) -> None:
    whole = fenshen.train(kimg=0.16, changes=KINDS[name], out=tmp_path / "whole")
    stop = Stop()
    part = fenshen.train(kimg=0.16, changes=KINDS[name], out=tmp_path / "part", stop=stop, watcher=StopAtOnce(stop))
    assert 0 < read_tensors(part.folder.state)[1]["steps"] < 10
    fenshen.resume(part.path)
    (one, header), (other, other_header) = (read_tensors(r.folder.state) for r in (whole, part))
    assert header["steps"] == other_header["steps"] == 10
    assert set(one) == set(other) and all(torch.equal(one[k], other[k]) for k in one)
    assert whole.folder.weights.read_bytes() == part.folder.weights.read_bytes()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> fenshen.Run:
    return fenshen.train(kimg=0.32, changes=FAST | VAE, out=tmp_path_factory.mktemp("module") / "run")


def test_what_is_sampled_is_kept_with_the_weights(run: fenshen.Run) -> None:
    sampler, made, _ = run.folder.load_sampler()
    assert isinstance(sampler, Autoencoder) and sampler.prior.fitted and sampler.prior.groups == len(made.classes) == 10
    assert sampler.wanted == "mixture"


def test_same_seed_same_picture_whatever_the_count(run: fenshen.Run) -> None:
    assert np.array_equal(run.generate(70, seed=3).images[:20], run.generate(20, seed=3).images)


def test_a_run_without_a_critic_says_so(run: fenshen.Run, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no critic"):
        run.generate(4, keep=0.5)
    with pytest.raises(RecipeError, match="no critic"):
        fenshen.train(kimg=0.1, changes=FAST | VAE | {"train.augmentation": "adaptive"}, out=tmp_path / "no")


def test_stopped_right_after_a_save_it_still_knows_what_to_sample(tmp_path: Path) -> None:
    stop = Stop()
    part = fenshen.train(kimg=0.32, changes=FAST | VAE, out=tmp_path / "part", stop=stop, watcher=StopAtOnce(stop))
    sampler = part.folder.load_sampler()[0]
    assert isinstance(sampler, Autoencoder) and sampler.prior.fitted


def test_the_autopilot_mends_a_family_without_critic(tmp_path: Path) -> None:
    """Without a critic, the signals that need none still work: a learning rate far too high is seen and mended."""
    run = fenshen.train(kimg=0.8, changes=FAST | VAE | {"autopilot": "on", "train.lr": 3.0}, out=tmp_path / "run")
    assert run.folder.events() and all(np.isfinite(value) for line in run.log() for value in line.values())


def test_codes_are_used_and_pictures_come_back(tmp_path: Path) -> None:
    run = fenshen.train(kimg=1.6, changes=FAST | VAE | {"model.quantizer": "vq", "train.lr": 2e-3}, out=tmp_path / "run")
    sampler = run.folder.load_sampler()[0]
    assert isinstance(sampler, Codec)
    used, perplexity = sampler.used()
    assert used > 0.1 and perplexity > 5
    with pytest.raises(DataError, match="grid of codes"):
        Hand.open(run.folder)
    last, first = run.log()[-1], run.log()[0]
    assert last["autoencoder/squared_error"] < first["autoencoder/squared_error"]


def test_an_adapted_vae_begins_with_its_parent(run: fenshen.Run, tmp_path: Path) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (40, 8, 8), np.uint8)
    np.savez(tmp_path / "new.npz", images=pictures, labels=np.array(["new", "0"])[np.arange(40) % 2])
    child = run.adapt(tmp_path / "new.npz", kimg=0.16, changes=FAST | {"adapt.anchor": 0.1}, out=tmp_path / "child")
    assert set(child.classes) == {*run.classes, "new"} and child.generate(4).images.shape == (4, 8, 8, 1)


@pytest.mark.parametrize("kind", ["vae", "vq", "vaegan"])
def test_the_report_shows_what_goes_through_the_latent(kind: str, tmp_path: Path) -> None:
    run = fenshen.train(kimg=0.32, changes=KINDS[kind], out=tmp_path / "run")
    found = run.evaluate(count=64).json()["latents"]
    page = (run.path / "report.html").read_text("utf-8")
    assert "What goes through the latent" in page
    if kind == "vq":
        assert 0 < found["codes_used"] <= 1 and found["codes"] == 256 and found["positions"] == 16
    else:
        assert found["elbo_nats"] < found["bound_nats"] + 1 and found["prior"] == "mixture" and len(found["kl_of_units"]) == found["units"] == 16
        assert found["kl_nats"] == pytest.approx(sum(found["kl_of_units"]), abs=0.05) and found["bits_per_dimension"] > 0


def test_a_training_begins_with_the_weights_that_fit(run: fenshen.Run, tmp_path: Path) -> None:
    heard: list[str] = []

    class Listening(Watcher):
        def said(self, text: str) -> None:
            heard.append(text)

    changes = FAST | VAEGAN | {"train.start_from": str(run.path), "train.lr": 1e-12, "train.lr_critic": 1e-12}
    child = fenshen.train(kimg=0.032, changes=changes, out=tmp_path / "child", watcher=Listening())
    assert any("from run" in text and "begun anew" in text and "critic." in text for text in heard), heard
    before, after = (read_tensors(r.folder.state)[0]["family.sampler.decoder.leave.weight"] for r in (run, child))
    assert torch.allclose(before, after, atol=1e-6)
    with pytest.raises(RunFolderError, match="none of the weights"):
        nothing = {"train.start_from": str(run.path), "model.network": "mlp", "model.condition": "none"}
        fenshen.train(kimg=0.032, changes=FAST | nothing, out=tmp_path / "no")


def balls(count: int) -> np.ndarray:
    """uint8 (N, 8, 8, 8, 1): a bright ball in each, of any size, anywhere near the middle."""
    draw = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*[np.arange(8)] * 3, indexing="ij"), -1)
    middle, radius = draw.uniform(2.5, 4.5, (count, 1, 1, 1, 3)), draw.uniform(1.5, 3, (count, 1, 1, 1))
    return (np.linalg.norm(grid - middle, axis=-1) < radius).astype(np.uint8)[..., None] * 255


def test_volumes_are_trained_sampled_and_written_as_slices(tmp_path: Path) -> None:
    volumes, nowhere = balls(64), np.arange(0)
    dataset = Dataset(volumes, None, (), np.arange(64), nowhere, "made", 8, "gray", tmp_path / "none", (), "", (), 0)
    recipe = Recipe().set({"model.family": "vae", "train.kimg": 3.2, "train.ema_half_life_kimg": 0.5, "train.precision": "fp32", "train.lr": 3e-3})
    recipe = complete(recipe.set({"train.augmentation": "off", "train.batch": 32}), dataset, torch.device("cpu"))
    trainer = Trainer(recipe, Made(1, (8, 8, 8)), dataset, torch.device("cpu"))
    reports = [trainer.step() for _ in range(40)]
    assert all(torch.isfinite(value) for report in reports for value in report.losses.values())
    trainer.settle()
    made = np.concatenate([x for x, _ in generate(trainer.averaged, trainer.made, Order(6, seed=1))])
    assert made.shape == (6, 8, 8, 8, 1) and made.dtype == np.uint8
    errors = [float(report.signals["autoencoder/squared_error"].mean()) for report in (reports[0], reports[-1])]
    assert errors[1] < 0.7 * errors[0]
    assert write_slices(made[0], tmp_path / "stack", ".png", {}) == 8
    back = [np.asarray(Image.open(path)) for path in sorted((tmp_path / "stack").iterdir())]
    assert np.array_equal(np.stack(back), made[0, ..., 0])


def test_the_prior_can_be_chosen_when_there_is_one(run: fenshen.Run, tmp_path: Path) -> None:
    mixture, normal = (run.generate(8, prior=prior).images for prior in ("mixture", "normal"))
    assert np.array_equal(mixture, run.generate(8).images) and not np.array_equal(mixture, normal)
    gan = fenshen.train(kimg=0.032, changes=FAST, out=tmp_path / "gan")
    with pytest.raises(RecipeError, match="--prior"):
        gan.generate(4, prior="normal")


def test_a_label_head_needs_labels(tmp_path: Path) -> None:
    for changes in ({"model.condition": "none"}, {"model.quantizer": "vq"}):
        with pytest.raises(RecipeError, match="label_head"):
            fenshen.train(kimg=0.1, changes=FAST | VAE | changes | {"model.label_head": 1.0}, out=tmp_path / "no")

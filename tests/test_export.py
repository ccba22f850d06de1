"""`fenshen export`: graphs that agree with their networks, folders that are runs, cards that say no name of a file."""

from __future__ import annotations

import builtins
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fenshen.api import Run, load
from fenshen.errors import FenshenError
from fenshen.exporting.export import _prior
from fenshen.exporting.graphs import graph_of
from fenshen.exporting.onnx import TOLERANCE, largest_difference, write_onnx
from fenshen.families.autoencoder import Autoencoder
from fenshen.families.build import build_sampler
from fenshen.media.text import learn_characters
from fenshen.recipe import Recipe
from fenshen.run import Made, RunFolder, Written, read_tensors

SMALL = {
    "gan": {"family": "gan", "size": "nano", "codes": {"categorical": 2, "continuous": 1}},
    "residual": {"family": "gan", "network": "residual", "size": "nano"},
    "article": {"family": "gan", "network": "dcgan", "size": "nano"},
    "vae": {"family": "vae", "size": "nano", "latent": 8},
    "vaegan": {"family": "vaegan", "size": "nano", "latent": 8},
    "vq": {"family": "vae", "network": "conv", "quantizer": "vq", "halvings": 2, "size": "nano", "latent": 8},
    "lstm": {"family": "autoregressive", "net": "lstm", "size": "nano", "width": 32, "depth": 2, "context": 16, "dropout": 0.1},
    "transformer": {"family": "autoregressive", "net": "transformer", "size": "nano", "width": 64, "depth": 2, "context": 16, "dropout": 0.1},
}  # fmt: skip
WORDS = ("lstm", "transformer")
REPORT = {
    "times_floor": 3.0, "copying": {"copied": False},
    "scores": [{"name": "frechet", "value": 3.0, "floor": 1.0, "ceiling": 200.0}, {"name": "kid", "value": None, "floor": None, "ceiling": None}],
}  # fmt: skip


def a_run(path: Path, name: str) -> Run:
    """A run whose networks are random, written to disk as a trained one is; its data are said to be at /home/me/secret.zip."""
    torch.manual_seed(0)
    words, told = name in WORDS, ("cat", "dog")
    recipe = Recipe.model_validate({"data": {"source": "/home/me/secret.zip"}, "model": SMALL[name], "train": {"start_from": "/home/me/elder"}})
    made: Made | Written = Made(3, (20, 20), told, (3.0, 1.0))
    if words:
        alphabet = learn_characters(["a small text"])
        made = Written(alphabet.state(), alphabet.size, 16)
    sampler = build_sampler(made.space, made.told, recipe.model)
    for weight in sampler.parameters():
        weight.data.add_(0.1 * torch.randn_like(weight))  # Language models begin by saying the same of everything.
    if isinstance(sampler, Autoencoder):
        sampler.prior.fit(torch.randn(40, 8), None, 0)
    run = RunFolder.create(path, name)
    run.save_weights(sampler, recipe, made, 1.5)
    (path / "recipe.toml").write_text(recipe.toml())
    record = {"train": 90, "held_out": 10, "classes": [] if words else told, "bytes": 12_000, "skipped": [{"file": "secret.jpg", "reason": "?"}]}
    run.write_json("data.json", {"fingerprint": "0", **record})
    (path / "log.jsonl").write_text(json.dumps({"seconds": 120, "kimg": 1.5, "held_out/nats": 2.0, "held_out/bits_per_byte": 2.885}) + "\n")
    return Run(run)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SMALL if name != "vq"])
def test_a_graph_agrees_with_its_network_at_every_size(name: str, tmp_path: Path) -> None:
    import onnxruntime

    run = a_run(tmp_path / "run", name)
    done = run.export(to=["onnx"], measure=True)
    assert done.difference is not None and done.difference <= TOLERANCE
    assert done.speed is not None and min(done.speed.torch_ms, done.speed.onnx_ms) > 0
    session = onnxruntime.InferenceSession(str(done.path / "model.onnx"))
    about = json.loads(session.get_modelmeta().custom_metadata_map["fenshen"])
    random = np.random.default_rng(1)
    if name in WORDS:
        tokens = random.integers(0, about["vocabulary"], (2, 3))
        writer, _, _ = run.folder.load_writer()
        with torch.no_grad():
            wanted = writer.read(torch.from_numpy(tokens), writer.begin(torch.zeros(2, 0), {})).numpy()
        assert np.abs(session.run(None, {"tokens": tokens})[0] - wanted).max() <= TOLERANCE
        return
    sampler, _, _ = run.folder.load_sampler()
    latent, label = random.standard_normal((5, about["latent"]), np.float32), random.integers(0, 2, 5)
    found = session.run(None, {"latent": latent, "label": label})[0]
    assert about["classes"] == ["cat", "dog"] and found.shape == (5, *about["shape"]) and np.abs(found).max() <= 1
    with torch.no_grad():
        wanted = sampler.space.hard(sampler(torch.from_numpy(latent), {"label": torch.from_numpy(label)})).numpy()
    assert np.abs(found - wanted).max() <= TOLERANCE
    assert ("prior.safetensors" in done.files) == isinstance(sampler, Autoencoder)


@pytest.mark.parametrize("name", ["gan", "vae", "transformer", "lstm"])
def test_the_check_finds_what_is_wrong(name: str, tmp_path: Path) -> None:
    sampler, made, _ = a_run(tmp_path / "run", name).folder.load()
    graph = graph_of(sampler, made)

    def answer(values: dict[str, Any]) -> np.ndarray:
        with torch.no_grad():
            return graph.network(*map(torch.from_numpy, values.values())).numpy()

    assert largest_difference(graph, answer) == 0
    assert largest_difference(graph, lambda values: answer(values) + 0.01) == pytest.approx(0.01, rel=1e-3)
    assert largest_difference(graph, lambda values: answer(values)[:, :1, :1]) == np.inf


def test_a_graph_that_differs_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr("fenshen.exporting.onnx._exported", lambda graph: b"")
    monkeypatch.setattr("onnxruntime.InferenceSession", lambda *content, **options: None)
    monkeypatch.setattr("fenshen.exporting.onnx.largest_difference", lambda graph, other: 0.5)
    sampler, made, _ = a_run(tmp_path / "run", "gan").folder.load()
    with pytest.raises(FenshenError, match=r"differs from the trained one by 0\.5, more than 0\.0001"):
        write_onnx(graph_of(sampler, made), tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def test_weights_make_the_folder_a_run(tmp_path: Path, here: Callable[..., str]) -> None:
    run = a_run(tmp_path / "run", "vae")
    said = json.loads(here(0, "export", tmp_path / "run", "--to", "safetensors", "--out", tmp_path / "out", "--json"))
    assert said["files"] == ["weights.safetensors", "recipe.toml"] and said["difference"] is None
    other = load(tmp_path / "out")
    assert (other.generate(4).images == run.generate(4).images).all()
    assert not [path for path in (tmp_path / "out").iterdir() if b"secret" in path.read_bytes() or b"elder" in path.read_bytes()]


def test_a_prior_draws_as_the_run_does(tmp_path: Path) -> None:
    sampler, made, _ = a_run(tmp_path / "run", "vae").folder.load()
    assert isinstance(sampler, Autoencoder)
    prior = graph_of(sampler, made).prior
    draw = torch.Generator().manual_seed(0)
    k = torch.multinomial(prior["weight"][0], 4000, replacement=True, generator=draw)
    mine = prior["mean"][0, k] + torch.einsum("bij,bj->bi", prior["scale"][0, k], torch.randn(4000, 8, generator=draw))
    theirs = sampler.place(torch.randn(4000, 8, generator=draw), {"label": torch.zeros(4000, dtype=torch.long)})
    assert (mine.mean(0) - theirs.mean(0)).abs().max() < 0.1
    assert (mine.T.cov() - theirs.T.cov()).abs().max() < 0.15


def test_a_card_says_what_is_known(tmp_path: Path, here: Callable[..., str]) -> None:
    run = a_run(tmp_path / "run", "gan")
    here(0, "export", tmp_path / "run", "--to", "card")
    card = (tmp_path / "run" / "export" / "card.md").read_text("utf-8")
    parts = ("license: \n", "90 pictures; 10 more were held out", "| cat | 75.0 % |", "measures 3 × 20 × 20 (channels × pixels)", 'family = "gan"',
             "Not measured", "Nobody has looked", "in 2.0 minutes, 1.5 thousand")  # fmt: skip
    assert all(part in card for part in parts), card
    assert "secret" not in card and "elder" not in card
    run.folder.write_json("report.json", REPORT)
    run.folder.write_json("audit.json", {"attacks": [{"auc": {"value": 0.71}}, {"auc": {"value": 0.52}}], "copying": {"copied": True}})
    card = (run.export(to=["card"]).path / "card.md").read_text("utf-8")
    parts = ("| Fréchet distance | 3 | 1 | 200 |", "Good: 3.0 times", "It copies", "AUC of 0.71;", "with an AUC of 0.52.")
    assert all(part in card for part in parts), card
    assert "Not measured" not in card and "Nobody has looked" not in card and "KID" not in card


def test_a_card_of_words_in_chinese(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FENSHEN_LANG", "zh")
    card = (a_run(tmp_path / "run", "lstm").export(to=["card"]).path / "card.md").read_text("utf-8")
    assert "一个写文字的模型" in card and "每字节需要 2.885 比特" in card and "90 篇文字（连同留出的共 0.012 MB）" in card and "secret" not in card


def test_what_cannot_be_exported(tmp_path: Path, here: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    a_run(tmp_path / "vq", "vq")
    assert "only a GAN's generator, a VAE's decoder and a language model" in here(2, "export", tmp_path / "vq", "--to", "onnx")
    assert "card.md" in here(0, "export", tmp_path / "vq") and (tmp_path / "vq" / "export" / "weights.safetensors").exists()
    assert "--to pickle: known are onnx, safetensors, card" in here(2, "export", tmp_path / "vq", "--to", "pickle")
    (tmp_path / "taken").write_text("mine")
    assert "no folder can be made there" in here(2, "export", tmp_path / "vq", "--out", tmp_path / "taken")
    a_run(tmp_path / "gan", "gan")
    found = builtins.__import__

    def missing(name: str, *rest: Any, **named: Any) -> Any:
        if name == "onnxruntime":
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
        return found(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", missing)
    assert "needs onnxruntime: pip install 'fenshen[export]'" in here(2, "export", tmp_path / "gan", "--to", "onnx")


def test_a_written_prior_is_the_fitted_one(tmp_path: Path) -> None:
    sampler, made, _ = a_run(tmp_path / "run", "vae").folder.load()
    assert isinstance(sampler, Autoencoder)
    assert _prior(graph_of(sampler, made), tmp_path) == ["prior.safetensors"]
    tensors, _ = read_tensors(tmp_path / "prior.safetensors")
    assert set(tensors) == {"weight", "mean", "scale"} and torch.equal(tensors["mean"], sampler.prior.mean_GKD)

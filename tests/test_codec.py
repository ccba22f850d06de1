"""A model over codes: what it takes from the run whose codes they are, what it learns, what it makes, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from made import files, write_folder

import fenshen
from fenshen.data import prepare
from fenshen.errors import RecipeError
from fenshen.families.overcodes import CodeWriter
from fenshen.families.quantized import Codec
from fenshen.media.image import to_tensor
from fenshen.run import read_tensors

FAST = {"train.ticks": 1, "train.threads": 1, "train.precision": "fp32", "train.batch": 16, "autopilot": "off", "evaluate.report": False}
SMALL = {"model.width": 32, "model.depth": 1}


def codec_run(out: Path, **changes: object) -> fenshen.Run:
    return fenshen.train(recipe="vae", kimg=0.08, changes=FAST | {"model.quantizer": "fsq", "model.halvings": 1} | changes, out=out)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[fenshen.Run, fenshen.Run]]:
    """Codecs of digits, told labels or not, and a model over the codes of each."""
    made, out = {}, tmp_path_factory.mktemp("codec")
    for kind, changes in {"told": {}, "not told": {"model.condition": "none"}, "learned": {"model.quantizer": "vq"}}.items():
        codec = codec_run(out / f"{kind}-codec", **changes)
        changes = FAST | SMALL | {"model.codec": str(codec.path)}
        made[kind] = codec, fenshen.train(recipe="codec", kimg=0.16, changes=changes, out=out / kind)
    return made


@pytest.mark.parametrize("kind", ["told", "not told", "learned"])
def test_the_codec_is_copied_and_stays_as_it_is(kind: str, runs: dict[str, tuple[fenshen.Run, fenshen.Run]]) -> None:
    codec, run = runs[kind]
    theirs, (state, _) = codec.folder.load_sampler()[0].state_dict(), read_tensors(run.folder.state)
    for part in ("family.sampler.codec.", "averaged.codec."):
        assert all(torch.equal(value, state[part + name]) for name, value in theirs.items())
    means = [value for name, value in state.items() if name.startswith("optimizer.writer.") and name.endswith("exp_avg")]
    assert means and all(bool(value.any()) for value in means), "every weight of the network that writes moves"


@pytest.mark.parametrize("kind", ["told", "not told"])
def test_same_seed_same_picture_whatever_the_count(kind: str, runs: dict[str, tuple[fenshen.Run, fenshen.Run]]) -> None:
    run = runs[kind][1]
    many, few = run.generate(60, seed=1), run.generate(3, seed=1)
    assert many.images.shape == (60, 8, 8, 1) and np.array_equal(many.images[:3], few.images)
    assert not np.array_equal(run.generate(3, seed=2).images, few.images)
    assert set(run.generate(5, label="3").labels) == {3}, "labels are told to the model over the codes, whether the codec hears them or not"


def test_what_it_draws_is_what_it_believes(runs: dict[str, tuple[fenshen.Run, fenshen.Run]]) -> None:
    """The first code, drawn many times, comes as often as its share says."""
    sampler = runs["not told"][1].folder.load_sampler()[0]
    assert isinstance(sampler, CodeWriter)
    given = {"label": torch.full((2000,), 4)}
    first = sampler.place(torch.randn(2000, sampler.latent, generator=torch.Generator().manual_seed(0)), given)[:, 0]
    logit_K = sampler.net(sampler.begin_with(given, 1, torch.device("cpu"))[:1, None])[0, 0, sampler.first :] + sampler.usual(given)[0, 0]
    share = logit_K.detach().softmax(0)
    counts = torch.bincount(first, minlength=len(share)) / 2000
    assert float((counts - share).abs().sum()) / 2 < 0.2, "total variation of 2000 draws from some 240 codes"
    alike = sampler.place(torch.randn(20, sampler.latent), {"label": torch.full((20,), 4)}, truncation=0.0)
    assert (alike == alike[0]).all()


def test_five_and_five_steps_are_ten(runs: dict[str, tuple[fenshen.Run, fenshen.Run]], tmp_path: Path) -> None:
    from test_training import StopAfter

    from fenshen.training.session import Stop

    changes, stop = FAST | SMALL | {"model.codec": str(runs["told"][0].path), "train.ticks": 2}, Stop()
    whole = fenshen.train(recipe="codec", kimg=0.16, changes=changes, out=tmp_path / "whole")
    part = fenshen.train(recipe="codec", kimg=0.16, changes=changes, out=tmp_path / "part", stop=stop, watcher=StopAfter(stop, 1))
    fenshen.resume(part.path)
    assert whole.folder.weights.read_bytes() == part.folder.weights.read_bytes()


def test_what_does_not_fit_is_refused(runs: dict[str, tuple[fenshen.Run, fenshen.Run]], tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"model\.codec: name the run"):
        fenshen.train(recipe="codec", kimg=0.1)
    with pytest.raises(RecipeError, match="has no codes"):
        fenshen.train(recipe="codec", changes={"model.codec": str(fenshen.train(recipe="vae", kimg=0.05, changes=FAST, out=tmp_path / "vae").path)})
    with pytest.raises(RecipeError, match="codes pictures of 8 pixels and 1 channels"):
        fenshen.train(write_folder(tmp_path / "pictures", files()), "codec", changes={"model.codec": str(runs["not told"][0].path)})
    with pytest.raises(RecipeError, match="is told labels that these pictures do not have"):
        fenshen.train(recipe="codec", changes={"model.codec": str(runs["told"][0].path), "model.condition": "none"})


def test_codes_are_found_once_and_go_with_the_last_run(
    runs: dict[str, tuple[fenshen.Run, fenshen.Run]], here: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the cache, by data and codec; no picture is encoded again, and those that `data.augment` changes are not taken from there."""
    monkeypatch.setenv("FENSHEN_CACHE", str(tmp_path / "cache"))
    codec = runs["told"][0]
    wanted = FAST | SMALL | {"model.codec": str(codec.path), "train.kimg": 0.032}
    run = fenshen.train(recipe="codec", changes=wanted, out=tmp_path / "runs" / "one")
    (entry,) = (tmp_path / "cache").glob("codes-*")
    codes, sampler = np.load(entry / "codes.npy"), codec.folder.load_sampler()[0]
    dataset = prepare(run.recipe.data)
    assert isinstance(sampler, Codec) and codes.dtype == np.int16 and dataset.labels is not None
    given = {"label": torch.from_numpy(dataset.labels[:50])}
    assert np.array_equal(codes[:50], sampler.encode(to_tensor(dataset.pictures[:50]), given).code_BP)
    encode = Codec.encode

    def none_but_blank(self: Codec, x_BCS: torch.Tensor, given: dict) -> object:
        assert not x_BCS.any(), "a picture is encoded"
        return encode(self, x_BCS, given)

    monkeypatch.setattr(Codec, "encode", none_but_blank)
    again = fenshen.train(recipe="codec", changes=wanted, out=tmp_path / "runs" / "two")
    assert again.folder.weights.read_bytes() == run.folder.weights.read_bytes()
    with pytest.raises(AssertionError, match="a picture is encoded"):
        fenshen.train(recipe="codec", changes=wanted | {"data.augment.crop": 0.1}, out=tmp_path / "runs" / "three")
    here(0, "runs", "delete", "one", "--yes")
    assert entry.exists(), "another run uses it"
    here(0, "runs", "delete", "two", "--yes")
    assert not entry.exists()


@pytest.mark.parametrize("kind", ["told", "not told"])
def test_it_begins_as_the_codec_draws_by_itself(kind: str, runs: dict[str, tuple[fenshen.Run, fenshen.Run]]) -> None:
    """Each place by itself, as often as the codec counted its codes there, of the label where the codec is told it."""
    codec, run = (one.folder.load_sampler()[0] for one in runs[kind])
    assert isinstance(codec, Codec) and isinstance(run, CodeWriter)
    torch.nn.init.zeros_(run.net.leave.weight)
    group, given = 3 if kind == "told" else 0, {"label": torch.tensor([3])}
    shares_PK = (codec.frequency_GPK[group] + 0.001) / (codec.frequency_GPK[group] + 0.001).sum(1, keepdim=True)
    code_1P = torch.randint(240, (1, run.latent), generator=torch.Generator().manual_seed(0))
    wanted_P = -shares_PK.log()[torch.arange(run.latent), code_1P[0]]
    torch.testing.assert_close(run.surprise(code_1P, given)[0].detach(), wanted_P)


def test_it_is_watched_by_codes_that_it_has_never_seen(runs: dict[str, tuple[fenshen.Run, fenshen.Run]], tmp_path: Path) -> None:
    changes = FAST | SMALL | {"model.codec": str(runs["told"][0].path), "data.held_out": 0.3, "autopilot": "on"}
    run = fenshen.train(recipe="codec", kimg=0.32, changes=changes, out=tmp_path / "run")
    dataset, sampler = prepare(run.recipe.data), run.folder.load_sampler()[0]
    assert isinstance(sampler, CodeWriter) and dataset.labels is not None
    held_out, labels = dataset.pictures[dataset.held_out], torch.from_numpy(dataset.labels[dataset.held_out])
    nats = float(sampler.surprise(to_tensor(held_out), {"label": labels}).detach().mean())
    assert run.log()[-1]["held_out/nats"] == pytest.approx(nats, rel=1e-4) and nats < 5.48, "log 240, what is known at first"

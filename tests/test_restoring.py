"""Enlarging and repairing, from training to files: it learns, it looks at what it is told, and takes pictures of any size."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from made import files, picture, write_folder
from PIL import Image

import fenshen
from fenshen.api import describe_recipe
from fenshen.data import prepare
from fenshen.errors import RecipeError
from fenshen.families.build import build_sampler
from fenshen.measure.encoders import Encoder, frozen
from fenshen.media.image import read_stamp, to_tensor
from fenshen.recipe import parse
from fenshen.restoring import restorer_of
from fenshen.space import Grid

FAST = {"evaluate.report": False, "train.ticks": 2, "train.threads": 1, "train.parts": 1, "train.precision": "fp32", "data.resolution": 16,
        "model.depth": 2, "train.lr": 2e-3, "train.ema_half_life_kimg": 0.1}  # fmt: skip


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    write_folder(folder, files(60, 16))
    return folder


@pytest.fixture(scope="module")
def runs(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, fenshen.Run]:
    """One of each task, trained for a few seconds and measured."""
    out = tmp_path_factory.mktemp("runs")
    kimg = {"upscale=2": 0.8, "inpaint": 1.2}
    return {task: fenshen.train(pictures, task=task, kimg=kimg[task], changes=FAST, out=out / task[:7]) for task in kimg}


@pytest.fixture
def quick_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """An encoder that nobody trained: its distances are as good for what is tested here."""
    torch.manual_seed(0)
    encoder = frozen(Encoder(3, 16, 0, 8))
    monkeypatch.setattr("fenshen.evaluate.restored.encoder_of", lambda *said: encoder)


@pytest.mark.usefixtures("quick_encoder")
@pytest.mark.parametrize(("task", "other"), [("upscale=2", "bicubic"), ("inpaint", "filled with the mean")])
def test_better_than_plain_means_and_worse_when_misled(task: str, other: str, runs: dict[str, fenshen.Run]) -> None:
    report = runs[task].evaluate().json()
    assert report == runs[task].report()
    values = {score["name"]: score["value"] for score in report["scores"]}
    assert values["PSNR in dB"] > values[f"PSNR in dB, {other}"] + 0.2
    assert values["PSNR in dB"] > values["PSNR in dB, told of another picture"] + 2
    assert values["SSIM"] > values["SSIM, told of another picture"]
    assert values["distance in features"] < values["distance in features, told of another picture"]
    assert report["verdict"][0].startswith("Better than") == (task == "upscale=2") and "loses" in report["verdict"][1]
    assert (runs[task].path / "restored.png").exists() and report["verdict"][1] in (runs[task].path / "report.html").read_text("utf-8")
    assert not runs[task].folder.events(), "nothing was wrong"


@pytest.mark.parametrize("family", ["restore", "restoregan"])
def test_a_training_that_explodes_is_taken_back(family: str, pictures: Path, tmp_path: Path) -> None:
    run = fenshen.train(pictures, family, task="inpaint", kimg=0.25, changes=FAST | {"train.lr": 0.5}, out=tmp_path / "run")
    assert run.folder.events(), "steps of this size are seen"
    x_BCHW = to_tensor(np.array(prepare(run.recipe.data).pictures[:8]))
    assert restorer_of(run.folder.load_sampler()[0]).success(x_BCHW, run.recipe.model).min() > -1  # type: ignore[arg-type]


def test_files_of_any_size(runs: dict[str, fenshen.Run], here: Callable[..., str], tmp_path: Path) -> None:
    write_folder(tmp_path / "small", files(2, 11))
    picture(5, 9, 14).save(tmp_path / "one.png")
    run = runs["upscale=2"].path
    said = json.loads(here(0, "generate", run, "--input", "small", "--out", "large", "--json"))
    assert said["count"] == 2
    for path in (tmp_path / "small").iterdir():
        with Image.open(tmp_path / "large" / f"{path.stem}.png") as made:
            assert made.size == (22, 22)
    here(0, "generate", run, "--input", "one.png", "--out", "two.png")
    with Image.open(tmp_path / "two.png") as made:
        assert made.size == (28, 18)
    assert read_stamp(tmp_path / "two.png")["Run"] == run.name


def test_a_repair_keeps_the_rest(runs: dict[str, fenshen.Run], here: Callable[..., str], tmp_path: Path) -> None:
    picture(7, 18, 26).save(tmp_path / "torn.png")
    hole = np.zeros((18, 26), np.uint8)
    hole[4:9, 5:15] = 255
    Image.fromarray(hole).save(tmp_path / "hole.png")
    run = runs["inpaint"].path
    here(0, "generate", run, "--input", "torn.png", "--mask", "hole.png", "--out", "whole.png")
    with Image.open(tmp_path / "torn.png") as before, Image.open(tmp_path / "whole.png") as after:
        changed = (np.asarray(before) != np.asarray(after)).any(-1)
    assert changed[hole > 0].mean() > 0.5 and not changed[hole == 0].any()
    here(0, "generate", run, "--input", "torn.png", "--mask", "hole.png")
    assert (run / "generated" / "restored" / "torn.png").exists()


@pytest.mark.slow
def test_a_restorer_learns_other_pictures(pictures: Path, tmp_path: Path) -> None:
    """The parent stays, the new run goes on from it, and it still restores."""
    first = fenshen.train(pictures, "restoregan", task="upscale=2", kimg=0.1, changes=FAST | {"train.lr": None}, out=tmp_path / "first")
    write_folder(tmp_path / "others", files(30, 20))
    weights = first.folder.weights.read_bytes()
    second = first.adapt(tmp_path / "others", kimg=0.1, changes={"evaluate.report": False, "train.ticks": 1}, out=tmp_path / "second")
    assert first.folder.weights.read_bytes() == weights != second.folder.weights.read_bytes()
    assert second.recipe.model.family == "restoregan" and second.recipe.train.augmentation == "off"
    assert [large.shape for _, large in second.restore(tmp_path / "others")] == [(40, 40, 3)] * 30


@pytest.mark.parametrize(("task", "words", "expected"), [
    ("upscale=2", [], "--input PICTURE"), ("upscale=2", ["--input", "nowhere"], "no such file"), ("upscale=2", ["--mask", "a.png"], "give both"),
    ("upscale=2", ["--input", "a.png", "--mask", "a.png"], "needs none"), ("inpaint", ["--input", "a.png"], "this run needs it"),
    ("inpaint", ["--input", "a.png", "--mask", "b.png"], "not of the size"), ("inpaint", ["--input", "a.png", "--mask", "c.png"], "no mask"),
    ("upscale=2", ["--input", ".", "--out", "a.webp"], "folder"), ("upscale=2", ["--input", "empty"], "no pictures"),
])  # fmt: skip
def test_bad_wishes(task: str, words: list[str], expected: str, runs: dict[str, fenshen.Run], here: Callable[..., str], tmp_path: Path) -> None:
    picture(1, 12).save(tmp_path / "a.png")
    picture(1, 13).save(tmp_path / "b.png")
    (tmp_path / "empty").mkdir()
    assert expected in here(2, "generate", runs[task].path, *words)


@pytest.mark.parametrize(("task", "changes", "expected"), [
    ("enlarge", {}, "upscale=4"), ("upscale=5", {}, "factor"), ("inpaint=2", {}, "inpaint"), ("upscale=x", {}, "upscale=4"),
    ("upscale=3", {}, "data.resolution=15"), ("inpaint", {"train.augmentation": "fixed"}, "augmentation"),
    ("inpaint", {"autopilot.until": 5}, "--until"), ("inpaint", {"model.condition": "label"}, "condition"),
])  # fmt: skip
def test_recipes_that_cannot_work(task: str, changes: dict, expected: str, pictures: Path) -> None:
    with pytest.raises(RecipeError, match=expected):
        fenshen.plan(pictures, task=task, changes=changes)


def test_a_task_keeps_the_family_that_restores_already(pictures: Path) -> None:
    assert describe_recipe(pictures, task="upscale=3").model.model_dump(include={"family", "task", "factor"}) == {
        "family": "restore", "task": "upscale", "factor": 3,
    }  # fmt: skip
    assert describe_recipe(pictures, "restoregan", task="inpaint").model.family == "restoregan"


def test_a_run_that_makes_pictures_restores_none() -> None:
    model = parse({"model": {"size": "nano"}}, "here").model
    with pytest.raises(RecipeError, match="--task"):
        restorer_of(build_sampler(Grid(1, (8, 8)), {}, model))

"""Runs that are renamed, packed and brought in: what refers to them follows, and nothing hostile gets among them."""

from __future__ import annotations

import json
import shutil
import stat
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from made import write_folder, write_zip

import fenshen
from fenshen.data import items
from fenshen.errors import DataError, FenshenError, RunFolderError
from fenshen.evaluate.page import Page, render
from fenshen.keeping import packing
from fenshen.keeping.packing import refusal
from fenshen.keeping.runs import check_name
from fenshen.run import read_tensors, write_tensors

FAST = {"train.ticks": 2, "train.threads": 1, "train.precision": "fp32", "train.batch": 16, "autopilot": "off", "evaluate.report": False}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained for a moment on noise of 8 × 8 pixels."""
    folder = tmp_path_factory.mktemp("trained")
    np.savez(folder / "data.npz", images=np.random.default_rng(0).integers(0, 256, (60, 8, 8), np.uint8))
    return fenshen.train(folder / "data.npz", kimg=0.032, changes=FAST, out=folder / "first").path


@pytest.fixture
def run(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> fenshen.Run:
    """A copy of it among runs of its own."""
    monkeypatch.setenv("FENSHEN_RUNS", str(tmp_path / "runs"))
    shutil.copytree(trained, tmp_path / "runs" / "first")
    return fenshen.load("first")


def contents(path: Path) -> dict[str, bytes]:
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def left(run: fenshen.Run) -> set[str]:
    """What stands among the runs."""
    return {path.name for path in run.path.parent.iterdir()}


@pytest.mark.parametrize("name", ["a/b", "..", ".hidden", "", " a", "a ", "a.", "-rf", "a\\b", "a\0b", "a\nb", "c:d", "x" * 101, "字" * 40])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(RunFolderError):
        check_name(name)


def test_names_that_are_some() -> None:
    assert [check_name(name) for name in ("digits-2", "my run (best)", "分身", "v1.2")] == ["digits-2", "my run (best)", "分身", "v1.2"]


def test_what_speaks_of_a_run_learns_its_new_name(run: fenshen.Run) -> None:
    (run.path.parent / "wishes.txt").write_text("0 like\n1 dislike\n")
    child = run.adapt(wishes=run.path.parent / "wishes.txt", out=run.path.parent / "child")
    run.folder.write_json("report.json", {"run": "first"})
    (run.path / "report.html").write_text(render(Page("first", ["first of all"])), "utf-8")
    when = (child.path / "recipe.toml").stat().st_mtime_ns
    renamed = run.rename("my (second)")
    assert renamed.path.name == "my (second)" and not run.path.exists()
    assert child.recipe.adapt.parent == str(renamed.path) == child.folder.read_json("adapt.json")["parent"]
    assert (child.path / "recipe.toml").stat().st_mtime_ns == when
    assert renamed.folder.read_json("report.json")["run"] == "my (second)"
    page = (renamed.path / "report.html").read_text("utf-8")
    assert "<h1>my (second)</h1>" in page and "<title>my (second)</title>" in page and "first of all" in page
    assert renamed.generate(2).images.shape == (2, 8, 8, 1)


def test_a_taken_name_and_a_run_that_trains_are_refused(run: fenshen.Run) -> None:
    shutil.copytree(run.path, run.path.parent / "other")
    with pytest.raises(RunFolderError, match="already"):
        run.rename("other")
    with run.folder.held():
        for change in (lambda: run.rename("new"), run.delete, lambda: run.pack(run.path.parent / "x.zip"), lambda: fenshen.resume("first")):
            with pytest.raises(RunFolderError, match="is being trained"):
                change()
    assert left(run) == {"first", "other"}


def test_a_packed_run_comes_back_whole(run: fenshen.Run, tmp_path: Path) -> None:
    (run.path / "generated").mkdir()
    (run.path / "generated" / "0.png").write_bytes(b"picture")
    (run.path / "notes.txt").write_text("not of the run")
    packed = run.pack(tmp_path / "it.zip")
    with pytest.raises(RunFolderError, match="exists already"):
        run.pack(packed)
    with pytest.raises(RunFolderError, match="already"):
        fenshen.unpack(packed)
    again = fenshen.unpack(packed, "again")
    before = contents(run.path)
    assert before.pop("notes.txt") and contents(again.path) == before
    assert np.array_equal(again.generate(3).images, run.generate(3).images)
    assert contents(fenshen.unpack(again.path, "third").path) == before
    assert left(run) == {"first", "again", "third"}


def test_as_a_process_would(run: fenshen.Run, here: Callable[..., str], tmp_path: Path) -> None:
    assert "is now" in here(0, "runs", "rename", "first", "better")
    assert json.loads(here(0, "runs", "pack", "better", "--json"))["file"] == "better.zip" and (tmp_path / "better.zip").exists()
    assert "already" in here(2, "runs", "import", "better.zip")
    assert json.loads(here(0, "runs", "import", "better.zip", "--name", "twin", "--json"))["state"] == "finished"
    assert "does not exist" in here(2, "runs", "import", "nothing.zip")
    assert "does not begin with a dot" in here(2, "runs", "rename", "twin", "../twin")
    assert left(run) == {"better", "twin"}


@pytest.mark.parametrize(("name", "fine"), [
    ("recipe.toml", True), ("state/last.safetensors", True), ("generated/seed-1/000.png", True), ("tensorboard/events.out.tfevents.1.host", True),
    ("../recipe.toml", False), ("state/../../x.safetensors", False), ("/etc/passwd", False), ("samples/.hidden.png", False), ("run.py", False),
    ("generated/run.py", False), ("tensorboard/evil.so", False), ("recipe.toml/a.png", False), ("state", False), ("a\\b.png", False),
    ("samples//a.png", False), ("samples/" + "a/" * 6 + "a.png", False), ("", False), ("weights.pt", False), ("export/page.svg", False),
])  # fmt: skip
def test_only_names_that_a_run_has(name: str, fine: bool) -> None:
    assert (refusal(name) is None) == fine


def zipped(run: fenshen.Run, path: Path, **changes: bytes | str) -> Path:
    """The run as a zip, with files changed or added; keys with / as in the zip."""
    return write_zip(path, contents(run.path) | changes)


SLIPPING = ["../evil.toml", "/tmp/evil.toml", "state/../../evil.toml", "C:/evil.toml", "samples\\..\\evil.png", "virus.py", "a/recipe.toml"]


@pytest.mark.parametrize("name", SLIPPING)
def test_foreign_and_slipping_files_are_refused(run: fenshen.Run, name: str, tmp_path: Path) -> None:
    with pytest.raises((DataError, RunFolderError), match="refused"):
        fenshen.unpack(zipped(run, tmp_path / "x.zip", **{name: "x"}), "new")
    assert left(run) == {"first"} and {path.name for path in tmp_path.iterdir()} == {"runs", "x.zip"}


def test_links_are_refused(run: fenshen.Run, tmp_path: Path) -> None:
    path = zipped(run, tmp_path / "x.zip")
    link = zipfile.ZipInfo("samples/a.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(DataError, match="is a link"):
        fenshen.unpack(path, "new")
    folder = write_folder(tmp_path / "folder", contents(run.path))
    (folder / "samples" / "a.png").symlink_to("/etc/passwd")
    with pytest.raises(RunFolderError, match="is a link"):
        fenshen.unpack(folder, "new")
    assert left(run) == {"first"}


def test_bombs_are_refused(run: fenshen.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(items, "RATIO_FROM", 1 << 20)
    bomb = zipped(run, tmp_path / "x.zip", **{"samples/a.txt": bytes(2 << 20)})
    with pytest.raises(DataError, match="bomb"):
        fenshen.unpack(bomb, "new")
    fine = zipped(run, tmp_path / "y.zip")
    monkeypatch.setattr(packing, "MOST_BYTES", 1000)
    with pytest.raises(RunFolderError, match="at most"):
        fenshen.unpack(fine, "new")
    monkeypatch.setattr(packing, "MOST_BYTES", 1 << 40)
    monkeypatch.setattr(packing, "MOST_FILES", 3)
    with pytest.raises(RunFolderError, match="more than 3 files"):
        fenshen.unpack(fine, "new")
    assert left(run) == {"first"}


def test_a_member_gives_no_more_than_it_declares(run: fenshen.Run, tmp_path: Path) -> None:
    sizes = {name: len(data) - (name == "data.json") for name, data in contents(run.path).items()}
    files = [packing.Member(name, size, partial((run.path / name).open, "rb")) for name, size in sizes.items()]
    with pytest.raises(RunFolderError, match="more bytes"):
        packing._bring(files, run.path.parent / "new", tmp_path)
    assert left(run) == {"first"}


def huge(run: fenshen.Run, path: Path) -> bytes:
    """Weights that say they are of a far larger network."""
    tensors, header = read_tensors(run.folder.weights)
    write_tensors(path, tensors, header | {"made": header["made"] | {"size": [1 << 15, 1 << 15]}, "model": header["model"] | {"network": "mlp"}})
    return path.read_bytes()


REPORT = {"run": "x", "fingerprint": "", "encoder": "", "scores": [], "verdict": [], "copying": {}, "critic": {}}
EVENT = {"kimg": 1.0, "found": None, "done": ["{x}", {"x": 1}]}
LIES = [
    ("weights.safetensors", b"\x80\x04K\x01."), ("recipe.toml", "["), ("recipe.toml", "[train]\nlr = -1\n"), ("log.jsonl", "[1]\n"),
    ("state/last.safetensors", b"x" * 64), ("preference.safetensors", b"\x10"), ("data.json", "[" * 10**5), ("audit.json", "{}"),
    ("report.json", json.dumps(REPORT | {"scores": [{"name": "frechet", "value": "<script>"}]})),
    ("report.json", json.dumps(REPORT | {"verdict": [1]})), ("report.html", "<!doctype html><script>alert(1)</script>"),
    ("autopilot.jsonl", json.dumps(EVENT | {"done": ["{x:>999999999}", {"x": 1}]})),
    ("autopilot.jsonl", json.dumps(EVENT | {"done": ["{x.__class__}", {"x": 1}]})),
]  # fmt: skip


@pytest.mark.parametrize(("name", "data"), LIES)
def test_damaged_and_lying_files_are_refused(run: fenshen.Run, name: str, data: str | bytes, tmp_path: Path) -> None:
    with pytest.raises(FenshenError):
        fenshen.unpack(zipped(run, tmp_path / "x.zip", **{name: data}), "new")
    assert left(run) == {"first"}


def test_weights_that_are_cut_or_claim_too_much_are_refused(run: fenshen.Run, tmp_path: Path) -> None:
    weights = contents(run.path)["weights.safetensors"]
    with pytest.raises(RunFolderError, match="cannot be brought in"):
        fenshen.unpack(zipped(run, tmp_path / "x.zip", **{"weights.safetensors": weights[: len(weights) // 2]}), "new")
    with pytest.raises(RunFolderError, match="smaller than the network"):
        fenshen.unpack(zipped(run, tmp_path / "y.zip", **{"weights.safetensors": huge(run, tmp_path / "huge")}), "new")
    assert left(run) == {"first"}


def test_true_records_come_along_and_say_the_new_name(run: fenshen.Run, tmp_path: Path) -> None:
    records = {"report.html": render(Page("x")), "report.json": json.dumps(REPORT), "autopilot.jsonl": json.dumps(EVENT)}
    new = fenshen.unpack(zipped(run, tmp_path / "x.zip", **records), "new")
    assert new.folder.read_json("report.json")["run"] == "new" and "<h1>new</h1>" in (new.path / "report.html").read_text("utf-8")
    assert new.folder.events() == [EVENT]


def test_no_zip_and_no_run_are_told_apart(run: fenshen.Run, tmp_path: Path) -> None:
    (tmp_path / "text.zip").write_text("hello")
    with pytest.raises(DataError, match="damaged"):
        fenshen.unpack(tmp_path / "text.zip")
    with pytest.raises(RunFolderError, match="no run"):
        fenshen.unpack(write_zip(tmp_path / "other.zip", {"photo.png": b"x"}))
    cut = zipped(run, tmp_path / "cut.zip").read_bytes()
    (tmp_path / "cut.zip").write_bytes(cut[: len(cut) // 2])
    with pytest.raises(DataError, match="damaged"):
        fenshen.unpack(tmp_path / "cut.zip", "new")
    assert left(run) == {"first"}

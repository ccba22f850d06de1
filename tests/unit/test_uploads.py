"""Files that came through the browser: names, limits, who keeps them and for how long."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from fenshen import uploads
from fenshen.errors import DataError, OutOfSpaceError
from fenshen.uploads import Parcel, checked


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FENSHEN_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


def sent(parcel: Parcel, *names: str, content: bytes = b"x") -> Parcel:
    for name in names:
        writing = parcel.write(name, 1000)
        writing.add(content)
        assert writing.close() == len(content)
    return parcel


@pytest.mark.parametrize("name", ["../up.png", "a/../../up.png", "/etc/x.png", "a\\..\\up.png", "", "a/", ".hidden/a.png", ".a.png", "run.exe",
                                  "a.png/b", "x" * 300 + ".png", "/".join("abcdefghijklmno") + ".png", "page.php"])  # fmt: skip
def test_bad_names_are_refused(name: str) -> None:
    with pytest.raises(DataError):
        checked(name)


@pytest.mark.parametrize(("name", "kept"), [
    ("cat/1.png", "cat/1.png"), ("a\\b.JPG", "a/b.JPG"), ("./a//b.txt", "a/b.txt"), ("who?<b>.png", "who__b_.png"), ("信.txt", "信.txt"),
    ("x\u202egnp.zip", "x_gnp.zip"), ("data.tar.gz", "data.tar.gz"),
])  # fmt: skip
def test_names_become_harmless(name: str, kept: str) -> None:
    assert checked(name) == Path(kept)


def test_folders_stay_folders_and_one_thing_alone_is_the_source() -> None:
    parcel = sent(Parcel.new(), "pets/cat/1.png", "pets/dog/1.png")
    assert parcel.source().name == "pets" and (parcel.source() / "cat" / "1.png").read_bytes() == b"x"
    assert sent(Parcel.new(), "book.txt").source().name == "book.txt"
    assert sent(Parcel.new(), "1.png").source().is_dir()  # One picture is no archive of pictures.
    assert sent(Parcel.new(), "1.png", "2.png").source().name == uploads.SENT
    with pytest.raises(DataError, match="nothing was sent"):
        Parcel.new().source()


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    parcel = Parcel.new()
    writing = parcel.write("1.png", 10)
    writing.add(b"12345678")
    with pytest.raises(DataError, match="too large"):
        writing.add(b"901")
    writing.give_up()
    assert not list(parcel.files())
    monkeypatch.setattr(uploads, "LEFT_FREE", 1 << 60)
    with pytest.raises(OutOfSpaceError):
        parcel.write("1.png", 10).add(b"1")


def test_a_file_and_a_folder_of_one_name() -> None:
    parcel = sent(Parcel.new(), "a.txt")
    (parcel.path / uploads.SENT / "b.txt").mkdir()
    for name in ("a.txt/c.png", "b.txt"):
        with pytest.raises(DataError, match="same name"):
            parcel.write(name, 10)


@pytest.mark.parametrize("token", ["..", "", "a" * 24, "../" * 8, "x/y"])
def test_unknown_parcels_are_not_found(token: str) -> None:
    with pytest.raises(DataError, match="not here any more"):
        Parcel.find(token)


def test_what_nobody_uses_goes_after_a_day(runs: Path) -> None:
    old, used, fresh = sent(Parcel.new(), "1.png"), sent(Parcel.new(), "1.png"), sent(Parcel.new(), "1.png")
    (runs / "cats").mkdir()
    (runs / "cats" / "recipe.toml").write_text(f'[data]\nsource = "{used.source()}"\n')
    long_ago = time.time() - 25 * 3600
    for parcel in (old, used):
        os.utime(parcel.path, (long_ago, long_ago))
    uploads.sweep()
    assert [parcel.path.exists() for parcel in (old, used, fresh)] == [False, True, True]
    used.give_back()
    assert used.path.exists()
    fresh.give_back()
    assert not fresh.path.exists()


def test_it_goes_with_the_last_run_that_used_it(runs: Path) -> None:
    parcel = sent(Parcel.new(), "1.png")
    for name in ("one", "two"):
        (runs / name).mkdir()
        (runs / name / "recipe.toml").write_text(f'[data]\nsource = "{parcel.source()}"\n')
    (runs / "one" / "recipe.toml").unlink()
    uploads.release(str(parcel.source()))
    assert parcel.path.exists()
    (runs / "two" / "recipe.toml").unlink()
    uploads.release("/somewhere/else")
    assert parcel.path.exists()
    uploads.release(str(parcel.source()))
    assert not parcel.path.exists()


def test_a_training_that_waits_keeps_it(runs: Path) -> None:
    parcel = sent(Parcel.new(), "1.png")
    job = runs / ".studio" / "jobs" / "1"
    job.mkdir(parents=True)
    (job / "job.json").write_text(f'{{"source": "{parcel.source()}"}}')
    parcel.give_back()
    assert parcel.path.exists()


def test_deleting_a_run_takes_along_what_was_sent_for_it(runs: Path) -> None:
    from fenshen.keeping.runs import delete
    from fenshen.run import RunFolder

    parcel = sent(Parcel.new(), "pets/cat/1.png", "pets/dog/1.png")
    (runs / "pets").mkdir()
    (runs / "pets" / "recipe.toml").write_text(f'[data]\nsource = "{parcel.source()}"\n')
    delete(RunFolder(runs / "pets"))
    assert not (runs / "pets").exists() and not parcel.path.exists()

"""The command line as a process: exit codes, messages, what is written and what is not, and stops of every kind."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made import classes, files, png, png_bomb, write_folder, write_zip
from PIL import Image
from safetensors.numpy import save

from fenshen.media.image import read_stamp
from fenshen.phrases import bytes_in_words, duration, number

FAST = ("--set", "train.precision=fp32", "--set", "train.threads=1", "--set", "autopilot=off", "--set", "evaluate.report=false")
TINY = (*FAST, "--kimg", "0.5", "--set", "train.ticks=2")
LONG = (*FAST, "--kimg", "300", "--set", "train.ticks=1000")  # Long enough to be stopped; a tick about every fifth step.
PROGRAM = (sys.executable, "-m", "fenshen")


def fenshen(
    *words: object, cwd: Path | None = None, lang: str = "en", code: int | None = 0, limit: int | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs the command line and checks its exit code; `limit`: largest file it may write, in bytes."""

    def small_files() -> None:
        if limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = subprocess.run([*PROGRAM, *map(str, words)], cwd=cwd, env=os.environ | {"FENSHEN_LANG": lang}, capture_output=True, text=True,
                          timeout=120, preexec_fn=small_files)  # fmt: skip
    assert code is None or done.returncode == code, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One tiny trained run, for all tests that only read it."""
    out = tmp_path_factory.mktemp("runs") / "tiny"
    said = fenshen("train", *TINY, "--out", out)
    assert f"Run: {out}" in said.stdout and "generate" in said.stdout
    assert (out / "samples" / "animation.webp").exists()
    return out


# Help and version


def test_help_is_there_at_once() -> None:
    heavy = "torch", "numpy", "PIL", "sklearn", "scipy", "pyarrow", "tensorboard"
    code = "import sys; from fenshen.cli import app\ntry: app(['--help'])\nexcept SystemExit: pass\n"
    code += f"print('imported', [name for name in {heavy} if name in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "imported []" in said
    for word in ("look", "train", "generate", "runs", "First steps"):
        assert word in said


def test_version() -> None:
    assert fenshen("--version").stdout.startswith("fenshen 0.")


@pytest.mark.parametrize("words", [["train", "--nix"], ["nix"], ["train", "--minutes", "ten"], ["generate"], ["generate", "x", "--count", "0"]])
def test_usage_errors(words: list[str], here: Callable[..., str]) -> None:
    assert here(2, *words)


# Bad input: one or two lines, exit code 2, nothing half-written


def bad_data(folder: Path) -> dict[str, tuple[list[object], str]]:
    """Name -> (arguments of train, what the message says)."""
    pictures = write_folder(folder / "pictures", files())
    write_folder(folder / "empty", {})
    write_folder(folder / "texts", {"a.txt": "a", "b.pdf": "b"})
    write_folder(folder / "single", {"a.png": png(1)})
    write_folder(folder / "bomb", {"a.png": png_bomb(50_000)})
    write_folder(folder / "torn", {"a.png": png(1)[:40], "b.png": png(2)[:50]})
    write_zip(folder / "climber.zip", {"../a.png": png(1), "b.png": png(2)})
    write_zip(folder / "bomb.zip", {"a.png": bytes(130 << 20)})
    (folder / "cut.npz").write_bytes(b"PK\x03\x04 and no more")
    (folder / "mine.toml").write_text("[train]\nseconds = 5\n")
    (folder / "torn.toml").write_text("[train\n")
    return {
        "missing path": ([folder / "nix"], "there is no file or folder"),
        "empty folder": ([folder / "empty"], "it is empty"),
        "no picture": ([folder / "texts"], "holds 1 characters"),
        "one picture": ([folder / "single"], "at least two different pictures"),
        "a file, not a folder": ([folder / "single" / "a.png"], "is one picture"),
        "bomb": ([folder / "bomb"], "million pixels"),
        "nothing readable": ([folder / "torn"], "none of the 2 pictures"),
        "zip that climbs out": ([folder / "climber.zip"], "points outside"),
        "zip bomb": ([folder / "bomb.zip"], "bomb"),
        "torn npz": ([folder / "cut.npz"], "cannot be read"),
        "too high a resolution": ([pictures, "--set", "data.resolution=64"], "resolution 64 is larger than most pictures"),
        "impossible resolution": ([pictures, "--set", "data.resolution=1000"], "data.resolution = 1000"),
        "labels that are not there": ([pictures, "--set", "model.condition=label"], "have no labels"),
        "unknown key": ([pictures, "--set", "train.seconds=5"], "no key train.seconds"),
        "unknown section": ([pictures, "--set", "nix.lr=5"], "no key nix"),
        "wrong unit": ([pictures, "--set", "train.minutes=10 min"], "train.minutes"),
        "no value": ([pictures, "--set", "train.minutes"], "key=value"),
        "negative time": ([pictures, "--minutes", "-1"], "train.minutes"),
        "unknown recipe": ([pictures, "--recipe", "nix"], "no recipe nix"),
        "recipe with an unknown key": ([pictures, "--recipe", folder / "mine.toml"], "train.seconds"),
        "recipe that is no TOML": ([pictures, "--recipe", folder / "torn.toml"], "not valid TOML"),
        "unknown device": ([pictures, "--device", "tpu"], "--device tpu"),
        "absent device": ([pictures, "--device", "cuda:99"], "--device cuda:99"),
        "no run to go on with": (["--resume", folder / "nix"], "no run"),
        "resume and data": ([pictures, "--resume", "x"], "leave DATA out"),
        "resume and set": (["--set", "train.lr=1", "--resume", "x"], "leave --set out"),
        "a folder in use": ([pictures, "--out", pictures, *TINY], "is not empty"),
    }  # fmt: skip


NAMES = [
    *("missing path", "empty folder", "no picture", "one picture", "a file, not a folder", "bomb", "nothing readable"),
    *("zip that climbs out", "zip bomb", "torn npz", "too high a resolution", "impossible resolution", "labels that are not there"),
    *("unknown key", "unknown section", "wrong unit", "no value", "negative time", "unknown recipe", "recipe with an unknown key"),
    *("recipe that is no TOML", "unknown device", "absent device", "no run to go on with", "resume and data", "resume and set", "a folder in use"),
]


@pytest.fixture(scope="session")
def bad(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[list[object], str]]:
    return bad_data(tmp_path_factory.mktemp("bad"))


@pytest.mark.parametrize("name", NAMES)
def test_bad_input(name: str, bad: dict[str, tuple[list[object], str]], here: Callable[..., str], tmp_path: Path) -> None:
    words, expected = bad[name]
    said = here(2, "train", *words)
    assert expected in said and said.startswith("fenshen: ")
    assert said.count("\n") <= 2
    assert not list(tmp_path.iterdir())


def test_all_bad_inputs_are_tried(bad: dict[str, tuple[list[object], str]]) -> None:
    assert set(bad) == set(NAMES)


def test_a_mistake_as_a_process(tmp_path: Path) -> None:
    said = fenshen("train", "nix", cwd=tmp_path, code=2)
    assert said.stderr == "fenshen: there is no file or folder nix (built in: digits, topics)\n"
    assert "Traceback" not in said.stderr and not list(tmp_path.iterdir())


def test_a_mistake_in_chinese(tmp_path: Path) -> None:
    said = fenshen("look", "nix", cwd=tmp_path, lang="zh", code=2)
    assert "没有文件或文件夹 nix" in said.stderr


def test_a_bug_shows_its_traceback() -> None:
    code = "import fenshen.api, sys\nfenshen.api.load = lambda name: 1 / 0\nsys.argv = ['fenshen', 'generate', 'x']\n"
    code += "from fenshen.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1 and "Traceback" in done.stderr and "ZeroDivisionError" in done.stderr


def test_too_little_memory(here: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fenshen.training.probe.free_bytes", lambda device: 1_000_000)
    said = here(2, "train", *TINY)
    assert "of memory" in said and "--set train.batch=16" in said and not list(tmp_path.iterdir())


# look


def test_look(here: Callable[..., str], tmp_path: Path) -> None:
    data = write_folder(tmp_path / "data", classes(12) | {"cat/torn.png": png(9)[:50], "dog/twin.png": classes(12)["dog/0.png"], "notes.txt": "x"})
    said = here(0, "look", data, "--no-time")
    for words in ("25", "cat", "dog", "torn.png", "24 pixels", "notes.txt"):
        assert words in said
    values = json.loads(here(0, "look", data, "--no-time", "--json"))
    assert values["count"] == 25 and values["labels"] == {"cat": 12, "dog": 13} and values["duplicates"] == 1
    assert [Path(name).name for name, _ in values["unreadable"]] == ["torn.png"]
    here(0, "look", data, "--no-time", "--sheet", tmp_path / "sheet.png")
    assert Image.open(tmp_path / "sheet.png").size == (6 * 50 + 2, 4 * 50 + 2)
    assert "holds words" in here(2, "look", "topics", "--no-time", "--sheet", tmp_path / "sheet.png")


def test_look_estimates_the_time(here: Callable[..., str]) -> None:
    values = json.loads(here(0, "look", "digits", *FAST, "--json"))
    assert values["plan"]["seconds_per_kimg"] > 0
    assert values["plan"]["recipe"]["train"]["threads"] == 1


# train


def test_dry_run_writes_nothing(here: Callable[..., str], tmp_path: Path) -> None:
    said = here(0, "train", "--dry-run", *TINY)
    for words in ("[model]", 'family = "gan"', "parameters of the critic", "seconds per kimg", "memory", "would end"):
        assert words in said
    assert not list(tmp_path.iterdir())
    values = json.loads(here(0, "train", "--dry-run", "--json", *TINY))
    assert values["parameters"]["generator"] > 1000 and values["recipe"]["train"]["kimg"] == 0.5
    assert not list(tmp_path.iterdir())


def test_train_answers_in_json(here: Callable[..., str], tmp_path: Path) -> None:
    data = write_folder(tmp_path / "data", files(30, 16))
    values = json.loads(here(0, "train", data, "--json", *TINY))
    assert values["finished"] and Path(values["run"]).parent == tmp_path / "runs"
    assert (Path(values["run"]) / "weights.safetensors").exists()


def started(out: Path, *words: object) -> subprocess.Popen[str]:
    """A training process that has written its first save."""
    state = out / "state" / "last.safetensors"
    before = state.stat().st_mtime_ns if state.exists() else 0
    child = subprocess.Popen([*PROGRAM, "train", *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 240  # Seconds are enough on a quiet machine.
    while not state.exists() or state.stat().st_mtime_ns == before:
        if time.monotonic() > deadline:
            child.kill()
        assert child.poll() is None, child.communicate()
        time.sleep(0.02)
    return child


def stop(child: subprocess.Popen[str], number: int) -> tuple[int, str]:
    """Exit code and last words of a process after a signal."""
    child.send_signal(number)
    _, said = child.communicate(timeout=240)
    return child.returncode, said


@pytest.fixture(scope="session")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that Ctrl-C stopped early, to be copied by those who go on with it."""
    out = tmp_path_factory.mktemp("runs") / "stopped"
    code, said = stop(started(out, *LONG, "--out", out), signal.SIGINT)
    assert code == 130 and f"--resume {out}" in said, said
    return out


def test_stops_are_saved_and_go_on(stopped: Path, tmp_path: Path) -> None:
    out = copied(stopped, tmp_path / "run")
    code, said = stop(started(out, "--resume", out), signal.SIGTERM)
    assert code == 143 and f"--resume {out}" in said, said
    assert shown_of(out) > shown_of(stopped)


def copied(run: Path, copy: Path) -> Path:
    shutil.copytree(run, copy)
    return copy


def shown_of(out: Path) -> int:
    return json.loads((out / "log.jsonl").read_text().splitlines()[-1])["shown"]


def test_a_stop_before_training_leaves_nothing(tmp_path: Path) -> None:
    child = subprocess.Popen([*PROGRAM, "train", "--out", tmp_path / "run"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout is not None
    child.stdout.readline()  # Timing begins.
    code, said = stop(child, signal.SIGINT)
    assert code == 130 and "before training began" in said, said
    assert not (tmp_path / "run").exists()


def test_two_halves_are_the_whole(tmp_path: Path) -> None:
    wishes = (*FAST, "--kimg", "3", "--set", "train.ticks=3", "--seed", "3")
    fenshen("train", *wishes, "--out", tmp_path / "whole")
    code, _ = stop(started(tmp_path / "halves", *wishes, "--out", tmp_path / "halves"), signal.SIGINT)
    assert code == 130 and shown_of(tmp_path / "halves") < 3000
    fenshen("train", "--resume", tmp_path / "halves")
    whole, halves = ((tmp_path / name / "weights.safetensors").read_bytes() for name in ("whole", "halves"))
    assert whole == halves


def test_kill_leaves_a_run_that_goes_on(stopped: Path, tmp_path: Path) -> None:
    killed(copied(stopped, tmp_path / "run"), times=1)


@pytest.mark.slow
def test_many_kills_leave_a_run_that_goes_on(stopped: Path, tmp_path: Path) -> None:
    killed(copied(stopped, tmp_path / "run"), times=8)


def killed(out: Path, times: int) -> None:
    """kill -9 at random moments, saving or not; then a resume that saves and stops."""
    for _ in range(times):
        child = started(out, "--resume", out)
        time.sleep(random.uniform(0, 1))
        child.kill()
        child.communicate()
    code, said = stop(started(out, "--resume", out), signal.SIGTERM)
    assert code == 143, said


def test_a_full_disk_keeps_the_last_save(stopped: Path, tmp_path: Path) -> None:
    out = copied(stopped, tmp_path / "run")
    state = (out / "state" / "last.safetensors").read_bytes()
    said = fenshen("train", "--resume", out, code=2, limit=len(state) // 2).stderr
    assert "disk is full" in said and "--resume" in said and "Traceback" not in said
    assert (out / "state" / "last.safetensors").read_bytes() == state
    assert not [path for path in out.rglob("*") if "tmp" in path.suffix]


def test_a_finished_run_has_nothing_to_go_on_with(run: Path, here: Callable[..., str]) -> None:
    assert "has finished" in here(2, "train", "--resume", run)


# generate


def pictures(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_same_seed_same_files_whatever_the_count(run: Path, here: Callable[..., str], tmp_path: Path) -> None:
    here(0, "generate", run, "--count", 3, "--seed", 5, "--out", "few")
    here(0, "generate", run, "--count", 60, "--seed", 5, "--out", "many")
    here(0, "generate", run, "--count", 3, "--seed", 6, "--out", "other")
    few, many, other = (pictures(tmp_path / name) for name in ("few", "many", "other"))
    assert len(few) == 3 and len(many) == 60 and few.items() <= many.items()
    assert set(few.values()).isdisjoint(other.values())


def test_generate_without_out_writes_into_the_run(run: Path, here: Callable[..., str]) -> None:
    for count in (5, 2):
        said = here(0, "generate", run, "--count", count)
        folder = run / "generated" / "seed-0"
        assert str(folder) in said and len(pictures(folder)) == count


def test_npz(run: Path, here: Callable[..., str], tmp_path: Path) -> None:
    here(0, "generate", run, "--count", 70, "--out", "a.npz")
    here(0, "generate", run, "--count", 70, "--format", "npz")
    assert (tmp_path / "a.npz").read_bytes() == (run / "generated" / "seed-0.npz").read_bytes()
    with np.load(tmp_path / "a.npz") as arrays:
        assert arrays["images"].shape == (70, 8, 8) and arrays["images"].dtype == np.uint8
        assert arrays["labels"].shape == (70,) and set(arrays["labels"]) <= set(range(10))
    here(0, "generate", run, "--count", 70, "--out", "files")
    with np.load(tmp_path / "a.npz") as arrays:
        for index, path in enumerate(sorted((tmp_path / "files").iterdir())):
            assert np.array_equal(np.asarray(Image.open(path)), arrays["images"][index]) and path.stem.endswith(f"-{arrays['labels'][index]}")
    assert "generative" in zipfile.ZipFile(tmp_path / "a.npz").comment.decode()


@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_a_grid_by_class_is_stamped(suffix: str, run: Path, here: Callable[..., str], tmp_path: Path) -> None:
    here(0, "generate", run, "--count", 20, "--by-class", "--out", f"grid.{suffix}")
    with Image.open(tmp_path / f"grid.{suffix}") as picture:
        assert picture.width > 3 * picture.height  # Ten columns, two rows.
    stamp = read_stamp(tmp_path / f"grid.{suffix}")
    assert stamp["Software"].startswith("fenshen ") and "generative" in stamp["Source"] and stamp["Run"] == run.name


def test_codes_from_training_to_a_sheet(here: Callable[..., str], tmp_path: Path) -> None:
    """One code per column, the same rest of the latent per row; a fixed code is its column."""
    codes = ("--set", "model.codes.categorical=4", "--set", "model.codes.continuous=1", "--set", "model.condition=none")
    here(0, "train", *TINY, *codes, "--out", "coded")
    last = json.loads((tmp_path / "coded" / "log.jsonl").read_text().splitlines()[-1])
    assert {"critic/agreement", "critic/categorical", "generator/continuous", "generator/information"} < set(last)
    for name, words in {"sheet": ["--by-code", "categorical", "--count", 8], "two": ["--code", "categorical=2", "--count", 2]}.items():
        here(0, "generate", "coded", *words, "--out", f"{name}.npz")
    sheet, two = (np.load(tmp_path / f"{name}.npz")["images"] for name in ("sheet", "two"))
    assert np.array_equal(sheet[2], two[0]) and np.array_equal(sheet[6], two[1]) and not np.array_equal(sheet[1], sheet[2])
    here(0, "generate", "coded", "--by-code", "continuous", "--count", 20, "--out", "grid.png")
    with Image.open(tmp_path / "grid.png") as picture:
        assert picture.width > 3 * picture.height  # Ten columns, two rows.
    assert "from 0 to 3" in here(2, "generate", "coded", "--code", "categorical=4")
    assert "set model.latent higher" in here(2, "train", *TINY, *codes, "--set", "model.latent=5")


def test_label_and_truncation(run: Path, here: Callable[..., str], tmp_path: Path) -> None:
    here(0, "generate", run, "--count", 4, "--label", "7", "--format", "webp", "--truncation", "0", "--out", "a")
    made = list((tmp_path / "a").iterdir())
    assert {path.name[6:] for path in made} == {"-7.webp"}
    assert len({np.asarray(Image.open(path)).tobytes() for path in made}) == 1


@pytest.mark.parametrize(("words", "expected"), [
    (["--label", "cat"], "no label cat"), (["--truncation", "9"], "--truncation"), (["--out", "a.jpg"], "cannot write"),
    (["--code", "categorical=3"], "no code categorical"), (["--by-code", "categorical"], "no code categorical"), (["--code", "red"], "--code red"),
    (["--by-code", "x", "--keep", "0.5"], "exclude"), (["--out", "a.npz", "--format", "png"], "--format"),
    (["--count", "99999", "--grid"], "too large"), (["--device", "tpu"], "--device"),
    (["--out", "/proc/nix/a"], "cannot be written"), (["--out", "/proc/nix/a.png"], "cannot be written"),
    (["--out", "/proc/nix/a.npz"], "cannot be written"),
])  # fmt: skip
def test_bad_wishes(words: list[str], expected: str, run: Path, here: Callable[..., str], tmp_path: Path) -> None:
    said = here(2, "generate", run, *words)
    assert expected in said and said.count("\n") <= 2 and not list(tmp_path.iterdir())


def test_nothing_is_overwritten(run: Path, here: Callable[..., str], tmp_path: Path) -> None:
    write_folder(tmp_path / "mine", {"000000.png": png(1)})
    assert "not empty" in here(2, "generate", run, "--out", "mine")
    assert pictures(tmp_path / "mine") == {"000000.png": png(1)}


def test_a_full_disk_leaves_no_half_file(run: Path, tmp_path: Path) -> None:
    assert "disk is full" in fenshen("generate", run, "--count", 500, "--out", "a.npz", cwd=tmp_path, code=2, limit=4096).stderr
    assert not list(tmp_path.iterdir())


def test_a_run_of_a_newer_version(run: Path, here: Callable[..., str], tmp_path: Path) -> None:
    newer = copied(run, tmp_path / "newer")
    save_header = {"fenshen": json.dumps({"format": 99, "version": "9.9"})}
    (newer / "weights.safetensors").write_bytes(save({"a": np.zeros(1)}, save_header))
    assert "newer fenshen (9.9)" in here(2, "generate", newer)


@pytest.mark.parametrize("keep", [0, 4, 1000, 100_000])
def test_truncated_weights(keep: int, run: Path, here: Callable[..., str], tmp_path: Path) -> None:
    torn = copied(run, tmp_path / "torn")
    whole = (torn / "weights.safetensors").read_bytes()
    (torn / "weights.safetensors").write_bytes(whole[:keep])
    said = here(2, "generate", torn, "--out", "made")
    assert "damaged" in said and not (tmp_path / "made").exists()


def test_found_groups_are_no_labels(here: Callable[..., str], tmp_path: Path) -> None:
    here(0, "train", *TINY, "--set", "model.condition=none", "--set", "model.groups=3", "--out", "run")
    here(0, "generate", "run", "--count", 3, "--out", "files")
    here(0, "generate", "run", "--count", 3, "--out", "a.npz")
    assert sorted(pictures(tmp_path / "files")) == ["000000.png", "000001.png", "000002.png"]
    with np.load(tmp_path / "a.npz") as arrays:
        assert list(arrays) == ["images"]


def test_a_missing_run(here: Callable[..., str]) -> None:
    assert "no run nix" in here(2, "generate", "nix")


# runs


def test_runs_are_listed_compared_and_deleted(run: Path, here: Callable[..., str], tmp_path: Path) -> None:
    assert "No runs" in here(0, "runs")
    assert json.loads(here(0, "runs", "--json")) == []
    write_folder(tmp_path / "runs" / "torn", {"recipe.toml": "["})
    copied(run, tmp_path / "runs" / "a")
    assert "finished" in here(0, "runs") and "damaged" in here(0, "runs")
    rows = {row["name"]: row for row in json.loads(here(0, "runs", "--json"))}
    assert rows["a"]["kimg"] >= 0.5 and rows["a"]["state"] == "finished" and rows["a"]["bytes"] > 1000 and rows["torn"]["state"] == "damaged"
    other = copied(run, tmp_path / "runs" / "b")
    (other / "recipe.toml").write_text((other / "recipe.toml").read_text().replace("ticks = 2", "ticks = 3"))
    said = here(0, "runs", "compare", "a", "b")
    assert "train.ticks" in said and "critic/adversarial" in said
    assert json.loads(here(0, "runs", "compare", "a", "b", "--json"))["recipe"] == {"train.ticks": [2, 3]}
    assert "--yes" in here(2, "runs", "delete", "a")
    assert "Deleted" in here(0, "runs", "delete", "a", "--yes")
    assert not (tmp_path / "runs" / "a").exists() and other.exists()


def test_deleting_spares_what_is_not_of_the_run(run: Path, here: Callable[..., str], tmp_path: Path) -> None:
    mixed = copied(run, tmp_path / "runs" / "mixed")
    (mixed / "diary.txt").write_text("mine")
    assert "diary.txt" in here(2, "runs", "delete", "mixed", "--yes")
    assert (mixed / "diary.txt").exists() and (mixed / "weights.safetensors").exists()


def test_deleting_a_run_deletes_its_prepared_pictures(here: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FENSHEN_CACHE", str(tmp_path / "cache"))
    data = write_folder(tmp_path / "data", files(30, 16))
    here(0, "train", data, *TINY, "--out", "runs/a")
    copied(tmp_path / "runs" / "a", tmp_path / "runs" / "b")
    prepared = lambda: [path for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.stat().st_size]  # noqa: E731
    assert prepared()
    here(0, "runs", "delete", "a", "--yes")
    assert prepared()
    here(0, "runs", "delete", "b", "--yes")
    assert not prepared() and len(list(data.iterdir())) == 30


# What is printed


@pytest.mark.parametrize(("seconds", "said"), [(0.04, "0.04 s"), (7.24, "7.2 s"), (45.2, "45 s"), (150, "2 min"), (7502, "2 h 05 min")])
def test_durations(seconds: float, said: str) -> None:
    assert duration(seconds) == said


@pytest.mark.parametrize(("value", "said"), [(0.0123456, "0.0123"), (3.5, "3.5"), (99.96, "100"), (131.2, "131"), (25_000, "25,000")])
def test_numbers_have_no_exponents(value: float, said: str) -> None:
    assert number(value) == said


@pytest.mark.parametrize(("count", "said"), [(0, "0 KB"), (1500, "1.5 KB"), (12_300_000, "12.3 MB"), (5_000_000_000_000, "5,000 GB")])
def test_sizes(count: int, said: str) -> None:
    assert bytes_in_words(count) == said


# docs


def test_the_page_about_the_command_line_is_current() -> None:
    from fenshen.cli.docs import page

    assert (Path(__file__).parents[1] / "docs" / "cli.md").read_text("utf-8") == page(), "run: make docs"


@pytest.mark.parametrize("name", ["recipe", "api"])
def test_the_reference_is_current(name: str) -> None:
    from fenshen.cli.reference import PAGES

    assert (Path(__file__).parents[1] / "docs" / f"{name}.md").read_text("utf-8") == PAGES[name](), "run: make docs"


def test_every_key_of_a_recipe_has_a_row() -> None:
    from fenshen.cli.reference import recipe_page
    from fenshen.recipe import FAMILIES, Recipe

    page = recipe_page()
    keys = [f"{section}.{key}" for section, field in Recipe.model_fields.items() if section != "model" for key in field.annotation.model_fields]
    keys += [f"model.{key}" for model in FAMILIES.values() for key in model.model_fields]
    assert not [key for key in keys if f"| `{key}`" not in page and f"| `{key}." not in page]

"""The desk: trainings as real processes, one after the other, found again whatever became of whom."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="the extra 'studio' is not installed")

from fenshen.errors import FenshenError, RunFolderError
from fenshen.lang import speaking
from fenshen.studio import desk as desks
from fenshen.studio.desk import Desk, Job, read, write

PLAIN = {"train.threads": 1, "train.parts": 1, "train.precision": "fp32", "train.channels_last": False, "train.ticks": 2, "model.size": "nano",
         "evaluate.report": False, "autopilot.on": False}  # fmt: skip


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setenv("FENSHEN_RUNS", str(tmp_path))
    opened = Desk(tmp_path / ".studio" / "jobs")
    yield opened
    opened.close()


def until(desk: Desk, told: Callable[[], object], seconds: float = 90) -> None:
    """Turns the desk until it is so."""
    end = time.monotonic() + seconds
    while not told():
        assert time.monotonic() < end, [(job.state, job.error, desks.last_line(job.path / "worker.log")) for job in desk.jobs()]
        desk.turn()
        time.sleep(0.02)


def waiting(desk: Desk, **wishes: object) -> Job:
    """A job that nobody has begun, of a kind that ends with a mistake at once."""
    desk.closing.set()
    job = desk.add("nothing", **wishes)
    desk.closing.clear()
    return job


def test_one_after_the_other_in_the_order_of_coming(desk: Desk) -> None:
    jobs, seen, most = [waiting(desk, device="cpu") for _ in range(2)], list[str](), 0

    def over() -> bool:
        nonlocal most
        states = [job.state for job in jobs]
        most = max(most, states.count("training"))
        seen.extend(job.id for job, state in zip(jobs, states, strict=True) if state != "waiting" and job.id not in seen)
        return all(state == "failed" for state in states)

    until(desk, over)
    assert seen == [job.id for job in jobs] and most == 1


def test_one_device_has_one_name() -> None:
    assert desks.place("auto") == desks.place("cpu") or desks.place("auto") != "auto"
    assert desks.place("nonsense") == "nonsense"


def test_two_devices_at_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desks, "place", lambda device: device)
    jobs = [waiting(desk, device="one"), waiting(desk, device="two"), waiting(desk, device="one")]
    desk.turn()
    assert [job.state for job in jobs] == ["training", "training", "waiting"]
    until(desk, lambda: all(job.state == "failed" for job in jobs))


def test_a_mistake_is_told_in_the_language_of_who_reads_it(desk: Desk) -> None:
    job = waiting(desk)
    until(desk, lambda: job.state == "failed")
    with speaking("en"):
        assert "begin anew" in job.error and str(job.path) in job.error
    with speaking("zh"):
        assert "请重新开始" in job.error


def test_what_waits_is_taken_back_and_forgotten(desk: Desk) -> None:
    job = waiting(desk)
    desk.pause(job)
    assert job.state == "dropped"
    with pytest.raises(RunFolderError, match="not paused"):
        desk.go_on(job)
    desk.forget(job)
    assert not desk.jobs()


def test_damaged_files_begin_nothing(desk: Desk) -> None:
    job = waiting(desk)
    (job.path / "state.json").write_text("{")
    desk.turn()
    assert job.state == "failed" and not desk.starting
    (job.path / "job.json").write_text("[]")
    assert job.wishes == {} and job.device == "auto"


def test_changes_from_two_sides_are_both_kept(tmp_path: Path) -> None:
    """The studio says `asked` while the training says `run`."""
    write(tmp_path / "state.json", {"state": "training"})
    pids = []
    for key in ("one", "two", "three"):
        if not (pid := os.fork()):
            for number in range(50):
                Job(tmp_path).change(**{f"{key}{number}": number})
            os._exit(0)
        pids.append(pid)
    assert all(os.waitpid(pid, 0)[1] == 0 for pid in pids)
    assert len(read(tmp_path / "state.json")) == 151


def test_a_killed_process_is_told_from_a_mistake(desk: Desk) -> None:
    job = waiting(desk)
    job.change(state="training")  # By a studio that is gone, and its process with it.
    desk.turn()
    assert job.state == "failed" and "ended from outside" in job.error
    resumed = waiting(desk)
    resumed.change(state="training", run="cats", asked=True)
    write(resumed.path / "job.json", {"verb": "train"})
    desk.turn()
    assert resumed.state == "paused" and not resumed.error


def test_a_paused_training_is_kept_and_measured(desk: Desk) -> None:
    job = waiting(desk)
    job.change(state="paused", run="cats")
    write(job.path / "job.json", {"verb": "train"})
    desk.closing.set()
    desk.keep(job)
    assert job.state == "finished" and [other.run for other in desk.jobs() if other.verb == "evaluate"] == ["cats"]
    desk.closing.clear()


def trained(desk: Desk, kimg: float, **changes: object) -> Job:
    return desk.add("train", source="digits", recipe="gan", kimg=kimg, device="cpu", changes=PLAIN | changes)


@pytest.mark.slow
def test_paused_and_gone_on_is_as_if_never_paused(desk: Desk, tmp_path: Path) -> None:
    whole = trained(desk, 4)
    until(desk, lambda: whole.state == "finished")
    parted = trained(desk, 4)
    until(desk, lambda: parted.progress.get("kimg", 0) > 0.5)
    desk.pause(parted)
    assert parted.asked
    until(desk, lambda: parted.state == "paused")
    log = [json.loads(line) for line in (tmp_path / parted.run / "log.jsonl").read_text().splitlines()]
    assert log[-1]["kimg"] < 4
    desk.go_on(parted)
    until(desk, lambda: parted.state == "finished")
    weights = [(tmp_path / job.run / "weights.safetensors").read_bytes() for job in (whole, parted)]
    assert weights[0] == weights[1]


@pytest.mark.slow
def test_a_killed_training_leaves_a_run_that_goes_on(desk: Desk, tmp_path: Path) -> None:
    job = trained(desk, 400, **{"train.ticks": 200})
    until(desk, lambda: job.progress.get("kimg", 0) > 0 and (tmp_path / job.run / "state" / "last.safetensors").exists())
    os.kill(int((job.path / "lock").read_text()), signal.SIGKILL)
    until(desk, lambda: job.state == "paused")
    assert "memory ran out" in job.error
    desk.go_on(job)
    until(desk, lambda: job.progress.get("stage") == "training")
    again = Desk(desk.root)  # As after a restart of the studio: the training lives on and is found.
    again.turn()
    assert again.find(job.id).state == "training" and again.busy_with(job.run)
    again.close()  # It is saved, and goes on with the next studio.
    assert job.state == "waiting" and not job.alive
    until(desk, lambda: job.state == "training" and job.progress.get("stage") == "training")
    desk.keep(job)
    until(desk, lambda: job.state == "finished")
    assert not job.asked and job.progress["stage"] == "measuring"


@pytest.mark.slow
def test_stopped_before_it_began(desk: Desk) -> None:
    job = trained(desk, 1)
    desk.pause(job)
    until(desk, lambda: job.state in ("dropped", "paused"))
    assert not job.alive


def test_errors_keep_their_figures(tmp_path: Path) -> None:
    job = Job(tmp_path)
    job.failed("failed", FenshenError("out of memory: try --set train.batch={batch}, a smaller --size or data.resolution", batch=16))
    with speaking("en"):
        assert "train.batch=16" in job.error

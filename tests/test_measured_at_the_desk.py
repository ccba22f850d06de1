"""The desk measures runs as it trains them: in line, in a process of its own, and what is renamed is followed."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

import fenshen
from fenshen.studio.desk import Desk, Job

FAST = {"train.ticks": 2, "train.threads": 1, "train.precision": "fp32", "train.batch": 16, "autopilot": "off", "evaluate.report": False}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """One at which nothing starts by itself."""
    desk = Desk(tmp_path / "runs" / ".studio" / "jobs")
    desk.closing.set()
    return desk


def ended(desk: Desk, job: Job) -> str:
    """Its state when nothing more happens."""
    deadline = time.monotonic() + 60
    while job.state in ("waiting", "training") and time.monotonic() < deadline:
        time.sleep(0.05)
        desk.turn()
    return job.state


def test_a_measurement_is_no_training(desk: Desk) -> None:
    job = desk.add("evaluate", name="digits")
    assert desk.busy_with("digits") and desk.measuring("digits", "evaluate") is not None and desk.of_run("digits") is None
    assert desk.measuring("digits", "audit") is None
    desk.pause(job)
    assert job.state == "dropped" and not desk.busy_with("digits")


def test_jobs_follow_a_run_to_its_new_name(desk: Desk) -> None:
    first, second = desk.add("resume", name="old"), desk.add("audit", name="other")
    desk.renamed("old", "new")
    assert (first.run, first.wishes["name"]) == ("new", "new") and (second.run, second.wishes["name"]) == ("other", "other")


def test_a_deleted_run_takes_its_jobs_along(desk: Desk) -> None:
    jobs = [desk.add("resume", name="gone"), desk.add("audit", name="gone"), desk.add("resume", name="other")]
    for job in jobs:
        desk.pause(job)
    desk.forget_run("gone")
    assert [job.path.exists() for job in jobs] == [False, False, True]


@pytest.mark.slow  # A process that loads torch.
def test_what_cannot_be_measured_says_why(desk: Desk) -> None:
    desk.closing.clear()
    job = desk.add("evaluate", name="nothing")
    assert ended(desk, job) == "failed" and "no run nothing" in job.error


@pytest.mark.slow  # Two processes that load torch, and an encoder that is trained.
def test_measured_by_a_process(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FENSHEN_RUNS", str(tmp_path / "runs"))
    np.savez(tmp_path / "data.npz", images=np.random.default_rng(0).integers(0, 256, (80, 8, 8), np.uint8))
    run = fenshen.train(tmp_path / "data.npz", kimg=0.032, changes=FAST, out=tmp_path / "runs" / "noise")
    desk.closing.clear()
    jobs = [desk.add(verb, name="noise") for verb in ("evaluate", "audit")]
    assert [ended(desk, job) for job in jobs] == ["finished"] * 2
    assert run.report() is not None and (run.path / "audit.json").exists()

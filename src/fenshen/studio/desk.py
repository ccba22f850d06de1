"""Trainings, one after the other: each is a folder with what is wished and how far it is, and a process of its own.

A crash of a training leaves the studio alive, a crash of the studio leaves the training alive; whoever comes back finds it by its folder.
One trains at a time on a device, the others wait in the order in which they came.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from fenshen.errors import FenshenError, RunFolderError
from fenshen.lang import language, tr

OVER = ("finished", "failed", "dropped")  # States in which nothing more happens by itself.
MEASURING = ("evaluate", "audit")  # Verbs that train nothing: they end, or are as if they had never been.
TURN_SECONDS = 0.5
SAID = 200  # Sentences kept of a training.


@dataclass(frozen=True)
class Job:
    """One training at the desk, as its folder tells it.

    job.json       what is wished: `verb` train, resume or adapt, and the arguments of that function of `fenshen.api`; or evaluate or audit,
                   and the `name` of a run
    state.json     `state`: waiting, training, paused, finished, failed, dropped; `error`, English with {fields}, and `error_values` that
                   fill them; `run`: its folder's name; `asked`: it was told to stop
    progress.json  `stage`, `kimg`, `plan_kimg`, `per_second`, `seconds_left`, `losses`, `at` (seconds since 1970)
    said.jsonl     sentences as they came; worker.log: what the process printed, for us
    """

    path: Path

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def wishes(self) -> dict[str, Any]:
        return read(self.path / "job.json")

    @property
    def verb(self) -> str:
        return str(self.wishes.get("verb", ""))

    @property
    def goes_on(self) -> bool:
        """Whether it can go on after a stop: a training whose run has begun."""
        return bool(self.run) and self.verb not in MEASURING

    @property
    def state(self) -> str:
        """`failed` where its file is damaged: nothing begins that nobody asked for."""
        return str(read(self.path / "state.json").get("state", "failed"))

    @property
    def error(self) -> str:
        """What went wrong, in the reader's language; "" where nothing did."""
        found = read(self.path / "state.json")
        return tr(str(found.get("error", "")), **found.get("error_values", {}))

    def failed(self, state: str, error: FenshenError) -> None:
        """Ends it so, with the reason in every language."""
        plain = {key: value if isinstance(value, int | float) else str(value) for key, value in error.values.items()}
        self.change(state=state, error=error.text, error_values=plain)

    @property
    def run(self) -> str:
        """The name of its run, "" before there is one."""
        return str(read(self.path / "state.json").get("run", ""))

    @property
    def device(self) -> str:
        return str(self.wishes.get("device") or "auto")

    @property
    def progress(self) -> dict[str, Any]:
        return read(self.path / "progress.json")

    @property
    def asked(self) -> bool:
        """Whether it was asked to stop, and has not stopped yet."""
        return bool(read(self.path / "state.json").get("asked"))

    @property
    def keeping(self) -> bool:
        """Whether it was asked to stop for good, and to measure what it has."""
        return (self.path / "keep").exists()

    def said(self) -> list[str]:
        """What was told while it trained, oldest first."""
        with contextlib.suppress(OSError):
            return [str(json.loads(line)) for line in (self.path / "said.jsonl").read_text("utf-8").splitlines()[-SAID:]]
        return []

    def change(self, **values: Any) -> None:
        """Writes these into its state, the others stay, also where the studio and the training do so at once."""
        with open(self.path / "state.lock", "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            write(self.path / "state.json", read(self.path / "state.json") | values)

    @property
    def alive(self) -> bool:
        """Whether a process works on it."""
        with contextlib.suppress(OSError), open(self.path / "lock", "a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """While it is worked on: the system lets go of the lock whatever becomes of the process."""
        with open(self.path / "lock", "a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield

    def signal(self) -> None:
        """Asks its process to save and stop."""
        if self.alive:
            with contextlib.suppress(OSError, ValueError):
                os.kill(int((self.path / "lock").read_text()), signal.SIGTERM)


def read(path: Path) -> dict[str, Any]:
    """A JSON object, empty where there is none or it is damaged."""
    with contextlib.suppress(OSError, ValueError):
        value = json.loads(path.read_text("utf-8"))
        return value if isinstance(value, dict) else {}
    return {}


def write(path: Path, value: dict[str, Any]) -> None:
    """Whole or not at all."""
    new = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.new")
    new.write_text(json.dumps(value, ensure_ascii=False), "utf-8")
    new.replace(path)


class Desk:
    """All trainings of a folder. `open` starts what waits, until `close`."""

    def __init__(self, root: Path):
        self.root = root
        self.closing = threading.Event()
        self.starting: dict[str, subprocess.Popen[bytes]] = {}
        self.turn_lock = threading.Lock()

    def jobs(self) -> list[Job]:
        """All, oldest first."""
        paths = self.root.glob("*/job.json") if self.root.is_dir() else ()
        return [Job(path.parent) for path in sorted(paths, key=lambda path: path.parent.name)]

    def find(self, id: str) -> Job | None:
        return next((job for job in self.jobs() if job.id == id), None)

    def of_run(self, name: str) -> Job | None:
        """The newest job that trains or trained this run."""
        return next((job for job in reversed(self.jobs()) if job.run == name and job.verb not in MEASURING), None)

    def measuring(self, name: str, verb: str) -> Job | None:
        """The newest job that measures or measured this run so, `evaluate` or `audit`."""
        return next((job for job in reversed(self.jobs()) if job.run == name and job.verb == verb), None)

    def renamed(self, before: str, name: str) -> None:
        """A run has another name now: its jobs follow."""
        for job in self.jobs():
            if job.run == before:
                job.change(run=name)
                if "name" in (wishes := job.wishes):
                    write(job.path / "job.json", wishes | {"name": name})

    def busy_with(self, name: str) -> bool:
        """Whether this run is being trained or measured, or waits for it."""
        return any(job.run == name and job.state not in (*OVER, "paused") for job in self.jobs())

    def add(self, verb: str, **wishes: Any) -> Job:
        """Puts a training, or a measurement, at the end of the line."""
        path = self.root / f"{time.time_ns():020d}-{secrets.token_hex(4)}"
        path.mkdir(parents=True, mode=0o700)
        write(path / "state.json", {"state": "waiting"} | ({"run": wishes["name"]} if verb in ("resume", *MEASURING) else {}))
        write(path / "job.json", {"verb": verb, "language": language(), **wishes})
        self.turn()
        return Job(path)

    def pause(self, job: Job) -> None:
        """A training saves and stops; what waits is set aside."""
        with self.turn_lock:
            if job.state == "waiting":
                job.change(state="paused" if job.goes_on else "dropped")
            elif job.state == "training":
                job.change(asked=True)
                if job.id in self.starting and not job.alive:
                    self.starting[job.id].terminate()
                job.signal()

    def keep(self, job: Job) -> None:
        """Stops a training for good, and measures what it has come to."""
        if job.state == "paused" or (job.state == "waiting" and job.goes_on):
            job.change(state="finished", error="")
            self.add("evaluate", name=job.run)
        else:
            (job.path / "keep").touch()
            self.pause(job)

    def go_on(self, job: Job) -> None:
        """A paused training waits for its turn again. RunFolderError for another."""
        with self.turn_lock:
            if job.state != "paused":
                raise RunFolderError("this training is not paused: {state}", state=job.state)
            _line_up(job)
        self.turn()

    def forget(self, job: Job) -> None:
        """Clears an ended training away; its run stays."""
        if job.state in OVER and not job.alive:
            shutil.rmtree(job.path, ignore_errors=True)

    def forget_run(self, name: str) -> None:
        """A run is gone: so are its jobs, those that could have gone on too."""
        for job in self.jobs():
            if job.run == name:
                job.change(state="dropped" if job.state == "paused" else job.state)
                self.forget(job)

    def open(self) -> Desk:
        threading.Thread(target=self._work, name="desk", daemon=True).start()
        return self

    def close(self) -> None:
        """Asks what trains to save and stop, and waits for it; it goes on when the studio is opened again, unless somebody paused it."""
        self.closing.set()
        with self.turn_lock:
            alive = [job for job in self.jobs() if job.alive]
        unasked = [job for job in alive if not job.asked]
        for job in alive:
            job.signal()
        for job in alive:
            while job.alive:
                time.sleep(0.1)
            if job in unasked and job.goes_on and job.state in ("training", "paused"):
                _line_up(job)
            elif job.state == "training":
                job.change(state="paused" if job.goes_on else "waiting")

    def _work(self) -> None:
        while not self.closing.wait(TURN_SECONDS):
            self.turn()

    def turn(self) -> None:
        """Sees what has ended without a word, and starts the first of each device that waits."""
        with self.turn_lock:
            if self.closing.is_set():
                return
            jobs = self.jobs()
            for job in jobs:
                self._see(job)
            busy = {place(job.device) for job in jobs if job.state == "training"}
            for job in jobs:
                if job.state == "waiting" and not (busy and place(job.device) in busy):
                    busy.add(place(job.device))
                    self._start(job)

    def _see(self, job: Job) -> None:
        process = self.starting.get(job.id)
        if process is not None and process.poll() is not None:
            del self.starting[job.id]
        elif process is not None:
            return
        if job.state == "training" and not job.alive:  # Killed, or out of memory: no word came.
            if read(job.path / "state.json").get("asked"):
                job.change(state="paused" if job.goes_on else "dropped", error="", asked=False)
            else:
                job.failed("paused" if job.goes_on else "failed", how_it_ended(job, process))

    def _start(self, job: Job) -> None:
        job.change(state="training", error="", asked=False)
        (job.path / "progress.json").unlink(missing_ok=True)
        environment = os.environ | {"FENSHEN_LANG": str(job.wishes.get("language", "en"))}
        with open(job.path / "worker.log", "ab") as log:
            self.starting[job.id] = subprocess.Popen(
                [sys.executable, "-m", "fenshen.studio.worker", str(job.path)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True,
            )  # fmt: skip


def _line_up(job: Job) -> None:
    """From now on the job is to go on with its run."""
    (job.path / "keep").unlink(missing_ok=True)
    write(job.path / "job.json", {"verb": "resume", "language": language(), "name": job.run, "device": job.wishes.get("device")})
    job.change(state="waiting", error="", asked=False)


def how_it_ended(job: Job, process: subprocess.Popen[bytes] | None) -> FenshenError:
    """Why a process is gone that said nothing to its end."""
    if process is not None and process.returncode == -signal.SIGKILL:
        return FenshenError("it was killed, most likely because memory ran out: what was saved last still stands; "
                            "choose a smaller size or batch (model.size, train.batch)")  # fmt: skip
    if process is None or process.returncode < 0:
        return FenshenError("it was ended from outside: what was saved last still stands")
    return FenshenError("the training broke off: {problem}; what was saved last still stands", problem=last_line(job.path / "worker.log"))


@cache
def place(device: str) -> str:
    """Which device a name means here, so that `auto` and `cpu` do not train at once on the same one."""
    from fenshen.training.plan import pick_device

    try:
        found = str(pick_device(device))
    except FenshenError:  # The training itself will say so.
        return device
    return "cuda:0" if found == "cuda" else found


def last_line(path: Path) -> str:
    """The end of a log: what a process that died said last."""
    with contextlib.suppress(OSError):
        lines = [line for line in path.read_text("utf-8", "replace").splitlines() if line.strip()]
        return lines[-1] if lines else ""
    return ""

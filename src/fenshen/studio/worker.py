"""The process of one job: `python -m fenshen.studio.worker JOB`. Trains or measures by `fenshen.api`, and writes into its folder how far it is."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from fenshen.errors import FenshenError
from fenshen.studio.desk import MEASURING, Job, write

TRAINING = ("train", "resume", "adapt")
WRITE_SECONDS = 0.5
POLITE = 5  # The page shall answer while a training takes all cores.
EXPENDABLE = "500"  # Where memory runs out, the system ends the training and not the studio.


def main(path: Path) -> int:
    """0: ended, or stopped as asked; 1: failed, and said so in the job's state."""
    job = Job(path)
    with contextlib.suppress(OSError):
        os.nice(POLITE)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(EXPENDABLE)
    with job.held():
        try:
            job.change(state="training")
            return _measure(job) if job.verb in MEASURING else _train(job)
        except FenshenError as error:
            job.failed("failed", error)
        except BaseException as error:
            traceback.print_exc()
            text = "the training broke off: {problem}; what was saved last still stands"
            if job.verb in MEASURING:
                text = "the measurement broke off: {problem}"
            job.failed("paused" if job.goes_on else "failed", FenshenError(text, problem=f"{type(error).__name__}: {error}"))
        return 1


def _train(job: Job) -> int:
    wishes = job.wishes
    verb = wishes.pop("verb", "")
    wishes.pop("language", None)
    if verb not in TRAINING:
        raise FenshenError("what was wished for cannot be read any more ({path}): begin anew", path=job.path / "job.json")
    from fenshen import api

    watcher, stop = _reporter(job), api.Stop()
    match verb:
        case "train":
            run = api.train(wishes.pop("source", None), watcher=watcher, stop=stop, **wishes)
        case "resume":
            run = api.resume(wishes["name"], watcher=watcher, stop=stop)
        case _:
            run = api.adapt(wishes.pop("name"), watcher=watcher, stop=stop, **wishes)
    job.change(run=run.path.name)
    if stop.signal and not job.keeping:
        job.change(state="paused", asked=False)
        return 0
    if stop.signal:
        watcher.stage("measuring")
        with contextlib.suppress(FenshenError):
            run.evaluate(run.recipe.evaluate.count, device=run.recipe.train.device, watcher=watcher)
    job.change(state="finished", asked=False)
    return 0


def _measure(job: Job) -> int:
    from fenshen import api

    watcher = _reporter(job)
    watcher.stage("measuring")
    run = api.load(job.run)
    (run.audit if job.verb == "audit" else run.evaluate)(device=job.device, watcher=watcher)
    job.change(state="finished")
    return 0


def _reporter(job: Job) -> Any:
    """A watcher that writes what it hears into the job's folder."""
    from fenshen import api
    from fenshen.data import Texts
    from fenshen.run import RunFolder
    from fenshen.training.wording import tokens_per_row

    class Reporter(api.Watcher):
        def __init__(self) -> None:
            self.at: dict[str, Any] = {}
            self.written = 0.0
            self.stage("preparing")

        def stage(self, name: str) -> None:
            self.at["stage"] = name
            self._write()

        def said(self, text: str) -> None:
            with open(job.path / "said.jsonl", "a", encoding="utf-8") as file:
                file.write(json.dumps(text, ensure_ascii=False) + "\n")

        def started(self, plan: api.Plan, run: RunFolder) -> None:
            job.change(run=run.path.name)
            self.at["tokens"] = tokens_per_row(plan.recipe, plan.dataset) if isinstance(plan.dataset, Texts) else None
            self.stage("training")

        def stepped(self, kimg: float, plan_kimg: float, per_second: float, seconds_left: float, losses: dict[str, float]) -> None:
            self.at |= {"kimg": kimg, "plan_kimg": plan_kimg, "per_second": per_second, "seconds_left": seconds_left, "losses": losses}
            if kimg >= plan_kimg:
                self.at["stage"] = "measuring"
            if time.monotonic() - self.written >= WRITE_SECONDS or kimg >= plan_kimg:
                self._write()

        def _write(self) -> None:
            self.written = time.monotonic()
            write(job.path / "progress.json", self.at | {"at": time.time()})

    return Reporter()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))

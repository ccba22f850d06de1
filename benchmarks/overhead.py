"""What the autopilot costs: the same training with and without it, in turns, in one process.

    python benchmarks/overhead.py MNIST.npz [--steps 400] [--minutes 10]

Prints milliseconds per step with and without, the time of a look, its share of a run of so many minutes, and the seconds that the
encoder takes once per set of pictures (trained anew here). Appends a line to benchmarks/history.jsonl.
"""

from __future__ import annotations

import argparse
import os
import time
from datetime import date
from pathlib import Path
from statistics import median

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from record import record

from fenshen.api import Watcher, plan
from fenshen.measure.encoders import feature_count, train_encoder
from fenshen.training.autopilot import LOOKS, Autopilot
from fenshen.training.examine import COUNT, MOST_SEEN, Examiner, encoder_of
from fenshen.training.loop import Trainer
from fenshen.training.session import safe_recipe

TURN = 20  # Steps.


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--steps", type=int, default=400, help="of each")
    parser.add_argument("--minutes", type=float, default=10.0, help="of the run that the shares are of")
    parser.add_argument("--quiet", action="store_true", help="do not append to history.jsonl")
    options = parser.parse_args()
    planned = plan(options.source, minutes=options.minutes, watcher=Watcher())
    dataset, device = planned.dataset, planned.device
    encoder = encoder_of(dataset, device, print)
    trainers = [Trainer(planned.recipe, planned.made, dataset, device) for _ in range(2)]
    examiner = Examiner(lambda pictures: encoder.read(pictures).features, dataset, 0)
    pilot = Autopilot(trainers[1], examiner, safe_recipe(planned), lambda event: print(event))
    pilot.next_look = float("inf")
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(options.steps // TURN):
        for watched in (False, True):
            began = time.perf_counter()
            for _ in range(TURN):
                pilot.before_step() if watched else None
                report = trainers[watched].step()
                if watched:
                    pilot.after_step(report)
            seconds[watched].append((time.perf_counter() - began) / TURN)
    looks = []
    for _ in range(5):
        began = time.perf_counter()
        pilot.next_look = 0.0
        pilot.before_step()
        pilot._look()
        looks.append(time.perf_counter() - began)
    began = time.perf_counter()
    chosen = np.sort(np.random.default_rng(0).permutation(dataset.train)[:MOST_SEEN])
    labels = None if dataset.labels is None else dataset.labels[chosen]
    train_encoder(dataset.pictures[chosen], labels, len(dataset.classes), feature_count(len(dataset.held_out)), seed=0, device=device)
    once = time.perf_counter() - began
    without, watched_step = (1000 * median(part) for part in seconds)
    line = {
        "benchmark": "overhead", "date": str(date.today()), "data": Path(options.source).name, "steps": options.steps, "minutes": options.minutes,
        "device": f"{device}, {torch.get_num_threads()} threads", "ms_without": round(without, 2), "ms_with": round(watched_step, 2),
        "look_seconds": round(median(looks), 3), "looks": LOOKS, "look_samples": COUNT,
        "looks_percent": round(100 * LOOKS * median(looks) / (60 * options.minutes), 2), "encoder_seconds": round(once, 1),
        "encoder_percent": round(100 * once / (60 * options.minutes), 1),
    }  # fmt: skip
    record(line, options.quiet)


if __name__ == "__main__":
    main()

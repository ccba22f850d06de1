"""How long does an evaluation take?

    python benchmarks/evaluation.py RUN [--count 10000] [--rounds 1]

`fenshen evaluate RUN` as a process of its own, start and report included: seconds on the clock, and of all cores together, which other
programs on the machine disturb less. What can be cached, the prepared pictures and the run's encoder, is cached before. Appends a line
to benchmarks/history.jsonl.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from datetime import date

import torch
from record import record


def timed(command: list[str]) -> tuple[float, float]:
    """Seconds on the clock and of the processor."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.monotonic() - began, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="a trained run")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--quiet", action="store_true", help="do not append to history.jsonl")
    options = parser.parse_args()
    command = [sys.executable, "-m", "fenshen", "evaluate", options.run]
    timed([*command, "--count", "16"])
    rounds = [timed([*command, "--count", str(options.count)]) for _ in range(options.rounds)]
    wall, processor = (min(seconds) for seconds in zip(*rounds, strict=True))
    line = {"benchmark": "evaluation", "date": str(date.today()), "count": options.count, "seconds": round(wall, 1),
            "cpu_seconds": round(processor, 1), "threads": torch.get_num_threads(), "load_before": round(os.getloadavg()[0], 1)}  # fmt: skip
    record(line, options.quiet)


if __name__ == "__main__":
    main()

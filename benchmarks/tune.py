"""Does tuning pay? For several sources: tune, then train the default and the best recipe for equal minutes, and measure both.

    python benchmarks/tune.py digits PHOTOS/ PICTURES.npz --minutes 30 --train 10 [--seeds 0,1]

The measure is the Fréchet distance to held-out pictures, which no trial of the search saw, as a multiple of that of real
pictures (`fenshen evaluate`). Prints a line per source and appends it to benchmarks/history.jsonl. "beats" counts the sources on
which the best recipe has the smaller mean over the seeds; a search that found the default counts as no win.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from datetime import date
from pathlib import Path
from statistics import mean

from record import record

import fenshen
import fenshen.api


class Saying(fenshen.api.Watcher):
    def said(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


def trained(source: str, recipe: object, minutes: float, seed: int, device: str, out: Path, stop: fenshen.api.Stop) -> dict[str, float | None]:
    """Trains, and measures on held-out pictures."""
    run = fenshen.train(source, recipe, minutes=minutes, seed=seed, device=device, changes={"evaluate.report": False}, out=out, stop=stop)
    if stop.signal:
        sys.exit(128 + stop.signal)
    result, last = run.evaluate(device=device), run.log()[-1]
    scores = {score.name: score.value for score in result.scores}
    return {"times_floor": result.times_floor, "frechet": scores["frechet"], "kid": scores["kid"], "kimg": last["kimg"], "seconds": last["seconds"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="+")
    parser.add_argument("--minutes", type=float, default=30.0, help="of each search")
    parser.add_argument("--train", type=float, default=10.0, help="minutes of each training afterwards")
    parser.add_argument("--seeds", default="0", help="comma-separated seeds of the trainings")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, help="folder for searches and runs; default: a temporary one")
    parser.add_argument("--quiet", action="store_true", help="do not append to history.jsonl")
    options = parser.parse_args()
    out = options.out or Path(tempfile.mkdtemp(prefix="fenshen-tune-"))
    seeds, wins = [int(seed) for seed in options.seeds.split(",")], 0
    for number, source in enumerate(options.sources):
        stop, place = fenshen.api.Stop(), out / f"{number}-{Path(source).stem}"
        found = fenshen.tune(source, minutes=options.minutes, device=options.device, out=place / "tune", watcher=Saying(), stop=stop)
        if stop.signal:
            sys.exit(128 + stop.signal)
        print(found, file=sys.stderr, flush=True)
        same = found.best is None or found.best.number == 0
        contenders = {"default": "gan"} if same else {"default": "gan", "best": found.recipe}
        results = {
            name: [trained(source, recipe, options.train, seed, options.device, place / f"{name}-{seed}", stop) for seed in seeds]
            for name, recipe in contenders.items()
        }
        measure = "times_floor" if all(run["times_floor"] is not None for runs in results.values() for run in runs) else "kid"
        means = {name: mean(run[measure] for run in runs) for name, runs in results.items()}
        wins += means.get("best", float("inf")) < means["default"]
        line = {
            "benchmark": "tune", "date": str(date.today()), "data": Path(source).name, "device": options.device, "minutes": options.minutes,
            "train_minutes": options.train, "trials": len(found.trials), "searched_by": found.measure,
            "default_score": found.default.points[-1].score if found.default.points else None,
            "best_score": found.best.points[-1].score if found.best else None, "values": found.best.values if found.best else None,
            "measure": measure, "means": means, "runs": results,
        }  # fmt: skip
        record(line, options.quiet)
    print(f"tuning beats the default on {wins} of {len(options.sources)} sources; searches and runs: {out}")


if __name__ == "__main__":
    main()

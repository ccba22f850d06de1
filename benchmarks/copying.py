"""Is a model that copies caught, and does an honest one pass? Both are really trained, then judged as `fenshen evaluate` does.

    python benchmarks/copying.py [PICTURES ...] [--seeds 3] [--minutes 1.5] [--few 30] [--resolution PIXELS] [--out DIR]

For every source (the built-in digits by default): a model overfitted on `--few` pictures, without augmentation; `--seeds` fresh ones on
all of them, which must pass; and every fresh one again with copies of training pictures in place of 5 % of its samples, which must be
flagged. Sheets of what the models made, each above its nearest training picture, are written to look at. Appends a line per case to
benchmarks/history.jsonl, and exits with 1 where a verdict is wrong.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
from record import record

import fenshen
from fenshen.data import Dataset, prepare
from fenshen.evaluate.copying import contact_sheet, copying
from fenshen.evaluate.subject import Subject
from fenshen.media.image import to_image
from fenshen.recipe import Data

PLANTED = 0.05
MOST_HELD_OUT = 1000
OVERFITTING = {"train.augmentation": "off", "autopilot": "off", "evaluate.report": False}
HONEST = {"evaluate.report": False}


def few_pictures(dataset: Dataset, count: int, path: Path) -> Path:
    """So many training pictures, and held-out ones that show what chance does, as a source of its own."""
    rng = np.random.default_rng(0)
    train, held_out = np.sort(rng.permutation(dataset.train)[:count]), np.sort(rng.permutation(dataset.held_out)[:MOST_HELD_OUT])
    arrays = {"x_train": dataset.pictures[train], "x_test": dataset.pictures[held_out]}
    if dataset.labels is not None:
        arrays |= {"y_train": dataset.labels[train], "y_test": dataset.labels[held_out]}
    np.savez(path, **arrays)
    return path


def planted(subject: Subject) -> Subject:
    """The same samples, but for 5 % training pictures among them."""
    rng, pictures = np.random.default_rng(1), subject.pictures.copy()
    count = round(PLANTED * len(pictures))
    pictures[rng.choice(len(pictures), count, replace=False)] = subject.dataset.pictures[rng.choice(subject.dataset.train, count, replace=False)]
    return subject.making(pictures, subject.told)


def judged(name: str, subject: Subject, must_copy: bool, out: Path) -> dict[str, object]:
    """What was found, as numbers, and whether the verdict is the right one."""
    found = copying(subject)
    to_image(contact_sheet(subject, found)).save(out / f"{name}.png")
    numbers = {key: round(value, 4) if isinstance(value, float) else value for key, value in found.numbers().items()}
    return {"case": name, "training": len(subject.dataset.train), "made": subject.count, "right": found.copied == must_copy, **numbers}


def cases(source: str, options: argparse.Namespace, out: Path) -> Iterator[dict[str, object]]:
    stem, size = Path(source).stem, {"data.resolution": options.resolution}
    few = few_pictures(prepare(Data(source=source, resolution=options.resolution)), options.few, out / f"{stem}-few.npz")
    run = fenshen.train(few, minutes=options.minutes, changes=OVERFITTING | size, out=out / f"{stem}-overfitted")
    yield judged(f"{stem} overfitted", Subject.open(run.folder, "cpu", None, 0, print), True, out)
    for seed in range(options.seeds):
        run = fenshen.train(source, minutes=options.minutes, seed=seed, changes=HONEST | size, out=out / f"{stem}-{seed}")
        subject = Subject.open(run.folder, "cpu", options.count, 0, print)
        yield judged(f"{stem} fresh {seed}", subject, False, out)
        yield judged(f"{stem} fresh {seed} + 5 %", planted(subject), True, out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="*", default=["digits"], help="a folder, archive or .npz; default: the built-in digits")
    parser.add_argument("--seeds", type=int, default=3, help="fresh runs of every source")
    parser.add_argument("--minutes", type=float, default=1.5, help="of every training")
    parser.add_argument("--few", type=int, default=30, help="pictures that a model is overfitted on")
    parser.add_argument("--count", type=int, default=2000, help="samples of a fresh model")
    parser.add_argument("--resolution", type=int)
    parser.add_argument("--out", type=Path, help="folder for runs and sheets; default: a temporary one")
    parser.add_argument("--quiet", action="store_true", help="do not append to history.jsonl")
    options = parser.parse_args()
    out = options.out or Path(tempfile.mkdtemp(prefix="fenshen-copying-"))
    out.mkdir(parents=True, exist_ok=True)
    wrong = 0
    for source in options.sources:
        for found in cases(source, options, out):
            wrong += not found["right"]
            line = {"benchmark": "copying", "date": str(date.today()), "minutes": options.minutes, **found}
            record(line, options.quiet)
    print(f"runs and sheets: {out}; wrong verdicts: {wrong}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()

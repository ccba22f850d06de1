"""Does every measure move the right way when pictures are damaged in a known way?

    python benchmarks/damages.py [SOURCE] [--count 2000] [--seed 0]

No model: real training pictures take the place of what a model makes, as they are and ever more damaged, and are measured against those
held out (SOURCE is labelled; the built-in digits by default, half of them held out). For copies, one half of the held-out pictures takes
that place, with training pictures planted among them, and is measured against the other half. A measure has to become worse with every
step of a damage that it is meant to see; ✗ marks where it does not, and the script exits with 1. Of the others, the numbers are shown:
recall, for one, does not see that half of the pictures are one picture, as long as the other half is various. Appends a line to
benchmarks/history.jsonl.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from record import record
from rich.console import Console
from rich.table import Table
from scipy.ndimage import gaussian_filter

from fenshen.data import Dataset, prepare
from fenshen.evaluate.page import meaning
from fenshen.evaluate.scores import measures, naming
from fenshen.measure.copying import authenticity, c_t, copies, duplicates, nearest
from fenshen.measure.diversity import class_balance, class_consistency
from fenshen.measure.encoders import Encoder
from fenshen.recipe import Data
from fenshen.training.examine import encoder_of

DISTANCES = {"frechet": +1, "frechet_infinity": +1, "kid": +1, "mind": +1}  # +1: rises with damage, -1: falls.
LIKENESS = {"precision": -1, "density": -1}
VARIETY = {"coverage": -1, "vendi": -1, "inception": -1, "balance": +1}
COPYING = {"copies": +1, "authenticity": -1, "c_t": -1}


@dataclass(frozen=True)
class Made:
    """Pictures that take the place of made ones, and the classes that they were asked to be."""

    pictures: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Damage:
    """`steps`: its severities, ascending; `do(made, severity)` the damaged set; `seen`: how the measures meant to see it move."""

    name: str
    steps: tuple[float, ...]
    do: Callable[[Made, float], Made]
    seen: dict[str, int]


def damages(rng: np.random.Generator, classes: int, fresh: Callable[[int], Made]) -> list[Damage]:
    """`fresh(kept)`: as many real pictures of the first `kept` classes only."""

    def noise(made: Made, levels: float) -> Made:
        noisy = made.pictures + levels * np.random.default_rng(1).normal(size=made.pictures.shape)
        return replace(made, pictures=noisy.round().clip(0, 255).astype(np.uint8))

    def blur(made: Made, pixels: float) -> Made:
        return replace(made, pictures=gaussian_filter(made.pictures, (0, pixels, pixels, 0)))

    def dropped(made: Made, share: float) -> Made:
        return fresh(classes - round(share * classes))

    def repeated(made: Made, share: float) -> Made:
        pictures, labels = made.pictures.copy(), made.labels.copy()
        same = rng.permutation(len(pictures))[: round(share * len(pictures))] if share < 1 else slice(None)
        pictures[same], labels[same] = pictures[0], labels[0]
        return Made(pictures, labels)

    def mistaken(made: Made, share: float) -> Made:
        others = made.labels.copy()
        others[: round(share * len(others))] = (others[: round(share * len(others))] + 1) % classes
        return replace(made, labels=others)

    return [
        Damage("noise, σ in gray levels", (10, 30, 90), noise, DISTANCES | LIKENESS),
        Damage("blur, σ in pixels", (0.5, 1, 2), blur, DISTANCES | LIKENESS),
        Damage("classes left out, share", (0.1, 0.3, 0.5), dropped, DISTANCES | VARIETY | {"recall": -1}),
        Damage("one picture again and again, share", (0.1, 0.5, 1), repeated, DISTANCES | VARIETY | {"consistency": -1, "doubles": +1}),
        Damage("asked for another class, share", (0.1, 0.3, 1), mistaken, {"labels": -1}),
    ]


@dataclass(frozen=True)
class Bench:
    """The encoder of a source, and what made pictures are measured against."""

    dataset: Dataset
    encoder: Encoder
    reference: np.ndarray  # Indices of held-out pictures.

    def scores(self, made: Made) -> dict[str, float]:
        """Every measure that needs no training pictures."""
        read, real = (self.encoder.read(pictures) for pictures in (made.pictures, self.dataset.pictures[self.reference]))
        assert read.probabilities is not None and self.dataset.labels is not None
        found = {name: value for measure in [*measures(), naming()] for name, value in measure.plain(read, real).items()}
        said, truth = read.probabilities.argmax(1), self.dataset.labels[self.reference]
        wanted = np.bincount(self.dataset.labels[self.dataset.train], minlength=len(self.dataset.classes))
        return found | {
            "balance": class_balance(said, wanted).total_variation,
            "labels": float((said == made.labels).mean()),
            "consistency": float(np.mean(class_consistency(read.features, said, real.features, truth).made)),
            "doubles": duplicates(read.features, real.features).share,
        }

    def copied(self, pictures: np.ndarray) -> dict[str, float]:
        """Every measure that looks for training pictures."""
        made, training, held_out = (
            self.encoder.read(x).features for x in (pictures, self.dataset.pictures[self.dataset.train], self.dataset.pictures[self.reference])
        )
        near, usual = nearest(made, training), nearest(held_out, training)
        return {
            "copies": copies(near, usual).share, "authenticity": authenticity(near, usual, training).made, "c_t": c_t(made, training, held_out).value
        }  # fmt: skip


def title(name: str) -> str:
    return {"copies": "Nearer than 99 % of new pictures", "doubles": "Share that has a double"}.get(name) or meaning(name)[0]


def right(values: list[float], way: int) -> bool:
    """Worse at every step, until it is at the end of its range."""
    return all(way * (after - before) > 0 or after == before == 0 for before, after in pairwise(values))


def show(name: str, steps: tuple[float, ...], columns: list[dict[str, float]], seen: dict[str, int]) -> tuple[dict[str, list[float]], list[str]]:
    """Prints the table of one damage. Values by measure, and the measures that moved the wrong way."""
    table = Table("measure", "undamaged", *(f"{step:g}" for step in steps), "", title=name, title_justify="left")
    rows = {measure: [column[measure] for column in columns] for measure in columns[0]}
    wrong = [measure for measure, way in seen.items() if not right(rows[measure], way)]
    for measure, values in rows.items():
        way = {1: "↑", -1: "↓"}.get(seen.get(measure, 0), "")
        table.add_row(title(measure), *(f"{value:.4g}" for value in values), f"{way} {'✗' if measure in wrong else '✓'}" if way else "")
    Console(width=120).print(table)
    return rows, wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="?", default="digits", help="labelled pictures; default: the built-in digits")
    parser.add_argument("--count", type=int, default=2000, help="pictures that are damaged, at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quiet", action="store_true", help="do not append to history.jsonl")
    options = parser.parse_args()
    dataset = prepare(Data(source=options.source, held_out=0.5))
    if dataset.labels is None or len(dataset.classes) < 2:
        sys.exit("damages.py needs labels")
    labels, rng, half = dataset.labels, np.random.default_rng(options.seed), len(dataset.classes) // 2
    order = rng.permutation(dataset.train)
    count = min(options.count, int((labels[order] < half).sum()))

    def fresh(kept: int) -> Made:
        chosen = order[labels[order] < kept][:count]
        return Made(dataset.pictures[chosen], labels[chosen])

    bench, made = Bench(dataset, encoder_of(dataset, torch.device("cpu"), print), dataset.held_out), fresh(len(dataset.classes))
    first, values, wrong = bench.scores(made), {}, []
    for damage in damages(rng, len(dataset.classes), fresh):
        rows, bad = show(damage.name, damage.steps, [first, *(bench.scores(damage.do(made, step)) for step in damage.steps)], damage.seen)
        values[damage.name], wrong = rows, [*wrong, *(f"{damage.name}: {name}" for name in bad)]
    new, reference = np.array_split(rng.permutation(dataset.held_out)[: 2 * options.count], 2)
    columns, steps = [], (0.02, 0.05, 0.2)
    for share in (0.0, *steps):
        pictures = dataset.pictures[new].copy()
        planted = round(share * len(new))
        pictures[:planted] = dataset.pictures[order[:planted]]
        columns.append(replace(bench, reference=reference).copied(pictures))
    name = "training pictures among new ones, share"
    values[name], bad = show(name, steps, columns, COPYING)
    wrong += [f"{name}: {measure}" for measure in bad]
    line = {"benchmark": "damages", "date": str(date.today()), "data": Path(options.source).name, "count": count, "reals": len(dataset.held_out),
            "encoder": bench.encoder.digest[:16], "wrong": wrong,
            "values": {damage: {m: [float(f"{v:.4g}") for v in row] for m, row in rows.items()} for damage, rows in values.items()}}  # fmt: skip
    record(line, options.quiet)
    print(f"{count} pictures against {len(dataset.held_out)} held-out ones; wrong moves: {', '.join(wrong) or 'none'}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()

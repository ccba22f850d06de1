"""Does adapting help with few pictures, and is the old kept? A parent on some classes, then 60 pictures of others, against from scratch.

    python benchmarks/adapt.py PICTURES.npz --old 0,1,2,3,4 --new 7 --pictures 60 --parent-minutes 3 --minutes 1 [--only scratch,replay]

PICTURES.npz is labelled and has a test split. The measure is the Fréchet distance between made pictures and the test pictures of the
old and of the new classes, in the features of an encoder of the whole source, which no contender has a hand in. Every contender has the
same minutes. Beside the distances stand those of real training pictures. Appends a line per contender to benchmarks/history.jsonl.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import torch
from record import record

import fenshen.api
from fenshen.data import Dataset, prepare
from fenshen.generate import Order, generate
from fenshen.measure.distances import frechet_distance
from fenshen.measure.encoders import Encoder
from fenshen.recipe import Data, set_from_text
from fenshen.run import RunFolder
from fenshen.training.adapting import Origin
from fenshen.training.examine import encoder_of
from fenshen.training.plan import pick_device

CONTENDERS = {
    "scratch": None,
    "plain": {},
    "replay": {"adapt.replay": 0.5},
    "anchor": {"adapt.anchor": 0.1},
    "unfrozen": {"adapt.replay": 0.5, "adapt.freeze": 0},
}


@dataclass
class Yardstick:
    """An encoder of the whole source, and the features of some classes' test pictures."""

    dataset: Dataset
    encoder: Encoder
    count: int

    def features(self, classes: list[str], part: np.ndarray) -> np.ndarray:
        assert self.dataset.labels is not None
        wanted = [self.dataset.classes.index(name) for name in classes]
        return self.encoder.read(self.dataset.pictures[part[np.isin(self.dataset.labels[part], wanted)]]).features

    def distance(self, pictures: np.ndarray, classes: list[str]) -> float:
        return round(frechet_distance(self.encoder.read(pictures).features, self.features(classes, self.dataset.held_out)), 3)

    def floor(self, classes: list[str]) -> float:
        features = self.features(classes, self.dataset.train)[: self.count]
        return round(frechet_distance(features, self.features(classes, self.dataset.held_out)), 3)


def split(dataset: Dataset, classes: list[str], most: int | None, path: Path) -> Path:
    """The pictures of these classes as an .npz with a test split; `most`: training pictures, evenly drawn from the classes."""
    assert dataset.labels is not None
    arrays = {}
    for name, part in (("train", dataset.train), ("test", dataset.held_out)):
        chosen = part[np.isin(dataset.labels[part], [dataset.classes.index(name) for name in classes])]
        if name == "train" and most is not None:
            order = np.random.default_rng(0).permutation(chosen)
            rank = np.zeros(len(order), np.int64)
            for label in np.unique(dataset.labels[order]):
                here = dataset.labels[order] == label
                rank[here] = np.arange(here.sum())
            chosen = order[np.argsort(rank, kind="stable")][:most]
        arrays |= {f"x_{name}": dataset.pictures[chosen].squeeze(), f"y_{name}": np.array(dataset.classes)[dataset.labels[chosen]]}
    np.savez(path, **arrays)
    return path


def made(run: RunFolder, count: int, seed: int, of_parent: bool = False) -> np.ndarray:
    """What a run makes by default, or with `of_parent` of the classes that its parent made."""
    sampler, what, _ = run.load_sampler()
    origin = Origin.read(run)
    if of_parent and origin is not None:
        what = replace(what, shares=tuple(origin.record["shares"]))
    return np.concatenate([pictures for pictures, _ in generate(sampler, what, Order(count, seed))])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="a labelled .npz with a test split")
    parser.add_argument("--old", default="0,1,2,3,4", help="the parent's classes")
    parser.add_argument("--new", default="7", help="the new classes")
    parser.add_argument("--pictures", type=int, default=60, help="new pictures to train on")
    parser.add_argument("--parent-minutes", type=float, default=3.0)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--only", default="scratch,plain,replay,anchor", help="comma-separated: " + ", ".join(CONTENDERS))
    parser.add_argument("--parent", type=Path, help="a run on the old classes, instead of training one")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="recipe changes for all, the parent too")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=2000, help="pictures made for each distance")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, help="folder for the runs; default: a temporary one")
    parser.add_argument("--quiet", action="store_true", help="do not append to history.jsonl")
    options = parser.parse_args()
    device, out = pick_device(options.device), options.out or Path(tempfile.mkdtemp(prefix="fenshen-adapt-"))
    dataset = prepare(Data(source=options.source))
    if dataset.labels is None or not len(dataset.held_out):
        sys.exit("adapt.py needs labels and a test split")
    old, new = options.old.split(","), options.new.split(",")
    yardstick = Yardstick(dataset, encoder_of(dataset, device, print), options.count)
    out.mkdir(parents=True, exist_ok=True)
    before, few = split(dataset, old, None, out / "old.npz"), split(dataset, new, options.pictures, out / "new.npz")
    print(f"real pictures: old {yardstick.floor(old)}, new {yardstick.floor(new)}", flush=True)
    wanted = {"evaluate.report": False, "train.device": str(device), "train.seed": options.seed} | set_from_text(options.set)
    if options.parent:
        parent = fenshen.load(options.parent)
    else:
        parent = fenshen.train(before, minutes=options.parent_minutes, changes=wanted, out=out / "parent")
    first = made(parent.folder, options.count, 1)
    was = {"old": yardstick.distance(first, old), "new": yardstick.distance(first, new)}
    print(f"parent: old {was['old']}, new {was['new']}", flush=True)
    for name in options.only.split(","):
        changes = CONTENDERS[name]
        if changes is None:
            run = fenshen.train(few, minutes=options.minutes, changes=wanted, out=out / name)
        else:
            run = parent.adapt(few, minutes=options.minutes, changes=wanted | changes, out=out / name)
        run.generate(64, seed=1).save(out / f"{name}.png")
        kept = None if changes is None else yardstick.distance(made(run.folder, options.count, 1, of_parent=True), old)
        line = {
            "benchmark": "adapt", "date": str(date.today()), "data": Path(options.source).name, "contender": name, "old": old, "new": new,
            "pictures": options.pictures, "parent_minutes": options.parent_minutes, "minutes": options.minutes, "seed": options.seed,
            "device": torch.cuda.get_device_name() if device.type == "cuda" else f"cpu, {torch.get_num_threads()} threads",
            "changes": set_from_text(options.set) | (changes or {}), "kimg": run.log()[-1]["kimg"], "count": options.count,
            "before": was, "after": {"old": kept, "new": yardstick.distance(made(run.folder, options.count, 1), new)},
            "real": {"old": yardstick.floor(old), "new": yardstick.floor(new)},
        }  # fmt: skip
        record(line, options.quiet)
    print(f"runs and grids: {out}")


if __name__ == "__main__":
    main()

"""How far an adapted run is from the pictures of its parent and from the new ones, before it was adapted and after.

Each distance is taken in the features of an encoder of those very pictures, to those held out: the two rows of the table are on
different scales, the columns of a row are not.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fenshen.data import Dataset
from fenshen.errors import FenshenError, RunFolderError
from fenshen.evaluate.subject import MOST, Say, data_of
from fenshen.families.base import Sampler
from fenshen.generate import Order, generate
from fenshen.lang import tr
from fenshen.measure.distances import frechet_distance, kid
from fenshen.run import Made, RunFolder
from fenshen.training.adapting import Origin
from fenshen.training.examine import encoder_of

COUNT = 2000
FEWEST = 4  # Held-out pictures that a kernel distance takes.


@dataclass(frozen=True)
class Distance:
    """`measure`: frechet, or kid where there are fewer pictures than features. `real`: of as many training pictures, the floor.

    `before`, `after`: of as many made pictures. `reals`: held-out pictures. All None where `note` says why.
    """

    measure: str | None = None
    before: float | None = None
    after: float | None = None
    real: float | None = None
    reals: int = 0
    encoder: str = ""
    note: str = ""

    @property
    def change(self) -> float | None:
        """after / before - 1; None where that means nothing (a kernel distance may be below 0)."""
        return None if self.before is None or self.after is None or self.before <= 0 else self.after / self.before - 1


@dataclass(frozen=True)
class Distances:
    """Of one adapted run."""

    run: str
    parent: str
    old: Distance
    new: Distance
    path: Path

    def json(self) -> dict[str, Any]:
        return {"run": self.run, "parent": self.parent, "distances": {"old": asdict(self.old), "new": asdict(self.new)}}

    @classmethod
    def read(cls, run: RunFolder) -> Distances | None:
        """What `distances` wrote; None where nothing was measured."""
        said = run.read_json("adapt.json") if (run.path / "adapt.json").exists() else {}
        if "distances" not in said:
            return None
        old, new = (Distance(**said["distances"][name]) for name in ("old", "new"))
        return cls(said["run"], said["parent"], old, new, run.path / "adapt.json")

    def __str__(self) -> str:
        return "\n".join("  ".join(row) for row in table(self))


def distances(run: RunFolder, device: str, count: int | None, seed: int, say: Say) -> Distances:
    """Measures with `count` made pictures (2,000 by default) and writes adapt.json into the run. RunFolderError for a run without parent."""
    origin = Origin.read(run)
    if origin is None:
        raise RunFolderError("{run} was not adapted to other pictures: it has nothing to be compared with; use fenshen evaluate", run=run.path)
    after, made, _ = run.load_sampler(device)
    before = copy.deepcopy(after)
    before.load_state_dict(origin.averaged)
    as_before = replace(made, shares=tuple(origin.record["shares"]))
    known = {name for name, share in zip(made.classes, origin.record["shares"], strict=True) if share > 0}
    new_to_it = any(share > 0 and name not in known for name, share in zip(made.classes, made.shares, strict=True))
    say(tr("measuring how far the pictures are from the old and from the new ones"))
    order = Order(min(count or COUNT, MOST), seed)
    found = Distances(
        run.path.resolve().name, origin.record["parent"],
        _of(lambda: origin.pictures(say), (before, as_before), (after, as_before), order, device, say),
        _of(lambda: data_of(run, run.recipe(), say), (before, as_before if new_to_it else made), (after, made), order, device, say),
        run.path / "adapt.json",
    )  # fmt: skip
    run.write_json("adapt.json", found.json() | {"weights": origin.record["weights"], "kimg": origin.kimg})
    return found


def _of(pictures: Callable[[], Dataset], before: tuple[Sampler, Made], after: tuple[Sampler, Made], order: Order, device: str, say: Say) -> Distance:
    """The distance of what two samplers make to the held-out pictures of one set."""
    try:
        dataset = pictures()
    except FenshenError as error:
        return Distance(note=str(error))
    if len(dataset.held_out) < FEWEST:
        return Distance(reals=len(dataset.held_out), note=tr("only {count} pictures are held out", count=len(dataset.held_out)))
    encoder = encoder_of(dataset, torch.device(device), say)
    held_out = encoder.read(dataset.pictures[dataset.held_out[:MOST]]).features
    training = np.random.default_rng(order.seed).permutation(dataset.train)[: order.count]
    made = [_pictures(*who, order, device) for who in (before, after)]
    sets = [encoder.read(pictures).features for pictures in (dataset.pictures[np.sort(training)], *made)]
    enough = min(len(held_out), *(len(features) for features in sets)) > encoder.features
    real, old, new = (frechet_distance(features, held_out) if enough else kid(features, held_out).value for features in sets)
    return Distance("frechet" if enough else "kid", old, new, real, len(held_out), encoder.digest)


def _pictures(sampler: Sampler, made: Made, order: Order, device: str) -> np.ndarray:
    return np.concatenate([pictures for pictures, _ in generate(sampler, made, order, device)])


def table(found: Distances) -> list[tuple[str, ...]]:
    """To what, before, after, the change, real pictures, the measure: for a terminal."""
    return list(_rows(found))


def _rows(found: Distances) -> Iterator[tuple[str, ...]]:
    for name, one in ((tr("the old pictures"), found.old), (tr("the new pictures"), found.new)):
        if one.before is None or one.after is None or one.real is None:
            yield name, "–", "–", "", "", one.note
            continue
        change = "" if one.change is None else f"{100 * one.change:+.0f} %"
        measure = tr("Fréchet distance") if one.measure == "frechet" else tr("kernel distance (KID)")
        yield name, f"{one.before:.4g}", f"{one.after:.4g}", change, f"{one.real:.4g}", measure


def columns() -> list[str]:
    return [tr("distance to"), tr("before"), tr("after"), tr("change"), tr("real pictures"), tr("measured by")]

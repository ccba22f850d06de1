"""Whether a run makes its training pictures again: numbers, a verdict in words, and the nearest pairs to look at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fenshen.errors import DataError
from fenshen.evaluate.subject import Subject
from fenshen.lang import tr
from fenshen.measure.copying import Authenticity, Copies, DataCopying, Duplicates, Nearest, authenticity, c_t, copies, duplicates, nearest
from fenshen.media.image import grid

FAR = -3.0  # C_T below this: nearer to the training set than chance would have it.
PAIRS = 12
MANY_ALIKE = 0.5  # Of the made pictures in a pair of duplicates, that is no longer chance.


@dataclass(frozen=True)
class Copying:
    """What was found; `c_t` is None where there are too few samples for it. `nearest`: of the made pictures, among the training ones."""

    nearest: Nearest
    copies: Copies
    duplicates: Duplicates
    authenticity: Authenticity
    c_t: DataCopying | None

    @property
    def copied(self) -> bool:
        """Whether the run copies: single pictures that are too near, or all of them nearer than new ones would be."""
        return self.copies.found or (self.c_t is not None and self.c_t.value < FAR)

    def numbers(self) -> dict[str, float | bool | None]:
        return {
            "copied": self.copied, "copies_share": self.copies.share, "copies_expected": self.copies.expected, "copies_p": self.copies.p_value,
            "duplicates_share": self.duplicates.share, "duplicates_p": self.duplicates.p_value, "authenticity": self.authenticity.made,
            "authenticity_held_out": self.authenticity.held_out, "c_t": None if self.c_t is None else self.c_t.value,
        }  # fmt: skip


def copying(subject: Subject) -> Copying:
    """Made against all training pictures; held-out ones show what chance does."""
    made, training, held_out = subject.read.features, subject.all_training, subject.held_out.features
    try:
        test = c_t(made, training, held_out)
    except DataError:
        test = None
    near, usual = nearest(made, training), nearest(held_out, training)
    return Copying(near, copies(near, usual), duplicates(made, held_out), authenticity(near, usual, training), test)


def sentences(found: Copying, count: int) -> list[str]:
    """The verdict for a person who does not know the terms."""
    said = []
    near = found.copies
    if near.found:
        said.append(tr("{number} of {count} made pictures are nearer to one training picture than new pictures ever are: look at them below.",
                       number=len(near.made), count=count))  # fmt: skip
    if found.c_t is not None and found.c_t.value < FAR:
        said.append(tr("Taken together, the made pictures lie nearer to the training pictures than new ones would (C_T {value}).",
                       value=f"{found.c_t.value:.1f}"))  # fmt: skip
    if not said:
        said.append(tr("No sign of copying: made pictures are no nearer to the training pictures than held-out ones are."))
    if found.duplicates.found:
        said.append(tr("{percent} % of the made pictures have a near-double among them: the variety is smaller than their number says.",
                       percent=f"{100 * found.duplicates.share:.0f}"))  # fmt: skip
    return said


def contact_sheet(subject: Subject, found: Copying) -> np.ndarray:
    """The made pictures that are nearest to one training picture and to no other, each above that one; uint8 (H, W, C)."""
    rest = np.argsort(found.nearest.nearness, kind="stable")
    first = [int(i) for i in found.copies.made] if found.copies.found else []
    chosen = list(dict.fromkeys([*first, *map(int, rest)]))[:PAIRS]
    made = subject.pictures[chosen]
    real = subject.dataset.pictures[subject.dataset.train[found.nearest.index[chosen, 0]]]
    return grid(np.concatenate([made, real]), len(chosen), flatten=True)

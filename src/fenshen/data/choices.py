"""What is derived from the pictures: resolution, channels, labels, the held-out split. Pure functions of the rows of a scan."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from statistics import median_low

import numpy as np

from fenshen.data.scan import Row
from fenshen.errors import DataError
from fenshen.lang import Said, said
from fenshen.media.image import Channels, Fit

LARGEST_DERIVED = 64  # What two cores can train in minutes; more is the person's choice.
SMALLEST, LARGEST = 8, 256
FEWEST_TO_SPLIT = 20


def side_of(row: Row, fit: Fit) -> int:
    """The side in pixels that becomes the resolution."""
    return max(row.width, row.height) if fit == "pad" else min(row.width, row.height)


def choose_resolution(rows: Sequence[Row], wanted: int | None, fit: Fit) -> tuple[int, Said]:
    """The side to train at and why, in words. Raises DataError when `wanted` is more than most pictures have."""
    sides = [side_of(row, fit) for row in rows]
    middle = median_low(sides)
    if wanted is not None:
        if sum(side >= wanted for side in sides) * 2 < len(sides):
            text = "resolution {wanted} is larger than most pictures, whose median side is {middle}; set data.resolution = {fitting}"
            raise DataError(text, wanted=wanted, middle=middle, fitting=_clamp(middle))
        return wanted, said("{resolution} pixels, as asked for", resolution=wanted)
    sizes = {(row.width, row.height) for row in rows}
    if len(sizes) == 1 and rows[0].width == rows[0].height and SMALLEST <= middle <= LARGEST_DERIVED:
        return middle, said("{resolution} pixels: the size of every picture", resolution=middle)
    chosen = next((size for size in (64, 32, 16) if size <= middle), SMALLEST)
    if middle > LARGEST_DERIVED:
        text = "{resolution} pixels: what a small machine trains in minutes; the median side is {middle} (up to {most} can be set)"
        return chosen, said(text, resolution=chosen, middle=middle, most=_clamp(middle))
    return chosen, said("{resolution} pixels: the median side is {middle}", resolution=chosen, middle=middle)


def _clamp(side: int) -> int:
    return max(SMALLEST, min(LARGEST, side))


def choose_channels(rows: Sequence[Row], wanted: Channels | None) -> tuple[Channels, Said]:
    """gray, colour or alpha, and why, in words."""
    if wanted is not None:
        return wanted, said("as asked for")
    if all(row.gray for row in rows):
        return "gray", said("every picture is gray")
    clear = sum(row.transparent for row in rows)
    if clear * 2 >= len(rows):
        return "alpha", said("{clear} of {count} pictures are partly transparent", clear=clear, count=len(rows))
    return "colour", said("{coloured} of {count} pictures are coloured", coloured=sum(not row.gray for row in rows), count=len(rows))


def choose_labels(labels: Sequence[str | int | None], names: list[str] | None) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """int64 class of each sample and the names of the classes; (None, ()) unless each of them has a label and they differ.

    `names`: of integer labels, where the source knows them.
    """
    known = [label for label in labels if label is not None and label != -1]
    if len(known) < len(labels) or len(set(known)) < 2:
        return None, ()
    values = sorted(set(known), key=_natural)
    index = {value: number for number, value in enumerate(values)}
    classes = tuple(names[value] if names and isinstance(value, int) and 0 <= value < len(names) else str(value) for value in values)
    return np.array([index[label] for label in known], np.int64), classes


def _natural(label: str | int) -> tuple[int, int, str]:
    """Whole numbers by value, then words."""
    text = str(label)
    return (0, int(text), "") if text.isascii() and text.lstrip("-").isdigit() else (1, 0, text)


def choose_split(names: Sequence[str], near: np.ndarray, own: np.ndarray | None, part: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices (int64) to train on and to hold out.

    `near` (N): number of the group of duplicates, which stays on one side. `own` (N, bool): held out by the source
    itself, which then decides. Depends on seed and names alone; adding pictures moves few others.
    """
    if own is not None:
        return np.flatnonzero(~own), np.flatnonzero(own)
    groups, first, inverse, sizes = np.unique(near, return_index=True, return_inverse=True, return_counts=True)
    chosen = np.zeros(len(groups), bool)
    if part > 0 and len(names) >= FEWEST_TO_SPLIT:
        target, taken = max(1, round(part * len(names))), 0
        for number in sorted(range(len(groups)), key=lambda number: _rank(names[int(first[number])], seed)):
            if taken + sizes[number] <= target:
                taken += int(sizes[number])
                chosen[number] = True
        if not taken and len(groups) > 1:  # Every group is larger than the share.
            chosen[int(np.argmin(sizes))] = True
    held_out = chosen[inverse.reshape(-1)]
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def _rank(name: str, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed}/{name}".encode("utf-8", "surrogateescape"), digest_size=16).digest()

"""What is in a source, what is broken, and how it would be trained: the answer of `fenshen look`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import median_low
from typing import Any

import numpy as np

from fenshen.data.choices import FEWEST_TO_SPLIT, choose_channels, choose_labels, choose_resolution, choose_split, side_of
from fenshen.data.prepare import across, check, has_own_split, silent
from fenshen.data.scan import Row, Say, Scan, scan
from fenshen.data.sources import open_source
from fenshen.errors import DataError
from fenshen.lang import said, tr
from fenshen.media.image import Fit
from fenshen.recipe import Data

EXAMPLES = 5  # Groups and names that are listed; all of them are counted.
FEW, TINY = 500, 50
IMBALANCE = 10
SPREAD = 8  # Largest side over smallest side that passes without a word.


@dataclass(frozen=True)
class Report:
    """What `look` found. Sizes are (smallest, middle, largest) sides in pixels; groups are lists of names, a few of them.

    duplicates: pictures that are exact copies of an earlier one; near_duplicates: exact or near copies of an earlier one.
    resolution and channels are None where the recipe asks for what cannot be; `warnings` then says why.
    """

    source: str
    count: int
    widths: tuple[int, int, int]
    heights: tuple[int, int, int]
    modes: dict[str, int]
    formats: dict[str, int]
    labels: dict[str, int]
    captions: int
    duplicates: int
    duplicate_examples: list[list[str]]
    near_duplicates: int
    near_duplicate_examples: list[list[str]]
    across: int
    unreadable: list[tuple[str, str]]
    ignored: int
    ignored_examples: list[str]
    resolution: int | None
    resolution_reason: str
    channels: str
    channels_reason: str
    train: int
    held_out: int
    notes: list[str]
    warnings: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def look(data: Data, seed: int = 0, say: Say = silent) -> Report:
    """Looks at every picture of `data.source` once; `prepare` uses the same look. Raises DataError where there is no usable picture."""
    source = open_source(data.source)
    found = scan(source, say)
    warnings = []
    try:
        check(found, source.where)
    except DataError as error:
        if not found.rows:
            raise
        warnings.append(str(error))
    rows = found.rows
    resolution: int | None = None
    why_resolution = said("")
    try:
        resolution, why_resolution = choose_resolution(rows, data.resolution, data.fit)
    except DataError as error:
        warnings.append(str(error))
    channels, why_channels = choose_channels(rows, data.channels)
    labels, classes = choose_labels([row.label for row in rows], found.classes)
    counts = {} if labels is None else dict(zip(classes, np.bincount(labels, minlength=len(classes)).tolist(), strict=True))
    train, held_out = _split_sizes(rows, data, seed)
    distinct = list({row.copy: row for row in reversed(rows)}.values())[::-1]  # The first of each group of exact copies.
    return Report(
        source=source.where,
        count=len(rows),
        widths=_range(row.width for row in rows),
        heights=_range(row.height for row in rows),
        modes=dict(Counter(row.mode for row in rows).most_common()),
        formats=dict(Counter(row.format for row in rows).most_common()),
        labels=counts,
        captions=sum(row.caption is not None for row in rows),
        duplicates=len(rows) - len({row.copy for row in rows}),
        duplicate_examples=_groups(rows, [row.copy for row in rows]),
        near_duplicates=len(rows) - len({row.near for row in rows}),
        near_duplicate_examples=_groups(distinct, [row.near for row in distinct]),
        across=across(rows),
        unreadable=[(name, str(reason)) for name, reason in found.skipped],
        ignored=len(found.ignored),
        ignored_examples=found.ignored[:EXAMPLES],
        resolution=resolution,
        resolution_reason=str(why_resolution),
        channels=channels,
        channels_reason=str(why_channels),
        train=train,
        held_out=held_out,
        notes=[str(note) for note in found.notes],
        warnings=warnings + list(_warnings(found, counts, data.fit, held_out)),
    )


def _split_sizes(rows: Sequence[Row], data: Data, seed: int) -> tuple[int, int]:
    own = np.array([row.split == "held_out" for row in rows]) if has_own_split(rows) else None
    near = np.array([row.near for row in rows])
    train, held_out = choose_split([row.name for row in rows], near, own, data.held_out, seed)
    return len(train), len(held_out)


def _range(sides: Iterable[int]) -> tuple[int, int, int]:
    values = sorted(sides)
    return values[0], median_low(values), values[-1]


def _groups(rows: Sequence[Row], numbers: Sequence[int]) -> list[list[str]]:
    """Names of the largest groups of more than one."""
    members: dict[int, list[str]] = {}
    for row, number in zip(rows, numbers, strict=True):
        members.setdefault(number, []).append(row.name)
    groups = sorted((names for names in members.values() if len(names) > 1), key=len, reverse=True)
    return [names[:EXAMPLES] for names in groups[:EXAMPLES]]


def _warnings(found: Scan, counts: dict[str, int], fit: Fit, held_out: int) -> Iterable[str]:
    rows = found.rows
    different = len({row.near for row in rows})
    if different < TINY:
        yield tr("only {count} different pictures: a generator will mostly repeat them; some hundreds are a start", count=different)
    elif different < FEW:
        yield tr("{count} different pictures are few: expect close variations of them", count=different)
    if len(rows) < FEWEST_TO_SPLIT and not held_out:
        yield tr("fewer than {count} pictures: none is held out, so nothing can be measured on unseen ones", count=FEWEST_TO_SPLIT)
    if counts and max(counts.values()) > IMBALANCE * min(counts.values()):
        most, least = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
        text = "the classes are uneven: {most} has {many} pictures, {least} has {few}; the small ones will be learnt less well"
        yield tr(text, most=most, many=counts[most], least=least, few=counts[least])
    partly = sum(row.label is not None for row in rows)
    if not counts and 0 < partly < len(rows):
        yield tr("{count} of {all} pictures have a label; labels are used only when every picture has one", count=partly, all=len(rows))
    sides = [side_of(row, fit) for row in rows]
    if max(sides) > SPREAD * min(sides):
        yield tr("the sizes are very different, from {low} to {high} pixels: small ones will look blurred", low=min(sides), high=max(sides))
    if found.skipped and len(found.skipped) * 10 > len(rows):
        yield tr("{count} files cannot be read", count=len(found.skipped))
    if doubled := across(rows):
        yield tr("{count} held-out pictures have a near-duplicate among those to train on: measures will flatter", count=doubled)

"""Making samples from a trained run: the same seed gives the same picture, whatever the count.

Noise is keyed by (seed, index) and sampling runs in fixed, padded batches, so that a picture's bits depend on nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from fenshen.condition import Given
from fenshen.errors import DataError
from fenshen.families.base import Sampler
from fenshen.families.codes import Value, steps, turned
from fenshen.media.image import to_pictures
from fenshen.run import Made

BATCH = 50
Judge = Callable[[Tensor, Given], Tensor]  # Samples x_BCS and what they were told -> scores (B,), the higher the better.


@dataclass(frozen=True)
class Order:
    """What to make: `label` an index of a class or None for the training set's own mixture; `truncation` scales z, 1 is all of it.

    `codes`: information codes to set, by name. `by_code`: the name of one whose values follow each other, for the same rest of z.
    `keep` below 1: so much more is drawn, and the part that a judge ranks highest is kept.
    """

    count: int
    seed: int = 0
    label: int | None = None
    truncation: float = 1.0
    by_class: bool = False
    keep: float = 1.0
    codes: Mapping[str, float] = field(default_factory=dict)
    by_code: str | None = None


def noise(seed: int, indices: Iterable[int], length: int) -> tuple[Tensor, np.ndarray]:
    """z (B, length) ~ N(0, I) and u (B) ~ U(0, 1), each row keyed by (seed, index) alone."""
    rows = [np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, 0, index])) for index in indices]
    uniform = np.array([row.random() for row in rows])
    return torch.from_numpy(np.stack([row.standard_normal(length, np.float32) for row in rows])), uniform


def choose_labels(order: Order, made: Made, indices: range, uniform: np.ndarray) -> np.ndarray | None:
    """Class indices (B): the wanted one, one class after the other, or drawn like the training set's; None without classes."""
    if not made.classes:
        if order.label is not None:
            raise DataError("this run knows no labels: it was trained without them; leave --label out")
        return None
    if order.label is not None:
        return np.full(len(indices), order.label)
    if order.by_class:
        return np.array(indices) % len(made.classes)
    return np.searchsorted(np.cumsum(made.shares), uniform * sum(made.shares), side="right").clip(max=len(made.classes) - 1)


def find_label(name: str, made: Made) -> int:
    """The index of a class given by name. DataError with the names there are."""
    if not made.classes:
        raise DataError("this run knows no labels: it was trained without them; leave --label out")
    if name not in made.classes:
        raise DataError("no label {name} in this run; it knows {known}", name=name, known=", ".join(made.classes[:40]))
    return made.classes.index(name)


@torch.no_grad()
def generate(
    sampler: Sampler, made: Made, order: Order, device: str = "cpu", judge: Judge | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Batches of pictures uint8 (B, H, W, C) and labels (B) or None, one fixed-size batch in memory at a time.

    `judge` scores samples when `order.keep` is below 1; the same seed then still gives the same pictures, whatever the count.
    """
    for pictures, labels, _ in drawn(sampler, made, order, device, judge):
        yield pictures, labels


@torch.no_grad()
def drawn(
    sampler: Sampler, made: Made, order: Order, device: str = "cpu", judge: Judge | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray | None, Tensor]]:
    """As `generate`, with the noise z_BD that each picture is made of."""
    for start in range(0, order.count, BATCH):
        indices = range(start, start + BATCH)
        labels = choose_labels(order, made, indices, noise(order.seed, indices, 1)[1])
        samples, z_BD = _drawn(sampler, order, start // BATCH, labels, device, judge)
        keep = min(BATCH, order.count - start)
        yield to_pictures(samples)[:keep], None if labels is None else labels[:keep], z_BD[:keep]


def _drawn(sampler: Sampler, order: Order, block: int, labels: np.ndarray | None, device: str, judge: Judge | None) -> tuple[Tensor, Tensor]:
    """One block of samples x_BCS and their noise z_BD: the only one, or the best of several drawn for the same labels."""
    rounds = 1 if judge is None else math.ceil(1 / order.keep)
    given: Given = {} if labels is None else {"label": torch.from_numpy(labels).long().to(device)}
    made, noises, scores = [], [], []
    for number in range(rounds):
        first = (block * rounds + number) * BATCH
        noises.append(latents(sampler, order, range(first, first + BATCH)).to(device))
        made.append(sampler.sample(noises[-1], given, order.truncation))
        if judge is not None:
            scores.append(judge(made[-1], given))
    if judge is None:
        return made[0], noises[0]
    most = round(BATCH / order.keep)  # The last round counts in part where 1 / keep is not whole.
    score_N = torch.cat(scores)[:most].cpu().numpy()
    told_N = np.zeros(most, np.int64) if labels is None else np.tile(labels, rounds)[:most]
    chosen_B = torch.from_numpy(best(score_N, told_N, told_N[:BATCH])).to(device)
    return torch.cat(made)[chosen_B], torch.cat(noises)[chosen_B]


def latents(sampler: Sampler, order: Order, indices: range) -> Tensor:
    """z of these samples, with the codes that the order sets."""
    values = steps(sampler.codes, order.by_code) if order.by_code else [0.0]
    z_BD, _ = noise(order.seed, (index // len(values) for index in indices), sampler.latent)
    turning: dict[str, Value] = dict(order.codes)
    if order.by_code:
        turning[order.by_code] = torch.tensor([values[index % len(values)] for index in indices], dtype=torch.float64)
    return turned(z_BD, sampler.codes, turning)


def best(scores_N: np.ndarray, told_N: np.ndarray, wanted_B: np.ndarray) -> np.ndarray:
    """For each place in wanted_B, the index of a candidate of that label: of each label those with the highest scores, none twice."""
    chosen = np.zeros(len(wanted_B), np.int64)
    for label in np.unique(wanted_B):
        candidates, places = np.flatnonzero(told_N == label), np.flatnonzero(wanted_B == label)
        highest = candidates[np.argsort(-scores_N[candidates], kind="stable")][: len(places)]
        chosen[places] = np.sort(highest)
    return chosen

"""Making samples from a trained run: the same seed gives the same picture, whatever the count.

Noise is keyed by (seed, index) and sampling runs in fixed, padded batches, so that a picture's bits depend on nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fenshen.condition import Given
from fenshen.errors import DataError
from fenshen.families.gan import Sampler
from fenshen.media.image import to_pictures
from fenshen.run import Made

BATCH = 50


@dataclass(frozen=True)
class Order:
    """What to make: `label` an index of a class or None for the training set's own mixture; `truncation` scales z, 1 is all of it."""

    count: int
    seed: int = 0
    label: int | None = None
    truncation: float = 1.0
    by_class: bool = False


def noise(seed: int, indices: range, length: int) -> tuple[Tensor, np.ndarray]:
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
def generate(sampler: Sampler, made: Made, order: Order, device: str = "cpu") -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Batches of pictures uint8 (B, H, W, C) and labels (B) or None, one fixed-size batch in memory at a time."""
    for start in range(0, order.count, BATCH):
        indices = range(start, start + BATCH)
        z_BD, uniform = noise(order.seed, indices, sampler.latent)
        labels = choose_labels(order, made, indices, uniform)
        given: Given = {} if labels is None else {"label": torch.from_numpy(labels).long().to(device)}
        pictures = to_pictures(sampler.sample((z_BD * order.truncation).to(device), given))
        keep = min(BATCH, order.count - start)
        yield pictures[:keep], None if labels is None else labels[:keep]

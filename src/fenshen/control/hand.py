"""A trained run in the hand: places in its latent space, and the pictures that stand there.

Shape letters: B places or pictures, D latent, K classes, C channels, H height, W width.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from fenshen.condition import Given
from fenshen.data import Dataset
from fenshen.errors import DataError, FenshenError, RecipeError
from fenshen.evaluate.subject import data_of
from fenshen.families.base import Sampler
from fenshen.families.quantized import Codec
from fenshen.generate import Order, choose_labels, find_label, noise
from fenshen.lang import tr
from fenshen.measure.encoders import Encoder
from fenshen.media.image import to_pictures
from fenshen.run import Made, RunFolder
from fenshen.training.examine import encoder_of
from fenshen.training.plan import pick_device

BATCH = 64
SPREAD_FROM = 1000  # Latents drawn to see how far they spread.
SEED = re.compile(r"(?:(\d+):)?(\d+)")
Say = Callable[[str], None]
Stop = str | int | os.PathLike[str]  # The number of a picture that the run makes, or a picture's file.


def silent(text: str) -> None:
    """Says nothing."""


@dataclass(frozen=True)
class Places:
    """Where pictures stand: z_BD, and shares of the classes label_BK, None where the run knows none.

    A row of label_BK sums to 1; whole shares are a class, others are between classes.
    """

    z_BD: Tensor
    label_BK: Tensor | None = None

    def __len__(self) -> int:
        return len(self.z_BD)

    def __getitem__(self, rows: slice | list[int] | Tensor) -> Places:
        return Places(self.z_BD[rows], None if self.label_BK is None else self.label_BK[rows])

    def repeat(self, times: int) -> Places:
        """Each place so many times, side by side."""
        return Places(self.z_BD.repeat_interleave(times, 0), None if self.label_BK is None else self.label_BK.repeat_interleave(times, 0))

    @property
    def given(self) -> Given:
        return {} if self.label_BK is None else {"label": self.label_BK}

    @classmethod
    def of(cls, places: Sequence[Places]) -> Places:
        """All of them, one after the other."""
        labels = [place.label_BK for place in places if place.label_BK is not None]
        return cls(torch.cat([place.z_BD for place in places]), torch.cat(labels) if labels else None)


@dataclass(frozen=True)
class Seed:
    """Picture `index` of `fenshen generate RUN --seed SEED`: written `index` for seed 0, or `seed:index`."""

    seed: int
    index: int

    @classmethod
    def read(cls, text: str) -> Seed | None:
        """None where the text is no seed. RecipeError for one beyond 2^63."""
        parts = SEED.fullmatch(text)
        if parts is None:
            return None
        if max(int(parts[1] or 0), int(parts[2])) >= 2**63:
            raise RecipeError("{text} is no seed: seeds and numbers of pictures are below 2^63", text=text)
        return cls(int(parts[1] or 0), int(parts[2]))

    def __str__(self) -> str:
        return f"{self.seed}:{self.index}"


@dataclass(frozen=True)
class Hand:
    """A run opened for control; `say` is told what takes long."""

    run: RunFolder
    sampler: Sampler
    made: Made
    device: str
    say: Say = silent

    @classmethod
    def open(cls, run: RunFolder, device: str = "auto", say: Say = silent) -> Hand:
        """RunFolderError where there are no weights; DataError or RecipeError for a run that makes no pictures, or none from nothing, or of codes."""
        where = str(pick_device(device))
        sampler, made, _ = run.load_sampler(where)
        if made.space.axes != 2:
            raise DataError("control shows pictures; this run makes something with {axes} axes", axes=made.space.axes)
        if isinstance(sampler, Codec):
            raise DataError("the latent of this run is a grid of codes, which cannot be turned: control works on runs with a latent vector")
        hand = cls(run, sampler.requires_grad_(False), made, where, say)
        if not hand.random(1).z_BD.is_floating_point():
            raise DataError("the latent of this run is a grid of codes with nothing between them: control works on runs without a quantizer")
        return hand

    def at(self, seeds: Sequence[Seed], label: str | None = None, truncation: float = 1.0) -> Places:
        """The places of pictures that `generate` makes: the same seeds are the same pictures. `truncation` scales z, 1 is all of it."""
        if not 0 <= truncation <= 2:
            raise RecipeError("--truncation {value}: between 0 (all alike) and 2, 1 changes nothing", value=truncation)
        rows = [self._drawn(seed.seed, range(seed.index, seed.index + 1), label, truncation) for seed in seeds]
        return Places.of(rows)

    def random(self, count: int, seed: int = 0, label: str | None = None) -> Places:
        """The first `count` places of a seed."""
        return self._drawn(seed, range(count), label, 1.0)

    def _drawn(self, seed: int, indices: range, label: str | None, truncation: float) -> Places:
        z_BD, uniform_B = noise(seed, indices, self.sampler.latent)
        asked = None if label is None else find_label(label, self.made)
        index_B = choose_labels(Order(len(indices), seed, asked), self.made, indices, uniform_B)
        told_B = None if index_B is None else torch.from_numpy(index_B).long().to(self.device)
        z_BD = self.sampler.place(z_BD.to(self.device), {} if told_B is None else {"label": told_B}, truncation)
        return Places(z_BD, None if told_B is None else one_hot(told_B, len(self.made.classes)).float())

    @cached_property
    def covariance_DD(self) -> Tensor:
        """Of the latents that the run draws, float64 on the CPU; the identity where they are plain noise."""
        z_ND = self.random(SPREAD_FROM).z_BD.cpu().double()
        plain = torch.equal(z_ND.float(), noise(0, range(SPREAD_FROM), self.sampler.latent)[0])
        return torch.eye(self.sampler.latent, dtype=torch.float64) if plain else torch.cov(z_ND.T)

    def as_long(self, z_D: Tensor) -> Tensor:
        """A direction made as long as one standard deviation, along it, of what the run draws."""
        unit_D = z_D.cpu().double() / z_D.cpu().double().norm().clamp_min(1e-12)
        return (unit_D * (unit_D @ self.covariance_DD @ unit_D).clamp_min(0).sqrt()).float()

    def samples(self, places: Places) -> Tensor:
        """x_BCHW, differentiable, not clamped."""
        return self.sampler(places.z_BD, places.given).float()

    @torch.no_grad()
    def pictures(self, places: Places) -> np.ndarray:
        """uint8 (B, H, W, C)."""
        parts = [to_pictures(self.made.space.hard(self.samples(places[rows]))) for rows in slices(len(places))]
        return np.concatenate(parts)

    @cached_property
    def data(self) -> Dataset:
        """What the run was trained on. RunFolderError or DataError where it is gone or has changed."""
        return data_of(self.run, self.run.recipe(), self.say)

    @cached_property
    def encoder(self) -> Encoder:
        """The frozen encoder that evaluation measures with; errors as `data`."""
        return encoder_of(self.data, torch.device(self.device), self.say)

    @cached_property
    def encoder_if_any(self) -> Encoder | None:
        """None where the training pictures cannot be read any more, and says so."""
        try:
            return self.encoder
        except FenshenError as error:
            self.say(tr("going on without the measuring network: {problem}", problem=error))
            return None

    @cached_property
    def feature_spread_F(self) -> np.ndarray:
        """How much each feature of the measuring network varies over what the run makes: standard deviations."""
        return self.encoder.read(self.pictures(self.random(256))).features.std(0) + 1e-9


def slices(count: int, batch: int = BATCH) -> Iterator[slice]:
    """0 … count in batches."""
    return (slice(start, min(count, start + batch)) for start in range(0, count, batch))


def name_of(text: str) -> str:
    """A stop as a part of a file name: `0-17` of a seed, the stem of a picture's file."""
    seed = Seed.read(text)
    return f"{seed.seed}-{seed.index}" if seed else Path(text).stem

"""What an evaluation looks at: a run, the pictures it was trained on, those held out, and what it makes; all as features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch

from fenshen.data import Dataset, prepare
from fenshen.errors import DataError, RunFolderError
from fenshen.families.base import Sampler
from fenshen.generate import Order, generate
from fenshen.lang import tr
from fenshen.measure.borrowed import Borrowed
from fenshen.measure.encoders import Encoder, Read
from fenshen.recipe import Recipe
from fenshen.run import Made, RunFolder
from fenshen.training.examine import encoder_of

MOST = 10_000
BOUNDS = 1000
FEWEST_HELD_OUT = 2
Say = Callable[[str], None]


@dataclass(frozen=True)
class Subject:
    """One run with its data and an encoder of it. `count`: pictures on the made side, and on the floor's."""

    run: RunFolder
    recipe: Recipe
    dataset: Dataset
    sampler: Sampler
    made: Made
    encoder: Encoder | Borrowed
    device: str
    count: int
    seed: int

    @classmethod
    def open(cls, run: RunFolder, device: str, count: int | None, seed: int, say: Say) -> Subject:
        """RunFolderError where the pictures have changed since; DataError where none are held out."""
        recipe = run.recipe()
        dataset = data_of(run, recipe, say)
        if len(dataset.held_out) < FEWEST_HELD_OUT:
            raise DataError("there are no held-out pictures to measure with: train with data.held_out above 0")
        sampler, made, _ = run.load_sampler(device)
        encoder, most = encoder_of(dataset, torch.device(device), say), min(MOST, len(dataset.train))
        if count and count > most:
            say(tr("measuring {most} pictures, not {count}: no more than it was trained on, and at most {limit}", most=most, count=count, limit=MOST))
        return cls(run, recipe, dataset, sampler, made, encoder, device, min(count or most, most), seed)

    def making(self, pictures: np.ndarray, told: np.ndarray | None = None) -> Subject:
        """The same subject, had the run made these pictures (uint8 N, H, W, C) when it was told this."""
        other = replace(self, count=len(pictures))
        other.__dict__["_samples"] = pictures, told
        return other

    def seen_by(self, encoder: Borrowed) -> Subject:
        """The same subject and samples through the eyes of another encoder."""
        other = replace(self, encoder=encoder)
        other.__dict__["_samples"] = self._samples
        return other

    @cached_property
    def order(self) -> np.ndarray:
        """Training pictures in an order that hangs on the seed alone."""
        return np.random.default_rng(self.seed).permutation(self.dataset.train)

    @cached_property
    def pictures(self) -> np.ndarray:
        """What the run makes, uint8 (count, H, W, C)."""
        return self._samples[0]

    @cached_property
    def told(self) -> np.ndarray | None:
        """What the model was told of each made picture: a class, or a group that was found; None where it is told nothing."""
        return self._samples[1]

    @property
    def labels(self) -> np.ndarray | None:
        """The class that each made picture was asked to be; None where none was asked."""
        return None if self.made.grouped else self.told

    @cached_property
    def _samples(self) -> tuple[np.ndarray, np.ndarray | None]:
        parts = list(generate(self.sampler, self.made, Order(self.count, self.seed), self.device))
        told = [told for _, told in parts if told is not None]
        return np.concatenate([pictures for pictures, _ in parts]), np.concatenate(told) if told else None

    @cached_property
    def read(self) -> Read:
        """Features and class probabilities of the made pictures."""
        return self.encoder.read(self.pictures)

    @cached_property
    def held_out(self) -> Read:
        """Of the held-out pictures, all or the first 10,000."""
        return self.encoder.read(self.dataset.pictures[self.held_out_indices])

    @cached_property
    def held_out_indices(self) -> np.ndarray:
        return np.sort(np.random.default_rng(self.seed).permutation(self.dataset.held_out)[:MOST])

    @cached_property
    def training(self) -> Read:
        """Of as many training pictures as are made: the floor."""
        return self.encoder.read(self.dataset.pictures[self.training_indices])

    @cached_property
    def training_indices(self) -> np.ndarray:
        return np.sort(self.order[: self.count])

    @cached_property
    def all_training(self) -> np.ndarray:
        """Features of every training picture: a copy may be of any."""
        return self.encoder.read(self.dataset.pictures[self.dataset.train]).features

    @cached_property
    def noise(self) -> Read:
        """Of uniform noise: as bad as it gets."""
        shape = (self._bounds, *self.dataset.pictures.shape[1:])
        return self.encoder.read(np.random.default_rng(self.seed).integers(0, 256, shape, np.uint8))

    @cached_property
    def mean(self) -> Read:
        """Of the mean training picture, over and over: near to all, and no variety."""
        mean = self.dataset.pictures[self.training_indices].mean(0).round().astype(np.uint8)
        features, probabilities = self.encoder.read(mean[None])
        return Read(np.repeat(features, self._bounds, 0), None if probabilities is None else np.repeat(probabilities, self._bounds, 0))

    @property
    def _bounds(self) -> int:
        """Pictures that show how bad a score can be: fewer do than are made, but a Fréchet distance needs more than there are features."""
        return min(self.count, max(BOUNDS, 2 * self.encoder.features))


def data_of(run: RunFolder, recipe: Recipe, say: Say) -> Dataset:
    """The pictures that a run was trained on, with their own labels. RunFolderError where they have changed."""
    dataset = prepare(recipe.data, seed=recipe.train.seed, say=say)
    if dataset.fingerprint != run.read_json("data.json")["fingerprint"]:
        text = "the pictures in {source} have changed since this run was trained: bring the old ones back to measure it"
        raise RunFolderError(text, source=recipe.data.source)
    return dataset

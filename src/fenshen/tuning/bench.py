"""Where trials are trained and measured: the data with some training pictures set aside, an encoder, and real training steps.

A trial is an ordinary run with a plan as long as the last rung, stopped on its way at the lower ones; so it reaches the top as
the very run that its recipe would have been, with the learning rate annealed at the end. Below, before annealing begins, it is
the averaged generator that is measured, which stands in for an annealed one, and all trials are at the same part of their plan.
The autopilot is off: it would rescue, and so hide, bad settings.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fenshen.data import Dataset
from fenshen.errors import DataError, DivergedError, OutOfMemoryError
from fenshen.generate import Order
from fenshen.measure.distances import frechet_distance, kid
from fenshen.recipe import Adversary, Recipe
from fenshen.run import read_tensors, write_tensors
from fenshen.training.examine import encoder_of
from fenshen.training.loop import Trainer
from fenshen.training.plan import default_fraction
from fenshen.training.probe import check_memory, probe
from fenshen.training.session import SAVE_SECONDS, Stop, Watcher, enough_memory, make_plan
from fenshen.tuning.dials import Value, Values, changes

COUNT = 1000  # Pictures made for one score.
SET_ASIDE, FEWEST, MOST = 0.1, 64, 2000  # Training pictures to measure with: a part, at least and at most so many.
ENOUGH = 4  # Pictures set aside per feature, for a Fréchet distance.
LOOK_EVERY = 16  # Steps between two looks for losses that are not finite.
CHOICES = ("train.threads", "train.precision", "train.parts", "train.channels_last", "train.compile")  # What the probe decides.


def set_aside(indices: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(trained on, measured with), both sorted: a tenth, of small sets up to a quarter."""
    count = min(MOST, max(round(SET_ASIDE * len(indices)), min(FEWEST, len(indices) // 4)))
    order = np.random.default_rng((seed, len(indices))).permutation(indices)
    return np.sort(order[count:]), np.sort(order[:count])


class Bench:
    """Trains and measures trials. `wanted`: the recipe as a person gave it; `machine`: the probe's choices of an earlier session."""

    def __init__(self, wanted: Recipe, minutes: float, machine: dict[str, Any], rates: dict[str, float], watcher: Watcher):
        plan = make_plan(wanted.set({"train.kimg": None, "train.minutes": minutes} | machine), watcher)
        assert isinstance(plan.dataset, Dataset)
        self.wanted, self.recipe, self.made, self.device, self.rates = wanted, plan.recipe, plan.made, plan.device, rates
        self.fingerprint, self.machine = plan.dataset.fingerprint, {key: getattr(plan.recipe.train, key.split(".")[1]) for key in CHOICES}
        train, measured = set_aside(plan.dataset.train, plan.recipe.train.seed)
        if len(measured) < 4:
            raise DataError("{count} pictures are too few to tune on: at least 16 are needed", count=len(plan.dataset.train))
        self.dataset: Dataset = replace(plan.dataset, train=train)
        self.encoder = encoder_of(plan.dataset, plan.device, watcher.said)
        self.real = self.encoder.read(plan.dataset.pictures[measured]).features
        self.measure = "frechet" if len(measured) >= ENOUGH * self.encoder.features else "kid"
        self.floor = self.distance(plan.dataset.pictures[train[:: max(1, len(train) // COUNT)]])

    def distance(self, pictures_NHWC: np.ndarray) -> float:
        """From pictures (uint8) to those set aside; lower is better."""
        features = self.encoder.read(pictures_NHWC).features
        if self.measure == "frechet" and len(features) > self.encoder.features:
            return frechet_distance(features, self.real)
        return kid(features, self.real).value

    def recipe_of(self, values: Values, plan_kimg: float) -> Recipe:
        """The complete recipe of a trial, planned for so many kimg."""
        wanted = changes(values, self.recipe)
        if isinstance(self.wanted.model, Adversary) and self.wanted.model.penalty.fraction is None:
            wanted["model.penalty.fraction"] = default_fraction(int(values.get("batch", self.recipe.train.batch or 1)))
        half_life = self.wanted.train.ema_half_life_kimg
        wanted["train.ema_half_life_kimg"] = max(1.0, 0.05 * plan_kimg) if half_life is None else half_life
        return self.recipe.set(wanted | {"train.minutes": None, "train.kimg": plan_kimg, "autopilot.on": False})

    def rate(self, values: Values) -> float:
        """Pictures a second with this batch and size: timed once, then remembered. OutOfMemoryError where they do not fit."""
        batch, size = values.get("batch", self.recipe.train.batch), values.get("size", self.recipe.model.size)
        name = f"{size}, {batch}"
        if name not in self.rates:
            recipe = self.recipe_of({"batch": batch or 1, "size": str(size)}, 1000.0)
            check_memory(recipe, self.made, self.device)
            with enough_memory(recipe):
                self.rates[name] = round(probe(recipe, self.made, self.dataset, self.device, seconds=2.0).pictures_per_second, 2)
        return self.rates[name]

    def kimg(self, values: Values, seconds: float) -> float:
        """What a trial of this kind shows in that time, in whole batches."""
        batch = self.recipe.set({"train.batch": int(values.get("batch", self.recipe.train.batch or 1))}).pictures_per_step
        return max(1, round(seconds * self.rate(values) / batch)) * batch / 1000

    def train(self, recipe: Recipe, kimg: float, state: Path, stop: Stop) -> Trainer:
        """Goes on from `state`, if it is there, to `kimg`, and saves; earlier where somebody stops it. DivergedError as in training."""
        trainer = Trainer(recipe, self.made, self.dataset, self.device)
        if state.exists():
            trainer.load(*read_tensors(state))
        saved = time.monotonic()
        with enough_memory(recipe):
            while trainer.shown < kimg * 1000 and not stop.signal:
                report = trainer.step()
                if trainer.steps % LOOK_EVERY == 0:
                    trainer.check({name: float(value) for name, value in report.losses.items()})
                if time.monotonic() - saved > SAVE_SECONDS:
                    write_tensors(state, *trainer.state())
                    saved = time.monotonic()
        write_tensors(state, *trainer.state())
        return trainer

    def score(self, trainer: Trainer) -> float:
        """The distance of what the averaged generator makes. DivergedError where its weights are not finite."""
        if not all(bool(weight.isfinite().all()) for weight in trainer.averaged.parameters()):
            trainer.check({"generator": float("nan")})
        return self.distance(trainer.pictures(Order(COUNT, trainer.recipe.train.seed)))

    def fits(self, size: Value, seconds: float, least_kimg: float) -> bool:
        """Whether networks of that size fit into memory and see enough pictures in that time."""
        try:
            return self.kimg({"size": size}, seconds) >= least_kimg
        except OutOfMemoryError:
            return False


def attempt(bench: Bench, values: Values, rung_kimg: float, plan_kimg: float, state: Path, stop: Stop) -> float | str | None:
    """A trial trained to a rung: its score there; why it failed ("diverged", "memory"); None where it was stopped before."""
    try:
        trainer = bench.train(bench.recipe_of(values, plan_kimg), rung_kimg, state, stop)
        return None if trainer.shown < rung_kimg * 1000 else bench.score(trainer)
    except DivergedError:
        return "diverged"
    except (OutOfMemoryError, torch.OutOfMemoryError):
        return "memory"

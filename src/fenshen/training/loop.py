"""The one training loop: each player in turn minimises the sum of its named losses.

Everything random in step i follows from (seed, i), and the data order from (seed, samples drawn): a run that goes on from a
save needs weights, optimisers and a few counters to be exactly the run that was never stopped.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fenshen.condition import Given
from fenshen.data import Batches, Dataset, Texts
from fenshen.data.windows import Windows
from fenshen.errors import DivergedError, RunFolderError
from fenshen.families.adversarial import Adversarial
from fenshen.families.base import At, Family, Kept, Sampler, View
from fenshen.families.build import build
from fenshen.families.gan import GAN
from fenshen.generate import Order, generate
from fenshen.media.augment import Adaptive, classic
from fenshen.recipe import Augment, OverCodes, Recipe, Writing
from fenshen.run import Made, Tensors, Written
from fenshen.schedules import averaging_weight, burn_in
from fenshen.training.adapting import Origin, Replayed, anchored
from fenshen.training.adaptive import EVERY, AdaptiveStrength
from fenshen.training.material import Material
from fenshen.training.optim import limit_gradients, make_optimizer, schedule
from fenshen.training.parts import Parts

Draws = Batches | Replayed | Windows
HELD_OUT_EVERY = 8
SETTLED_ON = 10_000  # Samples that a sampler is fitted to when training is over.


def step_seed(seed: int, step: int, part: int = 0) -> int:
    """A 63-bit number, well mixed, from a run's seed, the number of a step, and of a part of its batch."""
    return int(np.random.SeedSequence((seed, step, part)).generate_state(1, np.uint64)[0] >> 1)


@dataclass
class Report:
    """What one step says: named losses per player, signals (B,), learning rate, gradient norms."""

    losses: dict[str, Tensor] = field(default_factory=dict)
    signals: dict[str, Tensor] = field(default_factory=dict)
    norms: dict[str, Tensor] = field(default_factory=dict)


class Trainer:
    """Networks, optimisers and counters of one run; `step()` moves every player once."""

    def __init__(self, recipe: Recipe, made: Made | Written, dataset: Material, device: torch.device, origin: Origin | None = None):
        assert recipe.train.batch
        self.recipe, self.made, self.dataset, self.device, self.batch, self.origin = recipe, made, dataset, device, recipe.train.batch, origin
        torch.manual_seed(recipe.train.seed)
        self.family = self._beginning().to(device)
        self.view = Adaptive(max(made.space.size))
        self.family.augment = self.view
        if isinstance(self.family, GAN) and made.space.axes == 2:
            self.family.disturb = _disturbing(self.family.model.codes.disturb)
        layout = torch.channels_last if recipe.train.channels_last and made.space.axes == 2 else torch.contiguous_format
        self.layout = layout
        self.family = self.family.to(memory_format=layout)  # type: ignore[call-overload]
        self.averaged: Kept = copy.deepcopy(self.family.sampler).to(device).eval().requires_grad_(False)  # .to: recurrent layers pack anew.
        self.players = self.family.players()
        self.optimizers = {name: make_optimizer(recipe.train, player, name) for name, player in self.players.items()}
        self.data: Draws = self._draws(dataset, dataset.train)
        self.held_out: Draws | None = self._draws(dataset, dataset.held_out) if len(dataset.held_out) else None
        if origin is not None:
            self._go_on_from(origin)
        self.strength = AdaptiveStrength(recipe.train.augmentation_strength if recipe.train.augmentation == "adaptive" else 0.0)
        self.steps = self.drawn = self.shown = 0
        self.hurry = 0.0
        self.changes: dict[str, Any] = {}
        self.parts = Parts(self.family, recipe.train.parts or 1, recipe.train.threads or 1, recipe.train.precision, device)
        self.noise = [torch.Generator(device) for _ in self.parts.copies]
        self.weights = {name: player.parameters() for name, player in self.players.items()}  # To look for them takes a part of each step.
        self.averages: tuple[list[Tensor], list[Tensor]] = (list(self.averaged.parameters()), list(self.family.sampler.parameters()))
        if recipe.train.compile:
            for network in self.family.networks():
                network.compile()

    def _beginning(self) -> Family:
        """New networks, or those of the run that this one begins from, as they were there."""
        family = build(self.made.space, self.made.told, self.recipe.model, self.recipe.train.burn_in)
        if self.origin is not None:
            family.load_state_dict(self.origin.family)
        family.freeze(self.recipe.adapt.freeze or 0)
        return family

    def _go_on_from(self, origin: Origin) -> None:
        """Takes up the parent's average; its pictures come again, and its weights hold the new ones back, where the recipe wants it."""
        adapt = self.recipe.adapt
        self.averaged.load_state_dict(origin.averaged)
        if adapt.anchor:
            self.family.anchor = anchored(adapt.anchor, {name: value.to(self.device) for name, value in origin.maker.items()})
        if adapt.replay:
            old = origin.dataset()
            self.data = self._mixed(self.data, old, old.train)
            if self.held_out is not None and len(old.held_out):
                self.held_out = self._mixed(self.held_out, old, old.held_out)

    def _mixed(self, new: Draws, old: Dataset, indices: np.ndarray) -> Replayed:
        before = self._draws(old, indices)
        assert isinstance(before, Batches) and not isinstance(new, Windows)
        return Replayed(new, before, self.recipe.adapt.replay)

    def _draws(self, dataset: Material, indices: np.ndarray) -> Batches | Windows:
        if isinstance(dataset, Texts):
            model = self.recipe.model
            assert isinstance(model, Writing) and model.rows and model.context
            return Windows(dataset, indices, model.context, model.rows, self.batch, self.recipe.train.seed, self.device)
        if isinstance(self.recipe.model, OverCodes) and dataset.codes is not None:
            dataset = replace(dataset, pictures=dataset.codes)
        return Batches(dataset, indices, self.batch, self.recipe.train.seed, self.device)

    @property
    def sampler(self) -> Sampler:
        """The averaged generator of a run that makes pictures."""
        assert isinstance(self.averaged, Sampler)
        return self.averaged

    def pictures(self, order: Order) -> np.ndarray:
        """What it makes; uint8 (N, H, W, C)."""
        assert isinstance(self.made, Made)
        return np.concatenate([made for made, _ in generate(self.sampler, self.made, order, str(self.device))])

    @property
    def at(self) -> At:
        """Where training stands; `hurry` is the clock's opinion when time runs out before the plan does."""
        assert self.recipe.train.kimg
        return At(self.shown / 1000, min(1.0, max(self.shown / 1000 / self.recipe.train.kimg, self.hurry)))

    @property
    def finished(self) -> bool:
        assert self.recipe.train.kimg
        return self.shown >= self.recipe.train.kimg * 1000

    def step(self) -> Report:
        """Every player moves once (the critic perhaps several times); then the averages follow."""
        for part, noise in enumerate(self.noise):
            noise.manual_seed(step_seed(self.recipe.train.seed, self.steps, part))
        torch.manual_seed(step_seed(self.recipe.train.seed, self.steps, len(self.noise)))
        self._set_strength()
        report, at = Report(), self.at
        for name in self.players:
            schedule(self.optimizers[name], self.recipe.train, name, at)
            moves = self.family.steps(name)
            if not moves:  # It has nothing to do yet.
                continue
            for _ in range(moves):
                x_BCHW, given = self._draw(name)
                losses = self.parts.backward(name, x_BCHW, given, at, self.noise)
                report.norms[name] = limit_gradients(self.recipe.train, self.weights[name])
                self.optimizers[name].step()
                self.family.after_step(name, losses)
            report.losses |= {f"{name}/{term}": value.mean() for term, value in losses.terms.items()}
            report.signals |= {f"{name}/{signal}": value for signal, value in losses.signals.items()}
        self._average()
        self._watch(report, at)
        self.steps += 1
        return report

    def adopt(self, changes: dict[str, Any]) -> None:
        """Goes on by a changed recipe; networks, precision and layout stay. New optimizers only where their kind changed."""
        before = self.recipe.train
        self.recipe, self.changes = self.recipe.set(changes), self.changes | changes
        train = self.recipe.train
        assert train.batch
        self.batch = train.batch
        for family in self.parts.copies:
            family.follow(self.recipe.model)
        if (before.optimizer, before.beta1, before.beta2, before.weight_decay) != (train.optimizer, train.beta1, train.beta2, train.weight_decay):
            self.optimizers = {name: make_optimizer(train, player, name) for name, player in self.players.items()}

    @torch.no_grad()
    def renew(self, names: Iterable[str]) -> None:
        """These players begin anew: with fresh weights, which depend on the seed and the moment, or with those of the run that this
        one begins from; and with optimizers that remember nothing."""
        torch.manual_seed(step_seed(self.recipe.train.seed, self.steps, len(self.noise) + 1))
        fresh = self._beginning().players()
        names = [name for name in self.players if name in names]
        for name in names:
            for old, new in zip(self.players[name].modules, fresh[name].modules, strict=True):
                old.load_state_dict(new.state_dict())
            self.optimizers[name] = make_optimizer(self.recipe.train, self.players[name], name)
        if self.family.maker in names:
            self.averaged.load_state_dict(self.family.sampler.state_dict())

    @torch.no_grad()
    def settle(self) -> None:
        """Fits what the averaged sampler draws from to the training samples, where it has such a thing."""
        self.averaged.settle(self._training_words() if isinstance(self.data, Windows) else self._training_pictures(), self.recipe.train.seed)

    def _training_words(self) -> Iterator[tuple[Tensor, Given]]:
        assert isinstance(self.data, Windows)
        count = min(len(self.data), SETTLED_ON)
        for position in range(0, count, self.batch):
            x_BL, length_B = self.data.draw(position, min(self.batch, count - position))
            yield x_BL, {"length": length_B}

    def _training_pictures(self) -> Iterator[tuple[Tensor, Given]]:
        dataset = self.dataset
        assert isinstance(dataset, Dataset)
        chosen = np.sort(np.random.default_rng(self.recipe.train.seed).permutation(dataset.train)[:SETTLED_ON])
        for indices in np.array_split(chosen, -(-len(chosen) // self.batch)):
            labels = None if dataset.labels is None else torch.from_numpy(dataset.labels[indices]).to(self.device)
            yield self._read(torch.from_numpy(dataset.pictures[indices]).to(self.device)), self._given(labels)

    def check(self, losses: dict[str, float]) -> None:
        """DivergedError for a loss that is infinite or not a number."""
        bad = [name for name, value in losses.items() if not math.isfinite(value)]
        if bad:
            raise DivergedError(
                "training diverged at {kimg} kimg: {losses} is not finite; the last good save still stands: try a lower train.lr",
                kimg=f"{self.shown / 1000:.1f}", losses=", ".join(bad))  # fmt: skip

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.train.precision == "bf16")

    def _draw(self, player: str) -> tuple[Tensor, Given]:
        x_BHWC, labels = self.data.draw(self.drawn, self.batch)
        self.drawn += self.batch
        self.shown += self.batch if player == self.family.counted else 0
        if isinstance(self.data, Windows):
            assert labels is not None
            return x_BHWC, {"length": labels}
        if x_BHWC.dim() == 2:  # Codes.
            return x_BHWC.long(), self._given(labels)
        return classic(self.batch, self.recipe.data.augment, self.noise[0])(self._read(x_BHWC)), self._given(labels)

    def _read(self, x_BHWC: Tensor) -> Tensor:
        return x_BHWC.movedim(-1, 1).float().div(127.5).sub(1).contiguous(memory_format=self.layout)

    def _given(self, labels: Tensor | None) -> Given:
        return {"label": labels} if self.made.classes and labels is not None else {}

    @torch.no_grad()
    def _average(self) -> None:
        half_life = self.recipe.train.ema_half_life_kimg
        assert half_life is not None
        before = 0.0 if self.origin is None else self.origin.kimg  # What the average knows already.
        keep = averaging_weight(half_life, before + self.shown / 1000, self.batch)
        torch._foreach_lerp_(*self.averages, 1 - keep)
        for mean, value in zip(self.averaged.buffers(), self.family.sampler.buffers(), strict=True):
            mean.copy_(value)

    def _set_strength(self) -> None:
        train = self.recipe.train
        if train.augmentation == "fixed":
            self.view.strength = burn_in(0.0, train.augmentation_strength, self.at.fraction, train.burn_in)
        else:
            self.view.strength = self.strength.strength if train.augmentation == "adaptive" else 0.0

    @torch.no_grad()
    def _watch(self, report: Report, at: At) -> None:
        """Feeds the adaptive augmentation: every few steps it hears the critic's logits and moves."""
        if self.recipe.train.augmentation != "adaptive" or self.steps % EVERY or not isinstance(self.family, Adversarial):
            return
        assert self.recipe.train.kimg
        held_out = None
        if self.held_out is not None and self.steps % HELD_OUT_EVERY == 0:
            held_out = self._logits(self.held_out, self.steps // HELD_OUT_EVERY * self.batch, self.batch, at)
        real, fake = report.signals["critic/real"], report.signals["critic/fake"]
        self.strength.watch(real, fake, held_out, self.family.model.objective == "relativistic")
        self.strength.adjust(self.recipe, self.held_out is not None, EVERY * self.recipe.pictures_per_step, self.recipe.train.kimg)

    @torch.no_grad()
    def _logits(self, pictures: Draws, position: int, count: int, at: At) -> Tensor:
        assert isinstance(self.family, Adversarial)
        x_BHWC, labels = pictures.draw(position, count)
        with self._precision():
            return self.family.score(self.family.view(self._read(x_BHWC), at, self.noise[0]), self._given(labels))

    def ahead_of_held_out(self, count: int) -> float | None:
        """E D(x) of the training pictures that come next, minus that of as many held-out ones: how much is certain of it (two standard
        errors less, 0 where nothing is). None without held-out pictures or without a critic."""
        if self.held_out is None or not isinstance(self.family, Adversarial):
            return None
        train, held_out = (self._logits(pictures, self.drawn, count, self.at).float() for pictures in (self.data, self.held_out))
        chance = math.sqrt((float(train.var()) + float(held_out.var())) / count)
        return max(0.0, float(train.mean() - held_out.mean()) - 2 * chance)

    def state(self) -> tuple[Tensors, dict[str, Any]]:
        """All tensors and counters that `load` needs to go on exactly."""
        tensors = {f"family.{k}": v for k, v in self.family.state_dict().items()}
        tensors |= {f"averaged.{k}": v for k, v in self.averaged.state_dict().items()}
        for name, optimizer in self.optimizers.items():
            for index, values in optimizer.state_dict()["state"].items():
                tensors |= {f"optimizer.{name}.{index}.{k}": torch.as_tensor(v) for k, v in values.items()}
        counters = {"steps": self.steps, "drawn": self.drawn, "shown": self.shown, "strength": self.strength.state(), "changes": self.changes}
        return {k: v.clone() for k, v in tensors.items()}, counters

    def load(self, tensors: Tensors, counters: dict[str, Any]) -> None:
        """Takes up a saved state. RunFolderError where it does not fit this recipe."""
        try:
            self.adopt(counters["changes"])
            self.family.load_state_dict(_below(tensors, "family."))
            self.averaged.load_state_dict(_below(tensors, "averaged."))
            for name, optimizer in self.optimizers.items():
                saved: dict[int, Tensors] = {}
                weights = self.players[name].parameters()
                for key, value in _below(tensors, f"optimizer.{name}.").items():
                    index, _, field_name = key.partition(".")
                    saved.setdefault(int(index), {})[field_name] = _laid_out_like(weights[int(index)], value)
                optimizer.load_state_dict({"state": saved, "param_groups": optimizer.state_dict()["param_groups"]})
            self.steps, self.drawn, self.shown = (int(counters[k]) for k in ("steps", "drawn", "shown"))
            self.strength = AdaptiveStrength(**counters["strength"])
        except (RuntimeError, KeyError, TypeError, ValueError) as error:
            raise RunFolderError("the saved state does not fit the recipe beside it ({problem})", problem=str(error).splitlines()[0]) from None


def _disturbing(what: Augment) -> Callable[[int, torch.Generator | None], View]:
    return lambda count, noise: classic(count, what, noise)


def _laid_out_like(weight: Tensor, value: Tensor) -> Tensor:
    """A copy of `value` in the memory format of its weight: fused optimisers pair the two by address."""
    return torch.empty_like(weight).copy_(value) if value.shape == weight.shape else value.clone()


def _below(tensors: Tensors, prefix: str) -> Tensors:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

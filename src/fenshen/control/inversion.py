"""From a picture back to the latent that makes it: a start, then optimisation of pixels and features (Zhu et al. 2016; Abdal et al. 2019).

    minimise over z   mean (G(z) - x)²  +  w · mean over stages of mean (E(G(z)) - E(x))² / var E(x)  +  p · mean z²

G the generator, E the stages of the run's frozen measuring network. Starts: what the run's own encoder says where it has one, and the
best of many samples. Several starts of each picture go down together, by Adam and a cosine; the one that ends lowest is kept.

Shape letters: N pictures, S starts, B = N · S places, D latent, K classes, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fenshen.control.hand import BATCH, Hand, Places, Seed, slices
from fenshen.control.reading import read_pictures
from fenshen.errors import RecipeError
from fenshen.lang import tr
from fenshen.measure.encoders import fitted
from fenshen.measure.fidelity import psnr
from fenshen.media.image import to_tensor

Stepped = Callable[[int, int], None]  # Is told the steps made and those planned, of pictures that are looked for together.
OTHER_CLASS = 1e6  # Added to the distance of samples of another class: they come after all of the right one.


def silent(step: int, steps: int) -> None:
    """Nobody listens."""


@dataclass(frozen=True)
class Search:
    """How a latent is looked for. `features`: weight w (0: pixels alone); `prior`: weight p; `drawn`: samples that starts are chosen from."""

    steps: int = 200
    starts: int = 4
    drawn: int = 2000
    lr: float = 0.2
    features: float = 0.05
    prior: float = 0.001
    seed: int = 0

    def __post_init__(self) -> None:
        if not (0 <= self.steps <= 100_000 and 1 <= self.starts <= 64 and self.starts <= self.drawn <= 1_000_000):
            raise RecipeError("--steps {steps} --starts {starts}: 0 to 100,000 steps, and 1 to 64 starts", steps=self.steps, starts=self.starts)
        if not (0 <= self.features <= 100 and 0 <= self.prior <= 100):
            raise RecipeError("--features {value}: between 0 (pixels alone) and 100", value=self.features)


USUAL = Search()


@dataclass(frozen=True)
class Inverted:
    """Of N pictures: where they are, what stands there, and the PSNR in dB of the best start and of the end."""

    places: Places
    begun_NHWC: np.ndarray
    rebuilt_NHWC: np.ndarray
    before_N: np.ndarray
    after_N: np.ndarray


def invert(
    hand: Hand, pictures_NHWC: np.ndarray, search: Search = USUAL, label: str | None = None, stepped: Stepped = silent
) -> Inverted:  # fmt: skip
    """The places of uint8 pictures of the run's own shape. `label`: their class, else found together with z. `stepped` hears how far it is."""
    target = Target.of(hand, pictures_NHWC, search.features)
    starts, begun = choose_starts(hand, target, search, label)
    per, ends, losses = max(1, BATCH // search.starts), [], []
    for number, rows in enumerate(slices(len(pictures_NHWC), per)):
        if number:
            hand.say(tr("{count} of {all} pictures are found", count=rows.start, all=len(pictures_NHWC)))
        part = slice(rows.start * search.starts, rows.stop * search.starts)
        end, loss_B = descend(hand, starts[part], target.rows(rows).repeat(search.starts), search, stepped)
        ends.append(end)
        losses.append(loss_B)
    place = Places.of(ends)
    best_N = torch.cat(losses).view(-1, search.starts).argmin(1)
    place = place[torch.arange(len(best_N)).to(best_N) * search.starts + best_N]
    rebuilt, before = hand.pictures(place), hand.pictures(begun)
    return Inverted(place, before, rebuilt, decibels(before, pictures_NHWC), decibels(rebuilt, pictures_NHWC))


def decibels(a_NHWC: np.ndarray, b_NHWC: np.ndarray) -> np.ndarray:
    """PSNR of uint8 pictures (N), as `fenshen.measure.fidelity`. Color under transparency does not count."""
    a_NCHW, b_NCHW = ((_visible(to_tensor(pictures)) + 1) / 2 for pictures in (a_NHWC, b_NHWC))
    return psnr(a_NCHW, b_NCHW).numpy()


@dataclass(frozen=True)
class Target:
    """What is to be made: samples, their pixels as they are seen, their classes by the measuring network, its stages and their variances."""

    hand: Hand
    weight: float
    x_BCHW: Tensor
    seen_BCHW: Tensor
    class_N: Tensor | None = None
    stages: tuple[Tensor, ...] = ()
    variances: tuple[Tensor, ...] = ()

    @classmethod
    def of(cls, hand: Hand, pictures_NHWC: np.ndarray, weight: float) -> Target:
        x_NCHW = to_tensor(pictures_NHWC).to(hand.device)
        if not weight or hand.encoder_if_any is None:
            return cls(hand, 0.0, x_NCHW, _visible(x_NCHW))
        with torch.no_grad():
            stages = tuple(_stages(hand, x_NCHW))
        probabilities = hand.encoder.read(pictures_NHWC).probabilities if hand.made.classes == hand.data.classes else None
        class_N = None if probabilities is None else torch.from_numpy(probabilities.argmax(1)).to(hand.device)
        return cls(hand, weight, x_NCHW, _visible(x_NCHW), class_N, stages, tuple(stage.var((0, 2, 3)).mean() + 1e-6 for stage in stages))

    def rows(self, rows: slice) -> Target:
        stages = tuple(stage[rows] for stage in self.stages)
        return Target(self.hand, self.weight, self.x_BCHW[rows], self.seen_BCHW[rows], None, stages, self.variances)

    def repeat(self, times: int) -> Target:
        """Each picture so many times, side by side."""
        x_BCHW, seen_BCHW, *stages = (one.repeat_interleave(times, 0) for one in (self.x_BCHW, self.seen_BCHW, *self.stages))
        return Target(self.hand, self.weight, x_BCHW, seen_BCHW, None, tuple(stages), self.variances)

    def loss(self, x_BCHW: Tensor) -> Tensor:
        """How far these samples are from it, (B)."""
        loss_B = (_visible(x_BCHW) - self.seen_BCHW).square().mean((1, 2, 3))
        if self.weight:
            parts = zip(_stages(self.hand, x_BCHW), self.stages, self.variances, strict=True)
            differences = [(mine - theirs).square().mean((1, 2, 3)) / variance for mine, theirs, variance in parts]
            loss_B = loss_B + self.weight * torch.stack(differences).mean(0)
        return loss_B


def _visible(x_BCHW: Tensor) -> Tensor:
    """Samples in [-1, 1] with what is under transparency taken away."""
    return fitted((x_BCHW + 1) / 2, x_BCHW.shape[-1])


def _stages(hand: Hand, x_BCHW: Tensor) -> list[Tensor]:
    """What each stage of the measuring network says of samples in [-1, 1]."""
    encoder, found = hand.encoder, []
    x_BCHW = fitted((x_BCHW + 1) / 2, encoder.side)
    for stage in encoder.stages:
        x_BCHW = stage(x_BCHW)
        found.append(x_BCHW)
    return found


@torch.no_grad()
def choose_starts(hand: Hand, target: Target, search: Search, label: str | None) -> tuple[Places, Places]:
    """(`starts` places for each picture, side by side (N · S), the best first; that one of each (N)), by pixels.

    Of the class that `label` or else the classifier says, as long as enough samples are of it. Where the run has an encoder, what it
    says of the picture takes the place of the last of the samples.
    """
    places = hand.random(search.drawn, search.seed, label)
    wanted_NP, nearest = target.seen_BCHW.flatten(1), []
    for rows in slices(len(places)):
        x_BCHW = hand.made.space.hard(hand.samples(places[rows]))
        nearest.append(torch.cdist(wanted_NP, _visible(x_BCHW).flatten(1)))
    far_NM = torch.cat(nearest, 1)
    if label is None and target.class_N is not None and places.label_BK is not None:
        far_NM[target.class_N[:, None] != places.label_BK.argmax(1)[None]] += OTHER_CLASS
    far_NS, best_NS = far_NM.topk(search.starts, largest=False)
    starts, guessed = places[best_NS.flatten()], hand.sampler.guess(target.x_BCHW, places[best_NS[:, 0]].given)
    begun = places[best_NS[:, 0]]
    if guessed is not None:
        starts.z_BD.view(*best_NS.shape, -1)[:, -1] = guessed
        if starts.label_BK is not None and begun.label_BK is not None:
            starts.label_BK.view(*best_NS.shape, -1)[:, -1] = begun.label_BK
        x_BCHW = hand.made.space.hard(hand.samples(Places(guessed, begun.label_BK)))
        nearer_N = (_visible(x_BCHW) - target.seen_BCHW).flatten(1).norm(dim=1) < far_NS[:, 0]
        begun.z_BD[nearer_N] = guessed[nearer_N]
    return starts, begun


def descend(hand: Hand, starts: Places, target: Target, search: Search, stepped: Stepped = silent) -> tuple[Places, Tensor]:
    """Adam on z with a cosine down to 0, classes held: the ends and their losses (B), each at its lowest."""
    z_BD = starts.z_BD.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([z_BD], search.lr, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, search.steps))
    best_BD, lowest_B = starts.z_BD.clone(), torch.full((len(starts),), float("inf"), device=z_BD.device)
    for step in range(search.steps + 1):
        loss_B = target.loss(hand.samples(Places(z_BD, starts.label_BK))) + search.prior * z_BD.square().mean(1)
        better_B = loss_B.detach() < lowest_B
        best_BD[better_B], lowest_B[better_B] = z_BD.detach()[better_B], loss_B.detach()[better_B]
        stepped(step, search.steps)
        if step < search.steps:
            optimizer.zero_grad(set_to_none=True)
            loss_B.sum().backward()
            optimizer.step()
            schedule.step()
    return Places(best_BD, starts.label_BK), lowest_B


def places_of(hand: Hand, stops: Sequence[str], label: str | None = None, truncation: float = 1.0) -> tuple[Places, list[dict[str, Any]]]:
    """Where stops are, and what they are for a JSON: seeds (`17`, `1:17`) are looked up, pictures' files are inverted."""
    seeds = [Seed.read(stop) for stop in stops]
    paths = [stop for stop, seed in zip(stops, seeds, strict=True) if seed is None]
    read = [read_pictures(hand, path, most=1) for path in paths]
    if read:
        hand.say(tr("looking for {count} pictures in the latent space", count=len(read)))
    found = invert(hand, np.concatenate([pictures for _, pictures in read]), label=label) if read else None
    places: list[Places] = []
    facts: list[dict[str, Any]] = []
    number = 0
    for stop, seed in zip(stops, seeds, strict=True):
        if seed is not None:
            places.append(hand.at([seed], label, truncation))
            facts.append({"seed": str(seed)})
        else:
            assert found is not None
            places.append(found.places[number : number + 1])
            facts.append({"picture": stop, "psnr": round(float(found.after_N[number]), 3)})
            number += 1
    return Places.of(places), facts

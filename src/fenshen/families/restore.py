"""Undoing a damage: a network that is told a small or a masked sample, and makes the whole one.

    restore:     minimise  E ρ(f(t(x)) - x)                            t makes x small, or takes a part of it away
    restoregan:  critic:   minimise  f(D(x | t(x)), D(f(t(x)) | t(x))) + γ/2 · penalty
                 restorer: minimise  E ρ(f(t(x)) - x) + λ g(D(x | t(x)), D(f(t(x)) | t(x)))

Dong et al. 2014 (SRCNN), Pathak et al. 2016 (context encoders); with a critic Ledig et al. 2017 (SRGAN), Isola et al. 2017 (pix2pix), whose
critic is told the condition too. What a sample is told is made of the sample itself in every step, from the step's own noise. Samples
with alpha are premultiplied by it as they come in; `Restorer.restore` gives them back as they were.

Shape letters: B batch, C channels, *S spatial axes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fenshen.condition import Given, Told
from fenshen.errors import RecipeError
from fenshen.families.adversarial import Adversarial
from fenshen.families.base import WIDTHS, At, Family, Losses, Player, Sampler
from fenshen.media.tasks import masked, masks, premultiplied, shrink, straight
from fenshen.nets.restorers import Enlarger, Mender
from fenshen.recipe import Model, Restore, RestoreGan, Restoring
from fenshen.space import Grid

SOURCE = "source"  # The name of what a restorer is told, beside labels that it does not need.
DEPTHS = {"nano": 6, "small": 8, "base": 12, "large": 16}
CHARBONNIER = 1e-3  # ε of √(e² + ε²), Lai et al. 2017, eq. 3, for values in [-1, 1].


def damaged(x_BCS: Tensor, model: Restoring, noise: torch.Generator | None = None) -> Given:
    """What is told of premultiplied samples: the small ones, or the masked ones with their mask."""
    if model.task == "upscale":
        return {SOURCE: shrink(x_BCS, model.factor)}
    return {SOURCE: masked(x_BCS, masks(len(x_BCS), tuple(x_BCS.shape[2:]), noise))}


def told_of(space: Grid, model: Restoring) -> Told:
    """The same as types."""
    if model.task == "upscale":
        return {SOURCE: Grid(space.channels, tuple(side // model.factor for side in space.size))}
    return {SOURCE: Grid(space.channels + 1, space.size)}


def distance(y_BCS: Tensor, x_BCS: Tensor, kind: str) -> Tensor:
    """ρ, (B,): the mean over all values of |e| (l1), e² (l2) or √(e² + ε²) (charbonnier)."""
    error_BCS = y_BCS.float() - x_BCS.float()
    match kind:
        case "l1":
            error_BCS = error_BCS.abs()
        case "l2":
            error_BCS = error_BCS.square()
        case _:
            error_BCS = (error_BCS.square() + CHARBONNIER**2).sqrt()
    return error_BCS.flatten(1).mean(1)


class Restorer(Sampler):
    """The network that is kept. It takes no noise: what it is told has one answer. Any size of it will do."""

    def __init__(self, space: Grid, told: Told, model: Restoring):
        super().__init__(space, {}, 1)
        assert model.size
        self.task, self.factor = model.task, model.factor
        width, depth = 2 * WIDTHS[model.size], model.depth or DEPTHS[model.size]
        self.network: nn.Module = (
            Enlarger(space.axes, space.channels, model.factor, width, depth) if model.task == "upscale"
            else Mender(space.axes, space.channels, width // 2, depth)
        )  # fmt: skip

    def forward(self, h_BD: Tensor, given: Given) -> Tensor:
        """The whole samples, premultiplied; `h_BD` says nothing."""
        return self.network(given[SOURCE])

    def success(self, x_BCS: Tensor, model: Restoring) -> Tensor:
        """Minus the mean squared error (B,) on samples as they come in, the same damage at every call."""
        x_BCS = premultiplied(x_BCS)
        return -distance(self(x_BCS, damaged(x_BCS, model, torch.Generator(x_BCS.device).manual_seed(0))), x_BCS, "l2")

    def place(self, z_BD: Tensor, given: Given, truncation: float = 1.0) -> Tensor:
        """RecipeError where there is nothing to restore."""
        if SOURCE not in given:
            raise RecipeError("this run restores pictures, it makes none from nothing: give it some, as in fenshen generate RUN --input PICTURE")
        return z_BD

    @torch.no_grad()
    def restore(self, source_BCS: Tensor) -> Tensor:
        """Samples in [-1, 1], not premultiplied, of small ones; or of damaged ones whose last channel is the mask, 1 where something is missing."""
        whole_BCS, mask_BCS = (source_BCS, None) if self.task == "upscale" else (source_BCS[:, :-1], source_BCS[:, -1:])
        told_BCS = premultiplied(whole_BCS) if mask_BCS is None else masked(premultiplied(whole_BCS), mask_BCS)
        return straight(self.space.hard(self.network(told_BCS).float()))


class Restoration(Family):
    """One player and one distance."""

    model: Restore
    sampler: Restorer

    def __init__(self, space: Grid, told: Told, model: Restore):
        super().__init__(space)
        self.follow(model)
        self.sampler = Restorer(space, told, model)

    def follow(self, model: Model) -> None:
        assert isinstance(model, Restore)
        self.model = model

    def forward(self, x_BCS: Tensor, given: Given) -> Tensor:
        return self.sampler(x_BCS, damaged(premultiplied(x_BCS), self.model))

    def players(self) -> dict[str, Player]:
        return {"restorer": Player((self.sampler,))}

    def networks(self) -> tuple[nn.Module, ...]:
        return (self.sampler.network,)

    def losses(self, player: str, x_BCS: Tensor, given: Given, at: At, noise: torch.Generator | None = None) -> Losses:
        x_BCS = premultiplied(x_BCS)
        y_BCS = self.sampler(x_BCS, damaged(x_BCS, self.model, noise))
        terms = {"reconstruction": distance(y_BCS, x_BCS, self.model.distance)}
        return Losses(terms | self.anchor(self.sampler), {"squared_error": distance(y_BCS, x_BCS, "l2").detach()})

    def familiarity(self, x_BCS: Tensor, given: Given) -> Tensor:
        return self.sampler.success(x_BCS, self.model)


class AdversarialRestoration(Adversarial):
    """The same, and a critic that is told what the restorer was told."""

    model: RestoreGan
    sampler: Restorer

    def __init__(self, space: Grid, told: Told, model: RestoreGan, burn_in: float = 0.0):
        sampler = Restorer(space, told, model)
        super().__init__(space, told_of(space, model), model, "conv", burn_in)
        self.sampler = sampler

    def follow(self, model: Model) -> None:
        assert isinstance(model, RestoreGan)
        super().follow(model)

    def forward(self, x_BCS: Tensor, given: Given) -> Tensor:
        given = damaged(premultiplied(x_BCS), self.model)
        return self.score(self.sampler(x_BCS, given), given)

    def players(self) -> dict[str, Player]:
        return {"critic": self.critics, "restorer": Player((self.sampler,))}

    def losses(self, player: str, x_BCS: Tensor, given: Given, at: At, noise: torch.Generator | None = None) -> Losses:
        x_BCS = premultiplied(x_BCS)
        given = damaged(x_BCS, self.model, noise)
        return (self.critic_losses if player == "critic" else self.restorer_losses)(x_BCS, given, at, noise)

    def critic_losses(self, x_BCS: Tensor, given: Given, at: At, noise: torch.Generator | None = None) -> Losses:
        with torch.no_grad():
            made_BCS = self.made(x_BCS, given)
        real, fake = (self.score(self.view(x, at, noise), given) for x in (x_BCS, made_BCS))
        terms = {"adversarial": self.objective.critic(real, fake, self.model.label_smoothing)}
        terms |= self.penalty(x_BCS, made_BCS, given, at, noise) | self.weight_terms(self.critic)
        return Losses(terms, {"real": real.detach(), "fake": fake.detach()})

    def restorer_losses(self, x_BCS: Tensor, given: Given, at: At, noise: torch.Generator | None = None) -> Losses:
        made_BCS = self.made(x_BCS, given)
        with torch.no_grad():
            real = self.score(self.view(x_BCS, at, noise), given)
        fake = self.score(self.view(made_BCS, at, noise), given)
        terms = {
            "reconstruction": distance(made_BCS, x_BCS, self.model.distance),
            "adversarial": self.model.adversarial * self.objective.generator(real, fake),
        }
        signals = {"real": real.detach(), "fake": fake.detach(), "squared_error": distance(made_BCS, x_BCS, "l2").detach()}
        return Losses(terms | self.weight_terms(self.sampler) | self.anchor(self.sampler), signals)

    def familiarity(self, x_BCS: Tensor, given: Given) -> Tensor:
        return self.sampler.success(x_BCS, self.model)

    def made(self, x_BCS: Tensor, given: Given) -> Tensor:
        """The restored samples as the critic reads them."""
        return self.space.soft(self.sampler(x_BCS, given)).to(x_BCS.dtype)

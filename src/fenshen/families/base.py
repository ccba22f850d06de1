"""What every family says of itself to the loop: its players, their losses, and the sampler that is kept of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from fenshen.condition import Condition, Given, Told
from fenshen.errors import RecipeError
from fenshen.lang import Said
from fenshen.recipe import Codes, Model
from fenshen.space import Grid, Space

WIDTHS = {"nano": 16, "small": 32, "base": 64, "large": 128}
Draw = Callable[[Tensor, Given], Tensor]
View = Callable[[Tensor], Tensor]
Terms = Callable[[nn.Module], dict[str, Tensor]]


@dataclass(frozen=True)
class Player:
    """Modules whose weights move together; `reads_data`: its losses need real samples."""

    modules: tuple[nn.Module, ...]
    reads_data: bool = True

    def parameters(self) -> list[nn.Parameter]:
        return [p for module in self.modules for p in module.parameters()]


@dataclass(frozen=True)
class Losses:
    """`terms`: weighted, to be averaged and minimised, one value per sample each. `signals`: detached, for the log."""

    terms: dict[str, Tensor]
    signals: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class At:
    """Where training stands: thousands of real samples shown, and the planned part in [0, 1]."""

    kimg: float
    fraction: float


def no_terms(module: nn.Module) -> dict[str, Tensor]:
    """Weights may be what they like."""
    return {}


def as_drawn(z_BD: Tensor, given: Given) -> Tensor:
    """Every latent is as welcome as another."""
    return z_BD


def no_augmentation(count: int, noise: torch.Generator | None = None) -> View:
    """The critic sees samples as they are."""
    return lambda x_BCS: x_BCS


class Kept(nn.Module):
    """The part of a family that is averaged over training, saved, and loaded to make samples."""

    def settle(self, samples: Iterable[tuple[Tensor, Given]], seed: int) -> None:
        """Once the weights stand: fits what it draws from to real samples, where it has such a thing."""


class Sampler(Kept):
    """What makes samples at one go: averaged over training, saved, and loaded to generate. Noise z ~ N(0, I) of length `latent` goes in.

    `codes`: those entries of z that have a meaning of their own (`fenshen.families.codes`).
    `prefer(z, given)`: where noise is moved to before samples are made of it (`fenshen.families.preference`).
    """

    def __init__(self, space: Grid, told: Told, latent: int):
        super().__init__()
        self.space, self.latent, self.knows = space, latent, Condition(told, space)
        self.codes = Codes()
        self.prefer: Draw = as_drawn

    def forward(self, h_BD: Tensor, given: Given) -> Tensor:
        """Samples x_BCS of latents, differentiable."""
        raise NotImplementedError

    def place(self, z_BD: Tensor, given: Given, truncation: float = 1.0) -> Tensor:
        """The latents that noise stands for: a fixed map, so that the same noise is the same sample. `truncation` below 1: nearer the middle."""
        return self.prefer(z_BD * truncation, given)

    def choose(self, prior: str) -> None:
        """Draws latents from another prior from now on. RecipeError where there is no choice."""
        raise RecipeError("--prior {prior}: only a run with an encoder and a latent vector has a choice; leave it out", prior=prior)

    @torch.no_grad()
    def sample(self, z_BD: Tensor, given: Given, truncation: float = 1.0) -> Tensor:
        """Samples x_BCS in [-1, 1] from noise."""
        return self.space.hard(self(self.place(z_BD, given, truncation), given).float())

    def guess(self, x_BCS: Tensor, given: Given) -> Tensor | None:
        """The latents that samples stand for, where it has an encoder that says so at once."""
        return None


class Family(nn.Module):
    """One algorithm. `sampler` is what is kept of it; `model` is its part of the recipe.

    `augment(count, noise)` draws one random view of `count` samples for a critic: a differentiable function, the same at every call.
    `anchor(module)`: further terms of the weights of what makes samples, where they should not go too far (`fenshen.training.adapting`).
    All that is random comes from `noise`, a generator on the device of the samples (None: torch's own state, where
    dropout draws from in any case).
    """

    sampler: Kept
    model: Model

    def __init__(self, space: Space) -> None:
        super().__init__()
        self.space = space
        self.augment: Callable[[int, torch.Generator | None], View] = no_augmentation
        self.anchor: Terms = no_terms

    def forward(self, x_BCS: Tensor, given: Given) -> Tensor:
        """Once through all networks: how large a step is, is counted there."""
        raise NotImplementedError

    def follow(self, model: Model) -> None:
        """Plays by another recipe from now on; its networks must be the same."""
        raise NotImplementedError

    def players(self) -> dict[str, Player]:
        """Who moves, in this order. The first one's real samples count as shown."""
        raise NotImplementedError

    @property
    def freezable(self) -> int:
        """How many stages, next to the picture, can be kept from learning."""
        return 0

    def freeze(self, count: int) -> None:
        """So many of them stay as they are."""
        assert not count

    def networks(self) -> tuple[nn.Module, ...]:
        """What is worth compiling, each for itself."""
        raise NotImplementedError

    @property
    def maker(self) -> str:
        """The player that makes samples."""
        return next(name for name, player in self.players().items() if self.sampler in player.modules)

    @property
    def counted(self) -> str:
        """The player whose real samples count as shown."""
        return next(iter(self.players()))

    def steps(self, player: str) -> int:
        """How often a player moves in one step of training."""
        return 1

    @property
    def stages(self) -> tuple[float, ...]:
        """Parts of the plan from which on a step takes another time than before; the first one is 0."""
        return (0.0,)

    @property
    def separable(self) -> bool:
        """Whether the losses of parts of a batch make up those of the whole: nothing is normalised over it or dropped from it."""
        return not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in self.modules())

    def losses(self, player: str, x_BCS: Tensor, given: Given, at: At, noise: torch.Generator | None = None) -> Losses:
        """What `player` minimises on real samples x_BCS told `given`."""
        raise NotImplementedError

    def familiarity(self, x_BCS: Tensor, given: Given) -> Tensor:
        """How much a sample looks, to the model, like one that it was trained on (B,): what an insider would go by."""
        raise NotImplementedError

    @property
    def tolerance(self) -> float:
        """Nats per token by which held-out text may become less likely than it ever was: what an adversary may cost."""
        return 0.0

    def comparable(self, at: At) -> bool:
        """Whether what it says of held-out samples now can be set beside what it says later: not while its losses change their weights."""
        return True

    def after_step(self, player: str, losses: Losses) -> None:
        """What follows a player's step, beside its gradient; `losses`: those of the step, detached."""

    def remark(self, means: dict[str, float], at: At) -> Said | None:
        """A sentence about what the log says, where a person should hear of it. `means`: of losses and signals, as player/name."""
        return None

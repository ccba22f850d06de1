"""A critic against whatever makes samples: what it sees, minimises, and is held back by. Shared by all families that have one.

    critic:  minimise  f(D(x), D(x̃)) + γ/2 · penalty          x real, x̃ made

Shape letters: B batch, D vector, C channels, *S spatial axes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from fenshen import penalties
from fenshen.condition import Condition, Given, Told
from fenshen.families.base import WIDTHS, At, Family, Losses, Player
from fenshen.losses import OBJECTIVES
from fenshen.nets.critics import critic, stages
from fenshen.recipe import Adversary, Model
from fenshen.schedules import burn_in
from fenshen.space import Grid


class Adversarial(Family):
    """A family with a critic; `network` names the critic's."""

    model: Adversary

    def __init__(self, space: Grid, told: Told, model: Adversary, network: str, burn_in: float = 0.0):
        super().__init__(space)
        assert model.size and model.penalty.kind and model.penalty.gamma is not None and model.clip_weights is not None and model.critic_steps
        self.burn_in = burn_in
        self.follow(model)
        self.judges = Condition(told, space)
        self.critic = critic(
            space, network, self.judges.vector_length, WIDTHS[model.size], grid_channels=self.judges.grid_channels, dropout=model.dropout
        )
        self.frozen = 0

    def follow(self, model: Model) -> None:
        assert isinstance(model, Adversary)
        self.model, self.objective = model, OBJECTIVES[model.objective]

    def networks(self) -> tuple[nn.Module, ...]:
        return self.sampler, self.critic

    @property
    def freezable(self) -> int:
        return len(stages(self.critic)) - 1

    def freeze(self, count: int) -> None:
        """The critic's first `count` stages, those next to the picture, stay as they are (Mo et al. 2020, "Freeze the discriminator")."""
        self.frozen = count
        for module in (module for stage in stages(self.critic)[:count] for module in stage):
            module.requires_grad_(False)

    @property
    def critics(self) -> Player:
        """All of the critic that is not frozen."""
        return Player((*(module for stage in stages(self.critic)[self.frozen :] for module in stage), self.judges))

    def steps(self, player: str) -> int:
        """How often a player moves in one step of training."""
        return (self.model.critic_steps or 1) if player == "critic" else 1

    def score(self, x_BCS: Tensor, given: Given) -> Tensor:
        """D(x | c): logits (B,)."""
        return self.read(x_BCS, given)[0]

    def read(self, x_BCS: Tensor, given: Given) -> tuple[Tensor, Tensor]:
        """D(x | c) and the critic's last features h_BD."""
        return self.critic(x_BCS, *self.judges(given))

    def familiarity(self, x_BCS: Tensor, given: Given) -> Tensor:
        return self.score(x_BCS, given)

    @property
    def separable(self) -> bool:
        return not self.model.dropout and super().separable

    def view(self, x_BCS: Tensor, at: At, noise: torch.Generator | None = None) -> Tensor:
        """What the critic sees: augmented, and noisy while instance noise lasts (Sønderby et al. 2016)."""
        x_BCS = self.augment(len(x_BCS), noise)(x_BCS)
        sigma = self.model.instance_noise * (1 - at.fraction)
        return x_BCS + sigma * penalties.gaussian(x_BCS, noise) if sigma > 0 else x_BCS

    def penalty(self, x_BCS: Tensor, fake_BCS: Tensor, given: Given, at: At, noise: torch.Generator | None = None) -> dict[str, Tensor]:
        """The weighted gradient penalties of a part of the batch, in fp32, at pixels before augmentation."""
        kind, how = self.model.penalty.kind, self.model.penalty
        if kind == "none" or not how.gamma:
            return {}
        count = min(len(x_BCS), max(1, round((how.fraction or 1.0) * len(x_BCS))))
        gamma = burn_in(how.gamma, how.gamma if how.gamma_end is None else how.gamma_end, at.fraction, self.burn_in)
        real_BCS, fake_BCS, told = x_BCS[:count].float(), fake_BCS[:count].float(), {k: v[:count] for k, v in given.items()}

        def squared(critic: penalties.Critic, x_BCS: Tensor) -> Tensor:
            if how.method == "exact":
                return penalties.gradient_squared(critic, x_BCS)
            return penalties.gradient_squared_finite(critic, x_BCS, how.step, noise)

        with torch.autocast(x_BCS.device.type, enabled=False):
            if kind == "gp":
                critic, at_BCS = self.fixed(told, count, how.method, noise), penalties.between(real_BCS, fake_BCS, noise)
                if how.method == "exact":
                    return {"gp": gamma * penalties.gradient_norm(critic, at_BCS)}
                return {"gp": gamma * penalties.gradient_norm_finite(critic, at_BCS, real_BCS - fake_BCS, how.step)}
            if kind == "r1+r2":
                r1, r2 = squared(self.fixed(twice(told), 2 * count, how.method, noise), torch.cat([real_BCS, fake_BCS])).chunk(2)
                return {"r1": gamma / 2 * r1, "r2": gamma / 2 * r2}
            return {str(kind): gamma / 2 * squared(self.fixed(told, count, how.method, noise), real_BCS if kind == "r1" else fake_BCS)}

    def fixed(self, given: Given, count: int, method: str, noise: torch.Generator | None = None) -> Callable[[Tensor], Tensor]:
        """The critic as a function of pictures alone; both halves of a finite difference get the same view."""
        view = self.augment(count, noise)
        if method == "exact":
            return lambda x_BCS: self.score(view(x_BCS), given)
        return lambda x_BCS: self.score(torch.cat([view(half) for half in x_BCS.chunk(2)]), twice(given))

    def weight_terms(self, module: nn.Module) -> dict[str, Tensor]:
        """L1 and L2 regularisation, where asked for: the mean over a player's weights."""
        terms: dict[str, Tensor] = {}
        if self.model.l1 or self.model.l2:
            weights = torch.cat([p.flatten() for p in module.parameters()])
            if self.model.l1:
                terms["l1"] = self.model.l1 * weights.abs().mean()[None]
            if self.model.l2:
                terms["l2"] = self.model.l2 * weights.square().mean()[None]
        return terms

    @torch.no_grad()
    def after_step(self, player: str, losses: Losses) -> None:
        """WGAN's weight clipping (Arjovsky et al. 2017, algorithm 1)."""
        if player == "critic" and self.model.clip_weights:
            for p in self.critic.parameters():
                p.clamp_(-self.model.clip_weights, self.model.clip_weights)


def twice(given: Given) -> Given:
    """What both halves of a doubled batch are told."""
    return {name: torch.cat([value, value]) for name, value in given.items()}

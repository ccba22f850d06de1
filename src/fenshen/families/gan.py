"""Generative adversarial networks: a generator against a critic. Goodfellow et al. 2014; default after Huang et al. 2024 (R3GAN).

    critic:     minimise  f(D(x), D(G(z))) + γ/2 · penalty          x real, z ~ N(0, I), every step
    generator:  minimise  g(D(x), D(G(z)))                          fresh x and z
    both:       minimise  -λ log Q(c | G(z))                        where z has information codes c (`fenshen.families.codes`)

Shape letters: B batch, D vector, C channels, *S spatial axes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from fenshen import penalties
from fenshen.condition import Condition, Given, Told
from fenshen.families.base import At, Losses, Player
from fenshen.families.codes import Reader, coded
from fenshen.losses import OBJECTIVES
from fenshen.nets.critics import critic, stages
from fenshen.nets.generators import generator
from fenshen.recipe import Gan
from fenshen.schedules import burn_in
from fenshen.space import Grid

WIDTHS = {"nano": 16, "small": 32, "base": 64, "large": 128}
View = Callable[[Tensor], Tensor]


Terms = Callable[[nn.Module], dict[str, Tensor]]
Draw = Callable[[Tensor, Given], Tensor]


def no_terms(module: nn.Module) -> dict[str, Tensor]:
    """Weights may be what they like."""
    return {}


def as_drawn(z_BD: Tensor, given: Given) -> Tensor:
    """Every latent is as welcome as another."""
    return z_BD


def no_augmentation(count: int, noise: torch.Generator | None = None) -> View:
    """The critic sees samples as they are."""
    return lambda x_BCS: x_BCS


class Sampler(nn.Module):
    """The half of a GAN that makes samples: what is averaged over training, saved, and loaded to generate.

    The first entries of z are information codes where the model has any: `fenshen.families.codes` says which, and how to turn them.
    `prefer(z, given)`: where a latent is moved to before samples are made of it (`fenshen.families.preference`).
    """

    def __init__(self, space: Grid, told: Told, model: Gan):
        super().__init__()
        assert model.size
        self.space, self.latent, self.codes, self.knows = space, model.latent, model.codes, Condition(told, space)
        inputs = model.latent + self.knows.vector_length
        self.generator = generator(space, model.network, inputs, WIDTHS[model.size], grid_channels=self.knows.grid_channels)
        self.prefer: Draw = as_drawn

    def forward(self, z_BD: Tensor, given: Given) -> Tensor:
        """G(z | c): samples x_BCS, differentiable."""
        c_BD, grid_BCS = self.knows(given)
        z_BD = coded(z_BD, self.codes)
        return self.space.soft(self.generator(z_BD if c_BD is None else torch.cat([z_BD, c_BD], 1), grid_BCS))

    @torch.no_grad()
    def sample(self, z_BD: Tensor, given: Given) -> Tensor:
        """Samples x_BCS in [-1, 1] from latents."""
        return self.space.hard(self(self.prefer(z_BD, given), given).float())


class GAN(nn.Module):
    """`augment(count, noise)` draws one random view of `count` samples: a differentiable function, the same at every call.

    `disturb(count, noise)`: likewise, the change that does not change what a real sample is, for the agreement of its codes.
    `anchor(generator)`: further terms of the generator's weights, where they should not go too far (`fenshen.training.adapting`).
    All that is random comes from `noise`, a generator on the device of the samples (None: torch's own state, where
    dropout draws from in any case).
    """

    def __init__(self, space: Grid, told: Told, model: Gan, burn_in: float = 0.0):
        super().__init__()
        assert model.size and model.penalty.kind and model.penalty.gamma is not None and model.clip_weights is not None and model.critic_steps
        self.space, self.burn_in = space, burn_in
        self.sampler, self.judges = Sampler(space, told, model), Condition(told, space)
        self.critic = critic(
            space, model.network, self.judges.vector_length, WIDTHS[model.size], grid_channels=self.judges.grid_channels, dropout=model.dropout
        )
        self.reader = Reader(self.critic.judge.features, model.codes) if model.codes.length else None
        self.follow(model)
        self.augment: Callable[[int, torch.Generator | None], View] = no_augmentation
        self.disturb: Callable[[int, torch.Generator | None], View] = no_augmentation
        self.anchor: Terms = no_terms
        self.frozen = 0

    def follow(self, model: Gan) -> None:
        """Plays by another recipe from now on; its networks must be the same."""
        self.model, self.objective = model, OBJECTIVES[model.objective]
        if self.reader is not None:
            self.reader.codes = model.codes

    def freeze(self, count: int) -> None:
        """The critic's first `count` stages, those next to the picture, stay as they are (Mo et al. 2020, "Freeze the discriminator")."""
        self.frozen = count
        for module in (module for stage in stages(self.critic)[:count] for module in stage):
            module.requires_grad_(False)

    def players(self) -> dict[str, Player]:
        """The critic moves `critic_steps` times before the generator moves once."""
        moving = [module for stage in stages(self.critic)[self.frozen :] for module in stage]
        reader = () if self.reader is None else (self.reader,)
        return {"critic": Player((*moving, self.judges, *reader)), "generator": Player((self.sampler,))}

    def steps(self, player: str) -> int:
        """How often a player moves in one step of training."""
        return (self.model.critic_steps or 1) if player == "critic" else 1

    def score(self, x_BCS: Tensor, given: Given) -> Tensor:
        """D(x | c): logits (B,)."""
        return self.read(x_BCS, given)[0]

    def read(self, x_BCS: Tensor, given: Given) -> tuple[Tensor, Tensor]:
        """D(x | c) and the critic's last features h_BD."""
        return self.critic(x_BCS, *self.judges(given))

    @property
    def separable(self) -> bool:
        """Whether the losses of parts of a batch make up those of the whole: nothing is normalised over it or dropped from it."""
        sorts = bool(self.model.codes.categorical and self.model.codes.agreement)
        return not sorts and not self.model.dropout and not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in self.modules())

    def losses(self, player: str, x_BCS: Tensor, given: Given, at: At, noise: torch.Generator | None = None) -> Losses:
        """What `player` minimises on real samples x_BCS told `given`."""
        z_BD = torch.randn(len(x_BCS), self.model.latent, device=x_BCS.device, generator=noise)
        return (self.critic_losses if player == "critic" else self.generator_losses)(x_BCS, z_BD, given, at, noise)

    def critic_losses(self, x_BCS: Tensor, z_BD: Tensor, given: Given, at: At, noise: torch.Generator | None = None) -> Losses:
        with torch.no_grad():
            fake_BCS = self.sampler(z_BD, given).to(x_BCS.dtype)
        (real, h_BD), (fake, fake_h_BD) = (self.read(self.view(x, at, noise), given) for x in (x_BCS, fake_BCS))
        terms = {"adversarial": self.objective.critic(real, fake, self.model.label_smoothing)}
        terms |= self.penalty(x_BCS, fake_BCS, given, at, noise) | self.weight_terms(self.critic)
        told = self.recovered(fake_h_BD, z_BD)
        terms |= told.terms | self.agreement(x_BCS, h_BD, given, noise)
        return Losses(terms, {"real": real.detach(), "fake": fake.detach()} | told.signals)

    def generator_losses(self, x_BCS: Tensor, z_BD: Tensor, given: Given, at: At, noise: torch.Generator | None = None) -> Losses:
        fake_BCS = self.sampler(z_BD, given).to(x_BCS.dtype)
        with torch.no_grad():
            real = self.score(self.view(x_BCS, at, noise), given)
        fake, h_BD = self.read(self.view(fake_BCS, at, noise), given)
        terms = {"adversarial": self.objective.generator(real, fake)} | self.weight_terms(self.sampler) | self.anchor(self.sampler.generator)
        told = self.recovered(h_BD, z_BD)
        return Losses(terms | told.terms, {"real": real.detach(), "fake": fake.detach()} | told.signals)

    def recovered(self, h_BD: Tensor, z_BD: Tensor) -> Losses:
        """How well the codes of made samples are read back from their features; nothing where there are none."""
        if self.reader is None:
            return Losses({})
        terms, nats = self.reader.surprise(h_BD, coded(z_BD, self.model.codes))
        return Losses(terms, {"information": nats})

    def agreement(self, x_BCS: Tensor, h_BD: Tensor, given: Given, noise: torch.Generator | None = None) -> dict[str, Tensor]:
        """Real samples sorted into the categories of the first code, the same for a disturbed copy."""
        if self.reader is None or not (self.model.codes.categorical and self.model.codes.agreement):
            return {}
        _, disturbed_BD = self.read(self.disturb(len(x_BCS), noise)(x_BCS), given)
        return {"agreement": self.reader.agreement(h_BD, disturbed_BD)}

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
    def after_step(self, player: str) -> None:
        """WGAN's weight clipping (Arjovsky et al. 2017, algorithm 1)."""
        if player == "critic" and self.model.clip_weights:
            for p in self.critic.parameters():
                p.clamp_(-self.model.clip_weights, self.model.clip_weights)


def twice(given: Given) -> Given:
    """What both halves of a doubled batch are told."""
    return {name: torch.cat([value, value]) for name, value in given.items()}

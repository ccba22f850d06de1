"""Generative adversarial networks: a generator against a critic. Goodfellow et al. 2014; default after Huang et al. 2024 (R3GAN).

    critic:     minimise  f(D(x), D(G(z))) + γ/2 · penalty          x real, z ~ N(0, I), every step
    generator:  minimise  g(D(x), D(G(z)))                          fresh x and z
    both:       minimise  -λ log Q(c | G(z))                        where z has information codes c (`fenshen.families.codes`)

Shape letters: B batch, D vector, C channels, *S spatial axes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from fenshen.condition import Given, Told
from fenshen.families.adversarial import Adversarial
from fenshen.families.base import WIDTHS, At, Losses, Player, Sampler, View, no_augmentation
from fenshen.families.codes import Reader, coded
from fenshen.families.heads import label_head
from fenshen.nets.generators import generator
from fenshen.recipe import Gan, Model
from fenshen.space import Grid


class Generator(Sampler):
    """The half of a GAN that makes samples.

    The first entries of z are information codes where the model has any: `fenshen.families.codes` says which, and how to turn them.
    """

    def __init__(self, space: Grid, told: Told, model: Gan):
        super().__init__(space, told, model.latent)
        assert model.size
        self.codes = model.codes
        inputs = model.latent + self.knows.vector_length
        self.generator = generator(space, model.network, inputs, WIDTHS[model.size], grid_channels=self.knows.grid_channels)

    def place(self, z_BD: Tensor, given: Given, truncation: float = 1.0) -> Tensor:
        """As for any sampler; but a code is what it is."""
        codes_BD, rest_BD = z_BD[:, : self.codes.length], z_BD[:, self.codes.length :]
        return self.prefer(torch.cat([codes_BD, rest_BD * truncation], 1), given)

    def forward(self, h_BD: Tensor, given: Given) -> Tensor:
        """G(z | c)."""
        c_BD, grid_BCS = self.knows(given)
        h_BD = coded(h_BD, self.codes)
        return self.space.soft(self.generator(h_BD if c_BD is None else torch.cat([h_BD, c_BD], 1), grid_BCS))


class GAN(Adversarial):
    """Generator and critic take turns; the critic moves `critic_steps` times before the generator moves once.

    `disturb(count, noise)`: like `augment`, the change that does not change what a real sample is, for the agreement of its codes.
    """

    model: Gan
    sampler: Generator

    def __init__(self, space: Grid, told: Told, model: Gan, burn_in: float = 0.0):
        sampler = Generator(space, told, model)
        super().__init__(space, told, model, model.network, burn_in)
        self.sampler = sampler
        self.reader = Reader(self.critic.judge.features, model.codes) if model.codes.length else None
        self.head = label_head(self.critic.judge.features, told, model.label_head)
        self.disturb: Callable[[int, torch.Generator | None], View] = no_augmentation

    def follow(self, model: Model) -> None:
        assert isinstance(model, Gan)
        super().follow(model)
        if "reader" in self._modules and self.reader is not None:
            self.reader.codes = model.codes

    def forward(self, x_BCS: Tensor, given: Given) -> Tensor:
        z_BD = torch.zeros(len(x_BCS), self.sampler.latent, device=x_BCS.device)
        return self.score(self.sampler(z_BD, given), given)

    def players(self) -> dict[str, Player]:
        heads = tuple(head for head in (self.reader, self.head) if head is not None)
        return {"critic": Player((*self.critics.modules, *heads)), "generator": Player((self.sampler,))}

    @property
    def separable(self) -> bool:
        return not (self.model.codes.categorical and self.model.codes.agreement) and super().separable

    def losses(self, player: str, x_BCS: Tensor, given: Given, at: At, noise: torch.Generator | None = None) -> Losses:
        z_BD = torch.randn(len(x_BCS), self.model.latent, device=x_BCS.device, generator=noise)
        return (self.critic_losses if player == "critic" else self.generator_losses)(x_BCS, z_BD, given, at, noise)

    def critic_losses(self, x_BCS: Tensor, z_BD: Tensor, given: Given, at: At, noise: torch.Generator | None = None) -> Losses:
        with torch.no_grad():
            fake_BCS = self.sampler(z_BD, given).to(x_BCS.dtype)
        (real, h_BD), (fake, fake_h_BD) = (self.read(self.view(x, at, noise), given) for x in (x_BCS, fake_BCS))
        terms = {"adversarial": self.objective.critic(real, fake, self.model.label_smoothing)}
        terms |= self.penalty(x_BCS, fake_BCS, given, at, noise) | self.weight_terms(self.critic)
        told = self.recovered(fake_h_BD, z_BD)
        named, named_fake = self.named(h_BD, given), self.named(fake_h_BD, given)
        terms |= told.terms | self.agreement(x_BCS, h_BD, given, noise) | named.terms
        terms |= {f"{name}_of_made": value for name, value in named_fake.terms.items()}
        return Losses(terms, {"real": real.detach(), "fake": fake.detach()} | told.signals | named.signals)

    def generator_losses(self, x_BCS: Tensor, z_BD: Tensor, given: Given, at: At, noise: torch.Generator | None = None) -> Losses:
        fake_BCS = self.sampler(z_BD, given).to(x_BCS.dtype)
        with torch.no_grad():
            real = self.score(self.view(x_BCS, at, noise), given)
        fake, h_BD = self.read(self.view(fake_BCS, at, noise), given)
        terms = {"adversarial": self.objective.generator(real, fake)} | self.weight_terms(self.sampler) | self.anchor(self.sampler)
        told, named = self.recovered(h_BD, z_BD), self.named(h_BD, given)
        return Losses(terms | told.terms | named.terms, {"real": real.detach(), "fake": fake.detach()} | told.signals | named.signals)

    def named(self, h_BD: Tensor, given: Given) -> Losses:
        """How well the label is read from the critic's features; nothing where nobody asks."""
        return Losses({}) if self.head is None else self.head.losses(h_BD, given, self.model.label_head)

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

"""Encoder and decoder around a small latent: what the variational families train, and what is kept of them.

Shape letters: B batch, N samples, K draws, D latent, C channels, *S spatial axes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from fenshen.condition import Given, Label, Told
from fenshen.errors import RecipeError
from fenshen.families.base import WIDTHS, Losses, Sampler
from fenshen.families.heads import label_head
from fenshen.families.mixture import Mixture
from fenshen.likelihoods import Likelihood, kl_to_normal, likelihood, log_normal
from fenshen.nets.encoders import decoder, encoder
from fenshen.recipe import Autoencoding
from fenshen.space import Grid

ACTIVE = 0.01  # Variance over samples of the posterior's mean, above which a unit is active (Burda et al. 2015, section 5.2).
LEAST_LOG_SIGMA, MOST_LOG_SIGMA = -7.0, 3.0


def groups_of(told: Told) -> int:
    """How many priors there are to choose from by label: as many as classes of the only label, or 0."""
    labels = [what.classes for what in told.values() if isinstance(what, Label)]
    return labels[0] if len(labels) == 1 else 0


@dataclass(frozen=True)
class Posterior:
    """q(z | x) = N(μ, σ²), each dimension by itself."""

    mean_BD: Tensor
    log_sigma_BD: Tensor

    def draw(self, noise: torch.Generator | None = None) -> Tensor:
        """z = μ + σ ε, ε ~ N(0, I): differentiable in μ and σ (Kingma & Welling 2014, section 2.4)."""
        epsilon_BD = torch.randn(self.mean_BD.shape, generator=noise, device=self.mean_BD.device)
        return self.mean_BD + self.log_sigma_BD.exp() * epsilon_BD

    @property
    def kl_BD(self) -> Tensor:
        """KL(q(z | x) ‖ N(0, I)) of each unit, nats."""
        return kl_to_normal(self.mean_BD, self.log_sigma_BD)


class Encoding(Sampler):
    """What can also say which latents stand for a given sample."""

    likelihood: Likelihood

    def reconstruct(self, x_BCS: Tensor, given: Given) -> Tensor:
        """Samples x_BCS by way of their latents."""
        raise NotImplementedError

    def label_of(self, given: Given) -> Tensor | None:
        """What picks a prior: the only label, the strongest of several, where the model is told one."""
        names = list(self.knows.labels)
        if len(names) != 1:
            return None
        label = given[names[0]]
        return label.argmax(1) if label.dim() == 2 else label


class Autoencoder(Encoding):
    """q(z | x, c), p(x | z, c) and the prior that is sampled, as one thing: what is averaged, saved, and generates."""

    def __init__(self, space: Grid, told: Told, model: Autoencoding):
        assert model.size and model.latent
        super().__init__(space, told, model.latent)
        width, given, channels = WIDTHS[model.size], self.knows.vector_length, self.knows.grid_channels
        network = model.network or "conv"
        self.head = label_head(model.latent, told, model.label_head)  # Where it is to say the label, an encoder is not told it.
        seen = given if self.head is None else 0
        self.encoder = encoder(space, network, seen, width, 2 * model.latent, grid_channels=channels)
        self.decoder = decoder(space, network, model.latent + given, width, grid_channels=channels)
        self.likelihood = likelihood(model.likelihood, model.sigma)
        self.prior = Mixture(model.latent, groups_of(told))
        self.wanted: str = model.prior

    def choose(self, prior: str) -> None:
        if prior not in ("mixture", "normal"):
            raise RecipeError("--prior {prior}: mixture or normal", prior=prior)
        self.wanted = prior

    def encode(self, x_BCS: Tensor, given: Given) -> Posterior:
        """q(z | x, c)."""
        c_BD, grid_BCS = self.knows(given)
        c_BD = c_BD if self.head is None else None
        mean_BD, log_sigma_BD = self.encoder(self.space.embed(x_BCS), c_BD, grid_BCS).float().chunk(2, 1)
        return Posterior(mean_BD, log_sigma_BD.clamp(LEAST_LOG_SIGMA, MOST_LOG_SIGMA))

    def decode(self, h_BD: Tensor, given: Given) -> Tensor:
        """The raw output y_BCS that p(x | z, c) is made of."""
        c_BD, grid_BCS = self.knows(given)
        return self.decoder(h_BD if c_BD is None else torch.cat([h_BD, c_BD], 1), grid_BCS)

    @property
    def last_weight(self) -> Tensor:
        """Of the layer that the decoder ends in."""
        return [weight for name, weight in self.decoder.named_parameters() if name.endswith("leave.weight")][-1]

    def forward(self, h_BD: Tensor, given: Given) -> Tensor:
        """E[x | z, c]."""
        return self.space.soft(self.likelihood.mean(self.decode(h_BD, given)))

    def place(self, z_BD: Tensor, given: Given, truncation: float = 1.0) -> Tensor:
        z_BD = self.prefer(z_BD, given)
        return self.prior.place(z_BD, self.label_of(given), truncation) if self.wanted == "mixture" else z_BD * truncation

    @torch.no_grad()
    def reconstruct(self, x_BCS: Tensor, given: Given) -> Tensor:
        """By way of the middle of the posterior."""
        return self.space.hard(self(self.encode(x_BCS, given).mean_BD, given).float())

    def guess(self, x_BCS: Tensor, given: Given) -> Tensor:
        return self.encode(x_BCS, given).mean_BD

    def named(self, posterior: Posterior, given: Given, weight: float) -> Losses:
        """How well the label is read from the middle of the posterior; nothing where nobody asks."""
        return Losses({}) if self.head is None else self.head.losses(posterior.mean_BD, given, weight)

    def evidence(self, x_BCS: Tensor, given: Given) -> Tensor:
        """log p(x | z) - KL(q(z | x) ‖ N(0, I)) at z = μ, (B,): the ELBO without its noise."""
        posterior = self.encode(x_BCS, given)
        return self.likelihood.log_prob(self.decode(posterior.mean_BD, given), x_BCS) - posterior.kl_BD.sum(1)

    @torch.no_grad()
    def settle(self, pictures: Iterable[tuple[Tensor, Given]], seed: int) -> None:
        """Fits the mixture to one latent drawn for each of these pictures."""
        latents, labels, draw = [], [], torch.Generator().manual_seed(seed)
        for x_BCS, given in pictures:
            posterior = self.encode(x_BCS, given)
            latents.append(Posterior(posterior.mean_BD.cpu(), posterior.log_sigma_BD.cpu()).draw(draw))
            label_B = self.label_of(given)
            labels += [] if label_B is None else [label_B.cpu()]
        self.prior.fit(torch.cat(latents), torch.cat(labels) if labels else None, seed)


@torch.no_grad()
def bound(model: Autoencoder, x_BCS: Tensor, given: Given, draws: int, noise: torch.Generator | None = None, prior: str = "normal") -> Tensor:
    """log 1/K Σₖ p(x | zₖ) p(zₖ) / q(zₖ | x), zₖ ~ q: at most log p(x) on average, nearer with more draws; (B,) nats.

    Burda et al. 2015 (IWAE), eq. 8; with one draw an estimate of the ELBO. `x_BCS`: what the likelihood is of (`Likelihood.observed`).
    `prior`: N(0, I), or the fitted mixture.
    """
    posterior, label_B, logs = model.encode(x_BCS, given), model.label_of(given), []
    zero_BD = torch.zeros_like(posterior.mean_BD)
    for _ in range(draws):
        z_BD = posterior.draw(noise)
        prior_B = model.prior.log_prob(z_BD, label_B) if prior == "mixture" else log_normal(z_BD, zero_BD, zero_BD)
        told_B = log_normal(z_BD, posterior.mean_BD, posterior.log_sigma_BD)
        logs.append(model.likelihood.log_prob(model.decode(z_BD, given), x_BCS) + prior_B - told_B)
    return torch.stack(logs).logsumexp(0) - math.log(draws)


def active_units(mean_ND: Tensor) -> Tensor:
    """How many units of the latent say anything: those whose posterior mean varies over samples (Burda et al. 2015, section 5.2)."""
    return (mean_ND.var(0) > ACTIVE).sum()

"""Bounds against a model whose likelihood is known, and noise against the density that it is mapped to."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.mixture import GaussianMixture
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from fenshen.condition import Label
from fenshen.families.autoencoder import Autoencoder, Posterior, active_units, bound
from fenshen.families.base import At
from fenshen.families.mixture import COMPONENTS, ENOUGH, Mixture
from fenshen.families.quantized import Codec
from fenshen.families.vae import collapse, free, warm
from fenshen.likelihoods import Gaussian
from fenshen.nets.quantizer import usage
from fenshen.recipe import Vae
from fenshen.space import Grid

SIGMA = 0.5


class Linear(Autoencoder):
    """x = W z + σ ε in four values, two latents: everything about it is known. `off` moves the posterior from where it belongs."""

    def __init__(self, off: float = 0.0):
        super().__init__(Grid(1, (4,)), {}, Vae(size="nano", latent=2, likelihood="fixed", sigma=SIGMA))
        self.matrix = torch.tensor([[1.0, 0.2], [-0.5, 0.8], [0.3, -1.0], [0.0, 0.6]]) @ torch.tensor([[1.0, 0.0], [0.0, 0.7]])
        precision = torch.eye(2) + self.matrix.T @ self.matrix / SIGMA**2
        # Rotated so that the posterior's covariance is diagonal, as q's is.
        values, vectors = torch.linalg.eigh(precision)
        self.matrix, self.variance, self.off = self.matrix @ vectors, 1 / values, off

    def posterior(self, x: torch.Tensor) -> Posterior:
        mean = x.flatten(1) @ self.matrix / SIGMA**2 * self.variance
        return Posterior(mean, (self.variance.log() / 2).expand_as(mean))

    def encode(self, x_BCS: torch.Tensor, given: dict) -> Posterior:
        exact = self.posterior(x_BCS)
        return Posterior(exact.mean_BD + self.off, exact.log_sigma_BD)

    def decode(self, h_BD: torch.Tensor, given: dict) -> torch.Tensor:
        return (h_BD @ self.matrix.T)[:, None]

    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        return MultivariateNormal(torch.zeros(4), self.matrix @ self.matrix.T + SIGMA**2 * torch.eye(4)).log_prob(x.flatten(1))


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(6, 1, 4, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("draws", [1, 7])
def test_with_the_exact_posterior_the_bound_is_the_likelihood(x: torch.Tensor, draws: int) -> None:
    model = Linear()
    assert torch.allclose(bound(model, x, {}, draws, torch.Generator().manual_seed(0)), model.log_prob(x), atol=1e-4)


def test_one_draw_is_the_elbo_and_more_draws_come_nearer(x: torch.Tensor) -> None:
    model, noise = Linear(off=0.3), torch.Generator().manual_seed(0)
    exact, wrong = model.posterior(x), model.encode(x, {})
    gap = kl_divergence(*(Normal(q.mean_BD, q.log_sigma_BD.exp()) for q in (wrong, exact))).sum(1)
    one = torch.stack([bound(model, x, {}, 1, noise) for _ in range(2000)]).mean(0)
    assert torch.allclose(one, model.log_prob(x) - gap, atol=0.1)
    many = bound(model, x, {}, 2000, noise)
    assert torch.allclose(many, model.log_prob(x), atol=0.1) and (many > one).all()


def test_the_elbo_of_training_is_that_bound(x: torch.Tensor) -> None:
    """E log p(x | z) - KL, as `VAE.losses` sums it, is the mean of one-draw bounds."""
    model, noise = Linear(off=0.3), torch.Generator().manual_seed(0)
    posterior = model.encode(x, {})
    drawn = [-Gaussian(SIGMA).log_prob(model.decode(posterior.draw(noise), {}), x) + posterior.kl_BD.sum(1) for _ in range(2000)]
    one = torch.stack([bound(model, x, {}, 1, noise) for _ in range(2000)]).mean(0)
    assert torch.allclose(-torch.stack(drawn).mean(0), one, atol=0.15)


def test_active_units_are_those_that_vary() -> None:
    means = torch.randn(500, 5) * torch.tensor([1.0, 0.2, 0.05, 0.0, 0.11])
    assert int(active_units(means)) == 3


def made(count: int = 4000, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Two blobs in three dimensions, label 0 and label 1."""
    draw = np.random.default_rng(seed)
    label = draw.integers(0, 2, count)
    h = draw.standard_normal((count, 3)) * [1.0, 0.3, 0.5] + np.where(label[:, None], [4.0, 0, 0], [-1.0, 2.0, 0])
    h[:, 1] += 0.6 * h[:, 0]
    return torch.from_numpy(h).float(), torch.from_numpy(label)


def test_unfitted_it_is_the_standard_normal() -> None:
    z, prior = torch.randn(5, 3), Mixture(3, 0)
    assert torch.equal(prior.place(z, None), z)
    assert torch.allclose(prior.log_prob(z), Normal(0.0, 1.0).log_prob(z).sum(1), atol=1e-5)


def test_noise_becomes_the_fitted_density() -> None:
    (h, _), prior = made(), Mixture(3, 0)
    prior.fit(h, None, seed=0)
    count = max(1, min(COMPONENTS, len(h) // (ENOUGH * 3)))
    wanted = GaussianMixture(count, covariance_type="full", reg_covar=1e-4, max_iter=50, random_state=0).fit(h.double().numpy())
    assert torch.allclose(prior.log_prob(h), torch.from_numpy(wanted.score_samples(h.double().numpy())).float(), atol=1e-3)
    placed = prior.place(torch.randn(40_000, 3, generator=torch.Generator().manual_seed(0)), None)
    assert torch.allclose(placed.mean(0), h.mean(0), atol=0.06)
    assert torch.allclose(torch.cov(placed.T), torch.cov(h.T), atol=0.15)
    # As many of them in every cell of a coarse grid: more than two moments agree.
    cells = [((part[:, 0] > 1.5).long() * 2 + (part[:, 1] > 1.5).long()).bincount(minlength=4) / len(part) for part in (placed, h)]
    assert torch.allclose(*cells, atol=0.02)


def test_the_same_noise_is_the_same_latent_whatever_stands_beside_it() -> None:
    (h, label), prior = made(), Mixture(3, 2)
    prior.fit(h, label, seed=0)
    z, told = torch.randn(50, 3), torch.arange(50) % 2
    assert torch.equal(prior.place(z, told)[7:9], prior.place(z[7:9], told[7:9]))


def test_a_label_has_a_mixture_of_its_own_where_there_is_enough() -> None:
    (h, label), prior = made(), Mixture(3, 3)
    prior.fit(h, label, seed=0)
    z = torch.randn(2000, 3)
    for number in (0, 1):
        placed = prior.place(z, torch.full((2000,), number))
        assert torch.allclose(placed.mean(0), h[label == number].mean(0), atol=0.1)
    nobody = prior.place(z, torch.full((2000,), 2))  # No latent had this label: it draws from all.
    assert torch.allclose(nobody.mean(0), h.mean(0), atol=0.2)


def test_truncation_draws_towards_the_middle_of_each_component() -> None:
    (h, _), prior = made(), Mixture(3, 0)
    prior.fit(h, None, seed=0)
    z = torch.randn(300, 3)
    middles = prior.place(z, None, 0.0)
    assert len(torch.unique(middles.round(decimals=4), dim=0)) == int((prior.weight_GK > 0).sum())
    assert torch.allclose(prior.place(z, None, 0.5) - middles, (prior.place(z, None) - middles) / 2, atol=1e-5)


def test_extreme_noise_stays_finite() -> None:
    (h, _), prior = made(), Mixture(3, 0)
    prior.fit(h, None, seed=0)
    assert torch.isfinite(prior.place(torch.tensor([[9.0, 0, 0], [-9.0, 0, 0], [0.0, 0, 0]]), None)).all()


def test_two_latents_are_enough_to_fit() -> None:
    prior = Mixture(3, 0)
    prior.fit(torch.randn(2, 3), None, seed=0)
    assert torch.isfinite(prior.place(torch.randn(4, 3), None)).all()


def test_frequencies_of_codes_are_met_position_by_position() -> None:
    told = {"label": Label(2)}
    codec = Codec(Grid(1, (16, 16)), told, Vae(size="nano", quantizer="fsq", halvings=2))
    codec.frequency_GPK.zero_()
    codec.frequency_GPK[0, :, 5], codec.frequency_GPK[0, :, 9], codec.frequency_GPK[1, :, 200] = 3.0, 1.0, 1.0
    z = torch.randn(2000, codec.latent, generator=torch.Generator().manual_seed(0))
    drawn = codec.place(z, {"label": torch.zeros(2000, dtype=torch.long)})
    assert set(drawn.unique().tolist()) == {5, 9} and float((drawn == 5).double().mean()) == pytest.approx(0.75, abs=0.01)
    assert (codec.place(z, {"label": torch.ones(2000, dtype=torch.long)}) == 200).all()


def test_codes_are_counted_by_settle_and_come_back_as_samples() -> None:
    torch.manual_seed(0)
    codec = Codec(Grid(1, (16, 16)), {}, Vae(size="nano", quantizer="vq", halvings=2)).eval()
    x = torch.rand(12, 1, 16, 16) * 2 - 1
    codec.settle([(x[:6], {}), (x[6:], {})], 0)
    assert int(codec.frequency_GPK.sum()) == 12 * codec.latent
    codes = codec.encode(x, {}).code_BP
    assert torch.equal(codec.frequency_GPK.sum((0, 1)), codes.flatten().bincount(minlength=256).float())
    assert torch.equal(codec.reconstruct(x, {}), codec.space.hard(codec(codes, {})))


def test_usage_and_perplexity() -> None:
    used, perplexity = usage(torch.tensor([5, 5, 0, 0]))
    assert used == 0.5 and perplexity == pytest.approx(2.0)


def test_warm_up_and_free_bits() -> None:
    assert [warm(At(0.0, part), 0.2) for part in (0.0, 0.1, 0.2, 1.0)] == [1e-4, 0.5, 1.0, 1.0] and warm(At(0.0, 0.0), 0.0) == 1.0
    kl = torch.tensor([[0.01, 1.0], [0.03, 3.0]], requires_grad=True)
    cost = free(kl, 0.5)
    assert cost.mean(0).tolist() == [0.5, 2.0]
    cost.sum().backward()
    assert kl.grad is not None and kl.grad.tolist() == [[0.0, 1.0], [0.0, 1.0]]


def test_a_collapsed_latent_is_told_of_after_the_warm_up_only() -> None:
    dead, alive = {"autoencoder/active": 0.3}, {"autoencoder/active": 8.0}
    assert collapse(dead, At(0.0, 0.5), 0.1, 16) and "0 of 16" in str(collapse(dead, At(0.0, 0.5), 0.1, 16))
    assert collapse(dead, At(0.0, 0.05), 0.1, 16) is None and collapse(alive, At(0.0, 0.5), 0.1, 16) is None

"""Likelihoods against a page of algebra."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import Bernoulli as TorchBernoulli
from torch.distributions import Normal, kl_divergence

from fenshen.likelihoods import Bernoulli, Gaussian, bits_per_dimension, kl_to_normal, likelihood, log_normal


def pair(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(4, 2, 3, 3, generator=draw), torch.rand(4, 2, 3, 3, generator=draw) * 2 - 1


def test_bernoulli_is_the_log_probability_of_black_and_white() -> None:
    y, x = pair()
    x = torch.where(x > 0, 1.0, -1.0)
    wanted = TorchBernoulli(logits=y).log_prob((x + 1) / 2).flatten(1).sum(1)
    assert torch.allclose(Bernoulli().log_prob(y, x), wanted, atol=1e-5)


def test_grays_are_drawn_black_or_white_with_their_own_mean() -> None:
    x = torch.tensor([-1.0, -0.5, 0.0, 0.8, 1.0])
    drawn = torch.stack([Bernoulli().observed(x, torch.Generator().manual_seed(i)) for i in range(2000)])
    assert set(drawn.unique().tolist()) == {-1.0, 1.0}
    assert torch.allclose(drawn.mean(0), x, atol=0.08)


def test_bernoulli_mean_is_in_range() -> None:
    assert torch.allclose(Bernoulli().mean(torch.tensor([0.0, 50.0, -50.0])), torch.tensor([0.0, 1.0, -1.0]))


def test_gaussian_is_the_log_density() -> None:
    y, x = pair()
    wanted = Normal(y, 0.3).log_prob(x).flatten(1).sum(1)
    assert torch.allclose(Gaussian(0.3).log_prob(y, x), wanted, rtol=1e-5)


def test_learned_sigma_is_the_root_of_the_mean_squared_error_and_the_best() -> None:
    y, x = pair()
    found = Gaussian()
    for _ in range(400):
        found.follow((x - y).square().mean())
    assert float(found.log_sigma.exp()) == pytest.approx(float((x - y).square().mean().sqrt()), rel=1e-4)
    best = found.log_prob(y, x).mean()
    for factor in (0.9, 1.1):
        assert Gaussian(float(found.log_sigma.exp()) * factor).log_prob(y, x).mean() < best


def test_gradient_is_that_of_the_best_sigma_in_closed_form() -> None:
    """-log p with σ*² = MSE inside, n/2 log MSE + const: its gradient equals that at σ held there (envelope theorem)."""
    y, x = pair()
    y.requires_grad_()
    n = x.numel()
    (through,) = torch.autograd.grad(n / 2 * (x - y).square().mean().log(), y)
    (held,) = torch.autograd.grad(-Gaussian(float((x - y).detach().square().mean().sqrt())).log_prob(y, x).sum(), y)
    assert torch.allclose(through, held, rtol=1e-4)


def test_sigma_has_a_floor() -> None:
    found = Gaussian()
    for _ in range(2000):
        found.follow(torch.tensor(0.0))
    assert float(found.log_sigma) == pytest.approx(-6.0) and math.isfinite(float(found.log_prob(torch.zeros(1, 1, 2), torch.ones(1, 1, 2))[0]))


def test_a_fixed_sigma_stays() -> None:
    found = likelihood("fixed", 0.2)
    found.follow(torch.tensor(9.0))
    assert isinstance(found, Gaussian) and float(found.log_sigma.exp()) == pytest.approx(0.2)


def test_kl_and_log_density_of_normals() -> None:
    mean, log_sigma = torch.randn(5, 3), torch.randn(5, 3) / 2
    wanted = kl_divergence(Normal(mean, log_sigma.exp()), Normal(0.0, 1.0))
    assert torch.allclose(kl_to_normal(mean, log_sigma), wanted, atol=1e-5)
    z = torch.randn(5, 3)
    assert torch.allclose(log_normal(z, mean, log_sigma), Normal(mean, log_sigma.exp()).log_prob(z).sum(1), atol=1e-4)


def test_a_uniform_density_takes_eight_bits() -> None:
    """256 levels, each 2/255 wide: a density of 255/512 everywhere is 1/256 each."""
    nats = torch.full((1,), 10 * math.log(255 / 512))
    assert float(bits_per_dimension(nats, 10)[0]) == pytest.approx(8.0, abs=1e-5)

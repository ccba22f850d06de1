"""Every objective against what a page of algebra gives."""

import math

import pytest
import torch
from torch import Tensor

from fenshen.losses import OBJECTIVES

REAL, FAKE = torch.tensor([1.5, -0.5]), torch.tensor([-2.0, 0.7])


def sigma(t: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-t))


EXPECTED = {
    "minimax": (-torch.log(sigma(REAL)) - torch.log(1 - sigma(FAKE)), torch.log(1 - sigma(FAKE))),
    "nonsaturating": (-torch.log(sigma(REAL)) - torch.log(1 - sigma(FAKE)), -torch.log(sigma(FAKE))),
    "lsgan": ((REAL - 1) ** 2 / 2 + FAKE**2 / 2, (FAKE - 1) ** 2 / 2),
    "wgan": (FAKE - REAL, -FAKE),
    "wgan-gp": (FAKE - REAL, -FAKE),
    "hinge": (torch.tensor([0.0, 1.5]) + torch.tensor([0.0, 1.7]), -FAKE),
    "relativistic": (-torch.log(sigma(REAL - FAKE)), -torch.log(sigma(FAKE - REAL))),
}


def test_every_objective_is_checked() -> None:
    assert set(EXPECTED) == set(OBJECTIVES)


@pytest.mark.parametrize("name", EXPECTED)
def test_values(name: str) -> None:
    critic, generator = EXPECTED[name]
    torch.testing.assert_close(OBJECTIVES[name].critic(REAL, FAKE, 0.0), critic)
    torch.testing.assert_close(OBJECTIVES[name].generator(REAL, FAKE), generator)


@pytest.mark.parametrize("name", EXPECTED)
def test_critic_wants_real_up_and_fake_down_and_generator_fake_up(name: str) -> None:
    real, fake = REAL.clone().requires_grad_(), FAKE.clone().requires_grad_()
    on_real, on_fake = torch.autograd.grad(OBJECTIVES[name].critic(real, fake, 0.0).sum(), (real, fake), allow_unused=True)
    wants_real = torch.tensor([0.5, -1.5]) if name == "lsgan" else -on_real.abs()
    wants_fake = torch.tensor([-2.0, 0.7]) if name == "lsgan" else on_fake.abs()
    torch.testing.assert_close(on_real, wants_real)
    torch.testing.assert_close(on_fake, wants_fake)
    (generator,) = torch.autograd.grad(OBJECTIVES[name].generator(real, fake).sum(), fake)
    assert (generator < 0).all()


def test_optimal_discriminator_of_cross_entropy_is_p_over_p_plus_q() -> None:
    """Goodfellow 2014, proposition 1: with densities p, q the loss p·L(real) + q·L(fake) is least at σ(D) = p / (p + q)."""
    logits, p, q = torch.linspace(-6, 6, 24001), 0.7, 0.2
    loss = OBJECTIVES["minimax"].critic
    value = p * loss(logits, torch.full_like(logits, -1e9), 0.0) + q * loss(torch.full_like(logits, 1e9), logits, 0.0)
    assert abs(float(sigma(logits[value.argmin()])) - p / (p + q)) < 1e-3


def test_smoothing_moves_the_real_optimum() -> None:
    logits, far = torch.linspace(-6, 6, 24001), torch.full((24001,), -1e9)
    best = logits[OBJECTIVES["nonsaturating"].critic(logits, far, 0.1).argmin()]
    assert abs(float(sigma(best)) - 0.9) < 1e-3
    assert abs(float(logits[OBJECTIVES["lsgan"].critic(logits, torch.zeros(24001), 0.1).argmin()]) - 0.9) < 1e-3


def test_relativistic_sees_no_constant_and_is_log_two_at_a_tie() -> None:
    both = OBJECTIVES["relativistic"]
    torch.testing.assert_close(both.critic(REAL + 5, FAKE + 5, 0.0), both.critic(REAL, FAKE, 0.0))
    assert abs(float(both.critic(torch.zeros(1), torch.zeros(1), 0.0)) - math.log(2)) < 1e-6


def test_large_logits_stay_finite() -> None:
    huge = torch.tensor([1e4, -1e4])
    for objective in OBJECTIVES.values():
        assert torch.isfinite(objective.critic(huge, -huge, 0.0)).all() and torch.isfinite(objective.generator(huge, -huge)).all()

"""Gradient penalties in closed form, and finite differences against double backward."""

import pytest
import torch
from torch import Tensor, nn

from fenshen import penalties


def quadratic(x: Tensor) -> Tensor:
    """½ ‖x‖²: its gradient is x."""
    return 0.5 * x.flatten(1).square().sum(1)


def line(weight: Tensor):
    return lambda x: x.flatten(1) @ weight


def test_exact_squared_gradient_of_a_quadratic_is_its_squared_norm() -> None:
    x = torch.randn(5, 2, 3, 3)
    torch.testing.assert_close(penalties.gradient_squared(quadratic, x), x.flatten(1).square().sum(1))


def test_exact_squared_gradient_can_be_minimised() -> None:
    """d/dw of ‖w‖² is 2 w."""
    w = torch.randn(9, requires_grad=True)
    penalties.gradient_squared(line(w), torch.randn(4, 1, 3, 3)).mean().backward()
    torch.testing.assert_close(w.grad, 2 * w.detach())


def test_finite_differences_agree_with_double_backward_on_a_smooth_critic() -> None:
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Flatten(), nn.Linear(16, 32), nn.SiLU(), nn.Linear(32, 1, bias=False), nn.Flatten(0)).double()
    x = torch.randn(2, 1, 4, 4, dtype=torch.float64)
    exact = penalties.gradient_squared(critic, x)
    draws = 20_000
    many = penalties.gradient_squared_finite(critic, x.repeat(draws, 1, 1, 1), 1e-3).view(draws, 2)
    error = many.std(0) / draws**0.5
    assert ((many.mean(0) - exact).abs() < 4 * error).all(), (many.mean(0), exact, error)


def test_gradients_of_both_with_respect_to_the_weights_agree() -> None:
    torch.manual_seed(1)
    critic = nn.Sequential(nn.Flatten(), nn.Linear(9, 16), nn.SiLU(), nn.Linear(16, 1, bias=False), nn.Flatten(0)).double()
    x = torch.randn(1, 1, 3, 3, dtype=torch.float64)
    exact = torch.autograd.grad(penalties.gradient_squared(critic, x).mean(), list(critic.parameters()))
    finite = torch.autograd.grad(penalties.gradient_squared_finite(critic, x.repeat(40_000, 1, 1, 1), 1e-3).mean(), list(critic.parameters()))
    a, b = (torch.cat([g.flatten() for g in grads]) for grads in (exact, finite))
    assert torch.nn.functional.cosine_similarity(a, b, dim=0) > 0.99


@pytest.mark.parametrize("size", [0.5, 1.0, 3.0])
def test_wgan_gp_of_a_linear_critic(size: float) -> None:
    """‖∇‖ = ‖w‖ everywhere, so the penalty is (‖w‖ - 1)²."""
    w = torch.randn(16)
    w = w / w.norm() * size
    real, fake = torch.randn(6, 1, 4, 4), torch.randn(6, 1, 4, 4)
    value = penalties.gradient_norm(line(w), penalties.between(real, fake))
    torch.testing.assert_close(value, torch.full((6,), (size - 1) ** 2), atol=1e-5, rtol=1e-4)


def test_finite_wgan_gp_is_exact_along_the_line() -> None:
    """A linear critic that points from fake to real with norm 2 has slope 2 there."""
    direction = torch.zeros(16)
    direction[3] = 1.0
    fake = torch.randn(6, 1, 4, 4)
    real = fake + 0.7 * direction.view(1, 4, 4)
    value = penalties.gradient_norm_finite(line(2 * direction), penalties.between(real, fake), real - fake, 0.1)
    torch.testing.assert_close(value, torch.ones(6), atol=1e-3, rtol=1e-3)


def test_between_lies_on_the_segment() -> None:
    real, fake = torch.ones(50, 1, 2, 2), torch.zeros(50, 1, 2, 2)
    middle = penalties.between(real, fake)
    assert (middle >= 0).all() and (middle <= 1).all() and middle.flatten(1).std(1).max() < 1e-6 and middle.std() > 0.1

"""Gradient penalties of a critic, one value per sample, unweighted.

Each takes `critic`, a function of pictures alone (x_BCS -> logits (B,)): condition, augmentation and noise are fixed in it
beforehand, so that both evaluations of a finite difference see the same. The squared gradient is summed over all axes of
a sample. `noise`: where random numbers come from, torch's own state if None. Exact penalties go backward twice; finite
differences need two forwards, one backward, and can be compiled.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Critic = Callable[[Tensor], Tensor]


def gradient_squared(critic: Critic, x_BCS: Tensor) -> Tensor:
    """‖∇ₓD(x)‖², exact: R1 at real samples, R2 at generated ones. Mescheder et al. 2018, eq. 9."""
    x_BCS = x_BCS.detach().requires_grad_()
    (gradient_BCS,) = torch.autograd.grad(critic(x_BCS).sum(), x_BCS, create_graph=True)
    return gradient_BCS.square().flatten(1).sum(1)


def gaussian(like: Tensor, noise: torch.Generator | None = None) -> Tensor:
    """N(0, 1) in the shape of `like`."""
    return torch.randn(like.shape, generator=noise, device=like.device, dtype=like.dtype)


def gradient_squared_finite(critic: Critic, x_BCS: Tensor, step: float, noise: torch.Generator | None = None) -> Tensor:
    """((D(x + step·n) - D(x)) / step)², n ~ N(0, I): its mean over n is ‖∇ₓD(x)‖² + O(step²)."""
    x_BCS = x_BCS.detach()
    moved_BCS = x_BCS + step * gaussian(x_BCS, noise)
    before, after = critic(torch.cat([x_BCS, moved_BCS])).chunk(2)
    return ((after - before) / step).square()


def between(real_BCS: Tensor, fake_BCS: Tensor, noise: torch.Generator | None = None) -> Tensor:
    """A uniformly random point on the line from each real to its fake. Gulrajani et al. 2017, algorithm 1."""
    share = torch.rand(len(real_BCS), *[1] * (real_BCS.dim() - 1), generator=noise, device=real_BCS.device)
    return fake_BCS + share * (real_BCS - fake_BCS)


def gradient_norm(critic: Critic, middle_BCS: Tensor) -> Tensor:
    """(‖∇D(x̂)‖ - 1)² at points x̂ `between` real and fake. Gulrajani et al. 2017 (WGAN-GP), eq. 3."""
    squared = gradient_squared(critic, middle_BCS)
    return ((squared + 1e-12).sqrt() - 1).square()


def gradient_norm_finite(critic: Critic, middle_BCS: Tensor, line_BCS: Tensor, step: float) -> Tensor:
    """(slope - 1)², the slope of D at x̂ in the direction of `line_BCS` (real - fake), by a central difference.

    The optimal critic's gradient points along that line with norm 1 (Gulrajani et al. 2017, proposition 1), so both
    penalties have the same minimum; elsewhere the slope is a lower bound of the norm.
    """
    line_BCS = line_BCS / (line_BCS.flatten(1).norm(dim=1).view(-1, *[1] * (line_BCS.dim() - 1)) + 1e-12)
    below, above = critic(torch.cat([middle_BCS - step / 2 * line_BCS, middle_BCS + step / 2 * line_BCS])).chunk(2)
    return ((above - below) / step - 1).square()

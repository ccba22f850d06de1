"""Adversarial objectives: what the critic and what the generator minimise, one value per sample.

`real` and `fake` are logits (B,), unbounded: D(x) and D(G(z)); σ is the logistic function and softplus(t) = log(1 + eᵗ), so
-log σ(t) = softplus(-t) and -log(1 - σ(t)) = softplus(t). `smoothing` s moves the real target from 1 to 1 - s (one-sided
label smoothing, Salimans et al. 2016) where the objective has targets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import relu, softplus


@dataclass(frozen=True)
class Objective:
    """The two players' losses, each (real, fake, smoothing) -> (B,)."""

    critic: Callable[[Tensor, Tensor, float], Tensor]
    generator: Callable[[Tensor, Tensor], Tensor]


def cross_entropy_critic(real: Tensor, fake: Tensor, smoothing: float = 0.0) -> Tensor:
    """-(1 - s) log σ(D(x)) - s log(1 - σ(D(x))) - log(1 - σ(D(G(z)))). Goodfellow et al. 2014, eq. 1."""
    return (1 - smoothing) * softplus(-real) + smoothing * softplus(real) + softplus(fake)


def minimax_generator(real: Tensor, fake: Tensor) -> Tensor:
    """log(1 - σ(D(G(z)))). Goodfellow et al. 2014, eq. 1: saturates while the critic is sure."""
    return -softplus(fake)


def nonsaturating_generator(real: Tensor, fake: Tensor) -> Tensor:
    """-log σ(D(G(z))). Goodfellow et al. 2014, section 3."""
    return softplus(-fake)


def least_squares_critic(real: Tensor, fake: Tensor, smoothing: float = 0.0) -> Tensor:
    """½ (D(x) - (1 - s))² + ½ D(G(z))². Mao et al. 2017 (LSGAN), eq. 9 with a = 0, b = c = 1."""
    return 0.5 * (real - (1 - smoothing)).square() + 0.5 * fake.square()


def least_squares_generator(real: Tensor, fake: Tensor) -> Tensor:
    """½ (D(G(z)) - 1)². Mao et al. 2017, eq. 9."""
    return 0.5 * (fake - 1).square()


def wasserstein_critic(real: Tensor, fake: Tensor, smoothing: float = 0.0) -> Tensor:
    """D(G(z)) - D(x), for a critic kept Lipschitz by clipping or a penalty. Arjovsky et al. 2017, eq. 2."""
    return fake - real


def wasserstein_generator(real: Tensor, fake: Tensor) -> Tensor:
    """-D(G(z)). Arjovsky et al. 2017, algorithm 1."""
    return -fake


def hinge_critic(real: Tensor, fake: Tensor, smoothing: float = 0.0) -> Tensor:
    """max(0, 1 - D(x)) + max(0, 1 + D(G(z))). Lim & Ye 2017 (Geometric GAN); Miyato et al. 2018, eq. 16."""
    return relu(1 - real) + relu(1 + fake)


def relativistic_critic(real: Tensor, fake: Tensor, smoothing: float = 0.0) -> Tensor:
    """softplus(-(D(x) - D(G(z)))). Jolicoeur-Martineau 2018 (RpGAN); Huang et al. 2024 (R3GAN), eq. 2."""
    return softplus(fake - real)


def relativistic_generator(real: Tensor, fake: Tensor) -> Tensor:
    """softplus(-(D(G(z)) - D(x))), each fake against a fresh real. Huang et al. 2024, eq. 2."""
    return softplus(real - fake)


OBJECTIVES = {
    "minimax": Objective(cross_entropy_critic, minimax_generator),
    "nonsaturating": Objective(cross_entropy_critic, nonsaturating_generator),
    "lsgan": Objective(least_squares_critic, least_squares_generator),
    "wgan": Objective(wasserstein_critic, wasserstein_generator),
    "wgan-gp": Objective(wasserstein_critic, wasserstein_generator),
    "hinge": Objective(hinge_critic, wasserstein_generator),
    "relativistic": Objective(relativistic_critic, relativistic_generator),
}

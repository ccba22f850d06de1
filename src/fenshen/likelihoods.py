"""Likelihoods: how probable a sample is under what a decoder says of it. log p(x | y), in nats, summed over every value of a sample.

`y_BCS` is a decoder's raw output, `x_BCS` a sample in [-1, 1]; both are read in fp32. Shape letters: B batch, C channels, *S axes.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SMALLEST_LOG_SIGMA = -6.0  # Rybkin et al. 2020, section 3.3.
FOLLOWS = 0.05  # Part of a step's squared error that goes into its running mean.


class Likelihood(nn.Module):
    """One kind of pixel. What it learns is in its buffers."""

    def log_prob(self, y_BCS: Tensor, x_BCS: Tensor) -> Tensor:
        """log p(x | y), (B,)."""
        raise NotImplementedError

    def mean(self, y_BCS: Tensor) -> Tensor:
        """E[x | y]: a sample, perhaps a little beyond [-1, 1]."""
        raise NotImplementedError

    def observed(self, x_BCS: Tensor, noise: torch.Generator | None = None) -> Tensor:
        """What the likelihood is of: the sample itself, or one drawn from it."""
        return x_BCS

    def follow(self, squared_error: Tensor) -> None:
        """Hears of the mean squared error per value, after every step."""


class Bernoulli(Likelihood):
    """Black or white, y the logits: log p = Σ b log σ(y) + (1 - b) log σ(-y), b in {0, 1} for x in {-1, 1}.

    Grays are probabilities: each time a sample is looked at, it is drawn anew (Salakhutdinov & Murray 2008; Burda et al. 2015).
    """

    def log_prob(self, y_BCS: Tensor, x_BCS: Tensor) -> Tensor:
        return -F.binary_cross_entropy_with_logits(y_BCS.float(), (x_BCS.float() + 1) / 2, reduction="none").flatten(1).sum(1)

    def mean(self, y_BCS: Tensor) -> Tensor:
        return 2 * y_BCS.sigmoid() - 1

    def observed(self, x_BCS: Tensor, noise: torch.Generator | None = None) -> Tensor:
        chance_BCS = ((x_BCS.float() + 1) / 2).clamp(0, 1)
        return (2 * torch.bernoulli(chance_BCS, generator=noise) - 1).to(x_BCS.dtype)


class Gaussian(Likelihood):
    """x ~ N(y, σ²): log p = -Σ (x - y)² / 2σ² - n log σ - n/2 log 2π, one σ for all n values of a sample.

    `sigma` None: the best one, σ*² = mean squared error, in closed form (Rybkin et al. 2020, "Simple and effective VAE training with
    calibrated decoders", eq. 8), here of the last steps' running mean, which is also what is measured with. Since log p is stationary
    in σ there, the gradient is the same whether it goes through σ* or not. Never below e⁻⁶.
    """

    log_sigma: Tensor

    def __init__(self, sigma: float | None = None):
        super().__init__()
        self.learned = sigma is None
        self.register_buffer("log_sigma", torch.tensor(0.0 if sigma is None else math.log(sigma)))

    def log_prob(self, y_BCS: Tensor, x_BCS: Tensor) -> Tensor:
        squared_B = (x_BCS.float() - y_BCS.float()).square().flatten(1).sum(1)
        return -squared_B / (2 * (2 * self.log_sigma).exp()) - x_BCS[0].numel() * (self.log_sigma + math.log(2 * math.pi) / 2)

    def mean(self, y_BCS: Tensor) -> Tensor:
        return y_BCS

    @torch.no_grad()
    def follow(self, squared_error: Tensor) -> None:
        if self.learned:
            variance = torch.lerp((2 * self.log_sigma).exp(), squared_error.float(), FOLLOWS)
            self.log_sigma.copy_((variance.log() / 2).clamp(min=SMALLEST_LOG_SIGMA))


def likelihood(name: str, sigma: float) -> Likelihood:
    """The one that a recipe names."""
    match name:
        case "gaussian":
            return Gaussian()
        case "fixed":
            return Gaussian(sigma)
        case "bernoulli":
            return Bernoulli()
    raise AssertionError(name)


def kl_to_normal(mean_BD: Tensor, log_sigma_BD: Tensor) -> Tensor:
    """KL(N(μ, σ²) ‖ N(0, 1)) = ½ (μ² + σ² - 1) - log σ, of each dimension apart. Kingma & Welling 2014, appendix B."""
    return 0.5 * (mean_BD.square() + (2 * log_sigma_BD).exp() - 1) - log_sigma_BD


def log_normal(z_BD: Tensor, mean_BD: Tensor, log_sigma_BD: Tensor) -> Tensor:
    """log N(z; μ, σ²), (B,)."""
    return (-0.5 * ((z_BD - mean_BD) / log_sigma_BD.exp()).square() - log_sigma_BD - 0.5 * math.log(2 * math.pi)).sum(1)


def bits_per_dimension(nats_B: Tensor, dimensions: int) -> Tensor:
    """-log₂ of the probability per value, for a log density over [-1, 1] and values that are one of 256 levels.

    A level is 2/255 wide; for a density over levels spread evenly within their width, this is a bound (Theis et al. 2016, section 3.1).
    """
    return -(nats_B / dimensions + math.log(2 / 255)) / math.log(2)

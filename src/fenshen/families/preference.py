"""What a person likes, as a direction in the latent space: likes and dislikes in, a change of how latents are drawn out.

A logistic regression says how likely a latent is to be liked, P(like | z, c) = σ(w·z + b_c). What is wanted is then
p(z | like, c) ∝ N(z; 0, I) σ(w·z + b_c)^k, and that differs from N(0, I) along w alone: with u = w·z / |w|, only u changes, from
N(0, 1) to a density ∝ φ(u) σ(|w| u + b_c)^k, and everything across w stays as various as it was. So a latent is moved along w by
the monotone map between the two, u' = F⁻¹(Φ(u)); the same seed still gives the same picture, and no draw is thrown away.

Shape letters: B batch, D latent, C classes (1 where there are none), U points of a table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from fenshen.condition import Given

REACH, POINTS = 8.0, 4001  # Of the table of u: Φ(-8) is 6e-16.


@dataclass(frozen=True)
class Taste:
    """One fitted preference: `weight_D` and `bias_C` (float64) of its logit, and the power k that says how much it counts."""

    weight_D: Tensor
    bias_C: Tensor
    strength: float = 1.0

    @property
    def length(self) -> float:
        """|w|: by how much the logit changes from one standard deviation along w."""
        return float(self.weight_D.norm())

    @cached_property
    def u_U(self) -> Tensor:
        return torch.linspace(-REACH, REACH, POINTS, dtype=torch.float64)

    @cached_property
    def liked_CU(self) -> Tensor:
        """σ(|w| u + b_c)."""
        return (self.length * self.u_U + self.bias_C[:, None]).sigmoid()

    @cached_property
    def density_CU(self) -> Tensor:
        """φ(u) σ(|w| u + b_c)^k on the table, not normalised."""
        return torch.exp(-self.u_U.square() / 2) * self.liked_CU**self.strength

    @property
    def mass_C(self) -> Tensor:
        """E σ^k: which part of each class passes."""
        return self.density_CU.sum(1) / torch.exp(-self.u_U.square() / 2).sum()

    def expected(self, shares_C: Tensor) -> tuple[float, float]:
        """P(like) of a picture before and after, by this preference's own belief; `shares_C`: of the classes before, summing to 1."""
        plain_U = torch.exp(-self.u_U.square() / 2)
        before_C = (plain_U * self.liked_CU).sum(1) / plain_U.sum()
        after_C = (self.density_CU * self.liked_CU).sum(1) / self.density_CU.sum(1)
        return float(shares_C @ before_C), float(self.shares(shares_C) @ after_C)

    def shares(self, shares_C: Tensor) -> Tensor:
        """How often each class is drawn then: P(c | like)."""
        wanted_C = shares_C * self.mass_C
        return wanted_C / wanted_C.sum()

    def move(self, z_BD: Tensor, label_B: Tensor) -> Tensor:
        """z' (B, D), float64."""
        if not self.length:
            return z_BD
        along_D = self.weight_D / self.length
        u_B = z_BD @ along_D
        moved_B = torch.empty_like(u_B)
        for label in label_B.unique().tolist():
            here = label_B == label
            moved_B[here] = self._quantile(label, torch.special.ndtr(u_B[here]))
        return z_BD + (moved_B - u_B)[:, None] * along_D

    def _quantile(self, label: int, p_B: Tensor) -> Tensor:
        """F⁻¹(p) of the class's density, linear between the points of the table."""
        step = 2 * REACH / (POINTS - 1)
        density_U = self.density_CU[label]
        sums_U = torch.cat([torch.zeros(1, dtype=torch.float64), ((density_U[1:] + density_U[:-1]) / 2).cumsum(0)])
        sums_U = sums_U / sums_U[-1]
        place_B = torch.searchsorted(sums_U, p_B).clamp(1, POINTS - 1)
        low_B, high_B = sums_U[place_B - 1], sums_U[place_B]
        part_B = ((p_B - low_B) / (high_B - low_B).clamp_min(1e-300)).clamp(0, 1)
        return -REACH + step * (place_B - 1 + part_B)


@dataclass(frozen=True)
class Preference:
    """Tastes taught one after the other. The later one was taught on pictures of the earlier, so a latent goes through it first."""

    tastes: tuple[Taste, ...]

    @torch.no_grad()
    def __call__(self, z_BD: Tensor, given: Given) -> Tensor:
        """Where the latents are moved to; a sampler's `prefer`."""
        label_B = given["label"].cpu() if "label" in given else torch.zeros(len(z_BD), dtype=torch.long)
        moved_BD = z_BD.detach().cpu().double()
        for taste in reversed(self.tastes):
            moved_BD = taste.move(moved_BD, label_B)
        return moved_BD.to(z_BD)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Plain tensors, and numbers for a JSON header."""
        tensors = {f"{number}.{name}": getattr(taste, name) for number, taste in enumerate(self.tastes) for name in ("weight_D", "bias_C")}
        return tensors, {"strengths": [taste.strength for taste in self.tastes]}

    @classmethod
    def from_state(cls, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> Preference:
        return cls(tuple(
            Taste(tensors[f"{number}.weight_D"], tensors[f"{number}.bias_C"], float(strength)) for number, strength in enumerate(header["strengths"])
        ))  # fmt: skip


def fit(x_NF: Tensor, liked_N: Tensor, precision_F: Tensor, rounds: int = 100) -> Tensor:
    """Weights (F,) of the logistic regression of `liked_N` (0 or 1) on features x, with a Gaussian prior N(0, 1 / precision) on each.

    Newton's method (iteratively reweighted least squares; Bishop 2006, section 4.3.3); each step is halved until the loss falls.
    All float64.
    """

    def loss(w_F: Tensor) -> Tensor:
        logit_N = x_NF @ w_F
        return (torch.nn.functional.softplus(logit_N) - liked_N * logit_N).sum() + (precision_F * w_F.square()).sum() / 2

    w_F = torch.zeros(x_NF.shape[1], dtype=torch.float64)
    for _ in range(rounds):
        p_N = (x_NF @ w_F).sigmoid()
        gradient_F = x_NF.T @ (p_N - liked_N) + precision_F * w_F
        hessian_FF = x_NF.T @ (x_NF * (p_N * (1 - p_N))[:, None]) + torch.diag(precision_F)
        step_F = torch.linalg.solve(hessian_FF, gradient_F)
        while float(step_F.abs().max()) > 1e-10 and loss(w_F - step_F) > loss(w_F):
            step_F = step_F / 2
        w_F = w_F - step_F
        if float(step_F.abs().max()) < 1e-10:
            break
    return w_F

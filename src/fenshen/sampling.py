"""Logits become the next token: what is cut off, and how one is drawn from the rest. Pure functions.

Top-k: Fan et al. 2018. Top-p, nucleus sampling: Holtzman et al. 2020. Min-p: Nguyen et al. 2024. Repetition: Keskar et al. 2019 (CTRL), eq. 2.

Shape letters: B batch, V vocabulary, L tokens so far.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from fenshen.errors import RecipeError

REMEMBERED = 64  # Of the tokens so far, those whose repetition counts.


@dataclass(frozen=True)
class Controls:
    """How freely the next token is drawn; the defaults draw from what the model believes, and change nothing.

    temperature: below 1 more typical, 0 always the likeliest. top_k: of so many likeliest ones, 0 of all. top_p: of the likeliest ones
    that make up this share. min_p: of those at least so likely as this part of the likeliest. repetition: above 1, what came lately is
    less likely to come again. RecipeError for a value out of range.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition: float = 1.0

    def __post_init__(self) -> None:
        ranges = {"temperature": (0, 10), "top_k": (0, 10**6), "top_p": (0.001, 1), "min_p": (0, 1), "repetition": (0.1, 10)}
        for name, (low, high) in ranges.items():
            if not low <= getattr(self, name) <= high:
                raise RecipeError("--{name} {value}: between {low} and {high}", name=name.replace("_", "-"), value=getattr(self, name), low=low,
                                  high=high)  # fmt: skip


def shares(logit_BV: Tensor, tok_BL: Tensor, controls: Controls, allowed_BV: Tensor | None = None) -> Tensor:
    """p_BV, float64, summing to 1: how likely each token is drawn after tok_BL. Where nothing is allowed, all of it is 0."""
    logit_BV = logit_BV.double()
    if controls.repetition != 1:
        logit_BV = _less_of(logit_BV, tok_BL[:, -REMEMBERED:], controls.repetition)
    if allowed_BV is not None:
        logit_BV = logit_BV.masked_fill(~allowed_BV, -torch.inf)
    best_B1 = logit_BV.max(1, keepdim=True).values
    likeliest_BV = torch.where(logit_BV == best_B1, 0.0, -torch.inf)
    logit_BV = (logit_BV - best_B1) / controls.temperature if controls.temperature else likeliest_BV
    p_BV = logit_BV.softmax(1).nan_to_num(0.0)
    cut_BV = p_BV < controls.min_p * p_BV.max(1, keepdim=True).values
    if controls.top_k or controls.top_p < 1:
        ordered_BV, place_BV = p_BV.sort(dim=1, descending=True, stable=True)
        rare_BV = ordered_BV.cumsum(1) - ordered_BV >= controls.top_p  # What is likelier makes up that share already.
        if controls.top_k:
            rare_BV[:, controls.top_k :] = True
        cut_BV = cut_BV | torch.zeros_like(rare_BV).scatter(1, place_BV, rare_BV)
    p_BV = p_BV.masked_fill(cut_BV, 0.0)
    return p_BV / p_BV.sum(1, keepdim=True).clamp_min(1e-300)


def _less_of(logit_BV: Tensor, tok_BL: Tensor, penalty: float) -> Tensor:
    seen_BL = logit_BV.gather(1, tok_BL)
    return logit_BV.scatter(1, tok_BL, torch.where(seen_BL > 0, seen_BL / penalty, seen_BL * penalty))


def draw(p_BV: Tensor, u_B: Tensor) -> Tensor:
    """The tokens (B) in whose part of the shares `u_B`, uniform in [0, 1), lies."""
    sums_BV = p_BV.cumsum(1)
    last_B = (p_BV > 0).long().mul(torch.arange(p_BV.shape[1], device=p_BV.device)).max(1).values  # Rounding may leave u above all sums.
    return torch.minimum(torch.searchsorted(sums_BV, (u_B.to(sums_BV) * sums_BV[:, -1])[:, None], right=True)[:, 0], last_B)

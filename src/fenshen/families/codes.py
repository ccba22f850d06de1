"""Information codes: latents whose meaning can be read back from the sample. Chen et al. 2016 (InfoGAN).

    I(c; G(z)) ≥ H(c) + E log Q(c | G(z))               eq. 4; Q is a head on the critic's features, and all three players raise it

Layout of z: a block of K entries for each categorical code, one entry for each continuous code, and last what carries no code.
Outside of the generator every entry is N(0, 1), as in a latent without codes. `coded` makes codes of the first ones, each a pure
function of its own entries: a block becomes one-hot where it is largest (every category equally likely), and an entry of a
continuous code becomes 2 Φ(z) - 1, uniform on (-1, 1). `turned` is the way back: it sets a code in z.

On real samples Q is trained without any label to tell them apart: to be sure, to use all categories alike, and to say the same
of a sample and of a disturbed copy (Hu et al. 2017, IMSAT: information-maximising self-augmented training).

Shape letters: B batch, D latent, K categories, C channels, *S spatial axes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fenshen.errors import RecipeError
from fenshen.nets.blocks import LRELU_GAIN, linear, lrelu
from fenshen.recipe import Codes

NEAREST = 1 - 1e-6  # A continuous code comes no nearer to -1 and 1: there, z would be infinite.
LEAST_LOG_SIGMA = -3.0
BALANCE, SURE = 2.0, 0.5  # How much it counts to use all categories alike, and to be sure, against agreement.
Value = float | Tensor


def places(codes: Codes) -> dict[str, slice]:
    """Name -> entries of z. `categorical`, `continuous`; numbered from 1 where there are several of a kind."""
    kinds = {"categorical": codes.categorical, "continuous": (1,) * codes.continuous}
    found, start = {}, 0
    for kind, lengths in kinds.items():
        for number, length in enumerate(lengths, start=1):
            found[kind if len(lengths) == 1 else f"{kind}{number}"] = slice(start, start + length)
            start += length
    return found


def split(values_BD: Tensor, codes: Codes) -> tuple[list[Tensor], Tensor]:
    """The blocks (B, K) of the categorical codes, and the continuous codes (B, any number)."""
    *blocks, continuous_BD = values_BD[:, : codes.length].split([*codes.categorical, codes.continuous], 1)
    return blocks, continuous_BD


def coded(z_BD: Tensor, codes: Codes) -> Tensor:
    """What the generator is fed: z with its first entries made into codes."""
    blocks, continuous_BD = split(z_BD, codes)
    hot = [F.one_hot(block_BK.argmax(1), block_BK.shape[1]).to(z_BD.dtype) for block_BK in blocks]
    return torch.cat([*hot, torch.special.erf(continuous_BD / math.sqrt(2)), z_BD[:, codes.length :]], 1)


def turned(z_BD: Tensor, codes: Codes, wanted: Mapping[str, Value]) -> Tensor:
    """z with some codes set, to one value or one for each row: `{"categorical": 3, "continuous2": -0.5}`.

    RecipeError for a code or a value that there is not.
    """
    z_BD, known = z_BD.clone(), places(codes)
    for name, value in wanted.items():
        if name not in known:
            raise RecipeError("this run has no code {name}; it has: {known}", name=name, known=", ".join(known) or "-")
        value_B = torch.as_tensor(value, dtype=torch.float64).expand(len(z_BD))
        count = known[name].stop - known[name].start
        if name.startswith("categorical"):
            if not bool(((value_B == value_B.round()) & (value_B >= 0) & (value_B < count)).all()):
                raise RecipeError("code {name}={value}: a whole number from 0 to {last}", name=name, value=value, last=count - 1)
            z_BD[:, known[name]] = F.one_hot(value_B.long(), count).to(z_BD)
        else:
            if not bool((value_B.abs() <= 1).all()):
                raise RecipeError("code {name}={value}: between -1 and 1", name=name, value=value)
            z_BD[:, known[name]] = (math.sqrt(2) * torch.erfinv(NEAREST * value_B))[:, None].to(z_BD)
    return z_BD


def value(z_BD: Tensor, codes: Codes, name: str) -> float:
    """What one code is at the first of these latents."""
    said_D = coded(z_BD[:1], codes)[0, places(codes)[name]]
    return float(said_D.argmax()) if name.startswith("categorical") else float(said_D[0])


def steps(codes: Codes, name: str, points: int = 10) -> list[float]:
    """The values of one code, for a picture that shows what it does: every category, or evenly from -1 to 1. RecipeError as `turned`."""
    if name not in places(codes):
        raise RecipeError("this run has no code {name}; it has: {known}", name=name, known=", ".join(places(codes)) or "-")
    count = places(codes)[name].stop - places(codes)[name].start
    return [float(k) for k in range(count)] if name.startswith("categorical") else torch.linspace(-1, 1, points, dtype=torch.float64).tolist()


class Reader(nn.Module):
    """Q(c | x) from a critic's features: logits of each categorical code, the mean of each continuous one; its σ is one learned number."""

    def __init__(self, features: int, codes: Codes, width: int = 128):
        super().__init__()
        self.codes = codes
        self.hidden, self.leave = linear(features, width, gain=LRELU_GAIN), linear(width, codes.length)
        self.log_sigma_D = nn.Parameter(torch.zeros(codes.continuous)) if codes.continuous else None

    def forward(self, h_BD: Tensor) -> tuple[list[Tensor], Tensor]:
        """Logits (B, K) of each categorical code, and the means (B, any number) of the continuous ones."""
        return split(self.leave(lrelu(self.hidden(h_BD))).float(), self.codes)

    def surprise(self, h_BD: Tensor, c_BD: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """The weighted -log Q(c | x) of either kind of code, and the bound on I(c; x) in nats, each (B,). `c_BD`: a coded latent."""
        (logits, mean_BD), (blocks, continuous_BD) = self(h_BD), split(c_BD, self.codes)
        terms, known = {}, h_BD.new_full((len(h_BD),), sum(map(math.log, self.codes.categorical)) + self.codes.continuous * math.log(2)).float()
        if blocks:
            lost_B = torch.stack([-(hot * logit.log_softmax(1)).sum(1) for logit, hot in zip(logits, blocks, strict=True)]).sum(0)
            terms["categorical"], known = self.codes.categorical_weight * lost_B, known - lost_B.detach()
        if self.log_sigma_D is not None:
            log_sigma_D = self.log_sigma_D.clamp_min(LEAST_LOG_SIGMA)
            off_BD = (continuous_BD - mean_BD) * torch.exp(-log_sigma_D)
            lost_B = (0.5 * off_BD.square() + log_sigma_D + 0.5 * math.log(2 * math.pi)).sum(1)
            terms["continuous"], known = self.codes.continuous_weight * lost_B, known - lost_B.detach()
        return terms, known

    def agreement(self, h_BD: Tensor, disturbed_BD: Tensor) -> Tensor:
        """What the first categorical code says of real samples and of their disturbed copies: one weighted value (1,) for all of them.

        -Σ p log q, p of the samples and held fixed, q of the copies; less BALANCE · H(mean p); and SURE · mean H(p). IMSAT, eq. 6 to 8.
        """
        p_BK, log_q_BK = self(h_BD)[0][0].softmax(1), self(disturbed_BD)[0][0].log_softmax(1)
        agree = -(p_BK.detach() * log_q_BK).sum(1).mean()
        return self.codes.agreement * (agree - BALANCE * entropy(p_BK.mean(0)) + SURE * entropy(p_BK).mean())[None]


def entropy(p_BK: Tensor) -> Tensor:
    """-Σ p log p over the last axis, in nats."""
    return -(p_BK * p_BK.clamp_min(1e-8).log()).sum(-1)

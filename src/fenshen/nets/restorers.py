"""Networks from a damaged sample to a whole one, for any size of it: enlarging, and filling in what is missing.

Shape letters: B batch, C channels, *S spatial axes.
"""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fenshen.nets.blocks import AVERAGE, PlainBlock, conv, crop, lrelu, pad, upsample


def smooth(x_BCS: Tensor, size: tuple[int, ...]) -> Tensor:
    """Enlarged without any knowledge: bicubic for pictures (a = -0.75), linear along other numbers of axes."""
    if len(size) == 2:
        return F.interpolate(x_BCS, size, mode="bicubic", align_corners=False)
    return upsample(x_BCS, size)


def unfold(x_BCS: Tensor, factor: int) -> Tensor:
    """Channels to cells: (B, C · factor^axes, *S) -> (B, C, *(S · factor)). Shi et al. 2016 (sub-pixel convolution), for any number of axes."""
    size, axes = x_BCS.shape[2:], x_BCS.dim() - 2
    x = x_BCS.view(len(x_BCS), -1, *[factor] * axes, *size)
    order = itertools.chain.from_iterable((2 + axes + axis, 2 + axis) for axis in range(axes))
    return x.permute(0, 1, *order).reshape(len(x_BCS), x.shape[1], *(side * factor for side in size))


def inward(x_BCS: Tensor, mask_BCS: Tensor) -> Tensor:
    """What is missing (mask 1), filled from its rim inwards: means of what is known at ever coarser sizes, enlarged again.

    The push-pull algorithm of Gortler et al. 1996 ("The Lumigraph", section 3.4.2).
    """
    seen_BCS, size = 1 - mask_BCS, tuple(x_BCS.shape[2:])
    known_BCS = x_BCS * seen_BCS
    if max(size) == 1:
        return known_BCS
    pool = AVERAGE[len(size)]
    part_BCS, sum_BCS = (pool(v, tuple(min(2, side) for side in size), ceil_mode=True) for v in (seen_BCS, known_BCS))
    coarse_BCS = inward(sum_BCS / part_BCS.clamp_min(1e-6), (part_BCS == 0).to(x_BCS.dtype))
    return known_BCS + upsample(coarse_BCS, size) * mask_BCS


class Refine(nn.Module):
    """x + conv(act(conv(x))), no normalisation, the last convolution zero at the start. Lim et al. 2017 (EDSR), section 3.1."""

    def __init__(self, axes: int, channels: int):
        super().__init__()
        self.enter, self.leave = conv(axes, channels, channels), conv(axes, channels, channels, gain=0.0)

    def forward(self, x_BCS: Tensor) -> Tensor:
        return x_BCS + self.leave(lrelu(self.enter(x_BCS)))


class Enlarger(nn.Module):
    """What a smooth enlargement lacks. Lim et al. 2017 (EDSR): `depth` residual blocks at the small size, where they are cheap, then one
    convolution to all cells of the large one.

    The last convolution is zero at the start: training begins with the smooth enlargement.
    """

    def __init__(self, axes: int, channels: int, factor: int, width: int, depth: int):
        super().__init__()
        self.factor = factor
        self.enter = conv(axes, channels, width)
        self.blocks = nn.Sequential(*(Refine(axes, width) for _ in range(depth)))
        self.leave = conv(axes, width, channels * factor**axes, gain=0.0)

    def forward(self, x_BCS: Tensor) -> Tensor:
        """A small sample -> `factor` times its size."""
        h_BCS = self.enter(x_BCS)
        base_BCS = smooth(x_BCS, tuple(side * self.factor for side in x_BCS.shape[2:]))
        return base_BCS + unfold(self.leave(lrelu(h_BCS + self.blocks(h_BCS))), self.factor)


class Mender(nn.Module):
    """Down to an eighth and up again, with what is known at every size. Ronneberger et al. 2015 (U-Net).

    What is not missing stays as it is, bit for bit. The last convolution is zero at the start: training begins with what `inward` fills in.
    """

    def __init__(self, axes: int, channels: int, width: int, depth: int, levels: int = 3):
        super().__init__()
        self.levels = levels
        widths = [width * 2**level for level in range(levels + 1)]
        self.downs = nn.ModuleList(PlainBlock(axes, i, o, 2) for i, o in itertools.pairwise([channels + 1, *widths]))
        self.middle = nn.Sequential(*(Refine(axes, widths[-1]) for _ in range(depth)))
        self.ups = nn.ModuleList(PlainBlock(axes, 2 * o, o, 2) for o in widths[-2::-1])
        self.narrows = nn.ModuleList(conv(axes, i, o, 1) for o, i in itertools.pairwise(widths))
        self.leave = conv(axes, width, channels, gain=0.0)

    def forward(self, x_BCS: Tensor) -> Tensor:
        """A sample with 0 where it is missing, and the mask (1 there) as its last channel -> the sample."""
        known_BCS, mask_BCS, size = x_BCS[:, :-1], x_BCS[:, -1:], x_BCS.shape[2:]
        step = 2**self.levels
        h_BCS, kept = pad(x_BCS, tuple(math.ceil(side / step) * step for side in size)), []
        for level, down in enumerate(self.downs):
            h_BCS = down(h_BCS)
            if level < self.levels:
                kept.append(h_BCS)
                h_BCS = AVERAGE[len(size)](h_BCS, 2)
        h_BCS = self.middle(h_BCS)
        for up, narrow, beside_BCS in zip(self.ups, reversed(self.narrows), reversed(kept), strict=True):
            h_BCS = up(torch.cat([narrow(upsample(h_BCS, tuple(beside_BCS.shape[2:]))), beside_BCS], 1))
        return inward(known_BCS, mask_BCS) + crop(self.leave(h_BCS), tuple(size)) * mask_BCS

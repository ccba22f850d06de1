"""Encoders: a sample (and what it is told of it) to a few numbers, or to a small grid of features.

Shape letters: B batch, C channels, D vector, *S spatial axes. `given_BD`, `grid_BCS` as in `fenshen.nets.generators`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from fenshen.nets.blocks import PlainBlock, ResidualBlocks, conv, downsample, factors, halvings, linear, lrelu, pad
from fenshen.nets.generators import widths
from fenshen.space import Grid


class Descent(nn.Module):
    """From the full size down to a few cells, halving each axis: `depth` 3×3 convolutions or residual blocks per size.

    `sizes`, `channels`: of the grids on the way, the largest first.
    """

    def __init__(self, space: Grid, width: int, depth: int = 2, *, residual: bool = False, grid_channels: int = 0, lowest: int = 4):
        super().__init__()
        self.sizes, self.residual = halvings(space.size, lowest)[::-1], residual
        axes, self.channels = space.axes, widths(self.sizes, width)
        self.enter = conv(axes, space.channels + grid_channels, self.channels[0], 1 if residual else 3)
        pairs = zip([self.channels[0], *self.channels[:-1]], self.channels, strict=True)
        self.blocks = nn.ModuleList(
            ResidualBlocks(axes, i, o, depth, depth * len(self.sizes)) if residual else PlainBlock(axes, i, o, depth - (stage == 0))
            for stage, (i, o) in enumerate(pairs)
        )

    def forward(self, x_BCS: Tensor, grid_BCS: Tensor | None = None) -> Tensor:
        if grid_BCS is not None:
            x_BCS = torch.cat([x_BCS, grid_BCS], 1)
        x_BCS = self.enter(pad(x_BCS, self.sizes[0]))
        x_BCS = x_BCS if self.residual else lrelu(x_BCS)
        for i, block in enumerate(self.blocks):
            x_BCS = block(x_BCS)
            if i + 1 < len(self.sizes):
                x_BCS = downsample(x_BCS, factors(self.sizes[i + 1], self.sizes[i]))
        return x_BCS


class Encoder(nn.Module):
    """Down to a few cells, a dense layer of `features`, then `outputs` numbers, near 0 at the start."""

    def __init__(
        self, space: Grid, network: str, given: int, width: int, outputs: int, features: int = 256, *, grid_channels: int = 0,
    ):  # fmt: skip
        super().__init__()
        self.descent = Descent(space, width, residual=network == "residual", grid_channels=grid_channels)
        self.dense = linear(self.descent.channels[-1] * math.prod(self.descent.sizes[-1]) + given, features, gain=2**0.5)
        self.leave = linear(features, outputs, gain=0.1)

    def forward(self, x_BCS: Tensor, given_BD: Tensor | None = None, grid_BCS: Tensor | None = None) -> Tensor:
        h_BD = self.descent(x_BCS, grid_BCS).flatten(1)
        h_BD = h_BD if given_BD is None else torch.cat([h_BD, given_BD.to(h_BD.dtype)], 1)
        return self.leave(lrelu(self.dense(h_BD)))

"""Encoders: a sample (and what it is told of it) to a few numbers, or to a small grid of features.

Shape letters: B batch, C channels, D vector, *S spatial axes. `given_BD`, `grid_BCS` as in `fenshen.nets.generators`.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from fenshen.nets.blocks import PlainBlock, ResidualBlocks, conv, crop, downsample, factors, halvings, linear, lrelu, pad, upsample
from fenshen.nets.generators import ResidualRise, Rise, generator, widths
from fenshen.space import Grid


class Descent(nn.Module):
    """From the full size down to a few cells, halving each axis: `depth` 3×3 convolutions or residual blocks per size.

    `sizes`, `channels`: of the grids on the way, the largest first. `times`: how often it is halved at most.
    """

    def __init__(self, space: Grid, width: int, depth: int = 2, *, residual: bool = False, grid_channels: int = 0, times: int = 99):
        super().__init__()
        self.sizes, self.residual = halvings(space.size, 4)[::-1][: times + 1], residual
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
        self, space: Grid, given: int, width: int, outputs: int, features: int = 256, *, residual: bool = False, grid_channels: int = 0
    ):  # fmt: skip
        super().__init__()
        self.descent = Descent(space, width, residual=residual, grid_channels=grid_channels)
        self.dense = linear(self.descent.channels[-1] * math.prod(self.descent.sizes[-1]) + given, features, gain=2**0.5)
        self.leave = linear(features, outputs, gain=0.1)

    def forward(self, x_BCS: Tensor, given_BD: Tensor | None = None, grid_BCS: Tensor | None = None) -> Tensor:
        h_BD = self.descent(x_BCS, grid_BCS).flatten(1)
        h_BD = h_BD if given_BD is None else torch.cat([h_BD, given_BD.to(h_BD.dtype)], 1)
        return self.leave(lrelu(self.dense(h_BD)))


class GridEncoder(nn.Module):
    """Down to a grid of `outputs` channels; a condition vector is added there, everywhere alike."""

    def __init__(self, space: Grid, given: int, width: int, outputs: int, times: int, *, residual: bool = False, grid_channels: int = 0):
        super().__init__()
        self.descent = Descent(space, width, residual=residual, grid_channels=grid_channels, times=times)
        channels = self.descent.channels[-1]
        self.told = linear(given, channels) if given else None
        self.leave = conv(space.axes, channels, outputs, 1, gain=1.0)

    @property
    def size(self) -> tuple[int, ...]:
        """Of the grid."""
        return self.descent.sizes[-1]

    def forward(self, x_BCS: Tensor, given_BD: Tensor | None = None, grid_BCS: Tensor | None = None) -> Tensor:
        h_BCS = self.descent(x_BCS, grid_BCS)
        return self.leave(h_BCS if self.told is None or given_BD is None else h_BCS + everywhere(self.told(given_BD), h_BCS))


class GridDecoder(nn.Module):
    """From a grid of `inputs` channels up to a sample's raw output: the generator's way up, begun at a grid instead of a vector."""

    def __init__(self, space: Grid, given: int, width: int, inputs: int, times: int, *, residual: bool = False, grid_channels: int = 0):
        super().__init__()
        self.space, self.sizes = space, halvings(space.size, 4)[::-1][: times + 1][::-1]
        axes, channels = space.axes, widths(self.sizes, width)
        self.enter = conv(axes, inputs + grid_channels, channels[0], 3)
        self.told = linear(given, channels[0]) if given else None
        blocks = 2 * len(self.sizes)
        self.rises = nn.ModuleList(ResidualRise(axes, i, o, 2, blocks) if residual else Rise(axes, i, o, 1) for i, o in pairwise(channels))
        self.leave = conv(axes, channels[-1], space.channels, 3, gain=1.0)

    def forward(self, h_BCS: Tensor, given_BD: Tensor | None = None, grid_BCS: Tensor | None = None) -> Tensor:
        if grid_BCS is not None:
            h_BCS = torch.cat([h_BCS, upsample(grid_BCS, self.sizes[0])], 1)
        h_BCS = self.enter(h_BCS)
        h_BCS = lrelu(h_BCS if self.told is None or given_BD is None else h_BCS + everywhere(self.told(given_BD), h_BCS))
        for rise, size in zip(self.rises, self.sizes[1:], strict=True):
            h_BCS = rise(h_BCS, size)
        return crop(self.leave(h_BCS), self.space.size)


def everywhere(h_BC: Tensor, like_BCS: Tensor) -> Tensor:
    """A vector, ready to be added to every cell of a grid."""
    return h_BC.view(*h_BC.shape, *[1] * (like_BCS.dim() - 2))


DENSE = 32  # Hidden units of a dense network per unit of width: 512 where others have 16 channels.


class DenseEncoder(nn.Module):
    """Every value of a sample into two dense layers of `hidden`, then `outputs` numbers (Kingma & Welling 2014, appendix C; a layer more)."""

    def __init__(self, space: Grid, given: int, hidden: int, outputs: int, *, grid_channels: int = 0):
        super().__init__()
        cells = (space.channels + grid_channels) * math.prod(space.size)
        self.first, self.second = linear(cells + given, hidden, gain=2**0.5), linear(hidden, hidden, gain=2**0.5)
        self.leave = linear(hidden, outputs, gain=0.1)

    def forward(self, x_BCS: Tensor, given_BD: Tensor | None = None, grid_BCS: Tensor | None = None) -> Tensor:
        parts = [part.flatten(1) for part in (x_BCS, given_BD, grid_BCS) if part is not None]
        return self.leave(lrelu(self.second(lrelu(self.first(torch.cat(parts, 1))))))


class DenseDecoder(nn.Module):
    """The same way back: two dense layers of `hidden`, then every value of a sample."""

    def __init__(self, space: Grid, inputs: int, hidden: int, *, grid_channels: int = 0):
        super().__init__()
        self.space, cells = space, math.prod(space.size)
        self.first, self.second = linear(inputs + grid_channels * cells, hidden, gain=2**0.5), linear(hidden, hidden, gain=2**0.5)
        self.leave = linear(hidden, space.channels * cells)

    def forward(self, z_BD: Tensor, grid_BCS: Tensor | None = None) -> Tensor:
        if grid_BCS is not None:
            z_BD = torch.cat([z_BD, grid_BCS.flatten(1)], 1)
        return self.leave(lrelu(self.second(lrelu(self.first(z_BD))))).unflatten(1, (self.space.channels, *self.space.size))


def encoder(space: Grid, network: str, given: int, width: int, outputs: int, *, grid_channels: int = 0) -> nn.Module:
    """The encoder named `network`; `given` is the length of the condition vector."""
    if network == "mlp":
        return DenseEncoder(space, given, DENSE * width, outputs, grid_channels=grid_channels)
    return Encoder(space, given, width, outputs, residual=network == "residual", grid_channels=grid_channels)


def decoder(space: Grid, network: str, inputs: int, width: int, *, grid_channels: int = 0) -> nn.Module:
    """Its counterpart; `inputs` is the length of z and condition together."""
    if network == "mlp":
        return DenseDecoder(space, inputs, DENSE * width, grid_channels=grid_channels)
    return generator(space, network, inputs, width, grid_channels=grid_channels)

"""Generators: latent and condition to a sample's raw output. One class per network name.

Shape letters: B batch, D vector, C channels, *S spatial axes. `given_BD` is an encoded condition (D may be 0), `grid_BCS` one
that is aligned with the output (a small picture to enlarge, a spectrogram to follow), or None.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from fenshen.nets.blocks import PlainBlock, ResidualBlocks, conv, crop, halvings, linear, lrelu, upsample
from fenshen.space import Grid


def widths(sizes: list[tuple[int, ...]], width: int, lowest: int = 8, highest: int = 512) -> list[int]:
    """Channels per stage, so that every stage costs about the same: `width` at 1024 cells (32×32), twice that at a quarter of them.

    Powers of two, which vector units like; never fewer than `lowest`, which keeps the largest sizes affordable.
    """
    ideal = (width * math.sqrt(1024 / math.prod(size)) for size in sizes)
    return [max(lowest, min(highest, 2 ** round(math.log2(channels)))) for channels in ideal]


class Rise(nn.Module):
    """To the next size: a 3×3 convolution to fewer channels while the grid is small and cheap, upsample, `depth` 3×3 convolutions."""

    def __init__(self, axes: int, inputs: int, outputs: int, depth: int):
        super().__init__()
        self.narrow, self.refine = PlainBlock(axes, inputs, outputs, 1), PlainBlock(axes, outputs, outputs, depth)

    def forward(self, x_BCS: Tensor, size: tuple[int, ...]) -> Tensor:
        return self.refine(upsample(self.narrow(x_BCS), size))


class ResidualRise(nn.Module):
    """To the next size as in R3GAN: bilinear upsample, 1×1 to fewer channels, `depth` residual blocks."""

    def __init__(self, axes: int, inputs: int, outputs: int, depth: int, blocks: int):
        super().__init__()
        self.body = ResidualBlocks(axes, inputs, outputs, depth, blocks)

    def forward(self, x_BCS: Tensor, size: tuple[int, ...]) -> Tensor:
        return self.body(upsample(x_BCS, size))


class Pyramid(nn.Module):
    """From a dense layer at the smallest size upwards, doubling each axis: plain 3×3 or residual blocks.

    Residual starts from a learned basis modulated by z (Huang et al. 2024). No normalisation, no tanh: the data's range is learnt.
    """

    def __init__(self, space: Grid, inputs: int, width: int, depth: int = 1, *, residual: bool = False, grid_channels: int = 0):
        super().__init__()
        self.space, self.sizes = space, halvings(space.size, 4)
        axes, channels, blocks = space.axes, widths(self.sizes, width), depth * len(self.sizes)
        self.stem = linear(inputs, channels[0] * (1 if residual else math.prod(self.sizes[0])), gain=1.0 if residual else 2**0.5)
        self.basis = nn.Parameter(torch.randn(channels[0], *self.sizes[0])) if residual else None
        self.first = ResidualBlocks(axes, channels[0], channels[0], depth, blocks) if residual else nn.Identity()
        self.rises = nn.ModuleList(ResidualRise(axes, i, o, depth, blocks) if residual else Rise(axes, i, o, depth) for i, o in pairwise(channels))
        self.guides = nn.ModuleList(conv(axes, grid_channels, c, 1) for c in channels) if grid_channels else None
        self.leave = conv(axes, channels[-1], space.channels, 1 if residual else 3, gain=1.0)

    def forward(self, z_BD: Tensor, grid_BCS: Tensor | None = None) -> Tensor:
        x_BCS = self.stem(z_BD)
        if self.basis is None:
            x_BCS = lrelu(x_BCS.unflatten(1, (-1, *self.sizes[0])))
        else:
            x_BCS = self.basis * x_BCS.unflatten(1, (-1, *[1] * self.space.axes))
        x_BCS = self._guided(self.first(x_BCS), grid_BCS, 0)
        for stage, (rise, size) in enumerate(zip(self.rises, self.sizes[1:], strict=True), start=1):
            x_BCS = self._guided(rise(x_BCS, size), grid_BCS, stage)
        return crop(self.leave(x_BCS), self.space.size)

    def _guided(self, x_BCS: Tensor, grid_BCS: Tensor | None, stage: int) -> Tensor:
        if self.guides is None or grid_BCS is None:
            return x_BCS
        return x_BCS + self.guides[stage](upsample(grid_BCS, tuple(x_BCS.shape[2:])))


class ArticleConvolutional(nn.Module):
    """The first article's generator: dense 7·7·256, two 5×5 transposed convolutions of stride 2, tanh; batch normalisation.

    Radford et al. 2015 (DCGAN) in spirit. At other sizes than 28 the smallest grid follows from the size.
    """

    def __init__(self, space: Grid, inputs: int, grid_channels: int = 0):
        super().__init__()
        axes = space.axes
        transposed = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}[axes]
        norm = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}[axes]
        plain = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[axes]
        self.space, self.low = space, tuple(-(-s // 4) for s in space.size)
        self.dense = nn.Sequential(nn.Linear(inputs, math.prod(self.low) * 256), nn.LeakyReLU(0.3), nn.BatchNorm1d(math.prod(self.low) * 256))
        self.body = nn.Sequential(
            transposed(256 + grid_channels, 128, 5, 2, 2, output_padding=1), nn.LeakyReLU(0.3), norm(128),
            transposed(128, 64, 5, 2, 2, output_padding=1), nn.LeakyReLU(0.3), norm(64),
            plain(64, space.channels, 3, padding=1), nn.Tanh(),
        )  # fmt: skip

    def forward(self, z_BD: Tensor, grid_BCS: Tensor | None = None) -> Tensor:
        x_BCS = self.dense(z_BD).unflatten(1, (256, *self.low))
        if grid_BCS is not None:
            x_BCS = torch.cat([x_BCS, upsample(grid_BCS, self.low)], 1)
        return crop(self.body(x_BCS), self.space.size)


class ArticleDense(nn.Module):
    """The second article's first generator: dense 128, 256, then one value per cell; ReLU, tanh."""

    def __init__(self, space: Grid, inputs: int, grid_channels: int = 0):
        super().__init__()
        cells = math.prod(space.size)
        self.space = space
        self.body = nn.Sequential(
            nn.Linear(inputs + grid_channels * cells, 128),
            nn.ReLU(),
            nn.Linear(128, 256),
            nn.ReLU(),
            nn.Linear(256, space.channels * cells),
            nn.Tanh(),
        )

    def forward(self, z_BD: Tensor, grid_BCS: Tensor | None = None) -> Tensor:
        if grid_BCS is not None:
            z_BD = torch.cat([z_BD, grid_BCS.flatten(1)], 1)
        return self.body(z_BD).unflatten(1, (self.space.channels, *self.space.size))


def generator(space: Grid, network: str, inputs: int, width: int, *, grid_channels: int = 0) -> nn.Module:
    """The generator named `network`; `inputs` is the length of z and condition together."""
    match network:
        case "conv":
            return Pyramid(space, inputs, width, grid_channels=grid_channels)
        case "residual":
            return Pyramid(space, inputs, width, depth=2, residual=True, grid_channels=grid_channels)
        case "dcgan":
            return ArticleConvolutional(space, inputs, grid_channels)
        case "mlp":
            return ArticleDense(space, inputs, grid_channels)
    raise AssertionError(network)

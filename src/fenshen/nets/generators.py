"""Generators: latent and condition to a sample's raw output. One class per network name.

Shape letters: B batch, D vector, C channels, *S spatial axes. `given_BD` is an encoded condition (D may be 0), `grid_BCS` one
that is aligned with the output (a small picture to enlarge, a spectrogram to follow), or None.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from fenshen.nets.blocks import PlainBlock, ResidualBlocks, conv, crop, halvings, linear, lrelu, upsample
from fenshen.space import Grid


def widths(sizes: list[tuple[int, ...]], width: int, lowest: int = 8, highest: int = 512) -> list[int]:
    """Channels per stage, so that every stage costs the same: `width` at about 1024 cells (32×32), twice that at a quarter of them.

    The largest stage's number is rounded to a multiple of eight first, so that the others are whole multiples of it.
    """
    cells = [math.prod(size) for size in sizes]
    top = max(lowest, 8 * round(width * math.sqrt(1024 / max(cells)) / 8))
    return [min(highest, 8 * round(top * math.sqrt(max(cells) / c) / 8)) for c in cells]


class Pyramid(nn.Module):
    """From a dense layer at the smallest size upwards, doubling each axis: plain 3×3 or residual blocks.

    Plain: dense, then per size upsample, `depth` 3×3 convolutions. Residual: a learned basis modulated by z, then per size
    `depth` R3GAN blocks and a bilinear upsample (Huang et al. 2024). No normalisation, no tanh: the data's range is learnt.
    """

    def __init__(self, space: Grid, inputs: int, width: int, depth: int = 1, *, residual: bool = False, grid_channels: int = 0):
        super().__init__()
        self.space, self.sizes = space, halvings(space.size, 4)
        axes, channels = space.axes, widths(self.sizes, width)
        self.stem = linear(inputs, channels[0] * (1 if residual else math.prod(self.sizes[0])), gain=1.0 if residual else 2**0.5)
        self.basis = nn.Parameter(torch.randn(channels[0], *self.sizes[0])) if residual else None
        pairs = list(zip([channels[0], *channels[:-1]], channels, strict=True))
        self.blocks = nn.ModuleList(
            ResidualBlocks(axes, i, o, depth, depth * len(pairs)) if residual else PlainBlock(axes, i, o, depth)
            for i, o in (pairs if residual else pairs[1:])
        )
        self.guides = nn.ModuleList(conv(axes, grid_channels, b, 1) for _, b in pairs) if grid_channels else None
        self.leave = conv(axes, channels[-1], space.channels, 1 if residual else 3, gain=1.0)

    def forward(self, z_BD: Tensor, grid_BCS: Tensor | None = None) -> Tensor:
        x_BCS = self.stem(z_BD)
        if self.basis is None:
            x_BCS = lrelu(x_BCS.view(len(z_BD), -1, *self.sizes[0]))
        else:
            x_BCS = self.basis * x_BCS.view(len(z_BD), -1, *[1] * self.space.axes)
            x_BCS = self.blocks[0](self._guide(x_BCS, grid_BCS, 0))
        for i, size in enumerate(self.sizes[1:], start=1):
            if self.basis is None and i == 1:
                x_BCS = self._guide(x_BCS, grid_BCS, 0)
            x_BCS = self.blocks[i if self.basis is not None else i - 1](upsample(x_BCS, size))
            x_BCS = self._guide(x_BCS, grid_BCS, i)
        return crop(self.leave(x_BCS), self.space.size)

    def _guide(self, x_BCS: Tensor, grid_BCS: Tensor | None, stage: int) -> Tensor:
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
        x_BCS = self.dense(z_BD).view(len(z_BD), 256, *self.low)
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
            nn.Linear(inputs + grid_channels * cells, 128), nn.ReLU(), nn.Linear(128, 256), nn.ReLU(), nn.Linear(256, space.channels * cells), nn.Tanh()
        )

    def forward(self, z_BD: Tensor, grid_BCS: Tensor | None = None) -> Tensor:
        if grid_BCS is not None:
            z_BD = torch.cat([z_BD, grid_BCS.flatten(1)], 1)
        return self.body(z_BD).view(len(z_BD), self.space.channels, *self.space.size)


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



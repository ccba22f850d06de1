"""Critics: a sample (and what was asked for) to one unbounded number, h -> w·h + ⟨embed(c), h⟩ for a condition c.

Every critic returns that number (B,) and its last features h_BD, which other heads may read.
Projection: Miyato & Koyama 2018, eq. 3. Output layers have no bias: a relativistic loss cannot see a constant.
Shape letters: B batch, D vector, C channels, *S spatial axes.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fenshen.nets.blocks import PlainBlock, ResidualBlocks, conv, downsample, factors, halvings, initialise, linear, lrelu, pad
from fenshen.nets.generators import widths
from fenshen.space import Grid


class Judge(nn.Module):
    """The common head: features h_BD to one logit, with the projection of a condition vector."""

    def __init__(self, features: int, given: int, dropout: float):
        super().__init__()
        self.features, self.dropout = features, dropout
        self.verdict = linear(features, 1, bias=False)
        self.project = linear(given, features, bias=False) if given else None

    def forward(self, h_BD: Tensor, given_BD: Tensor | None) -> Tensor:
        h_BD = F.dropout(h_BD, self.dropout, self.training)
        logit_B = self.verdict(h_BD)[:, 0].float()
        if self.project is not None and given_BD is not None:
            logit_B = logit_B + (self.project(given_BD) * h_BD).float().sum(1) / math.sqrt(h_BD.shape[1])
        return logit_B


class Pyramid(nn.Module):
    """From the full size down to a few cells, halving each axis, then a dense layer: plain 3×3 or residual blocks.

    Plain: two 3×3 convolutions per size and an average pool. Residual: R3GAN's blocks and a bilinear downsample, ending in
    a depthwise convolution over the whole of the smallest grid (Huang et al. 2024).
    """

    def __init__(
        self, space: Grid, given: int, width: int, depth: int = 2, features: int = 128,
        *, residual: bool = False, grid_channels: int = 0, dropout: float = 0.0,
    ):  # fmt: skip
        super().__init__()
        self.space, self.sizes = space, halvings(space.size, 4)[::-1]
        axes, channels = space.axes, widths(self.sizes, width)
        self.enter = conv(axes, space.channels + grid_channels, channels[0], 1 if residual else 3)
        pairs = list(zip([channels[0], *channels[:-1]], channels, strict=True))
        self.blocks = nn.ModuleList(
            ResidualBlocks(axes, i, o, depth, depth * len(pairs)) if residual else PlainBlock(axes, i, o, depth - (stage == 0))
            for stage, (i, o) in enumerate(pairs)
        )
        cells = math.prod(self.sizes[-1])
        last = channels[-1]
        self.residual = residual
        if residual:
            self.gather = initialise(nn.Conv1d(last, last, cells, groups=last, bias=False), 1.0)
            self.dense = linear(last, features, gain=1.0)
        else:
            self.dense = linear(last * cells, features, gain=2**0.5)
        self.judge = Judge(features, given, dropout)

    def forward(self, x_BCS: Tensor, given_BD: Tensor | None = None, grid_BCS: Tensor | None = None) -> tuple[Tensor, Tensor]:
        return self.look(x_BCS, given_BD, grid_BCS)[:2]

    def look(self, x_BCS: Tensor, given_BD: Tensor | None = None, grid_BCS: Tensor | None = None) -> tuple[Tensor, Tensor, list[Tensor]]:
        """The same, and the features of every size on the way, the largest first."""
        if grid_BCS is not None:
            x_BCS = torch.cat([x_BCS, grid_BCS], 1)
        x_BCS, levels = self.enter(pad(x_BCS, self.sizes[0])), []
        x_BCS = x_BCS if self.residual else lrelu(x_BCS)
        for i, block in enumerate(self.blocks):
            x_BCS = block(x_BCS)
            levels.append(x_BCS)
            if i + 1 < len(self.sizes):
                x_BCS = downsample(x_BCS, factors(self.sizes[i + 1], self.sizes[i]))
        h_BD = self.gather(x_BCS.flatten(2)).flatten(1) if self.residual else x_BCS.flatten(1)
        h_BD = lrelu(self.dense(h_BD))
        return self.judge(h_BD, given_BD), h_BD, levels


class ArticleConvolutional(nn.Module):
    """The second article's first discriminator: 3×3 convolutions 32 and 64 with leaky ReLU 0.01, flatten, dense 1."""

    def __init__(self, space: Grid, given: int, grid_channels: int = 0, dropout: float = 0.0):
        super().__init__()
        convolution = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[space.axes]
        self.body = nn.Sequential(
            convolution(space.channels + grid_channels, 32, 3, padding=1), nn.LeakyReLU(0.01),
            convolution(32, 64, 3, padding=1), nn.LeakyReLU(0.01), nn.Flatten(),
        )  # fmt: skip
        self.judge = Judge(64 * math.prod(space.size), given, dropout)

    def forward(self, x_BCS: Tensor, given_BD: Tensor | None = None, grid_BCS: Tensor | None = None) -> tuple[Tensor, Tensor]:
        h_BD = self.body(x_BCS if grid_BCS is None else torch.cat([x_BCS, grid_BCS], 1))
        return self.judge(h_BD, given_BD), h_BD


class ArticleDense(nn.Module):
    """The first article's discriminator: flatten, dense 128, leaky ReLU, dense 1."""

    def __init__(self, space: Grid, given: int, grid_channels: int = 0, dropout: float = 0.0):
        super().__init__()
        self.dense = nn.Linear((space.channels + grid_channels) * math.prod(space.size), 128)
        self.judge = Judge(128, given, dropout)

    def forward(self, x_BCS: Tensor, given_BD: Tensor | None = None, grid_BCS: Tensor | None = None) -> tuple[Tensor, Tensor]:
        x_BCS = x_BCS if grid_BCS is None else torch.cat([x_BCS, grid_BCS], 1)
        h_BD = F.leaky_relu(self.dense(x_BCS.flatten(1)), 0.3)
        return self.judge(h_BD, given_BD), h_BD


Critic = Pyramid | ArticleConvolutional | ArticleDense


def critic(space: Grid, network: str, given: int, width: int, *, grid_channels: int = 0, dropout: float = 0.0) -> Critic:
    """The critic that plays against the generator named `network`; `given` is the length of the condition vector."""
    match network:
        case "conv":
            return Pyramid(space, given, width, grid_channels=grid_channels, dropout=dropout)
        case "residual":
            return Pyramid(space, given, width, residual=True, grid_channels=grid_channels, dropout=dropout)
        case "dcgan":
            return ArticleDense(space, given, grid_channels, dropout)
        case "mlp":
            return ArticleConvolutional(space, given, grid_channels, dropout)
    raise AssertionError(network)


def stages(network: nn.Module) -> list[tuple[nn.Module, ...]]:
    """The modules of a critic from the picture onwards: a tuple per resolution, and last what judges; in the order of their weights."""
    match network:
        case Pyramid():
            first, *blocks = network.blocks
            gather = (network.gather,) if network.residual else ()
            return [(network.enter, first), *((block,) for block in blocks), (*gather, network.dense, network.judge)]
        case ArticleConvolutional():
            return [*((layer,) for layer in network.body if list(layer.parameters())), (network.judge,)]
        case ArticleDense():
            return [(network.dense,), (network.judge,)]
    raise AssertionError(network)

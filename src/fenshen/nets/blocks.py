"""The pieces that generators and critics are made of, written once for 1, 2 and 3 axes.

Shape letters: B batch, C channels, *S spatial axes. Initialisation is fixed-variance: normal(0, gain / √fan_in).
"""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional as F

CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
AVERAGE = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
LINEAR_MODE = {1: "linear", 2: "bilinear", 3: "trilinear"}
SLOPE = 0.2
LRELU_GAIN = math.sqrt(2 / (1 + SLOPE**2))


def conv(axes: int, inputs: int, outputs: int, kernel: int = 3, *, groups: int = 1, bias: bool = True, gain: float = LRELU_GAIN) -> nn.Module:
    """A same-size convolution with fixed-variance weights and zero bias."""
    layer = CONV[axes](inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=bias)
    return initialise(layer, gain)


def linear(inputs: int, outputs: int, *, bias: bool = True, gain: float = 1.0) -> nn.Module:
    """A dense layer with fixed-variance weights and zero bias."""
    return initialise(nn.Linear(inputs, outputs, bias), gain)


def initialise(layer: nn.Module, gain: float) -> nn.Module:
    """normal(0, gain / √fan_in) weights and zero bias, in place (R3GAN, appendix)."""
    assert isinstance(layer.weight, Tensor)
    nn.init.normal_(layer.weight, 0, gain / math.sqrt(layer.weight[0].numel()))
    if isinstance(layer.bias, Tensor):
        nn.init.zeros_(layer.bias)
    return layer


def lrelu(x: Tensor) -> Tensor:
    return F.leaky_relu(x, SLOPE)


def halvings(size: tuple[int, ...], lowest: int) -> list[tuple[int, ...]]:
    """Sizes from the smallest to one that covers `size`, each axis doubling until it is there.

    The smallest stage has `lowest` to 2 · `lowest` - 1 cells along its axes (fewer where an axis is shorter); the last one may
    exceed `size` a little, and whoever uses it crops: `halvings((28, 28), 4)` is 7, 14, 28; of 37 it is 5, 10, 20, 40.
    """
    steps = [max(0, int(math.log2(s / lowest))) if s >= lowest else 0 for s in size]
    base = [-(-s // 2**k) for s, k in zip(size, steps, strict=True)]
    deepest = max(steps)
    return [tuple(b * 2 ** max(0, k - (deepest - i)) for b, k in zip(base, steps, strict=True)) for i in range(deepest + 1)]


def factors(small: tuple[int, ...], large: tuple[int, ...]) -> tuple[int, ...]:
    """By how much each axis grows from one stage to the next: 1 or 2."""
    return tuple(b // a for a, b in zip(small, large, strict=True))


def upsample(x_BCS: Tensor, size: tuple[int, ...]) -> Tensor:
    """Bilinear enlargement (linear, trilinear) to `size`: [1, 2, 1] / 4 taps when doubling."""
    return F.interpolate(x_BCS, size=size, mode=LINEAR_MODE[len(size)], align_corners=False)


def downsample(x_BCS: Tensor, factor: tuple[int, ...]) -> Tensor:
    """The mean over blocks of `factor` cells."""
    return AVERAGE[len(factor)](x_BCS, factor)


def crop(x_BCS: Tensor, size: tuple[int, ...]) -> Tensor:
    """The central part of `size`."""
    for axis, s in enumerate(size, start=2):
        x_BCS = x_BCS.narrow(axis, (x_BCS.shape[axis] - s) // 2, s)
    return x_BCS


def pad(x_BCS: Tensor, size: tuple[int, ...]) -> Tensor:
    """Zeros around x up to `size`; the inverse of `crop`."""
    both: list[int] = []
    for have, want in zip(reversed(x_BCS.shape[2:]), reversed(size), strict=True):
        before = (want - have) // 2
        both += [before, want - have - before]
    return F.pad(x_BCS, both) if any(both) else x_BCS


class PlainBlock(nn.Module):
    """`depth` 3×3 convolutions, each followed by a leaky ReLU; the first one changes the number of channels."""

    def __init__(self, axes: int, inputs: int, outputs: int, depth: int):
        super().__init__()
        self.convs = nn.ModuleList(conv(axes, inputs if i == 0 else outputs, outputs) for i in range(depth))

    def forward(self, x_BCS: Tensor) -> Tensor:
        for layer in self.convs:
            x_BCS = lrelu(layer(x_BCS))
        return x_BCS


class ResidualBlock(nn.Module):
    """x + conv1(act(conv3(act(conv1(x))))), the 3×3 grouped, no normalisation, the last convolution zero at the start.

    Huang et al. 2024 (R3GAN), section 4 and appendix; gain √(2 / 1.04) · blocks^(-1/4).
    """

    def __init__(self, axes: int, channels: int, blocks: int, group_width: int = 16, expansion: int = 2):
        super().__init__()
        inner = channels * expansion
        gain = LRELU_GAIN * blocks**-0.25
        self.enter = conv(axes, channels, inner, 1, gain=gain)
        self.mix = conv(axes, inner, inner, 3, groups=max(1, inner // group_width), gain=gain)
        self.leave = conv(axes, inner, channels, 1, bias=False, gain=0.0)

    def forward(self, x_BCS: Tensor) -> Tensor:
        return x_BCS + self.leave(lrelu(self.mix(lrelu(self.enter(x_BCS)))))


class ResidualBlocks(nn.Module):
    """A 1×1 change of channels where needed, then `depth` residual blocks."""

    def __init__(self, axes: int, inputs: int, outputs: int, depth: int, blocks: int):
        super().__init__()
        self.change = conv(axes, inputs, outputs, 1, bias=False, gain=1.0) if inputs != outputs else nn.Identity()
        self.blocks = nn.Sequential(*(ResidualBlock(axes, outputs, blocks) for _ in range(depth)))

    def forward(self, x_BCS: Tensor) -> Tensor:
        return self.blocks(self.change(x_BCS))

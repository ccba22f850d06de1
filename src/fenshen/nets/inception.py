"""Inception-v3 as the published FID takes it. Szegedy et al. 2016; Heusel et al. 2017.

Layers carry the names of the public weights `pt_inception-2015-12-05-6726825d.pth`, the TensorFlow network of 2015: 1008 classes, no
auxiliary head, averages that leave the padding out, and in the last block a maximum where the paper has an average.

Shape letters: B pictures, C channels, H height, W width, K classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIDE, FEATURES, CLASSES = 299, 2048, 1008

Kernel = int | tuple[int, int]
Branch = Sequence[str]  # Names of layers that follow each other; a name with a / is two layers side by side.


class Unit(nn.Module):
    """Convolution without bias, batch normalization, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: Kernel = 1, stride: int = 1, *, same: bool = True):
        super().__init__()
        sides = kernel if isinstance(kernel, tuple) else (kernel, kernel)
        padded = same and stride == 1
        self.conv = nn.Conv2d(inputs, outputs, sides, stride, (sides[0] // 2, sides[1] // 2) if padded else 0, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x_BCHW)))


class Mixed(nn.Module):
    """Branches side by side, their channels concatenated; the last one begins with a pool. `pool`: average, max, or down (halved, no layer)."""

    def __init__(self, pool: str, branches: Iterable[Branch], **units: Unit):
        super().__init__()
        self.pool, self.branches = pool, [tuple(branch) for branch in branches]
        for name, unit in units.items():
            self.add_module(name, unit)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return torch.cat([*(self._along(branch, x_BCHW) for branch in self.branches), self._pooled(x_BCHW)], 1)

    def _along(self, branch: Branch, x_BCHW: Tensor) -> Tensor:
        for names in branch:
            outputs = [self.get_submodule(name)(x_BCHW) for name in names.split("/")]
            x_BCHW = torch.cat(outputs, 1)
        return x_BCHW

    def _pooled(self, x_BCHW: Tensor) -> Tensor:
        match self.pool:
            case "down":
                return F.max_pool2d(x_BCHW, 3, 2)
            case "max":
                return self.get_submodule("branch_pool")(F.max_pool2d(x_BCHW, 3, 1, 1))
        return self.get_submodule("branch_pool")(F.avg_pool2d(x_BCHW, 3, 1, 1, count_include_pad=False))


def _a(inputs: int, pooled: int) -> Mixed:
    return Mixed(
        "average", [["branch1x1"], ["branch5x5_1", "branch5x5_2"], ["branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"]],
        branch1x1=Unit(inputs, 64), branch5x5_1=Unit(inputs, 48), branch5x5_2=Unit(48, 64, 5), branch3x3dbl_1=Unit(inputs, 64),
        branch3x3dbl_2=Unit(64, 96, 3), branch3x3dbl_3=Unit(96, 96, 3), branch_pool=Unit(inputs, pooled),
    )  # fmt: skip


def _b(inputs: int) -> Mixed:
    return Mixed(
        "down", [["branch3x3"], ["branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"]], branch3x3=Unit(inputs, 384, 3, 2),
        branch3x3dbl_1=Unit(inputs, 64), branch3x3dbl_2=Unit(64, 96, 3), branch3x3dbl_3=Unit(96, 96, 3, 2),
    )  # fmt: skip


def _c(inputs: int, inner: int) -> Mixed:
    wide, tall = (1, 7), (7, 1)
    return Mixed(
        "average",
        [["branch1x1"], [f"branch7x7_{i}" for i in (1, 2, 3)], [f"branch7x7dbl_{i}" for i in (1, 2, 3, 4, 5)]],
        branch1x1=Unit(inputs, 192), branch7x7_1=Unit(inputs, inner), branch7x7_2=Unit(inner, inner, wide), branch7x7_3=Unit(inner, 192, tall),
        branch7x7dbl_1=Unit(inputs, inner), branch7x7dbl_2=Unit(inner, inner, tall), branch7x7dbl_3=Unit(inner, inner, wide),
        branch7x7dbl_4=Unit(inner, inner, tall), branch7x7dbl_5=Unit(inner, 192, wide), branch_pool=Unit(inputs, 192),
    )  # fmt: skip


def _d(inputs: int) -> Mixed:
    return Mixed(
        "down", [["branch3x3_1", "branch3x3_2"], [f"branch7x7x3_{i}" for i in (1, 2, 3, 4)]], branch3x3_1=Unit(inputs, 192),
        branch3x3_2=Unit(192, 320, 3, 2), branch7x7x3_1=Unit(inputs, 192), branch7x7x3_2=Unit(192, 192, (1, 7)),
        branch7x7x3_3=Unit(192, 192, (7, 1)), branch7x7x3_4=Unit(192, 192, 3, 2),
    )  # fmt: skip


def _e(inputs: int, pool: str) -> Mixed:
    wide, tall = (1, 3), (3, 1)
    return Mixed(
        pool, [["branch1x1"], ["branch3x3_1", "branch3x3_2a/branch3x3_2b"], ["branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3a/branch3x3dbl_3b"]],
        branch1x1=Unit(inputs, 320), branch3x3_1=Unit(inputs, 384), branch3x3_2a=Unit(384, 384, wide), branch3x3_2b=Unit(384, 384, tall),
        branch3x3dbl_1=Unit(inputs, 448), branch3x3dbl_2=Unit(448, 384, 3), branch3x3dbl_3a=Unit(384, 384, wide),
        branch3x3dbl_3b=Unit(384, 384, tall), branch_pool=Unit(inputs, 192),
    )  # fmt: skip


class Inception(nn.Module):
    """Pictures (B, 3, 299, 299) in [-1, 1] -> the last average (B, 2048) and logits (B, 1008)."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Unit(3, 32, 3, 2)
        self.Conv2d_2a_3x3 = Unit(32, 32, 3, same=False)
        self.Conv2d_2b_3x3 = Unit(32, 64, 3)
        self.Conv2d_3b_1x1 = Unit(64, 80)
        self.Conv2d_4a_3x3 = Unit(80, 192, 3, same=False)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = _a(192, 32), _a(256, 64), _a(288, 64)
        self.Mixed_6a = _b(288)
        self.Mixed_6b, self.Mixed_6c, self.Mixed_6d, self.Mixed_6e = _c(768, 128), _c(768, 160), _c(768, 160), _c(768, 192)
        self.Mixed_7a = _d(768)
        self.Mixed_7b, self.Mixed_7c = _e(1280, "average"), _e(2048, "max")
        self.fc = nn.Linear(FEATURES, CLASSES)

    def forward(self, x_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        x_BCHW = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x_BCHW)))
        x_BCHW = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x_BCHW, 3, 2)))
        x_BCHW = F.max_pool2d(x_BCHW, 3, 2)
        for name in ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c"):
            x_BCHW = self.get_submodule(f"Mixed_{name}")(x_BCHW)
        pooled_BD = x_BCHW.mean((2, 3))
        return pooled_BD, self.fc(pooled_BD)

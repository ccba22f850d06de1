"""Augmentation of pictures on the device, differentiable twice: classic, and for what the critic sees.

Both draw one affine map and one colour change per picture. Classic augmentation changes the training set, so it shows in what
is made. The critic's (Karras et al. 2020, StyleGAN2-ADA; Zhao et al. 2020, DiffAugment) is applied to real and made pictures
alike, each part with probability `strength` < 1 around "no change", so that the generator still learns the true distribution.

Shape letters: B batch, C channels (gray, RGB or RGB and alpha), H W pixels. Pictures are in [-1, 1].
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from fenshen.recipe import Augment

View = Callable[[Tensor], Tensor]
LUMA = (0.299, 0.587, 0.114)


class _Resample(torch.autograd.Function):
    """`grid_sample` whose gradient can be differentiated once more: being linear in x, its second derivative is itself."""

    @staticmethod
    def forward(ctx, x_BCHW: Tensor, grid_BHWD: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.save_for_backward(grid_BHWD)
        ctx.shape = x_BCHW.shape
        return F.grid_sample(x_BCHW, grid_BHWD, "bilinear", "reflection", align_corners=False)

    @staticmethod
    def backward(ctx, gradient_BCHW: Tensor) -> tuple[Tensor, None]:  # type: ignore[no-untyped-def]
        (grid_BHWD,) = ctx.saved_tensors
        return _ResampleBackward.apply(gradient_BCHW, grid_BHWD, ctx.shape), None


class _ResampleBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, gradient_BCHW: Tensor, grid_BHWD: Tensor, shape: torch.Size) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.save_for_backward(grid_BHWD)
        empty = gradient_BCHW.new_zeros(shape)
        bilinear, reflection = 0, 1
        return torch.ops.aten.grid_sampler_2d_backward(gradient_BCHW.contiguous(), empty, grid_BHWD, bilinear, reflection, False, [True, False])[0]

    @staticmethod
    def backward(ctx, gradient_BCHW: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[no-untyped-def]
        (grid_BHWD,) = ctx.saved_tensors
        return _Resample.apply(gradient_BCHW, grid_BHWD), None, None


def warp(x_BCHW: Tensor, map_B23: Tensor) -> Tensor:
    """Pictures resampled bilinearly: output position p shows input position map · (p, 1), positions in [-1, 1], edges mirrored."""
    with torch.autocast(x_BCHW.device.type, enabled=False):
        grid_BHWD = F.affine_grid(map_B23.to(x_BCHW.dtype), list(x_BCHW.shape), align_corners=False)
        return _Resample.apply(x_BCHW, grid_BHWD)


@dataclass
class Change:
    """One drawn change per picture: affine map (B, 2, 3), brightness, contrast and saturation (B,), cut-out mask or None."""

    map_B23: Tensor
    brightness_B: Tensor
    contrast_B: Tensor
    saturation_B: Tensor
    cutout_B4: Tensor | None = None

    def __call__(self, x_BCHW: Tensor) -> Tensor:
        column = (slice(None), None, None, None)
        x_BCHW = warp(x_BCHW, self.map_B23.to(x_BCHW.device))
        colour, alpha = (x_BCHW[:, :3], x_BCHW[:, 3:]) if x_BCHW.shape[1] == 4 else (x_BCHW, x_BCHW[:, :0])
        if colour.shape[1] == 3:
            luma = (colour * colour.new_tensor(LUMA)[None, :, None, None]).sum(1, keepdim=True)
            colour = luma + (colour - luma) * self.saturation_B.to(x_BCHW.device)[column]
        colour = colour * self.contrast_B.to(x_BCHW.device)[column] + self.brightness_B.to(x_BCHW.device)[column]
        x_BCHW = torch.cat([colour, alpha], 1) if alpha.shape[1] else colour
        return x_BCHW if self.cutout_B4 is None else x_BCHW * self._kept(x_BCHW)

    def _kept(self, x_BCHW: Tensor) -> Tensor:
        assert self.cutout_B4 is not None
        height, width = x_BCHW.shape[2:]
        y, x = torch.arange(height, device=x_BCHW.device)[:, None], torch.arange(width, device=x_BCHW.device)
        top, left, h, w = (v[:, None, None] for v in self.cutout_B4.to(x_BCHW.device).unbind(1))
        inside = (y >= top * height) & (y < (top + h) * height) & (x >= left * width) & (x < (left + w) * width)
        return (~inside)[:, None].to(x_BCHW.dtype)


def affine(flip_B: Tensor, scale_B: Tensor, angle_B: Tensor, shift_B2: Tensor) -> Tensor:
    """Maps (B, 2, 3): mirrored where `flip_B` is -1, `scale_B` times as large, turned by `angle_B` (radians), moved by `shift_B2` sides."""
    cos, sin = torch.cos(angle_B) / scale_B, torch.sin(angle_B) / scale_B
    rows = torch.stack([torch.stack([cos * flip_B, -sin * flip_B], 1), torch.stack([sin, cos], 1)], 1)
    return torch.cat([rows, -rows @ (2 * shift_B2)[:, :, None]], 2)


def classic(count: int, what: Augment, noise: torch.Generator | None = None) -> View:
    """Classic augmentation of `count` pictures, uniform within the recipe's ranges; draws from `noise`, torch's own random state if None."""
    if what == Augment():
        return lambda x_BCHW: x_BCHW

    def uniform(*shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=noise, device=None if noise is None else noise.device)

    def around(size: float, *shape: int) -> Tensor:
        return (uniform(*shape) * 2 - 1) * size

    flip_B = 1 - 2 * (uniform() < what.flip).float()
    kept_B = 1 - uniform() * what.crop
    still_B2 = torch.zeros_like(kept_B)[:, None].expand(-1, 2)
    map_B23 = affine(flip_B, (1 + around(what.scale)) / kept_B, around(math.radians(what.rotate_degrees)), still_B2)
    map_B23[:, :, 2] += around(1.0, 2) * (1 - kept_B)[:, None]
    colour = what.colour
    return Change(map_B23, around(0.4 * colour), 1 + around(0.4 * colour), 1 + around(0.6 * colour))


@dataclass
class Adaptive:
    """What the critic sees: flip, integer and fractional shift, scale, rotation, colour, cut-out, each with probability `strength`."""

    side: int
    strength: float = 0.0

    def __call__(self, count: int, noise: torch.Generator | None = None) -> View:
        """One random view of `count` pictures, the same at every call of the view; draws from `noise`, torch's own random state if None."""
        if self.strength <= 0:
            return lambda x_BCHW: x_BCHW

        device = None if noise is None else noise.device

        def uniform(*shape: int) -> Tensor:
            return torch.rand(count, *shape, generator=noise, device=device)

        def normal(*shape: int) -> Tensor:
            return torch.randn(count, *shape, generator=noise, device=device)

        def chosen(values: Tensor, otherwise: float, share: float = 1.0) -> Tensor:
            picked = uniform() < self.strength * share
            return torch.where(picked.view(-1, *[1] * (values.dim() - 1)), values, torch.full_like(values, otherwise))

        flip_B = chosen(-torch.ones(count, device=device), 1.0, share=0.3)
        scale_B = chosen(torch.exp2(0.2 * normal()), 1.0)
        angle_B = chosen(math.radians(15) * normal(), 0.0)
        whole_B2 = torch.round((uniform(2) * 2 - 1) * self.side / 8) / self.side
        part_B2 = 0.02 * normal(2)
        shift_B2 = chosen(whole_B2, 0.0) + chosen(part_B2, 0.0)
        corner_B2 = uniform(2) - 0.25
        cutout_B4 = chosen(torch.cat([corner_B2, torch.full((count, 2), 0.5, device=device)], 1), 2.0, share=0.5)
        return Change(
            affine(flip_B, scale_B, angle_B, shift_B2),
            chosen(0.2 * normal(), 0.0),
            chosen(torch.exp2(0.3 * normal()), 1.0),
            chosen(torch.exp2(0.5 * normal()), 1.0),
            cutout_B4,
        )

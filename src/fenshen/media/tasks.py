"""What is done to a picture so that a network can learn to undo it: made small, or a part of it taken away.

Color under transparency does not exist: pictures with alpha are multiplied by it first, here and wherever they are compared.

Shape letters: B batch, C channels, *S spatial axes, N axes, P points, H W pixels. Samples are in [-1, 1], masks are 1 where a part is missing.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

POOL = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
BOXES, STROKES = 0.5, 4  # Part of the masks that are boxes; how many strokes one of the others has.
SIDES = (0.2, 0.5)  # Smallest and largest side of a box, as a part of the picture's.
WIDTHS = (0.02, 0.06)  # Smallest and largest half width of a stroke, likewise.


def premultiplied(x_BCS: Tensor) -> Tensor:
    """Color times alpha, both as parts of 1, back in [-1, 1]; samples without alpha as they are."""
    if x_BCS.shape[1] != 4:
        return x_BCS
    colour, alpha = x_BCS[:, :3], x_BCS[:, 3:]
    return torch.cat([(colour + 1) * (alpha + 1) / 2 - 1, alpha], 1)


def straight(x_BCS: Tensor) -> Tensor:
    """The inverse of `premultiplied`; black where nothing is seen."""
    if x_BCS.shape[1] != 4:
        return x_BCS
    colour, alpha = x_BCS[:, :3], x_BCS[:, 3:]
    part = (alpha + 1) / 2
    return torch.cat([torch.where(part > 1 / 512, (colour + 1) / part.clamp_min(1 / 512) - 1, -1.0).clamp(-1, 1), alpha], 1)


def shrink(x_BCS: Tensor, factor: int) -> Tensor:
    """1 / `factor` of every axis: antialiased bicubic for pictures, as Pillow does it, the mean of blocks for other axes."""
    if x_BCS.dim() == 4:
        size = tuple(side // factor for side in x_BCS.shape[2:])
        return F.interpolate(x_BCS.float(), size, mode="bicubic", align_corners=False, antialias=True).clamp(-1, 1).to(x_BCS.dtype)
    return POOL[x_BCS.dim() - 2](x_BCS, factor)


def masks(count: int, size: tuple[int, ...], noise: torch.Generator | None = None) -> Tensor:
    """What is to be missing of each of `count` samples, (count, 1, *size) of 0 and 1: a box, or a few crossing strokes."""
    device, axes = None if noise is None else noise.device, len(size)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(count, *shape, generator=noise, device=device)

    cells = torch.meshgrid(*[(torch.arange(s, device=device) + 0.5) / s for s in size], indexing="ij")
    cell_PN = torch.stack([cell.flatten() for cell in cells], 1)
    side_BN = uniform(*SIDES, axes)
    corner_BN = uniform(0, 1, axes) * (1 - side_BN)
    off_BPN = cell_PN[None] - corner_BN[:, None]
    box_BP = ((off_BPN >= 0) & (off_BPN < side_BN[:, None])).all(2)
    stroke_BP = _strokes(cell_PN, uniform(0, 1, STROKES + 1, axes), uniform(*WIDTHS, STROKES))
    chosen_BP = torch.where(uniform(0, 1, 1) < (1 if axes == 1 else BOXES), box_BP, stroke_BP)  # Strokes on a line would cover it.
    return chosen_BP.float().view(count, 1, *size)


def _strokes(cell_PN: Tensor, corner_BKN: Tensor, width_BK: Tensor) -> Tensor:
    """Which cells are nearer than a half width to the line through the corners (B, P)."""
    near = torch.zeros(len(corner_BKN), len(cell_PN), dtype=torch.bool, device=cell_PN.device)
    for start_BN, end_BN, width_B in zip(corner_BKN.unbind(1), corner_BKN.unbind(1)[1:], width_BK.unbind(1), strict=False):
        along_BN = end_BN - start_BN
        off_BPN = cell_PN[None] - start_BN[:, None]
        part_BP = ((off_BPN * along_BN[:, None]).sum(2) / along_BN.square().sum(1, keepdim=True).clamp_min(1e-12)).clamp(0, 1)
        near |= (off_BPN - part_BP[..., None] * along_BN[:, None]).square().sum(2).sqrt() < width_B[:, None]
    return near


def masked(x_BCS: Tensor, mask_BCS: Tensor) -> Tensor:
    """What a network that repairs is told: the sample with 0 where it is missing, and the mask as one more channel."""
    return torch.cat([x_BCS * (1 - mask_BCS), mask_BCS.to(x_BCS.dtype)], 1)


def filled(x_BCS: Tensor, mask_BCS: Tensor) -> Tensor:
    """The missing part as the mean of the rest, per channel: the plainest repair."""
    kept_BCS = 1 - mask_BCS
    axes = tuple(range(2, x_BCS.dim()))
    mean_BC = (x_BCS * kept_BCS).sum(axes, keepdim=True) / kept_BCS.sum(axes, keepdim=True).clamp_min(1)
    return x_BCS * kept_BCS + mean_BC * mask_BCS


def membrane(x_BCS: Tensor, mask_BCS: Tensor, steps: int = 200) -> Tensor:
    """The missing part as a soap film held by its rim: Laplace's equation, solved on a pyramid of halved sizes, `steps` sweeps at most on each.

    The smoothest repair that knows nothing of pictures; blocks of missing cells get the mean of what is known around them.
    """
    known_BCS = (1 - mask_BCS).expand_as(x_BCS)
    small, pool = x_BCS.shape[2:], POOL[x_BCS.dim() - 2]
    guess = filled(x_BCS, mask_BCS)
    if min(small) >= 8 and all(side % 2 == 0 for side in small):
        part_BCS = pool(known_BCS, 2)
        coarse = pool(x_BCS * known_BCS, 2) / part_BCS.clamp_min(1e-6)
        coarse = membrane(torch.where(part_BCS > 0, coarse, 0.0), (part_BCS[:, :1] == 0).float(), steps)
        for axis in range(2, x_BCS.dim()):
            coarse = coarse.repeat_interleave(2, axis)
        guess = torch.where(known_BCS > 0, x_BCS, coarse)
    for _ in range(min(steps, max(small))):
        guess = torch.where(known_BCS > 0, x_BCS, _around(guess))
    return guess


def _around(x_BCS: Tensor) -> Tensor:
    """The mean of the neighbors along every axis; an edge is its own neighbor."""
    axes, total = x_BCS.dim() - 2, torch.zeros_like(x_BCS)
    for axis in range(2, 2 + axes):
        side = x_BCS.shape[axis]
        places = torch.arange(side, device=x_BCS.device)
        total = total + x_BCS.index_select(axis, (places - 1).clamp_min(0)) + x_BCS.index_select(axis, (places + 1).clamp_max(side - 1))
    return total / (2 * axes)

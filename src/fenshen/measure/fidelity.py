"""How near a made picture is to the one that it should be: per picture, for any number of axes and channels.

Shape letters: N pictures, C channels, *S spatial axes. Values are parts of 1: 0 black or clear, 1 white or opaque.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from fenshen.measure.encoders import Encoder, shrunk

NEAREST = 1e-10  # Mean squared error below which two pictures count as the same: 100 dB.
SIGMA, TAPS = 1.5, 11  # Of the window of SSIM, in cells.
C1, C2 = 0.01**2, 0.03**2
CONVOLVE = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}


def psnr(x_NCS: Tensor, y_NCS: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB, (N,): -10 log10 of the mean squared difference over all channels and cells. At most 100."""
    return -10 * (x_NCS - y_NCS).double().square().flatten(1).mean(1).clamp_min(NEAREST).log10()


def ssim(x_NCS: Tensor, y_NCS: Tensor) -> Tensor:
    """Structural similarity, (N,), at most 1. Wang et al. 2004, eq. 13, with a Gaussian window of 11 cells and σ 1.5, whole windows only.

    The mean over channels. A side below 11 takes a window of that side.
    """
    x, y = (v.double().flatten(0, 1)[:, None] for v in (x_NCS, y_NCS))
    mean_x, mean_y = windowed(x), windowed(y)
    var_x, var_y = windowed(x * x) - mean_x.square(), windowed(y * y) - mean_y.square()
    cov = windowed(x * y) - mean_x * mean_y
    value = (2 * mean_x * mean_y + C1) * (2 * cov + C2) / ((mean_x.square() + mean_y.square() + C1) * (var_x + var_y + C2))
    return value.flatten(1).mean(1).view(len(x_NCS), -1).mean(1)


@torch.no_grad()
def perceptual(encoder: Encoder, x_NCHW: Tensor, y_NCHW: Tensor, batch: int = 50) -> Tensor:
    """Distance of two pictures in the features of every stage of our own encoder, float64 (N): 0 for equal ones, at most 2.

    Zhang et al. 2018 (LPIPS), eq. 1, without learned weights: features of length 1 at each cell, mean squared differences, the mean over
    stages. Color is premultiplied already. The encoder shrinks what is larger than its side, so what is finer than that is not seen.
    """
    found = []
    for x_BCHW, y_BCHW in zip(x_NCHW.split(batch), y_NCHW.split(batch), strict=True):
        h_BCHW = shrunk(torch.cat([x_BCHW, y_BCHW]).to(encoder.center_F.device), encoder.side)
        total_B = torch.zeros(len(x_BCHW), dtype=torch.float64)
        for stage in encoder.stages:
            h_BCHW = stage(h_BCHW)
            a_BCHW, b_BCHW = F.normalize(h_BCHW, dim=1).chunk(2)
            total_B += (a_BCHW - b_BCHW).square().sum(1).flatten(1).mean(1).cpu().double() / len(encoder.stages)
        found.append(total_B)
    return torch.cat(found)


def windowed(x_N1S: Tensor) -> Tensor:
    """Means under the Gaussian window, one axis after the other."""
    axes = x_N1S.dim() - 2
    for axis in range(axes):
        taps = min(TAPS, x_N1S.shape[2 + axis])
        window = torch.exp(-(torch.arange(taps, dtype=x_N1S.dtype, device=x_N1S.device) - (taps - 1) / 2).square() / (2 * SIGMA**2))
        shape = [1, 1, *(taps if other == axis else 1 for other in range(axes))]
        x_N1S = CONVOLVE[axes](x_N1S, (window / window.sum()).view(shape))
    return x_N1S

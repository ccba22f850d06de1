"""The vision transformer of DINOv2, without register tokens. Oquab et al. 2023; Dosovitskiy et al. 2021.

Layers carry the names of the public weights (`dinov2_vits14_pretrain.pth`, `…_vitb14_…`, `…_vitl14_…`); width and depth are read off them.

Shape letters: B pictures, C channels, H height, W width, L tokens (a class token and the patches), D features, N heads, E features of a head.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PATCH, HEAD = 14, 64  # Pixels along a side of a patch; features of an attention head.
GRID = 37  # Patches along a side of the pictures that the positions were learned on, 518 pixels.
OFFSET = 0.1  # What DINOv2 adds to the number of patches when it resamples positions.


class Attention(nn.Module):
    """Softmax attention of every token to every token."""

    def __init__(self, width: int):
        super().__init__()
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x_BLD: Tensor) -> Tensor:
        batch, length, width = x_BLD.shape
        q_BNLE, k_BNLE, v_BNLE = self.qkv(x_BLD).view(batch, length, 3, width // HEAD, HEAD).permute(2, 0, 3, 1, 4)
        mixed_BNLE = F.scaled_dot_product_attention(q_BNLE, k_BNLE, v_BNLE)
        return self.proj(mixed_BNLE.transpose(1, 2).reshape(batch, length, width))


class Perceptron(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x_BLD: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x_BLD)))


class Scale(nn.Module):
    """A learned factor per feature (Touvron et al. 2021, LayerScale)."""

    def __init__(self, width: int):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x_BLD: Tensor) -> Tensor:
        return x_BLD * self.gamma


class Block(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.norm1, self.attn, self.ls1 = nn.LayerNorm(width, eps=1e-6), Attention(width), Scale(width)
        self.norm2, self.mlp, self.ls2 = nn.LayerNorm(width, eps=1e-6), Perceptron(width), Scale(width)

    def forward(self, x_BLD: Tensor) -> Tensor:
        x_BLD = x_BLD + self.ls1(self.attn(self.norm1(x_BLD)))
        return x_BLD + self.ls2(self.mlp(self.norm2(x_BLD)))


class Patches(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.proj = nn.Conv2d(3, width, PATCH, PATCH)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.proj(x_BCHW).flatten(2).transpose(1, 2)


class VisionTransformer(nn.Module):
    """Standardised pictures (B, 3, H, W), H = W a multiple of 14 -> the normalized class token (B, D). `width` is a multiple of 64."""

    def __init__(self, width: int, depth: int):
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + GRID**2, width))
        self.mask_token = nn.Parameter(torch.zeros(1, width))  # Of its training; stands in the weights.
        self.patch_embed = Patches(width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        x_BLD = torch.cat([self.cls_token.expand(len(x_BCHW), -1, -1), self.patch_embed(x_BCHW)], 1)
        x_BLD = x_BLD + self.positions(x_BCHW.shape[-1] // PATCH)
        for block in self.blocks:
            x_BLD = block(x_BLD)
        return self.norm(x_BLD[:, 0])

    def positions(self, side: int) -> Tensor:
        """Positions of `side`² patches and the class token (1, L, D), resampled from the learned ones."""
        if side == GRID:
            return self.pos_embed
        learned = self.pos_embed[:, 1:].unflatten(1, (GRID, GRID)).permute(0, 3, 1, 2)
        factor = (side + OFFSET) / GRID
        resampled = F.interpolate(learned, scale_factor=(factor, factor), mode="bicubic")
        return torch.cat([self.pos_embed[:, :1], resampled.flatten(2).transpose(1, 2)], 1)

"""What one sample is, as a tensor, and the three things a model family may ask of it. A space knows no loss.

Shape letters: B batch, C channels, V vocabulary, *S axes (T for sound, H W for a picture, T H W for video, L for words).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

LEAK = 0.1
END = 0  # Of every vocabulary: what stands between two samples. It begins the next one and ends the last one.


@dataclass(frozen=True)
class Grid:
    """A continuous sample x_BCS in [-1, 1]: sound (T), a picture (H, W), a video or a volume (three axes)."""

    channels: int
    size: tuple[int, ...]

    @property
    def axes(self) -> int:
        """Number of spatial axes, 1 to 3."""
        return len(self.size)

    def embed(self, x_BCS: Tensor) -> Tensor:
        """What a critic or an encoder reads of a sample."""
        return x_BCS

    def soft(self, y_BCS: Tensor) -> Tensor:
        """A network's raw output as a differentiable sample: what is beyond [-1, 1] counts a tenth.

        Real pictures have pixels that are exactly black, white or transparent. A generator that had to hit -1 on the spot would always be
        a little beside it; so it may aim beyond, and still has a gradient there.
        """
        inside = y_BCS.clamp(-1, 1)
        return inside + LEAK * (y_BCS - inside)

    def hard(self, y_BCS: Tensor) -> Tensor:
        """A network's raw output as a sample to write to disk, in [-1, 1]."""
        return y_BCS.clamp(-1, 1)

    def blank(self, count: int) -> Tensor:
        """`count` samples of nothing in particular, for counting what a network does."""
        return torch.zeros(count, self.channels, *self.size)


@dataclass(frozen=True)
class Tokens:
    """A discrete sample tok_BS: int64 below `vocab`, of at most `size`. Words have one axis, the codes of a picture may have two.

    A batch of unequal lengths carries `length_B`; what stands behind the end of a sample is END, and counts nowhere (`present`).
    """

    vocab: int
    size: tuple[int, ...]

    @property
    def axes(self) -> int:
        """Number of axes of a sample."""
        return len(self.size)

    def embed(self, x: Tensor) -> Tensor:
        """What a critic or an encoder reads of a sample: shares x_BSV of the vocabulary; tokens tok_BS become one-hot."""
        return x if x.is_floating_point() else F.one_hot(x, self.vocab).float()

    def soft(self, y_BSV: Tensor) -> Tensor:
        """Logits as a differentiable sample: shares of the vocabulary."""
        return y_BSV.softmax(-1)

    def hard(self, y_BSV: Tensor) -> Tensor:
        """Logits as a sample tok_BS to write to disk: at each place the likeliest."""
        return y_BSV.argmax(-1)

    def blank(self, count: int) -> Tensor:
        """`count` samples of nothing but END."""
        return torch.full((count, *self.size), END)


Space = Grid | Tokens


def present(length_B: Tensor, size: int) -> Tensor:
    """bool (B, size): True at the first `length_B` places of each row."""
    return torch.arange(size, device=length_B.device) < length_B[:, None]

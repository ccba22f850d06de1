"""What one sample is, as a tensor, and the three things a model family may ask of it. A space knows no loss.

Shape letters: B batch, C channels, *S spatial axes (T for sound, H W for a picture, T H W for video).
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

LEAK = 0.1


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

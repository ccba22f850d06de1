"""How a value moves with the planned part of a run, `fraction` in [0, 1]: pure functions."""

from __future__ import annotations

import math


def cosine(start: float, end: float, progress: float) -> float:
    """From start to end along half a cosine while `progress` goes from 0 to 1, and constant outside."""
    progress = min(1.0, max(0.0, progress))
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


def burn_in(start: float, end: float, fraction: float, part: float) -> float:
    """Cosine from start to end over the first `part` of the plan, then end. Huang et al. 2024 (R3GAN), appendix."""
    return cosine(start, end, fraction / part) if part > 0 else end


def annealed(fraction: float, begin: float, end_value: float) -> float:
    """1 until `begin`, then along half a cosine to `end_value` at the end of the plan."""
    return cosine(1.0, end_value, (fraction - begin) / (1 - begin)) if begin < 1 else 1.0


def averaging_weight(half_life_kimg: float, kimg: float, batch: int) -> float:
    """Weight of the old average after one step; the half-life is at most a tenth of what was seen so far."""
    half_life = min(half_life_kimg, 0.1 * kimg)
    return 0.5 ** (batch / 1000 / half_life) if half_life > 0 else 0.0

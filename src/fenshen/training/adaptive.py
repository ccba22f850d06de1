"""Adaptive discriminator augmentation: how strongly the critic's view is augmented follows from how much it overfits.

Karras et al. 2020 (StyleGAN2-ADA), section 3.1. Without a held-out split the measure is r_t = E[sign D(x)]; for a relativistic
critic, whose logits have no zero, E[sign(D(x) - D(G(z)))]. A merely weak generator also drives r_t up, so where there is a
held-out split the measure is r_v = (E D_train - E D_held_out) / (E D_train - E D_fake), as of their equation 1.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from torch import Tensor

from fenshen.recipe import Recipe

SPEED_KIMG = 500.0
EVERY = 4
SMOOTHING = 0.9
HELD_OUT_TARGET = 0.4


@dataclass
class AdaptiveStrength:
    """Keeps running means of what it is told and moves `strength` by their verdict; all of it is saved with a run."""

    strength: float = 0.0
    train: float = 0.0
    fake: float = 0.0
    held_out: float = 0.0
    sign: float = 0.0
    seen: int = 0

    def watch(self, real: Tensor, fake: Tensor, held_out: Tensor | None, relativistic: bool) -> None:
        """Adds one step's logits (B,) each to the running means."""
        sign = (real - fake).sign() if relativistic else real.sign()
        self.train, self.fake, self.sign = (
            self._mean(old, new) for old, new in ((self.train, real), (self.fake, fake), (self.sign, sign))
        )  # fmt: skip
        if held_out is not None:
            self.held_out = self._mean(self.held_out, held_out)
        self.seen += 1

    def _mean(self, old: float, values: Tensor) -> float:
        keep = SMOOTHING * min(1.0, self.seen / 10)
        return keep * old + (1 - keep) * float(values.float().mean())

    def overfitting(self, has_held_out: bool) -> float:
        """r_v where there is a held-out split, else r_t: 0 none, 1 complete."""
        if not has_held_out:
            return self.sign
        gap = self.train - self.fake
        return (self.train - self.held_out) / gap if gap > 1e-6 else 0.0

    def adjust(self, recipe: Recipe, has_held_out: bool, images: int, plan_kimg: float) -> float:
        """One step of strength, up where the measure is above its target, else down; returns the new strength.

        `images`: real pictures shown since the last adjustment. 0 to 1 takes 500 kimg, or a quarter of a shorter plan.
        """
        target = HELD_OUT_TARGET if has_held_out else recipe.train.augmentation_target
        up = self.overfitting(has_held_out) > target
        move = images / 1000 / min(SPEED_KIMG, plan_kimg / 4)
        self.strength = min(recipe.train.augmentation_cap, max(0.0, self.strength + (move if up else -move)))
        return self.strength

    def state(self) -> dict[str, float]:
        return asdict(self)

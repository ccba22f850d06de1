"""How far a measure of two sets would differ if both were drawn again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t

from fenshen.errors import DataError
from fenshen.measure.distances import Array

LEAST = 4  # Samples of a set that can still be halved into parts with a spread.


@dataclass(frozen=True)
class Interval:
    """A value and its 95 % interval."""

    value: float
    low: float
    high: float


def interval(metric: Callable[[Array, Array], float], made: ArrayLike, real: ArrayLike, seed: int = 0, *, rounds: int = 20, share: float = 0.5,
             least: float = -np.inf, most: float = np.inf) -> Interval:  # fmt: skip
    """The 95 % interval of metric(made, real); see `intervals`. `least` and `most` are the metric's own limits."""
    return intervals(lambda a, b: {"": metric(a, b)}, made, real, seed, rounds=rounds, share=share, least=least, most=most)[""]


def intervals(metric: Callable[[Array, Array], dict[str, float]], made: ArrayLike, real: ArrayLike, seed: int = 0, *, rounds: int = 20,
              share: float = 0.5, least: float = -np.inf, most: float = np.inf) -> dict[str, Interval]:  # fmt: skip
    """95 % intervals of several numbers that one pass over rows of `made` (N, …) and `real` (M, …) gives.

    Not the bootstrap: rows drawn twice are duplicates, which bias nearest neighbors (a ball of radius 0) and add c/N to a
    Fréchet distance a second time. Instead `rounds` subsets of both sets without replacement, of `share` of their rows (Politis
    & Romano 1994). Their variance is that of the whole sets times (1 - share) / share, so no factor at one half. The interval is
    around the value of the whole sets, smaller ones being biased otherwise, with Student's quantile for so few rounds.

    It says how well the number would repeat with other N and M samples. It does not say how far the number is from that of
    infinitely many (see frechet_infinity). In trials it was about twice too wide for the Fréchet distance of equal distributions,
    and for density in 4 features; within a fifth of the truth for precision, recall, density and coverage in 32, from a half or
    from a quarter, which is faster. Raises DataError with fewer than 4 samples, or too few for the metric.
    """
    sets = [np.asarray(x) for x in (made, real)]
    for x in sets:
        if len(x) < LEAST:
            raise DataError("too few samples for an interval: {count}; it takes {needed} or more", needed=LEAST, count=len(x))
    rng = np.random.default_rng(seed)
    drawn = [metric(*(x[rng.choice(len(x), max(2, round(share * len(x))), replace=False)] for x in sets)) for _ in range(rounds)]
    reach = t.ppf(0.975, rounds - 1) * np.sqrt(share / (1 - share))
    return {name: _around(value, reach * float(np.std([d[name] for d in drawn], ddof=1)), least, most) for name, value in metric(*sets).items()}


def _around(value: float, reach: float, least: float, most: float) -> Interval:
    return Interval(value, float(max(least, value - reach)), float(min(most, value + reach)))

"""Membership inference: can a score tell the samples that a model was trained on from others of the same kind?

Scores are higher for what looks more like a member. Members and others should be equally many, and from one distribution: otherwise
the score may tell the two distributions apart, and not the membership.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import beta, norm, rankdata

from fenshen.errors import DataError
from fenshen.lang import tr
from fenshen.measure.distances import Array
from fenshen.measure.intervals import Interval


def _scores(least: tuple[int, int], members: ArrayLike, others: ArrayLike) -> list[Array]:
    arrays = [np.asarray(scores, np.float64) for scores in (members, others)]
    for scores, needed in zip(arrays, least, strict=True):
        assert scores.ndim == 1
        if len(scores) < needed:
            measure = tr("membership inference")
            raise DataError("too few samples for {measure}: {count}; it takes {needed} or more", measure=measure, needed=needed, count=len(scores))
        if np.isnan(scores).any():
            raise DataError("membership inference: some scores are not numbers")
    return arrays


def member_auc(members_N: ArrayLike, others_M: ArrayLike) -> Interval:
    """Area under the ROC curve: how often a member's score exceeds another's, ties counting half; ½ is guessing. 95 % interval.

    The interval is DeLong's (1988), from midranks (Sun & Xu 2014), cut to [0, 1]. Where the scores separate completely, its
    variance is 0; then the bound is the exact one for as many successes in a row as the smaller set has samples. Raises DataError
    with fewer than 2 scores.
    """
    members, others = _scores((2, 2), members_N, others_M)
    n, m = len(members), len(others)
    ranks = rankdata(np.concatenate([members, others]))
    above_N = (ranks[:n] - rankdata(members)) / m  # Share of others below each member.
    below_M = 1 - (ranks[n:] - rankdata(others)) / n
    area = float(above_N.mean())
    if area in (0.0, 1.0):
        low, high = clopper_pearson(round(area * min(n, m)), min(n, m))
        return Interval(area, low, high)
    reach = float(norm.ppf(0.975)) * math.sqrt(above_N.var(ddof=1) / n + below_M.var(ddof=1) / m)
    return Interval(area, max(0.0, area - reach), min(1.0, area + reach))


def true_positive_rate(members_N: ArrayLike, others_M: ArrayLike, false_positive_rate: float = 0.01) -> Interval:
    """The share of members above a threshold that at most `false_positive_rate` of the others exceed. Carlini et al. 2022, section IV.

    The 95 % interval is Clopper & Pearson's, for the threshold found; guessing gives `false_positive_rate`. Raises DataError with
    fewer others than it takes for one false positive (100 for 1 %).
    """
    members, others = _scores((1, math.ceil(1 / false_positive_rate)), members_N, others_M)
    threshold = np.sort(others)[::-1][int(false_positive_rate * len(others))]
    hits = int((members > threshold).sum())
    return Interval(hits / len(members), *clopper_pearson(hits, len(members)))


def clopper_pearson(hits: int, count: int) -> tuple[float, float]:
    """The exact 95 % interval of a binomial's rate. Clopper & Pearson 1934."""
    low = float(beta.ppf(0.025, hits, count - hits + 1)) if hits else 0.0
    high = float(beta.ppf(0.975, hits + 1, count - hits)) if hits < count else 1.0
    return low, high

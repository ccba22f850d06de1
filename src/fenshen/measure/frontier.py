"""How far two sets of texts are apart along the whole line between "says what no person says" and "leaves out what persons say".

MAUVE, Pillutla et al. 2021, section 2: features are put into clusters, and the two histograms P and Q are held against their mixtures R.
Shapes: N samples of D features, K clusters.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from threadpoolctl import threadpool_limits

from fenshen.measure.distances import Array, prepared

SCALE = 5.0  # The constant c of the paper.
POINTS = 33
MOST_CLUSTERS, PER_CLUSTER = 64, 10


class Frontier(NamedTuple):
    """`area` under the curve in (0, 1], 1 where nothing tells the sets apart; its points: exp(-c KL(P|R)) and exp(-c KL(Q|R))."""

    area: float
    made: tuple[float, ...]
    real: tuple[float, ...]


def frontier(made_ND: ArrayLike, real_ND: ArrayLike, seed: int = 0) -> Frontier:
    """Of two sets of features, in clusters found in both together. DataError with fewer than 20 samples in a set."""
    made, real = prepared("MAUVE", 2 * PER_CLUSTER, made_ND, real_ND)
    clusters = max(2, min(MOST_CLUSTERS, min(len(made), len(real)) // PER_CLUSTER))
    with threadpool_limits(1):  # Several threads add in any order: not the same bits every time.
        from sklearn.cluster import KMeans  # Loaded where it is needed: it takes seconds.

        place = KMeans(clusters, n_init=2, random_state=seed).fit_predict(np.concatenate([made, real]))
    return between(*(np.bincount(part, minlength=clusters) / len(part) for part in (place[: len(made)], place[len(made) :])))


def between(p_K: Array, q_K: Array) -> Frontier:
    """The same of two histograms that sum to 1."""
    weights = np.linspace(0, 1, POINTS)[1:-1]
    mixtures = [weight * p_K + (1 - weight) * q_K for weight in weights]
    x, y = (np.array([np.exp(-SCALE * _divergence(side, mixture)) for mixture in mixtures]) for side in (p_K, q_K))
    x, y = np.concatenate([[0.0], x, [1.0]]), np.concatenate([[1.0], y, [0.0]])
    return Frontier(float(np.trapezoid(y, x)), tuple(x.tolist()), tuple(y.tolist()))


def _divergence(p_K: Array, r_K: Array) -> float:
    """KL(P|R) in nats."""
    some = p_K > 0
    return float((p_K[some] * np.log(p_K[some] / r_K[some])).sum())

"""Nearest neighbors among features, and what they say of made samples: are they real ones (precision), and all kinds of them (recall)?

Shapes: N made samples, M real ones, D features. Distances are Euclidean; matrices of them are made in tiles and never kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fenshen.lang import tr
from fenshen.measure.distances import TILE, Array, prepared

Index = NDArray[np.int64]

NEIGHBOURS = 5
ROUNDING = 1e-9, 1e-13  # Balls are closed: the rim is inside, give or take these parts of squared radius and largest squared norm.


@dataclass(frozen=True)
class PrecisionRecall:
    """Shares in [0, 1]; density may exceed 1 (its value for equal distributions)."""

    precision: float
    recall: float
    density: float
    coverage: float


def nearest_neighbours(x_ND: Array, y_MD: Array, k: int = 1) -> tuple[Array, Index]:
    """Distances (N, k), ascending, and indices (N, k) of the k samples of y that are nearest to each of x; k ≤ M.

    Equal samples are at distance 0 exactly: the found distances are computed once more, without the shortcut of the search.
    """
    center = y_MD.mean(0)
    x_ND, y_MD = x_ND - center, y_MD - center
    from sklearn.neighbors import NearestNeighbors  # Loaded where it is needed: it takes seconds.

    index = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(y_MD).kneighbors(x_ND, return_distance=False)
    distance = np.stack([np.linalg.norm(x_ND - y_MD[column], axis=1) for column in index.T], axis=1)
    order = distance.argsort(axis=1, kind="stable")
    return np.take_along_axis(distance, order, 1), np.take_along_axis(index, order, 1)


def nearest_others(x_ND: Array, k: int = 1) -> tuple[Array, Index]:
    """The same within one set, a sample not being its own neighbor; k < N."""
    distance, index = nearest_neighbours(x_ND, x_ND, k + 1)
    own = index == np.arange(len(x_ND))[:, None]
    own[~own.any(1), -1] = True  # Among many equal samples the search may leave a sample itself out.
    return distance[~own].reshape(-1, k), index[~own].reshape(-1, k)


def precision_recall(made_ND: ArrayLike, real_MD: ArrayLike, k: int = NEIGHBOURS) -> PrecisionRecall:
    """A ball around each sample reaches to its k-th neighbor in its own set.

    Precision: the share of made samples in a real ball; recall: of real samples in a made ball (Kynkäänniemi et al. 2019, eq. 2).
    Density: in how many real balls a made sample is, over k; coverage: the share of real balls with a made sample in
    them (Naeem et al. 2020, eqs. 3 and 4). Raises DataError with k samples or fewer.
    """
    made, real = prepared(tr("precision and recall"), k + 1, made_ND, real_MD)
    made, real = made - real.mean(0), real - real.mean(0)
    made_norm, real_norm = np.square(made).sum(1), np.square(real).sum(1)
    made_radius, real_radius = (_squared_radius(x, k, made_norm, real_norm) for x in (made, real))
    balls_N, covers_M, made_balls_M = np.zeros(len(made), int), np.zeros(len(real), int), np.zeros(len(real), int)
    for i in range(0, len(made), TILE):
        for j in range(0, len(real), TILE):
            rows, columns = slice(i, i + TILE), slice(j, j + TILE)
            squared = made_norm[rows, None] + real_norm[columns] - 2 * made[rows] @ real[columns].T
            inside = squared <= real_radius[columns]
            balls_N[rows] += np.count_nonzero(inside, axis=1)
            covers_M[columns] += inside.any(0)
            made_balls_M[columns] += (squared <= made_radius[rows, None]).any(0)
    precision, recall, coverage = (float((count > 0).mean()) for count in (balls_N, made_balls_M, covers_M))
    return PrecisionRecall(precision, recall, float(balls_N.mean() / k), coverage)


def _squared_radius(x_ND: Array, k: int, *norms: Array) -> Array:
    of_radius, of_norm = ROUNDING
    return np.square(nearest_others(x_ND, k)[0][:, -1]) * (1 + of_radius) + of_norm * max(norm.max() for norm in norms)

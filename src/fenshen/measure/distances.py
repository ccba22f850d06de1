"""Distances between two sets of feature vectors.

Shapes: N samples of D features. No distance here asks which of its two sets was made and which is real.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fenshen.errors import DataError

Array = NDArray[np.float64]

TILE = 512  # Rows and columns of a kernel matrix that are in memory at a time.
MOST_PARTS = 4  # A set is cut into at most so many parts to see how its Fréchet distance depends on its size.
DIRECTIONS_AT_ONCE = 100


class KernelDistance(NamedTuple):
    """An unbiased squared distance (so below 0 by chance where the two sets agree) and its standard error."""

    value: float
    standard_error: float


def prepared(measure: str, least: int, *sets: ArrayLike) -> list[Array]:
    """`sets` as float64 (N, D). Raises DataError where one has fewer than `least` samples or a number that is not finite."""
    arrays = [np.asarray(x, np.float64) for x in sets]
    for x in arrays:
        assert x.ndim == 2 and x.shape[1] == arrays[0].shape[1], [array.shape for array in arrays]
        if len(x) < least:
            raise DataError("too few samples for {measure}: {count}; it takes {needed} or more", measure=measure, needed=least, count=len(x))
        if not np.isfinite(x).all():
            raise DataError("{measure}: some samples have features that are not finite numbers", measure=measure)
    return arrays


def frechet_distance(a_ND: ArrayLike, b_ND: ArrayLike) -> float:
    """‖μa - μb‖² + tr(Σa + Σb - 2 (Σa Σb)^½) of two sets of features (N, D), as if both were Gaussian.

    Dowson & Landau 1982; Heusel et al. 2017 (FID), eq. 6. The trace of the root is the sum of the roots of the eigenvalues
    of Σa Σb, taken from the symmetric √Σa Σb √Σa. Raises DataError with no more samples than features.
    """
    a_ND, b_ND = prepared("FD", 1, a_ND, b_ND)
    for x in (a_ND, b_ND):
        if len(x) <= x.shape[1]:
            raise DataError("a Fréchet distance in {features} features needs more than {features} samples; there are {count}",
                            features=x.shape[1], count=len(x))  # fmt: skip
    return frechet_from_moments(a_ND.mean(0), _covariance(a_ND), b_ND.mean(0), _covariance(b_ND))


def _covariance(x_ND: Array) -> Array:
    return np.atleast_2d(np.cov(x_ND, rowvar=False))


def frechet_from_moments(mean_a: Array, cov_a: Array, mean_b: Array, cov_b: Array) -> float:
    """The same from means (D,) and covariances (D, D)."""
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ cov_b @ root).clip(0)).sum()
    return float(np.square(mean_a - mean_b).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * cross)


def frechet_infinity(a_ND: ArrayLike, b_ND: ArrayLike, seed: int = 0) -> float:
    """The Fréchet distance that infinitely many samples would have: nearly unbiased, so slightly below 0 by chance.

    Chong & Forsyth 2020: the distance of n samples exceeds it by about c/n, so it is the intercept of a line through
    distances against 1/n. Here both sets shrink together: k = 1, 2, … parts of each, the k distances averaged, against k,
    which removes the bias of both and uses every sample at every size. Raises DataError with fewer than 4 (D + 1) samples.
    """
    features = np.shape(a_ND)[1]
    a_ND, b_ND = prepared("FD∞", 4 * (features + 1), a_ND, b_ND)
    rng = np.random.default_rng(seed)
    a_ND, b_ND = rng.permutation(a_ND), rng.permutation(b_ND)
    parts = range(1, min(MOST_PARTS, min(len(a_ND), len(b_ND)) // (2 * (features + 1))) + 1)
    means = [np.mean([frechet_distance(*pair) for pair in zip(np.array_split(a_ND, k), np.array_split(b_ND, k), strict=True)]) for k in parts]
    return float(np.polyfit(parts, means, 1)[1])


def kid(a_ND: ArrayLike, b_MD: ArrayLike) -> KernelDistance:
    """KID: MMD² with the kernel k(x, y) = (xᵀy/D + 1)³, without bias. Bińkowski et al. 2018, section 4.

    All pairs are used. The standard error is that of the U-statistic (Hoeffding's decomposition): row means of the kernel
    matrices vary by 4 Var/N for what each sample adds, but twice too much for what pairs add; the second is estimated from the
    squares of the centered kernels and taken off. So it holds for equal distributions too, where only pairs add anything.
    Raises DataError with fewer than 4 samples.
    """
    a_ND, b_MD = prepared("KID", 4, a_ND, b_MD)
    n, m = len(a_ND), len(b_MD)
    within_a, within_b, between = _Kernel.within(a_ND), _Kernel.within(b_MD), _Kernel.between(a_ND, b_MD)
    value = within_a.rows.mean() + within_b.rows.mean() - 2 * between.rows.mean()
    samples = 4 * (within_a.rows - between.rows).var(ddof=1) / n + 4 * (within_b.rows - between.columns).var(ddof=1) / m
    pairs = 2 * within_a.centered_square() / n**2 + 2 * within_b.centered_square() / m**2 + 4 * between.centered_square() / (n * m)
    return KernelDistance(float(value), float(np.sqrt(max(samples - pairs, pairs))))


@dataclass(frozen=True)
class _Kernel:
    """Of a kernel matrix (N, M): means of its rows (N) and columns (M), and mean square."""

    rows: Array
    columns: Array
    square: float

    @classmethod
    def between(cls, x_ND: Array, y_MD: Array) -> _Kernel:
        rows, columns, square = np.zeros(len(x_ND)), np.zeros(len(y_MD)), 0.0
        scaled = x_ND / x_ND.shape[1]
        for i in range(0, len(x_ND), TILE):
            for j in range(0, len(y_MD), TILE):
                base = scaled[i : i + TILE] @ y_MD[j : j + TILE].T + 1
                kernel = base * base * base
                rows[i : i + TILE] += kernel.sum(1)
                columns[j : j + TILE] += kernel.sum(0)
                square += float(np.vdot(kernel, kernel))
        return cls(rows / len(y_MD), columns / len(x_ND), square / (len(x_ND) * len(y_MD)))

    @classmethod
    def within(cls, x_ND: Array) -> _Kernel:
        """Without the diagonal."""
        n, own, full = len(x_ND), (np.square(x_ND).mean(1) + 1) ** 3, cls.between(x_ND, x_ND)
        rows = (n * full.rows - own) / (n - 1)
        return cls(rows, rows, (n * full.square - float(np.square(own).mean())) / (n - 1))

    def centered_square(self) -> float:
        """Mean square of the kernel after its row and column means are taken off."""
        means = np.square(self.rows).mean() + np.square(self.columns).mean() - self.rows.mean() ** 2
        return max(0.0, float(self.square - means))


def mind(a_ND: ArrayLike, b_MD: ArrayLike, directions: int = 1000, seed: int = 0) -> float:
    """MIND: (3D/directions) Σᵢ meanⱼ (sort(uᵢᵀa)ⱼ - sort(uᵢᵀb)ⱼ)² over random unit vectors uᵢ: 3D times the sliced W₂².

    arXiv 2605.06797. Of the larger set, as many samples as the other has are drawn. Sees every difference of one-dimensional
    views, not of two moments only; like the Fréchet distance it falls with the number of samples. Raises DataError with fewer
    than 2 samples.
    """
    a_ND, b_MD = prepared("MIND", 2, a_ND, b_MD)
    rng = np.random.default_rng(seed)
    count, features = min(len(a_ND), len(b_MD)), a_ND.shape[1]
    a_ND, b_MD = (x if len(x) == count else x[rng.choice(len(x), count, replace=False)] for x in (a_ND, b_MD))
    total = 0.0
    for start in range(0, directions, DIRECTIONS_AT_ONCE):
        u_ED = rng.normal(size=(min(DIRECTIONS_AT_ONCE, directions - start), features))
        u_ED /= np.linalg.norm(u_ED, axis=1, keepdims=True)
        total += float(np.square(np.sort(u_ED @ a_ND.T, axis=1) - np.sort(u_ED @ b_MD.T, axis=1)).mean(1).sum())
    return 3 * features * total / directions

"""How various made samples are: on the whole, over the classes, and within a class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.distance import cdist
from scipy.special import xlogy
from scipy.stats import binom

from fenshen.errors import DataError
from fenshen.lang import tr
from fenshen.measure.distances import Array, prepared

SMALLEST_EIGENVALUE = 1e-12  # Of a matrix of trace 1: less is rounding.


@dataclass(frozen=True)
class ClassBalance:
    """Shares of the K classes in [0, 1]; distances between such shares in [0, 1], 0 where they are equal."""

    made: tuple[float, ...]
    wanted: tuple[float, ...]
    total_variation: float
    expected_total_variation: float  # Of as many samples drawn as wanted: what chance alone makes of it.
    missing: tuple[int, ...]


@dataclass(frozen=True)
class ClassConsistency:
    """Mean cosine distances within a class, in [0, 2]: of made samples, of real ones; `ratio` 1 is as alike as real ones are."""

    classes: tuple[int, ...]
    made: tuple[float, ...]
    real: tuple[float, ...]
    ratio: float


def inception_score(probabilities_NK: ArrayLike) -> float:
    """exp(mean KL(p(y|x) ‖ p(y))) in [1, K] from a classifier's probabilities (N, K); K: always sure, all classes equally frequent.

    Salimans et al. 2016, section 4, not split: a mean over splits is lower by a bias of its own. Raises DataError without samples.
    """
    (p_NK,) = prepared("IS", 1, probabilities_NK)
    assert (p_NK >= 0).all() and np.allclose(p_NK.sum(1), 1, atol=1e-4)
    return float(np.exp(xlogy(p_NK, p_NK).sum(1).mean() - xlogy(p_NK.mean(0), p_NK.mean(0)).sum()))


def vendi_score(x_ND: ArrayLike) -> float:
    """exp(-Σ λ log λ), λ the eigenvalues of K/N, K the cosines of features (N, D): the effective number of different samples.

    Friedman & Dieng 2023, definition 3.1; in [1, min(N, D + 1)]. XᵀX/N (D, D) has the same eigenvalues but zeros, and is used
    where it is smaller. Vectors of zeros count as equal to each other and at right angles to all others. Raises DataError
    without samples.
    """
    (x_ND,) = prepared("Vendi", 1, x_ND)
    directions = _unit(x_ND)
    gram = directions.T @ directions if len(x_ND) > x_ND.shape[1] else directions @ directions.T
    return _effective(gram / len(x_ND))


def vendi_score_of_radius(x_ND: ArrayLike, radius: float) -> float:
    """The same with K = exp(-‖x - y‖² / radius²): samples much nearer to each other than `radius` count as one, wherever they are.

    In [1, N]. Raises DataError without samples.
    """
    (x_ND,) = prepared("Vendi", 1, x_ND)
    return _effective(np.exp(-cdist(x_ND, x_ND, "sqeuclidean") / radius**2) / len(x_ND))


def _effective(matrix_NN: Array) -> float:
    """exp(entropy) of the eigenvalues, which sum to 1."""
    values = np.linalg.eigvalsh(matrix_NN)
    values = values[values > SMALLEST_EIGENVALUE]
    return float(np.exp(-(values * np.log(values)).sum()))


def _unit(x_ND: Array) -> Array:
    """Rows of length 1 (N, D + 1); the last feature is 1 where all others are 0."""
    x = np.column_stack([x_ND, ~x_ND.any(1)])
    x = x / np.abs(x).max(1, keepdims=True)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def class_balance(made_N: ArrayLike, wanted_K: ArrayLike) -> ClassBalance:
    """Classes 0 … K-1 of made samples (N) against how frequent each should be: shares, or counts of real samples.

    Total variation ½ Σ |made - wanted| is the share of samples that would have to be of another class; its expectation by
    chance is a sum of the binomial's mean deviations (De Moivre 1730). Missing are the classes wanted and never made. Raises
    DataError without samples.
    """
    labels, wanted = np.asarray(made_N, np.int64), np.asarray(wanted_K, np.float64)
    if not len(labels):
        raise DataError("too few samples for {measure}: {count}; it takes {needed} or more", measure=tr("class balance"), needed=1, count=0)
    wanted = wanted / wanted.sum()
    counts = np.bincount(labels, minlength=len(wanted))
    assert len(counts) == len(wanted) and (wanted >= 0).all()
    made, above = counts / len(labels), np.floor(len(labels) * wanted) + 1
    by_chance = above * (1 - wanted) * binom.pmf(above, len(labels), wanted) / len(labels)
    missing = np.flatnonzero((wanted > 0) & (counts == 0))
    distance = float(np.abs(made - wanted).sum() / 2)
    return ClassBalance(tuple(made.tolist()), tuple(wanted.tolist()), distance, float(by_chance.sum()), tuple(missing.tolist()))


def class_consistency(made_ND: ArrayLike, made_N: ArrayLike, real_MD: ArrayLike, real_M: ArrayLike) -> ClassConsistency:
    """How alike the samples of one class are: 1 - mean cosine of two different ones, made (classes N) against real (classes M).

    That is the mean cosine distance to the class's mean direction without its bias in small classes (a sample is near to a mean
    that it is part of). A ratio, of the means over classes, well below 1 says that classes have collapsed; well above 1, that they
    are mixed or noisy. Classes with fewer than 2 samples on either side are left out; raises DataError where that is all of them.
    """
    made_ND, real_MD = prepared(tr("consistency within a class"), 1, made_ND, real_MD)
    made_N, real_M = np.asarray(made_N), np.asarray(real_M)
    classes = [int(c) for c in np.unique(real_M) if (made_N == c).sum() > 1 and (real_M == c).sum() > 1]
    if not classes:
        raise DataError("consistency within a class needs a class with at least 2 made and 2 real samples")
    made = tuple(_mean_cosine_distance(made_ND[made_N == c]) for c in classes)
    real = tuple(_mean_cosine_distance(real_MD[real_M == c]) for c in classes)
    return ClassConsistency(tuple(classes), made, real, _ratio(sum(made), sum(real)))


def _mean_cosine_distance(x_ND: Array) -> float:
    """1 - the mean cosine of all pairs, from the sum of the unit vectors: ‖Σ u‖² = N + Σ over pairs."""
    n = len(x_ND)
    return max(0.0, float(1 - (np.square(_unit(x_ND).sum(0)).sum() - n) / (n * (n - 1))))


def _ratio(made: float, real: float) -> float:
    """Distances of rounding's size count as none; 1 where neither side has any."""
    made, real = (value if value > SMALLEST_EIGENVALUE else 0.0 for value in (made, real))
    return made / real if real else float("inf") if made else 1.0

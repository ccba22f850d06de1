"""How well single entries of a code stand for single factors: the mutual information gap, and disentanglement, completeness, informativeness.

MIG, Chen et al. 2018 (β-TCVAE), eq. 6: for each factor the gap between the two entries that know most of it, over its entropy.
DCI, Eastwood & Williams 2018: trees learn each factor from the code; how much of an entry's importance goes to one factor
(disentanglement), how much of a factor's importance comes from one entry (completeness), how well it is told at all (informativeness).

Shape letters: N samples, D entries of the code, K factors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fenshen.errors import DataError

Array = NDArray[np.float64]
BINS = 20
FEWEST = 100
TREES, DEPTH, LEAF = 30, 10, 5
HELD_BACK = 0.25


@dataclass(frozen=True)
class Scores:
    """All between 0 and 1. `informativeness_K`: on held-back samples, R² of a number, and of a class the accuracy above always guessing the
    most frequent one. `mig_K`, `importance_DK`: what MIG and DCI are made of."""

    mig: float
    disentanglement: float
    completeness: float
    informativeness: float
    mig_K: Array
    informativeness_K: Array
    importance_DK: Array


def disentanglement(code_ND: np.ndarray, factors: list[np.ndarray], seed: int = 0) -> Scores:
    """Of a code and its factors (N each): integers are classes, floats are numbers. DataError for fewer than 100 samples."""
    if len(code_ND) < FEWEST:
        raise DataError("disentanglement needs at least {least} samples; there are {count}", least=FEWEST, count=len(code_ND))
    mig_K = mutual_information_gap(code_ND, factors)
    importance_DK, informativeness_K = importances(code_ND, factors, seed)
    disentangled, complete = dci(importance_DK)
    return Scores(float(mig_K.mean()), disentangled, complete, float(informativeness_K.mean()), mig_K, informativeness_K, importance_DK)


def mutual_information_gap(code_ND: np.ndarray, factors: list[np.ndarray]) -> Array:
    """(I₁ - I₂) / H of each factor (K), by histograms of 20 bins; less what independence would give by chance (Miller 1955)."""
    binned_ND = np.stack([bins(column) for column in np.asarray(code_ND, np.float64).T], 1)
    gaps = []
    for factor in factors:
        label_N = bins(factor)
        known_D = np.sort([mutual_information(column, label_N) for column in binned_ND.T])[::-1]
        second = known_D[1] if len(known_D) > 1 else 0.0
        gaps.append((known_D[0] - second) / max(entropy(label_N), 1e-12))
    return np.array(gaps)


def bins(values_N: np.ndarray) -> NDArray[np.int64]:
    """Classes as they are, numbers in 20 equal bins of their range."""
    if np.issubdtype(values_N.dtype, np.integer):
        return np.unique(values_N, return_inverse=True)[1].reshape(-1)
    edges = np.histogram_bin_edges(values_N, BINS)
    return np.digitize(values_N, edges[1:-1])


def mutual_information(a_N: NDArray[np.int64], b_N: NDArray[np.int64]) -> float:
    """I(a; b) in nats of two lists of bins, not negative; the bias of the plug-in estimate, (|a| - 1)(|b| - 1) / 2N, is taken off."""
    joint = np.zeros((a_N.max() + 1, b_N.max() + 1))
    np.add.at(joint, (a_N, b_N), 1 / len(a_N))
    alone = joint.sum(1, keepdims=True) @ joint.sum(0, keepdims=True)
    filled = joint > 0
    bias = ((joint.sum(1) > 0).sum() - 1) * ((joint.sum(0) > 0).sum() - 1) / (2 * len(a_N))
    return max(0.0, float((joint[filled] * np.log(joint[filled] / alone[filled])).sum()) - bias)


def entropy(a_N: NDArray[np.int64]) -> float:
    """In nats."""
    shares = np.bincount(a_N) / len(a_N)
    shares = shares[shares > 0]
    return float(-(shares * np.log(shares)).sum())


def importances(code_ND: np.ndarray, factors: list[np.ndarray], seed: int = 0) -> tuple[Array, Array]:
    """(how much each entry helps to tell each factor (D, K), columns summing to how well it is told; that (K)), by random forests."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    order = np.random.default_rng(seed).permutation(len(code_ND))
    asked, taught = np.split(order, [round(HELD_BACK * len(order))])
    found, told = [], []
    for factor in factors:
        classes = np.issubdtype(factor.dtype, np.integer)
        kind = RandomForestClassifier if classes else RandomForestRegressor
        forest = kind(TREES, max_depth=DEPTH, min_samples_leaf=LEAF, max_features=1.0, random_state=seed).fit(code_ND[taught], factor[taught])
        score = forest.score(code_ND[asked], factor[asked])
        if classes:
            guess = np.bincount(factor[asked] - factor.min()).max() / len(asked)
            score = (score - guess) / max(1 - guess, 1e-12)
        told.append(max(0.0, float(score)))
        found.append(forest.feature_importances_ * told[-1])  # What is not foreseen on new samples was chance.
    return np.stack(found, 1), np.array(told)


def dci(importance_DK: Array) -> tuple[float, float]:
    """(disentanglement, completeness): 1 - entropy of each row over factors, weighed by its importance; of each column over entries, likewise."""
    total = importance_DK.sum()
    if total <= 0:
        return 0.0, 0.0
    rows_D, columns_K = importance_DK.sum(1), importance_DK.sum(0)
    by_entry = 1 - _entropies(importance_DK)
    by_factor = 1 - _entropies(importance_DK.T)
    return float((rows_D * by_entry).sum() / total), float((columns_K * by_factor).sum() / total)


def _entropies(weights_AB: Array) -> Array:
    """Entropy of each row, to the base of its length: 0 all in one, 1 evenly spread."""
    shares_AB = weights_AB / np.maximum(weights_AB.sum(1, keepdims=True), 1e-300)
    logs = np.log(np.maximum(shares_AB, 1e-300)) / np.log(max(2, weights_AB.shape[1]))
    return -(shares_AB * logs).sum(1)

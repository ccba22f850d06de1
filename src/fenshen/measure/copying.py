"""Does a model make its training set again? Made samples against the training set, held-out samples showing what chance does.

Shapes: N made, T training, M held-out samples of D features. Held-out samples are from the training set's distribution, and in no way
part of it; whatever is asked of a made sample is asked of them too.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import hypergeom, nbinom, rankdata
from threadpoolctl import threadpool_limits

from fenshen.errors import DataError
from fenshen.lang import tr
from fenshen.measure.distances import Array, prepared
from fenshen.measure.neighbours import NEIGHBOURS, Index, nearest_neighbours, nearest_others

TOLERATED = 0.01  # Of the held-out samples: so many may be nearer than what counts as a copy.
COMPONENTS = 64
LEAST_IN_CELL = 10


@dataclass(frozen=True)
class Nearest:
    """For each of N samples its K nearest training samples, the nearest first: indices and Euclidean distances (N, K)."""

    index: Index
    distance: Array

    @property
    def nearness(self) -> Array:
        """Distance to the nearest over the mean distance to all K (N), in [0, 1]: 0 is a copy, 1 is no nearer to one than to others."""
        mean = self.distance.mean(1)
        return np.divide(self.distance[:, 0], mean, out=np.zeros(len(mean)), where=mean > 0)


@dataclass(frozen=True)
class DataCopying:
    """`value` ≪ 0: copying; ≫ 0: underfitting. Per cell that counts: z-score, and weight (they sum to 1)."""

    value: float
    cells: tuple[float, ...]
    weights: tuple[float, ...]


@dataclass(frozen=True)
class Authenticity:
    """Shares in [0, 1]; that of the held-out samples is what to expect of new ones."""

    made: float
    held_out: float


@dataclass(frozen=True)
class Copies:
    """Suspects, the nearest first: indices (S) of made samples and of the training samples that they resemble."""

    made: Index
    training: Index
    share: float
    expected: float  # Share of new samples that would be as near by chance.
    p_value: float
    found: bool


@dataclass(frozen=True)
class Suspects:
    """Indices (S) of made samples, the nearest first; the share of new samples that would be as near by chance."""

    suspects: Index
    expected: float
    p_value: float
    found: bool


@dataclass(frozen=True)
class Duplicates:
    """Pairs (P, 2) of indices of made samples, the nearest first; the share of made samples that are in one."""

    pairs: Index
    share: float
    p_value: float
    found: bool


def nearest(x_ND: ArrayLike, training_TD: ArrayLike, k: int = NEIGHBOURS) -> Nearest:
    """The k nearest training samples of each sample, fewer where there are not so many. Raises DataError without samples."""
    x_ND, training_TD = prepared(tr("the nearest training sample"), 1, x_ND, training_TD)
    distance, index = nearest_neighbours(x_ND, training_TD, min(k, len(training_TD)))
    return Nearest(index, distance)


def c_t(made_ND: ArrayLike, training_TD: ArrayLike, held_out_MD: ArrayLike, cells: int = 3, seed: int = 0) -> DataCopying:
    """C_T: are made samples nearer to the training set than held-out ones are, as z-scores of Mann & Whitney's U? Meehan et al. 2020, section 3.

    Above 64 features, the first 64 principal components of the training set. In each k-means cell of it, distances to the cell's
    training samples are compared; cells are weighted by their share of held-out samples, those with fewer than 10 made or held-out
    ones left out. In one cell, new samples give a standard normal variable; the mean over cells varies less. Raises DataError with
    fewer than 10 samples per cell, or where no cell has them.
    """
    from sklearn.cluster import KMeans  # Loaded where it is needed: it takes seconds.
    from sklearn.exceptions import ConvergenceWarning

    sets = prepared("C_T", LEAST_IN_CELL * cells, made_ND, training_TD, held_out_MD)
    made, training, held_out = _principal(*sets) if sets[0].shape[1] > COMPONENTS else sets
    with threadpool_limits(1), warnings.catch_warnings():  # Several threads add in any order: not the same bits every time.
        warnings.simplefilter("ignore", ConvergenceWarning)  # Fewer different samples than cells: some cells stay empty.
        partition = KMeans(cells, n_init=1, random_state=seed).fit(training)
        of_made, of_training, of_held = (partition.predict(x) for x in (made, training, held_out))
    scores, weights = [], []
    for cell in range(cells):
        near, reference = made[of_made == cell], held_out[of_held == cell]
        if min(len(near), len(reference)) >= LEAST_IN_CELL:
            inside = training[of_training == cell]
            scores.append(_mann_whitney(nearest_neighbours(near, inside)[0][:, 0], nearest_neighbours(reference, inside)[0][:, 0]))
            weights.append(len(reference))
    if not scores:
        raise DataError("C_T: nowhere are there {needed} made and {needed} held-out samples side by side", needed=LEAST_IN_CELL)
    shares = np.array(weights) / sum(weights)
    return DataCopying(float(shares @ scores), tuple(scores), tuple(shares.tolist()))


def _principal(made: Array, training: Array, held_out: Array) -> list[Array]:
    vectors = np.linalg.eigh(np.cov(training, rowvar=False))[1][:, -COMPONENTS:]
    return [x @ vectors for x in (made, training, held_out)]


def _mann_whitney(a_N: Array, b_M: Array) -> float:
    """z-score of the number of pairs with a > b, ties counting half; 0 where all are tied."""
    n, m = len(a_N), len(b_M)
    ranks = rankdata(np.concatenate([a_N, b_M]))
    ties = np.unique(ranks, return_counts=True)[1]
    variance = n * m / 12 * (n + m + 1 - (ties**3 - ties).sum() / ((n + m) * (n + m - 1)))
    return float((ranks[:n].sum() - n * (n + m + 1) / 2) / np.sqrt(variance)) if variance > 0 else 0.0


def authenticity(made: Nearest, held_out: Nearest, training_TD: ArrayLike) -> Authenticity:
    """AuthPct: the share of samples farther from their nearest training sample than that one is from its own nearest. Alaa et al. 2022, section 4.

    Raises DataError with fewer than 2 training samples.
    """
    (training_TD,) = prepared("AuthPct", 2, training_TD)
    sources, position = np.unique(np.concatenate([made.index[:, 0], held_out.index[:, 0]]), return_inverse=True)
    distance, index = nearest_neighbours(training_TD[sources], training_TD, 2)
    others = np.where(index[:, 0] == sources, distance[:, 1], distance[:, 0])
    farther, count = np.concatenate([made.distance[:, 0], held_out.distance[:, 0]]) > others[position], len(made.index)
    return Authenticity(float(farther[:count].mean()), float(farther[count:].mean()))


def copies(made: Nearest, held_out: Nearest, false_alarm: float = 0.01) -> Copies:
    """Made samples that are nearer to a training sample than all but 1 % of held-out ones (than all, if there are fewer than 100).

    Near is relative, the distance to the nearest training sample over the mean of those to the five nearest (after Carlini et al.
    2023, section 4.2), so that sparse regions count like dense ones, and samples too typical are no copies. If nothing is copied,
    made and held-out samples come in any order with the same probability, and the number of suspects has a negative
    hypergeometric distribution, exactly, however few there are. `found`: so many are less probable than `false_alarm`, hence said
    of at most that share of models that copy nothing. Raises DataError with fewer than 5 training samples.
    """
    count = made.distance.shape[1]
    if count < NEIGHBOURS:
        raise DataError("too few samples for {measure}: {count}; it takes {needed} or more",
                        measure=tr("the search for copies"), needed=NEIGHBOURS, count=count)  # fmt: skip
    near = nearer_than_chance(made.nearness, held_out.nearness, false_alarm)
    return Copies(near.suspects, made.index[near.suspects, 0], len(near.suspects) / len(made.index), near.expected, near.p_value, near.found)


def nearer_than_chance(made_N: Array, held_out_M: Array, false_alarm: float = 0.01) -> Suspects:
    """Which made values are below all but 1 % of the held-out ones, and whether so many are more than chance; as in `copies`."""
    suspects, chance = _nearer(made_N, held_out_M)
    n, m = len(made_N), len(held_out_M)
    p_value = float(hypergeom.sf(len(suspects) - 1, n + m, n, len(suspects) + chance))
    return Suspects(suspects, (chance + 1) / (m + 1), p_value, p_value < false_alarm)


def _nearer(made_N: Array, held_out_M: Array) -> tuple[Index, int]:
    """Indices of the made values below almost all held-out ones, ascending by value, and how many held-out ones are below too.

    The limit is a held-out value with 1 % below it; where that is 0 (real data has copies of its own), values of 0 count as below.
    """
    limit = np.sort(held_out_M)[int(TOLERATED * len(held_out_M))]
    if limit == 0:
        limit = np.nextafter(0, 1)
    below = np.flatnonzero(made_N < limit)
    return below[np.argsort(made_N[below], kind="stable")], int((held_out_M < limit).sum())


def duplicates(made_ND: ArrayLike, held_out_MD: ArrayLike, false_alarm: float = 0.01) -> Duplicates:
    """Pairs of made samples nearer to each other than pairs of held-out samples are, but for those of 1 % of these.

    Such pairs among independent samples are rare, hence nearly Poisson, at a rate proportional to the number of pairs in a set: how
    many are made before one more is held out has a negative binomial distribution, whatever the sizes of the sets. `found`: so
    many are less probable than `false_alarm`; approximate, and on the safe side in trials on Gaussians, their mixtures, and digits.
    Near is not relative here: where a mode has collapsed, all neighbors are alike. Raises DataError with fewer than 2 samples.
    """
    made_ND, held_out_MD = prepared(tr("the search for duplicates"), 2, made_ND, held_out_MD)
    distance, partner = nearest_others(made_ND)
    suspects, chance = _nearer(distance[:, 0], nearest_others(held_out_MD)[0][:, 0])
    n, m = len(made_ND), len(held_out_MD)
    p_value = float(nbinom.sf(len(suspects) // 2 - 1, chance // 2 + 1, m * (m - 1) / (m * (m - 1) + n * (n - 1))))
    pairs = np.sort(np.stack([suspects, partner[suspects, 0]], 1), axis=1)
    first = np.sort(np.unique(pairs, axis=0, return_index=True)[1])
    return Duplicates(pairs[first], len(suspects) / n, p_value, p_value < false_alarm)

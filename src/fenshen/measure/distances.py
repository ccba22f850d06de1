"""Distances between two sets of feature vectors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fenshen.errors import DataError

Array = NDArray[np.float64]


def frechet_distance(a_ND: Array, b_ND: Array) -> float:
    """‖μa - μb‖² + tr(Σa + Σb - 2 (Σa Σb)^½) of two sets of features (N, D), as if both were Gaussian.

    Dowson & Landau 1982; Heusel et al. 2017 (FID), eq. 6. The trace of the root is the sum of the roots of the eigenvalues
    of Σa Σb, taken from the symmetric √Σa Σb √Σa. Raises DataError with fewer samples than features.
    """
    for x in (a_ND, b_ND):
        if len(x) <= x.shape[1]:
            raise DataError("a Fréchet distance in {features} features needs more than {features} samples; there are {count}",
                            features=x.shape[1], count=len(x))  # fmt: skip
    a_ND, b_ND = np.asarray(a_ND, np.float64), np.asarray(b_ND, np.float64)
    return frechet_from_moments(a_ND.mean(0), np.cov(a_ND, rowvar=False), b_ND.mean(0), np.cov(b_ND, rowvar=False))


def frechet_from_moments(mean_a: Array, cov_a: Array, mean_b: Array, cov_b: Array) -> float:
    """The same from means (D,) and covariances (D, D)."""
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ cov_b @ root).clip(0)).sum()
    return float(np.square(mean_a - mean_b).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * cross)

"""Disentanglement scores on a set of factors made in code: one entry per factor, the same rotated, and noise."""

from __future__ import annotations

import numpy as np
import pytest

from fenshen.errors import DataError
from fenshen.measure.disentanglement import dci, disentanglement, entropy, mutual_information, mutual_information_gap

COUNT = 1000


def factors(seed: int = 0) -> list[np.ndarray]:
    """Two classes and two numbers, independent of each other."""
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 4, COUNT), rng.integers(0, 3, COUNT), rng.uniform(-1, 1, COUNT), rng.uniform(-1, 1, COUNT)]


def code(known: list[np.ndarray], seed: int = 1) -> np.ndarray:
    """One entry per factor with a little noise, of unit spread."""
    rng = np.random.default_rng(seed)
    told = np.stack([factor.astype(float) for factor in known], 1)
    return (told - told.mean(0)) / told.std(0) + 0.01 * rng.standard_normal((COUNT, 4))


def test_one_entry_per_factor_scores_about_one() -> None:
    known = factors()
    found = disentanglement(code(known), known)
    assert found.mig > 0.85 and found.disentanglement > 0.9 and found.completeness > 0.9 and found.informativeness > 0.95
    assert found.importance_DK.argmax(0).tolist() == [0, 1, 2, 3] and found.mig_K.shape == (4,)


def test_the_same_code_rotated_scores_low() -> None:
    known = factors()
    turn = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2
    found = disentanglement(code(known) @ turn, known)
    assert found.mig < 0.25 and found.disentanglement < 0.6 and found.completeness < 0.6
    assert found.informativeness > 0.4, "all is still there, only mixed"


def test_noise_scores_about_nothing() -> None:
    found = disentanglement(np.random.default_rng(5).standard_normal((COUNT, 5)), factors())
    assert found.mig < 0.03 and found.informativeness < 0.03


def test_two_entries_that_know_the_same_leave_no_gap() -> None:
    known = factors()[:1]
    twice = np.stack([known[0].astype(float)] * 2, 1)
    assert mutual_information_gap(twice, known)[0] == pytest.approx(0)
    assert mutual_information_gap(twice[:, :1], known)[0] == pytest.approx(1, abs=0.01)


def test_information_of_bins() -> None:
    a, b = np.repeat([0, 1], 500), np.tile([0, 1], 500)
    assert entropy(a) == pytest.approx(np.log(2)) and mutual_information(a, b) == 0
    assert mutual_information(a, a) == pytest.approx(np.log(2) - 1 / 2000)


def test_importances_by_hand() -> None:
    assert dci(np.eye(3)) == pytest.approx((1, 1)) and dci(np.ones((3, 3))) == pytest.approx((0, 0)) and dci(np.zeros((3, 3))) == (0, 0)
    assert dci(np.array([[1.0, 0], [1, 0], [0, 2]])) == pytest.approx((1, 1 - np.log(2) / np.log(3) / 2)), "one factor shared by two entries"


def test_the_same_seed_gives_the_same_scores_and_few_samples_are_refused() -> None:
    known = factors()[:1]
    once, twice = (disentanglement(code(factors()), known, seed=2) for _ in range(2))
    assert np.array_equal(once.importance_DK, twice.importance_DK)
    with pytest.raises(DataError, match="at least 100"):
        disentanglement(np.zeros((50, 2)), [np.zeros(50)])

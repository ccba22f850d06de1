"""Nearest neighbors and precision, recall, density, coverage against brute force and by construction."""

from dataclasses import astuple

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from fenshen.errors import DataError
from fenshen.measure import neighbours
from fenshen.measure.neighbours import nearest_neighbours, nearest_others, precision_recall

RNG = np.random.default_rng(0)


def brute_force(made: np.ndarray, real: np.ndarray, k: int) -> tuple[float, float, float, float]:
    made_radius, real_radius = (np.sort(cdist(x, x), axis=1)[:, k] for x in (made, real))
    distance = cdist(made, real)
    in_real, in_made = distance <= real_radius, distance <= made_radius[:, None]
    return in_real.any(1).mean(), in_made.any(0).mean(), in_real.sum() / k / len(made), in_real.any(0).mean()


@pytest.mark.parametrize(("n", "m", "k"), [(90, 130, 5), (6, 6, 5), (40, 7, 1), (200, 100, 3)])
def test_precision_recall_by_brute_force(n: int, m: int, k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "TILE", 32)
    made, real = 1.2 * RNG.normal(size=(n, 3)), RNG.normal(size=(m, 3)) + 0.3
    assert astuple(precision_recall(made, real, k)) == pytest.approx(brute_force(made, real, k))


@pytest.mark.parametrize(("made", "expected"), [
    (lambda real: real, (1, 1, None, 1)),
    (lambda real: real + 100, (0, 0, 0, 0)),
    (lambda real: np.repeat(real[:1], 60, 0), (1, 1 / 60, None, None)),
    (lambda real: np.concatenate([real[:30], real[:30] + 100]), (0.5, None, None, None)),
], ids=["the same", "elsewhere", "one sample again and again", "half elsewhere"])  # fmt: skip
def test_textbook_cases(made, expected: tuple[float | None, ...]) -> None:
    real = np.random.default_rng(1).normal(size=(60, 4)) + 7
    found = astuple(precision_recall(made(real), real))
    assert [value for value, known in zip(found, expected, strict=True) if known is not None] == pytest.approx([x for x in expected if x is not None])


def test_an_outlier_misleads_precision_and_not_density() -> None:
    """Naeem et al. 2020, figure 1: one far real sample has a ball that covers everything."""
    rng = np.random.default_rng(2)
    real = np.concatenate([rng.normal(size=(100, 2)), [[50.0, 0.0]]])
    made = rng.normal(size=(100, 2)) + np.array([25.0, 20.0])
    found = precision_recall(made, real)
    assert found.precision == 1 and found.density == pytest.approx(0.2) and found.coverage == pytest.approx(1 / 101)


def test_equal_distributions_and_damage() -> None:
    rng = np.random.default_rng(3)
    modes = 6 * rng.normal(size=(5, 16))
    real, made = (modes[np.arange(600) % 5] + rng.normal(size=(600, 16)) for _ in range(2))
    good = precision_recall(made, real)
    assert good.density == pytest.approx(1, abs=0.15) and good.coverage == pytest.approx(1 - 0.5**5, abs=0.03)
    noisy, dropped = precision_recall(made + rng.normal(size=made.shape), real), precision_recall(made[np.arange(600) % 5 < 4], real)
    assert noisy.precision < 0.7 * good.precision and noisy.density < 0.5 * good.density
    assert dropped.recall < good.recall - 0.15 and dropped.coverage < good.coverage - 0.15
    assert dropped.precision == pytest.approx(good.precision, abs=0.05)
    collapsed = precision_recall(made[:60][np.arange(600) % 60] + 0.01 * rng.normal(size=made.shape), real)
    assert collapsed.recall < 0.1 and collapsed.coverage < 0.5 and collapsed.precision > 0.8


def test_neighbors_by_brute_force() -> None:
    x, y = RNG.normal(size=(50, 6)), RNG.normal(size=(70, 6))
    distance, index = nearest_neighbours(x, y, 4)
    order = np.argsort(cdist(x, y), axis=1)[:, :4]
    assert (index == order).all() and np.allclose(distance, np.take_along_axis(cdist(x, y), order, 1))


def test_equal_samples_are_at_zero_and_no_sample_is_its_own_neighbor() -> None:
    x = np.repeat(RNG.normal(size=(4, 8)) + 1000, 10, 0)
    distance, index = nearest_others(x, 5)
    assert (distance == 0).all() and (index != np.arange(40)[:, None]).all() and (index // 10 == np.arange(40)[:, None] // 10).all()


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6])
def test_constant_features(value: float) -> None:
    assert astuple(precision_recall(np.full((9, 3), value), np.full((11, 3), value))) == (1, 1, 11 / 5, 1)


def test_single_precision() -> None:
    made, real = RNG.normal(size=(60, 5)).astype("f"), RNG.normal(size=(60, 5)).astype("f")
    assert precision_recall(made, real) == precision_recall(made.astype(float), real.astype(float))


@pytest.mark.parametrize("count", [1, 5])
def test_too_few_samples_are_refused(count: int) -> None:
    few, enough = RNG.normal(size=(count, 3)), RNG.normal(size=(20, 3))
    for pair in ((few, enough), (enough, few)):
        with pytest.raises(DataError, match=f"{count}; it takes 6"):
            precision_recall(*pair)

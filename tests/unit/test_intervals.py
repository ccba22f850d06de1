"""Intervals: as wide as repeated draws are, seeded, around the whole sets' value."""

from dataclasses import asdict

import numpy as np
import pytest
from scipy.stats import t

from fenshen.errors import DataError
from fenshen.measure.distances import frechet_distance
from fenshen.measure.intervals import interval, intervals
from fenshen.measure.neighbours import precision_recall


def normal(seed: int, count: int = 300, features: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, features))


def difference(made: np.ndarray, real: np.ndarray) -> float:
    return float(made.mean() - real.mean())


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_spread_of_a_mean_is_known(share: float) -> None:
    """Of a difference of means: √(s²/n + t²/m)."""
    made, real = 2 * normal(0, 200, 1), normal(1, 500, 1)
    found = interval(difference, made, real, rounds=400, share=share)
    error = np.sqrt(made.var(ddof=1) / 200 + real.var(ddof=1) / 500)
    assert (found.high - found.value) / t.ppf(0.975, 399) == pytest.approx(error, rel=0.12)
    assert found.value == difference(made, real) and found.low == pytest.approx(2 * found.value - found.high)


def test_few_rounds_cover_as_often_as_they_say() -> None:
    found = [interval(difference, normal(2 * seed, 50, 1), normal(2 * seed + 1, 60, 1)) for seed in range(200)]
    assert 0.9 < np.mean([one.low < 0 < one.high for one in found]) < 0.985


@pytest.mark.parametrize("share", [0.5, 0.25])
def test_spread_of_nearest_neighbor_measures(share: float) -> None:
    def spread(seed: int) -> dict[str, float]:
        found = intervals(lambda a, b: asdict(precision_recall(a, b)), 1.1 * normal(seed), normal(seed + 50), share=share)
        return {name: (one.high - one.low) / 2 / t.ppf(0.975, 19) for name, one in found.items()}

    drawn = [asdict(precision_recall(1.1 * normal(seed), normal(seed + 50))) for seed in range(30)]
    told = [spread(seed) for seed in range(4)]
    for name in drawn[0]:
        assert 0.6 < np.mean([one[name] for one in told]) / np.std([one[name] for one in drawn]) < 2.5, name


def test_spread_of_a_distance() -> None:
    drawn = [frechet_distance(1.5 * normal(seed), normal(seed + 50)) for seed in range(40)]
    found = [interval(frechet_distance, 1.5 * normal(seed), normal(seed + 50)) for seed in range(10)]
    assert np.mean([one.high - one.value for one in found]) / t.ppf(0.975, 19) == pytest.approx(np.std(drawn), rel=0.4)


def test_seeds_limits_and_other_shapes() -> None:
    made, real = normal(0, 30), normal(1, 40)
    assert interval(difference, made, real, 3) == interval(difference, made, real, 3) != interval(difference, made, real, 4)
    found = interval(difference, made, real, least=difference(made, real), most=0.5)
    assert found.low == found.value and found.high <= 0.5
    same = interval(lambda a, b: float(len(set(a.tolist()))), np.arange(20), np.arange(20))
    assert (same.low, same.value, same.high) == (20, 20, 20)


@pytest.mark.parametrize("count", [1, 3])
def test_too_few_samples_are_refused(count: int) -> None:
    for pair in ((normal(0, count), normal(1)), (normal(0), normal(1, count))):
        with pytest.raises(DataError, match=f"{count}; it takes 4"):
            interval(difference, *pair)


def test_too_few_for_the_metric_are_refused() -> None:
    with pytest.raises(DataError, match="more than 4 samples; there are 4"):
        interval(frechet_distance, normal(0, 8), normal(1))

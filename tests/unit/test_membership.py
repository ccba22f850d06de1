"""Membership inference against scikit-learn, published values and exact intervals."""

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score

from fenshen.errors import DataError
from fenshen.measure.membership import clopper_pearson, member_auc, true_positive_rate


def scores(seed: int, count: int, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=count) + shift


@pytest.mark.parametrize("decimals", [9, 0], ids=["continuous", "ties"])
def test_area_is_that_of_scikit_learn(decimals: int) -> None:
    members, others = scores(0, 60, 0.5).round(decimals), scores(1, 80).round(decimals)
    expected = roc_auc_score(np.repeat([1, 0], [60, 80]), np.concatenate([members, others]))
    assert member_auc(members, others).value == pytest.approx(expected)
    assert member_auc(others, members).value == pytest.approx(1 - expected)


def test_delong_interval_of_a_published_example() -> None:
    """Hanley & McNeil 1982, table I: 51 abnormal and 58 normal scans rated 1 … 5. Stata's roctab: 0.8932, error 0.0307, 0.83295 … 0.95339."""
    abnormal, normal = np.repeat(np.arange(1, 6), [3, 2, 2, 11, 33]), np.repeat(np.arange(1, 6), [33, 6, 6, 11, 2])
    found = member_auc(abnormal, normal)
    assert found.value == pytest.approx(0.8932, abs=5e-5)
    assert (found.low, found.high) == pytest.approx((0.83295, 0.95339), abs=1e-5)


def test_delong_interval_covers() -> None:
    """Φ(1 / √2) is the area of N(1, 1) against N(0, 1)."""
    found = [member_auc(scores(2 * seed, 60, 1.0), scores(2 * seed + 1, 60)) for seed in range(300)]
    assert 0.91 < np.mean([one.low < 0.76025 < one.high for one in found]) < 0.98


@pytest.mark.parametrize(("count", "low"), [(2, 0.15811), (5, 0.47818), (500, 0.99265)])
def test_separate_scores_are_not_certain(count: int, low: float) -> None:
    """0.025^(1/n)."""
    found, turned = member_auc(scores(0, count) + 100, scores(1, 600)), member_auc(scores(1, 600), scores(0, count) + 100)
    assert (found.value, found.low, found.high) == pytest.approx((1, low, 1), abs=1e-5)
    assert (turned.value, turned.low, turned.high) == pytest.approx((0, 0, 1 - low), abs=1e-5)


def test_equal_scores_are_guesses() -> None:
    assert member_auc(np.ones(9, "f"), np.ones(9, "f")).value == 0.5
    found = true_positive_rate(np.ones(100), np.ones(100))
    assert found.value == 0 == found.low and found.high == pytest.approx(1 - 0.025**0.01)


@pytest.mark.parametrize("count", [100, 250, 1000])
def test_threshold_keeps_false_positives(count: int) -> None:
    """Scores 0 … n - 1 of others: the threshold lets ⌊n/100⌋ of them pass."""
    others, passed = np.arange(count, dtype=float), count // 100
    assert true_positive_rate(others, others).value == passed / count
    assert true_positive_rate(others + passed, others).value == 2 * passed / count


def test_true_positives_of_gaussians() -> None:
    """Members at N(2, 1): 1 - Φ(2.3263 - 2) = 0.372 pass where 1 % of N(0, 1) do."""
    found = true_positive_rate(scores(0, 4000, 2.0), scores(1, 100_000))
    assert found.low < 0.372 < found.high and found.high - found.low < 0.04
    assert true_positive_rate(scores(0, 4000), scores(1, 100_000)).value == pytest.approx(0.01, abs=0.005)


def test_a_rate_of_few_members_only_needs_many_others() -> None:
    assert true_positive_rate(np.array([9.0, -9.0]), scores(1, 100)).value == 0.5


@pytest.mark.parametrize(("hits", "count"), [(0, 10), (10, 10), (3, 50), (1, 1)])
def test_clopper_pearson(hits: int, count: int) -> None:
    expected = binomtest(hits, count).proportion_ci(method="exact")
    assert clopper_pearson(hits, count) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(("measure", "needed"), [(member_auc, 2), (true_positive_rate, 100)])
def test_too_few_or_broken_scores_are_refused(measure, needed: int) -> None:
    few, enough = scores(0, needed - 1), scores(1, needed)
    for pair in ((few, enough), (enough, few)) if measure is member_auc else ((enough, few),):
        with pytest.raises(DataError, match=f"it takes {needed} or more"):
            measure(*pair)
    with pytest.raises(DataError, match="not numbers"):
        measure(np.full(needed, np.nan), enough)
    measure(enough, enough)

"""Diversity: scores with known values, balance of classes, and samples within a class."""

from itertools import combinations

import numpy as np
import pytest
from scipy.spatial.distance import cosine

from fenshen.errors import DataError
from fenshen.measure.diversity import class_balance, class_consistency, inception_score, vendi_score


def normal(seed: int, count: int, features: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, features))


@pytest.mark.parametrize(("probabilities", "expected"), [
    (np.eye(7)[np.arange(70) % 7], 7.0),
    (np.eye(7)[np.zeros(70, int)], 1.0),
    (np.full((70, 7), 1 / 7), 1.0),
    (np.eye(7)[[0, 0, 0, 1]], np.exp(-0.75 * np.log(0.75) - 0.25 * np.log(0.25))),
    (np.eye(7)[:1], 1.0),
], ids=["all classes, sure", "one class", "unsure", "three to one", "one sample"])  # fmt: skip
def test_inception_score(probabilities: np.ndarray, expected: float) -> None:
    assert inception_score(probabilities) == pytest.approx(expected)
    assert inception_score(probabilities.astype("f")) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("count", "features"), [(40, 64), (400, 64)], ids=["kernel matrix", "feature matrix"])
@pytest.mark.parametrize("groups", [1, 4, 40])
def test_vendi_counts_orthogonal_groups(count: int, features: int, groups: int) -> None:
    """Lengths do not matter."""
    directions, _ = np.linalg.qr(normal(0, features, features))
    x = directions[np.arange(count) % groups] * np.random.default_rng(1).uniform(0.1, 9, size=(count, 1))
    assert vendi_score(x) == pytest.approx(groups)


def test_vendi_is_the_same_from_both_matrices_and_has_its_limits() -> None:
    x = normal(0, 30, 20)
    cosines = x @ x.T / np.linalg.norm(x, axis=1) / np.linalg.norm(x, axis=1)[:, None]
    values = np.linalg.eigvalsh(cosines / 30)
    values = values[values > 1e-12]
    assert vendi_score(x) == pytest.approx(np.exp(-(values * np.log(values)).sum()))
    assert vendi_score(np.column_stack([x, np.zeros((30, 90))])) == pytest.approx(vendi_score(x))
    assert vendi_score(x[:1]) == pytest.approx(1) and vendi_score(np.zeros((5, 3))) == pytest.approx(1)
    assert vendi_score(np.float32(1e-30) * x.astype("f")) == pytest.approx(vendi_score(x), rel=1e-4)
    assert vendi_score(np.array([[0.0, 0.0], [0.0, 0.0], [1.0, 0.0], [2.0, 0.0]])) == pytest.approx(2)


@pytest.mark.parametrize("damage", [lambda x: x[np.arange(len(x)) % 10], lambda x: x[np.arange(len(x)) % 5 < 2]], ids=["duplicates", "dropped modes"])
def test_vendi_falls_with(damage) -> None:
    x = np.eye(5, 32)[np.arange(200) % 5] + 0.05 * normal(2, 200, 32)
    assert vendi_score(damage(x)) < 0.9 * vendi_score(x)


def test_class_balance() -> None:
    found = class_balance([0, 0, 0, 1], [50, 25, 25])
    assert found.made == (0.75, 0.25, 0.0) and found.wanted == (0.5, 0.25, 0.25)
    assert found.total_variation == pytest.approx(0.25) and found.missing == (2,)
    assert class_balance([0, 1], [0.5, 0.5, 0]).missing == () and class_balance([0], [1.0]).total_variation == 0
    assert class_balance([0], [0.5, 0.5]).expected_total_variation == pytest.approx(0.5)


@pytest.mark.parametrize(("count", "wanted"), [(1000, [0.1] * 10), (7, [0.5, 0.3, 0.2, 0.0]), (50, [1.0, 0.0])])
def test_the_imbalance_that_chance_makes(count: int, wanted: list[float]) -> None:
    rng = np.random.default_rng(0)
    drawn = [class_balance(rng.choice(len(wanted), count, p=wanted), wanted).total_variation for _ in range(400)]
    assert class_balance([0] * count, wanted).expected_total_variation == pytest.approx(np.mean(drawn), rel=0.1)


def test_consistency_is_the_mean_over_pairs() -> None:
    x, labels = normal(0, 30, 5) + 1, np.arange(30) % 3
    found = class_consistency(x, labels, 2 * x, labels)
    pairs = [cosine(a, b) for a, b in combinations(x[labels == 1], 2)]
    assert found.made[1] == pytest.approx(np.mean(pairs)) and found.made == pytest.approx(found.real) and found.ratio == pytest.approx(1)


def test_consistency_within_a_class_knows_collapse_and_noise() -> None:
    means, labels = 3 * normal(0, 4, 16), np.arange(400) % 4
    real, made = (means[labels] + normal(seed, 400, 16) for seed in (1, 2))

    def ratio(x: np.ndarray, at: np.ndarray = labels) -> float:
        return class_consistency(x, at, real, labels).ratio

    assert ratio(made) == pytest.approx(1, abs=0.1) and ratio(made[:12], labels[:12]) == pytest.approx(1, abs=0.3)
    assert ratio(means[labels] + 0.3 * normal(2, 400, 16)) < 0.2
    assert ratio(made + normal(3, 400, 16)) > 1.5
    assert ratio(made, np.roll(labels, 1)) == pytest.approx(ratio(made), abs=0.1), "other classes, each consistent in itself"
    assert ratio(made, np.random.default_rng(4).permutation(labels)) > 2


def test_consistency_leaves_small_classes_out() -> None:
    x = normal(0, 8, 4)
    found = class_consistency(x, [0, 0, 0, 1, 2, 2, 2, 2], x, [0, 0, 0, 1, 1, 1, 2, 2])
    assert found.classes == (0, 2)
    with pytest.raises(DataError, match="at least 2 made"):
        class_consistency(x[:1], [0], x, [0] * 8)


def test_constant_features_are_consistent() -> None:
    same, labels = np.ones((6, 3)), [0] * 6
    assert class_consistency(same, labels, same, labels).ratio == 1
    assert class_consistency(normal(0, 6, 3), labels, same, labels).ratio == np.inf
    assert class_consistency(same, labels, normal(0, 6, 3), labels).ratio == 0


@pytest.mark.parametrize("measure", [
    lambda: inception_score(np.zeros((0, 3))), lambda: vendi_score(np.zeros((0, 3))), lambda: class_balance([], [1.0]),
])  # fmt: skip
def test_no_samples_are_refused(measure) -> None:
    with pytest.raises(DataError, match="0; it takes 1"):
        measure()

"""Distances against closed forms, brute force and planted differences."""

import numpy as np
import pytest
from sklearn.metrics.pairwise import polynomial_kernel

from fenshen.errors import DataError
from fenshen.measure.distances import frechet_distance, frechet_from_moments, frechet_infinity, kid, mind

MEASURES = {
    "frechet": frechet_distance,
    "frechet_infinity": frechet_infinity,
    "kid": lambda a, b: kid(a, b).value,
    "mind": lambda a, b: mind(a, b, directions=100),
}


def normal(seed: int, count: int, features: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, features))


def exact(seed: int, count: int, features: int) -> np.ndarray:
    """Samples whose mean is 0 and whose covariance is the identity, exactly."""
    x = normal(seed, count, features)
    x -= x.mean(0)
    return x @ np.linalg.inv(np.linalg.cholesky(np.atleast_2d(np.cov(x, rowvar=False)))).T


def test_shifted_and_scaled_gaussians() -> None:
    """N(a, s²I) against N(b, t²I) in d dimensions: ‖a - b‖² + d (s - t)²."""
    d = 5
    a, b = np.zeros(d), np.arange(d, dtype=float)
    value = frechet_from_moments(a, 4.0 * np.eye(d), b, 9.0 * np.eye(d))
    assert value == pytest.approx(np.square(b).sum() + d * 1.0, abs=1e-9)


def test_samples_with_exact_moments() -> None:
    value = frechet_distance(2 * exact(0, 50, 5), 3 * exact(1, 70, 5) + np.arange(5))
    assert value == pytest.approx(np.square(np.arange(5)).sum() + 5, abs=1e-6)
    assert frechet_distance(normal(0, 20, 1), normal(0, 20, 1) + 2) == pytest.approx(4, abs=1e-6)


def test_commuting_covariances_and_symmetry() -> None:
    rng = np.random.default_rng(0)
    basis, _ = np.linalg.qr(rng.normal(size=(4, 4)))
    x, y = np.array([1.0, 2.0, 3.0, 4.0]), np.array([4.0, 1.0, 9.0, 0.25])
    one, other = (basis * x) @ basis.T, (basis * y) @ basis.T
    mean = rng.normal(size=4)
    expected = np.square(np.sqrt(x) - np.sqrt(y)).sum()
    assert frechet_from_moments(mean, one, mean, other) == pytest.approx(expected, abs=1e-9)
    assert frechet_from_moments(mean, other, mean, one) == pytest.approx(expected, abs=1e-9)


def test_same_samples_are_at_zero_and_damage_grows() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(500, 8)) @ rng.normal(size=(8, 8))
    values = [frechet_distance(x, x + noise * rng.normal(size=x.shape)) for noise in (0.0, 0.5, 1.0, 2.0)]
    assert values[0] == pytest.approx(0, abs=1e-6) and values == sorted(values)


@pytest.mark.parametrize("sizes", [(800, 800), (400, 1600)])
def test_infinity_takes_the_bias_off(sizes: tuple[int, int]) -> None:
    """Ten draws of N(0, I) against N(0, 1.1² I): the mean distance is far above the true 16 (0.1)², the intercept is not."""
    pairs = [(normal(2 * seed, sizes[0], 16), 1.1 * normal(2 * seed + 1, sizes[1], 16)) for seed in range(10)]
    plain, infinite = (np.mean([measure(*pair) for pair in pairs]) for measure in (frechet_distance, frechet_infinity))
    assert plain > 0.16 + 0.05 and infinite == pytest.approx(0.16, abs=0.025)


def gaussian_kid(shift: np.ndarray, scale: float) -> float:
    """Σⱼ C(3, j) d⁻ʲ (E[(xᵀx')ʲ] + E[(yᵀy')ʲ] - 2 E[(xᵀy)ʲ]) of x ~ N(0, I), y ~ N(shift, scale² I); odd moments with x are 0.

    With s = scale² and m = ‖shift‖²: E yᵀy' = m, E (yᵀy')² = tr (s I + shift shiftᵀ)², and E (yᵀy')³ = E[a³ + 3 a s ‖y'‖²] for a = shiftᵀy'.
    """
    d, s, m = len(shift), scale**2, float(shift @ shift)
    second = d + (s * s * d + 2 * s * m + m * m) - 2 * (s * d + m)
    third = m**3 + 3 * s * m**2 + 3 * s * (m**2 + s * d * m + 2 * s * m)
    return 3 * m / d + 3 * second / d**2 + third / d**3


@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (0.3, 1.0), (0.0, 1.5), (0.2, 0.7)])
def test_kid_of_gaussians(shift: float, scale: float) -> None:
    found = kid(normal(0, 900, 8), scale * normal(1, 1100, 8) + shift)
    assert found.value == pytest.approx(gaussian_kid(np.full(8, shift), scale), abs=3 * found.standard_error)
    assert found.standard_error < 0.1


def test_kid_is_the_unbiased_estimate_over_all_pairs() -> None:
    a, b = normal(0, 30, 4), 2 * normal(1, 40, 4)
    aa, bb, ab = (polynomial_kernel(x, y, degree=3, gamma=1 / 4, coef0=1) for x, y in ((a, a), (b, b), (a, b)))
    expected = (aa.sum() - np.trace(aa)) / (30 * 29) + (bb.sum() - np.trace(bb)) / (40 * 39) - 2 * ab.mean()
    assert kid(a, b).value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("shift", [0.0, 0.4])
def test_the_standard_error_of_kid_is_the_spread_of_draws(shift: float) -> None:
    found = [kid(normal(2 * seed, 120, 8), normal(2 * seed + 1, 150, 8) + shift) for seed in range(100)]
    spread = np.std([one.value for one in found], ddof=1)
    assert np.sqrt(np.mean([one.standard_error**2 for one in found])) == pytest.approx(spread, rel=0.25)


def test_mind_of_shifted_gaussians() -> None:
    """The same samples moved by δ: 3 d E(uᵀδ)² = 3 ‖δ‖²; scaled by s: 3 d (1 - s)² E(uᵀx)² = 3 (1 - s)² E‖x‖²."""
    x = exact(0, 400, 1)
    assert mind(x, x + 2) == pytest.approx(3 * 4)
    assert mind(x, 1.5 * x) == pytest.approx(3 * 0.25 * 399 / 400)
    y, shift = normal(1, 300, 6), np.arange(6) / 6
    assert mind(y, y + shift) == pytest.approx(3 * shift @ shift, rel=0.1)
    assert mind(y, 1.5 * y) == pytest.approx(3 * 0.25 * np.square(y).sum(1).mean(), rel=0.1)
    assert mind(y, y) == 0


def test_mind_draws_from_the_larger_set() -> None:
    x, y = normal(0, 200, 4), normal(1, 500, 4)
    assert mind(x, y, 50, seed=3) == mind(x, y, 50, seed=3) == pytest.approx(mind(y, x, 50, seed=3))
    assert mind(x, y, 50, seed=3) != mind(x, y, 50, seed=4)


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_damage_is_seen(measure) -> None:
    modes = normal(9, 5, 8)
    real, made = (modes[np.arange(500) % 5] + 0.25 * normal(seed, 500, 8) for seed in (0, 1))
    dropped = modes[np.arange(500) % 4] + 0.25 * normal(1, 500, 8)
    good, noisy, fewer = (measure(x, real) for x in (made, made + normal(2, 500, 8), dropped))
    assert abs(good) < 0.25 * min(noisy, fewer)
    assert measure(np.float32(made), np.float32(real)) == pytest.approx(good, abs=1e-3 * noisy)


@pytest.mark.parametrize(("measure", "features", "least"), [
    (frechet_distance, 8, 9), (frechet_infinity, 8, 36), (kid, 8, 4), (mind, 8, 2), (mind, 1, 2), (frechet_distance, 1, 2),
])  # fmt: skip
def test_too_few_samples_are_refused(measure, features: int, least: int) -> None:
    enough, few = normal(0, 100, features), normal(1, least - 1, features)
    for pair in ((few, enough), (enough, few)):
        with pytest.raises(DataError, match=str(least - 1)):
            measure(*pair)
    measure(normal(1, least, features), enough)


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_odd_features(measure) -> None:
    assert measure(np.ones((60, 3)), np.ones((60, 3))) == pytest.approx(0, abs=1e-9)
    with pytest.raises(DataError, match="not finite"):
        measure(np.full((60, 3), np.nan), np.ones((60, 3)))

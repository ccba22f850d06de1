"""The Fréchet distance against closed forms."""

import numpy as np
import pytest

from fenshen.errors import DataError
from fenshen.measure.distances import frechet_distance, frechet_from_moments


def test_shifted_and_scaled_gaussians() -> None:
    """N(a, s²I) against N(b, t²I) in d dimensions: ‖a - b‖² + d (s - t)²."""
    d = 5
    a, b = np.zeros(d), np.arange(d, dtype=float)
    value = frechet_from_moments(a, 4.0 * np.eye(d), b, 9.0 * np.eye(d))
    assert value == pytest.approx(np.square(b).sum() + d * 1.0, abs=1e-9)


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


def test_too_few_samples_are_refused() -> None:
    with pytest.raises(DataError, match="more than 8"):
        frechet_distance(np.zeros((8, 8)), np.zeros((100, 8)))

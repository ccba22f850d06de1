"""Schedules at their ends and in the middle."""

import pytest

from fenshen.recipe import Recipe
from fenshen.schedules import annealed, averaging_weight, burn_in, cosine


def test_cosine() -> None:
    assert [cosine(2.0, 1.0, p) for p in (-1, 0, 0.5, 1, 2)] == pytest.approx([2, 2, 1.5, 1, 1])


def test_burn_in_ends_where_told() -> None:
    assert [burn_in(1.0, 0.1, f, 0.2) for f in (0, 0.1, 0.2, 1)] == pytest.approx([1, 0.55, 0.1, 0.1])
    assert burn_in(1.0, 0.1, 0.0, 0.0) == 0.1


def test_annealing() -> None:
    assert [annealed(f, 0.5, 0.2) for f in (0, 0.5, 0.75, 1)] == pytest.approx([1, 1, 0.6, 0.2])
    assert annealed(1.0, 1.0, 0.2) == 1.0


def test_half_life_halves() -> None:
    weight = averaging_weight(20.0, 1000.0, 64)
    assert weight ** (20_000 / 64) == pytest.approx(0.5)
    assert averaging_weight(20.0, 0.0, 64) == 0.0
    assert averaging_weight(20.0, 10.0, 100) == pytest.approx(0.5**0.1)


def test_defaults_are_valid_and_written_back() -> None:
    recipe = Recipe()
    assert Recipe().set({}) == recipe

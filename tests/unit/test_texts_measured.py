"""Texts as features, the frontier between two sets, and secrets: planted answers and closed forms."""

from __future__ import annotations

import math
from pydoc_data.topics import topics

import numpy as np
import pytest

from fenshen.errors import DataError
from fenshen.measure.distances import frechet_distance
from fenshen.measure.exposure import alternatives, exposure, find_secrets
from fenshen.measure.frontier import between, frontier
from fenshen.measure.text_features import TextEncoder

LINES = [line.strip() for text in topics.values() for line in text.splitlines() if len(line.strip()) > 40][:1200]


def scrambled(lines: list[str]) -> list[str]:
    rng = np.random.default_rng(0)
    return ["".join(rng.permutation(list(line))) for line in lines]


@pytest.mark.parametrize("damage", ["scrambled", "repeated", "one only"])
def test_damaged_texts_are_farther_away(damage: str) -> None:
    order = np.random.default_rng(0).permutation(len(LINES))
    known, new, other = ([LINES[i] for i in order[k::3]] for k in range(3))
    encoder = TextEncoder(known)
    worse = {"scrambled": scrambled(new), "repeated": [line[:12] * 4 for line in new], "one only": [new[0]] * 50 + new[:100]}[damage]
    real, made, bad = (encoder.read(texts) for texts in (other, new, worse))
    assert frechet_distance(bad, real) > 2 * frechet_distance(made, real)
    assert frontier(bad, real).area < 0.9 * frontier(made, real).area


def test_the_same_texts_have_the_same_features() -> None:
    first, second = TextEncoder(LINES[:200]), TextEncoder(LINES[:200])
    np.testing.assert_array_equal(first.read(LINES[:9]), second.read(LINES[:9]))
    assert first.digest == second.digest != TextEncoder(LINES[1:201]).digest


def test_too_few_texts() -> None:
    with pytest.raises(DataError, match="too few texts"):
        TextEncoder(LINES[:15])
    with pytest.raises(DataError, match="MAUVE"):
        frontier(np.zeros((19, 2)), np.zeros((30, 2)))


def test_frontiers_in_closed_form() -> None:
    """One histogram twice: 1. Two that share nothing: KL(P|R) = -log λ, so x = λ⁵ and y = (1 - λ)⁵, and the area is 5 B(5, 6)."""
    assert between(np.array([0.3, 0.7]), np.array([0.3, 0.7])).area == pytest.approx(1)
    assert between(np.array([1.0, 0.0]), np.array([0.0, 1.0])).area == pytest.approx(5 * math.gamma(5) * math.gamma(6) / math.gamma(11), rel=0.05)


def test_secrets_are_found() -> None:
    text = "Call 138-1234-5678 or write to anna.b@mail.example.org before 2021. Card: 6222 0212 3456 7890. Part 12345 of 138-1234-5678."
    assert [secret.text for secret in find_secrets(text)] == ["138-1234-5678", "anna.b@mail.example.org", "6222 0212 3456 7890"]
    assert find_secrets(text)[0].before == "Call "
    assert len(find_secrets(text, most=1)) == 1


def test_others_look_the_same() -> None:
    others = alternatives("A1-b2@x.org", 200)
    assert len(set(others)) > 190
    assert all(text[0].isupper() and text[1].isdigit() and text[2] == "-" and text[5] == "@" and text[7] == "." for text in others)
    assert "7" not in alternatives("7", 50)


def test_exposure_in_closed_form() -> None:
    assert exposure(1.0, [2.0] * 1023) == pytest.approx(10)
    assert exposure(3.0, [2.0] * 1023) == pytest.approx(0)
    assert exposure(2.5, [2.0] * 511 + [3.0] * 512) == pytest.approx(1)

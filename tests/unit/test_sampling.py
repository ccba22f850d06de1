"""What is cut off from the next token's shares, and how one is drawn: against a page of algebra."""

from __future__ import annotations

import pytest
import torch

from fenshen.errors import RecipeError
from fenshen.sampling import Controls, draw, shares

P = torch.tensor([[0.5, 0.25, 0.15, 0.1]], dtype=torch.float64)
NOTHING = torch.zeros(1, 0, dtype=torch.long)


def of(*allowed: bool, **controls: float) -> list[float]:
    """The shares of P under these controls."""
    mask = torch.tensor([allowed]) if allowed else None
    return shares(P.log(), NOTHING, Controls(**controls), mask)[0].tolist()


@pytest.mark.parametrize(("controls", "expected"), [
    ({}, [0.5, 0.25, 0.15, 0.1]),
    ({"temperature": 0.5}, [p * p / 0.345 for p in (0.5, 0.25, 0.15, 0.1)]),
    ({"temperature": 0}, [1, 0, 0, 0]),
    ({"top_k": 2}, [2 / 3, 1 / 3, 0, 0]),
    ({"top_p": 0.75}, [2 / 3, 1 / 3, 0, 0]),
    ({"top_p": 0.76}, [5 / 9, 2.5 / 9, 1.5 / 9, 0]),
    ({"top_p": 0.001}, [1, 0, 0, 0]),
    ({"min_p": 0.3}, [5 / 9, 2.5 / 9, 1.5 / 9, 0]),
])  # fmt: skip
def test_controls_cut_what_they_say(controls: dict[str, float], expected: list[float]) -> None:
    assert of(**controls) == pytest.approx(expected)


def test_a_rule_goes_before_every_cut_and_nothing_allowed_is_nothing() -> None:
    assert of(False, True, True, True, top_k=1) == [0, 1, 0, 0]
    assert of(False, False, False, False) == [0, 0, 0, 0]


def test_repetition_makes_what_came_lately_less_likely_whatever_its_sign() -> None:
    logits = torch.tensor([[2.0, -1.0, 0.5]])
    p = shares(logits, torch.tensor([[0, 1, 0]]), Controls(repetition=2.0))
    assert p[0].tolist() == pytest.approx(torch.tensor([1.0, -2.0, 0.5]).softmax(0).tolist())


def test_draws_come_as_often_as_they_should() -> None:
    u = (torch.arange(1000) + 0.5) / 1000
    counts = torch.bincount(draw(P.expand(1000, 4), u), minlength=4)
    assert counts.tolist() == [500, 250, 150, 100]
    assert draw(torch.tensor([[0.5, 0.5, 0.0]]), torch.tensor([1.0])).item() == 1, "never one that is cut off"


@pytest.mark.parametrize(("name", "value"), [("temperature", -1), ("top_p", 0), ("top_p", 1.1), ("min_p", 2), ("top_k", -1), ("repetition", 0)])
def test_values_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(RecipeError, match=f"--{name.replace('_', '-')} {value}: between"):
        Controls(**{name: value})

"""Writing: the same seed writes the same text whatever the count; rules are kept; a text ends where it should."""

from __future__ import annotations

import pytest
import torch

from fenshen.errors import RecipeError
from fenshen.families.writer import Writer
from fenshen.narrate import BLOCK, Telling, narrate
from fenshen.sampling import Controls
from fenshen.space import END, Tokens

VOCAB = 6


class Chain(Writer):
    """After each token t the next one is t + 1 with probability 0.7, or any other; END after the last."""

    def __init__(self) -> None:
        super().__init__(Tokens(VOCAB, (8,)))

    def begin(self, z_BD: torch.Tensor, given: dict) -> list:
        return []

    def read(self, tok_BL: torch.Tensor, memory: list) -> torch.Tensor:
        memory.append(tok_BL)
        p = torch.full((*tok_BL.shape, VOCAB), 0.3 / (VOCAB - 1))
        return p.scatter(2, ((tok_BL + 1) % VOCAB)[..., None], 0.7).log()


def texts(count: int, **wishes: object) -> list[list[int]]:
    return list(narrate(Chain(), Telling(count, **wishes)))


def test_same_seed_same_text_whatever_the_count() -> None:
    many, few = texts(BLOCK + 5, seed=3), texts(4, seed=3)
    assert many[:4] == few and len(many) == BLOCK + 5
    assert texts(4, seed=4) != few and many[BLOCK:] != many[:5]
    assert len({tuple(text) for text in many}) > 10


def test_a_prompt_is_read_and_not_repeated() -> None:
    assert texts(3, prompt=(3,), controls=Controls(temperature=0)) == [[4, 5]] * 3
    with pytest.raises(RecipeError, match="tokens that this run does not know"):
        texts(1, prompt=(VOCAB,))


def test_a_text_ends_at_its_end_its_length_or_where_it_is_complete() -> None:
    assert not any(END in text for text in texts(20))
    assert all(len(text) <= 3 for text in texts(20, tokens=3)) and any(len(text) == 3 for text in texts(20, tokens=3))
    assert texts(2, controls=Controls(temperature=0), ends=(lambda ids: ids[-1] == 2,)) == [[1, 2]] * 2


def test_rules_are_asked_with_the_prompt_and_kept() -> None:
    heard = []

    def odd(ids: list[int]) -> object:
        heard.append(tuple(ids))
        return torch.arange(VOCAB).numpy() % 2 == 1

    written = texts(2, prompt=(2,), tokens=6, allowed=(odd,))
    assert {token for text in written for token in text} <= {1, 3, 5} and all(len(text) == 6 for text in written)
    assert heard[0] == (2,) and all(ids[0] == 2 for ids in heard)
    assert texts(2, allowed=(odd, lambda ids: torch.arange(VOCAB).numpy() % 2 == 0)) == [[], []], "nothing is allowed: the text ends"


def test_what_is_never_written_is_not() -> None:
    assert not any(2 in text for text in texts(30, never=(2,))) and any(2 in text for text in texts(30))


def test_every_token_is_heard_as_it_comes() -> None:
    heard: list[tuple[int, int]] = []
    written = list(narrate(Chain(), Telling(3, seed=1), heard=lambda index, token: heard.append((index, token))))
    assert [[token for place, token in heard if place == index] for index in range(3)] == written

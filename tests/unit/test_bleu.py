"""BLEU and self-BLEU: against the definition written out sentence by sentence, and by hand."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from fenshen.errors import DataError
from fenshen.measure.bleu import bleu, distinct, self_bleu, words

Sentence = Sequence[str | int]


def of_one(sentence: Sentence, references: list[Sentence], n: int) -> float:
    """Papineni et al. 2002, section 2, with method 1 of Chen & Cherry 2014."""

    def grams(x: Sentence, k: int) -> Counter[tuple[str | int, ...]]:
        return Counter(tuple(x[i : i + k]) for i in range(len(x) - k + 1))

    logs = []
    for k in range(1, n + 1):
        allowed: Counter[tuple[str | int, ...]] = Counter()
        for reference in references:
            allowed |= grams(reference, k)
        matched = (grams(sentence, k) & allowed).total()
        logs.append(math.log((matched or 0.1) / max(1, len(sentence) - k + 1)))
    length = min((abs(len(r) - len(sentence)), len(r)) for r in references)[1]
    return math.exp(sum(logs) / n + min(0, 1 - length / len(sentence)))


def drawn(seed: int, count: int) -> list[Sentence]:
    rng = np.random.default_rng(seed)
    return [rng.zipf(1.6, rng.integers(1, 14)).clip(max=20).tolist() for _ in range(count)]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_agrees_with_the_definition(seed: int) -> None:
    made, real = drawn(seed, 25), drawn(seed + 100, 30)
    for n, value in bleu(made, real).items():
        assert value == pytest.approx(np.mean([of_one(sentence, real, n) for sentence in made]))
    for n, value in self_bleu(made).items():
        assert value == pytest.approx(np.mean([of_one(sentence, made[:i] + made[i + 1 :], n) for i, sentence in enumerate(made)]))


def test_by_hand() -> None:
    """the cat the: of its words the two are in a reference once only, of its pairs `the cat`; 3 words against 4."""
    value = bleu([["the", "cat", "the"]], [["the", "cat", "sat", "down"], ["a", "dog", "and", "a", "hen"]])
    assert value[2] == pytest.approx(math.sqrt(2 / 3 * 1 / 2) * math.exp(1 - 4 / 3))
    assert value[3] == pytest.approx((2 / 3 * 1 / 2 * 0.1) ** (1 / 3) * math.exp(1 - 4 / 3))


def test_copies_score_one() -> None:
    long = [sentence for sentence in drawn(3, 60) if len(sentence) >= 5]
    assert list(bleu(long, long).values()) == pytest.approx([1] * 4)
    assert list(self_bleu([*long, *long]).values()) == pytest.approx([1] * 4)
    assert self_bleu(long)[5] < bleu(long, long)[5]


def test_the_only_sentence_of_its_length() -> None:
    """Its reference is the nearest of the others, not itself: 2 words against 5."""
    assert self_bleu([[1, 2], [1, 2, 3, 4, 5]])[2] == pytest.approx((math.exp(1 - 5 / 2) + math.sqrt(2 / 5 * 1 / 4)) / 2)


def test_distinct() -> None:
    assert distinct([["a", "b", "a"], ["a", "b"]], 1) == pytest.approx(2 / 5)
    assert distinct([["a", "b", "a"], ["a", "b"]], 2) == pytest.approx(2 / 3)
    assert distinct([["a"]], 2) == 0


def test_words() -> None:
    assert words("The dog's well-known bed.") == ["The", "dog", "'s", "well-known", "bed", "."]
    assert words("床前明月光，ok") == ["床", "前", "明", "月", "光", "，", "ok"]


def test_nothing_to_compare() -> None:
    with pytest.raises(DataError, match="there are none"):
        bleu([], [["a"]])
    with pytest.raises(DataError, match="two or more"):
        self_bleu([["a"]])


def test_all_of_ten_thousand_against_ten_thousand_in_seconds() -> None:
    rng = np.random.default_rng(0)
    made, real = (rng.zipf(1.3, (10_000, 12)).clip(max=5000).tolist() for _ in range(2))
    began = time.process_time()
    bleu(made, real)
    self_bleu(made)
    assert time.process_time() - began < 10

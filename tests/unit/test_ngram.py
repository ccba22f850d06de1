"""Counting as a language model: probabilities of a page of algebra, of a second way to count, and their sums."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest

from fenshen.errors import DataError
from fenshen.measure.ngram import NGram, choose_order, fit

TOY = [0, 1, 2, 1, 0]  # "a b a"


def random_documents(seed: int, count: int = 40, vocab: int = 6) -> np.ndarray:
    rng = np.random.default_rng(seed)
    p = 1 / np.arange(1, vocab) ** 1.5
    words = [[0, *rng.choice(np.arange(1, vocab), rng.integers(1, 9), p=p / p.sum())] for _ in range(count)]
    return np.array([token for document in words for token in document] + [0])


def counted(tokens: np.ndarray, vocab: int, order: int):  # type: ignore[no-untyped-def]
    """p(token | context) of modified Kneser-Ney, from dictionaries of tuples, as Chen & Goodman write it."""
    counts: list[Counter[tuple[int, ...]]] = [Counter() for _ in range(order)]
    starts = np.maximum.accumulate(np.where(tokens == 0, np.arange(len(tokens)), 0))
    for i in range(1, len(tokens)):
        start = starts[i - 1]
        history = [0] * order + list(tokens[start:i])
        counts[-1][(*history[len(history) - order + 1 :], tokens[i])] += 1
        for k in range(order - 1):
            if k and (history[-k] == 0):
                counts[k][(*history[len(history) - k :], tokens[i])] += 1
    for k in range(order - 2, -1, -1):
        for longer in counts[k + 1]:
            if k == 0 or longer[1] != 0:
                counts[k][longer[1:]] += 1
    off = []
    for k in range(order):
        n = [sum(c == value for c in counts[k].values()) for value in range(1, 5)]
        y = n[0] / (n[0] + 2 * n[1]) if all(n) else 0
        off.append([max(0.01, i + 1 - (i + 2) * y * n[i + 1] / n[i]) for i in range(3)] if all(n) else [0.5, 1.0, 1.5])
    totals, left = [defaultdict(float) for _ in counts], [defaultdict(float) for _ in counts]
    for k in range(order):
        for gram, c in counts[k].items():
            totals[k][gram[:-1]] += c
            left[k][gram[:-1]] += off[k][min(c, 3) - 1]

    def p(token: int, context: tuple[int, ...]) -> float:
        lower = p(token, context[1:]) if context else 1 / vocab
        k, total = len(context), totals[len(context)][context]
        if not total:
            return lower
        c = counts[k][(*context, token)]
        return (c - off[k][min(c, 3) - 1] if c else 0) / total + left[k][context] / total * lower

    return p


def test_a_toy_by_hand() -> None:
    """Continuations: a after 2 tokens, b and END after 1. Discounts 0.5, 1, 1.5. p(a) = 1/4 + 2/4 · 1/3, p(b) = (1 - 0.5)/4 + 2/4 · 1/3."""
    model = fit(TOY, 3, 2)
    a, b = 1 / 4 + 1 / 6, 1 / 8 + 1 / 6
    np.testing.assert_allclose(fit(TOY, 3, 2).levels[0].share_G, [1 / 8, 1 / 4, 1 / 8])
    np.testing.assert_allclose(model.following([1]), [1 / 4 + b / 2, a / 2, 1 / 4 + b / 2])
    np.testing.assert_allclose(model.following([1, 2]), [b / 2, 1 / 2 + a / 2, b / 2])
    np.testing.assert_allclose(model.score(TOY), -np.log([1 / 2 + a / 2, 1 / 4 + b / 2, 1 / 2 + a / 2, 1 / 4 + b / 2]))


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_agrees_with_counting_in_dictionaries(order: int) -> None:
    tokens = random_documents(order, 300, 40)
    model, p = fit(tokens, 41, order), counted(tokens, 41, order)
    for prefix in ([], [1], [2, 1], [3, 3, 3], [5, 4, 1, 2, 1]):
        context = tuple(([0] * order + prefix)[len(prefix) + 1 :]) if order > 1 else ()
        np.testing.assert_allclose(model.following(prefix), [p(token, context) for token in range(41)], rtol=1e-9)


@pytest.mark.parametrize("order", [1, 3, 6])
def test_probabilities_sum_to_one(order: int) -> None:
    model = fit(random_documents(0), 9, order)  # Tokens 6 to 8 were never seen.
    for prefix in ([], [1, 1], [8], [2, 7, 1], [1, 2, 3, 1, 2, 3]):
        p = model.following(prefix)
        assert p.min() > 0
        assert p.sum() == pytest.approx(1)


@pytest.mark.parametrize("order", [1, 2, 4])
def test_scores_are_those_of_what_follows_across_blocks(order: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model, test = fit(random_documents(1), 6, order), random_documents(2)
    starts = np.maximum.accumulate(np.where(test == 0, np.arange(len(test)), 0))
    expected = [-np.log(model.following(test[starts[i - 1] + 1 : i])[test[i]]) for i in range(1, len(test))]
    np.testing.assert_allclose(model.score(test), expected)
    monkeypatch.setattr("fenshen.measure.ngram.AT_ONCE", 7)
    np.testing.assert_allclose(model.score(test), expected)


def test_the_order_is_found() -> None:
    """A token that follows from the two before it: three orders help, a fourth knows no more."""
    rng, tokens = np.random.default_rng(0), [0, 1, 2]
    for _ in range(12_000):
        a, b = tokens[-2:]
        tokens.append(1 + (a + 2 * b + (rng.random() < 0.3)) % 5)
    model, nats = choose_order(tokens[:10_000], [0, *tokens[10_000:]], 6)
    assert model.order == 3
    assert nats < 0.65 < fit(tokens[:10_000], 6, 2).score(tokens[10_000:]).mean()


def test_nothing_to_count() -> None:
    with pytest.raises(DataError, match="too few words"):
        fit([0], 3, 2)
    assert isinstance(fit([0, 0], 3, 5), NGram)

"""Counting as a language model: interpolated modified Kneser–Ney. Chen & Goodman 1999, section 3.

Shapes: T tokens, V different ones; at each level (tokens of context, 0 to order - 1) C contexts and G n-grams that were seen.
Token `END` ends one document and begins the next. Nothing before it is looked at: a context that reaches back past the beginning
of its document is filled up with END.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fenshen.errors import DataError
from fenshen.measure.distances import Array

Ids = NDArray[np.int64]
END = 0
NO_CONTEXT = -1
USUAL = np.array([0.5, 1.0, 1.5])  # Discounts where a text is too small to tell its own.
WORTHWHILE = 0.002  # Part of the nats that one more token of context has to save.
PATIENCE = 2  # Orders without that, before higher ones are left untried.
AT_ONCE = 1 << 18  # Tokens that are scored together.


@dataclass(frozen=True, eq=False)
class Level:
    """n-grams with k tokens of context. A context's key is that of its nearer k - 1 tokens, as a row of the level below, times V, plus
    the farthest token; an n-gram's key is its context's row times V plus its last token."""

    contexts_C: Ids  # Sorted keys.
    left_C: Array  # Probability that is left to the level below.
    grams_G: Ids  # Sorted keys.
    share_G: Array  # Discounted relative counts.


@dataclass(frozen=True, eq=False)
class NGram:
    """A fitted model; `levels` by tokens of context, so as many as its order."""

    vocab: int
    levels: tuple[Level, ...]

    @property
    def order(self) -> int:
        return len(self.levels)

    def score(self, tokens_T: ArrayLike) -> Array:
        """-log p in nats of every token but the first, each after those before it (T - 1)."""
        tokens = _checked(tokens_T, self.vocab)
        reach, parts = max(1, self.order - 1), []
        for start in range(1, len(tokens), AT_ONCE):
            before = max(0, start - reach)
            parts.append(self._score(tokens[before : start + AT_ONCE])[start - before - 1 :])
        return np.concatenate(parts) if parts else np.zeros(0)

    def _score(self, tokens_T: Ids) -> Array:
        last, row = tokens_T[1:], np.zeros(len(tokens_T) - 1, np.int64)
        p = np.full(len(last), 1 / self.vocab)
        for far, level in zip([None, *_backwards(tokens_T, self.order)], self.levels, strict=True):
            if far is not None:
                row = _find(level.contexts_C, row * self.vocab + far, row != NO_CONTEXT)
            known = row != NO_CONTEXT
            gram = _find(level.grams_G, row * self.vocab + last, known)
            p = np.where(known, level.left_C[row] * p, p) + np.where(gram != NO_CONTEXT, level.share_G[gram], 0)
        return -np.log(p)

    def following(self, prefix_L: ArrayLike) -> Array:
        """p of every token after a prefix (V); an empty prefix is the beginning of a document."""
        prefix = [END, *np.asarray(prefix_L, np.int64).tolist()]
        p, row, far = np.full(self.vocab, 1 / self.vocab), 0, prefix[-1]
        for k, level in enumerate(self.levels):
            if k:
                far = END if far == END and k > 1 else prefix[-k]
                key = row * self.vocab + far
                row = int(np.searchsorted(level.contexts_C, key))
                if row == len(level.contexts_C) or level.contexts_C[row] != key:
                    break
            start, stop = np.searchsorted(level.grams_G, [row * self.vocab, (row + 1) * self.vocab])
            p *= level.left_C[row]
            p[level.grams_G[start:stop] - row * self.vocab] += level.share_G[start:stop]
        return p


def fit(tokens_T: ArrayLike, vocab: int, order: int) -> NGram:
    """A model of the given order (1: no context) of tokens in [0, V): documents, each preceded by END, and END after the last one.

    DataError with fewer than two tokens.
    """
    tokens = _checked(tokens_T, vocab)
    if len(tokens) < 2:
        raise DataError("too few words to count: {count} tokens; it takes {needed} or more", count=len(tokens), needed=2)
    assert order >= 1
    last, row = tokens[1:], np.zeros(len(tokens) - 1, np.int64)
    contexts, grams, firsts, rows, ends = [np.zeros(1, np.int64)], [], [], [], [np.zeros(len(last), bool)]
    for far in [None, *_backwards(tokens, order)]:
        if far is not None:
            keys, row = np.unique(row * vocab + far, return_inverse=True)
            contexts.append(keys)
            ends.append(far == END)
        keys, first, gram = np.unique(row * vocab + last, return_index=True, return_inverse=True)
        grams.append(keys)
        firsts.append(first)
        rows.append(gram)
    levels = []
    for k in range(order):
        counts = np.bincount(rows[k])
        if k + 1 < order:  # How many different tokens stand before it; nothing stands before the beginning of a document.
            different = np.bincount(rows[k][firsts[k + 1]], minlength=len(grams[k]))
            counts = np.where(ends[k][firsts[k]], counts, different)
        levels.append(_level(contexts[k], grams[k], counts, vocab))
    return NGram(vocab, tuple(levels))


def choose_order(tokens_T: ArrayLike, test_T: ArrayLike, vocab: int, most: int = 8) -> tuple[NGram, float]:
    """Of the orders 1 to `most` the model that gives `test_T` the fewest nats per token, and these; tried upward until two do not help."""
    best, least = fit(tokens_T, vocab, 1), float("inf")
    for order in range(1, most + 1):
        model = fit(tokens_T, vocab, order)
        nats = float(model.score(test_T).mean())
        if nats < (1 - WORTHWHILE) * least:
            best, least = model, nats
        elif order >= best.order + PATIENCE:
            break
    return best, least


def _level(contexts_C: Ids, grams_G: Ids, counts_G: Ids, vocab: int) -> Level:
    row = grams_G // vocab
    off = np.concatenate([[0], _discounts(counts_G)])[np.minimum(counts_G, 3)]
    total_C = np.bincount(row, counts_G, len(contexts_C))
    return Level(contexts_C, np.bincount(row, off, len(contexts_C)) / total_C, grams_G, (counts_G - off) / total_C[row])


def _discounts(counts_G: Ids) -> Array:
    """What is taken off a count of 1, of 2, and of 3 or more. Chen & Goodman 1999, eq. 26."""
    n = np.bincount(np.minimum(counts_G, 5), minlength=6)[1:5].astype(float)
    if not n.all():
        return USUAL
    y = n[0] / (n[0] + 2 * n[1])
    k = np.arange(1, 4)
    return np.clip(k - (k + 1) * y * n[1:] / n[:3], 0.01, k)


def _backwards(tokens_T: Ids, order: int) -> Iterator[Ids]:
    """For every token but the first, the one before it, the one before that, …; END for all that lies before an END."""
    ended = np.zeros(len(tokens_T) - 1, bool)
    for k in range(1, order):
        far = np.full(len(tokens_T) - 1, END, np.int64)
        far[k - 1 :] = tokens_T[: len(tokens_T) - k]
        far[ended] = END
        ended = ended | (far == END)
        yield far


def _find(sorted_N: Ids, keys_T: Ids, wanted_T: NDArray[np.bool_]) -> Ids:
    """Where each key stands; NO_CONTEXT where it does not, or is not wanted."""
    place = np.minimum(np.searchsorted(sorted_N, keys_T), len(sorted_N) - 1)
    return np.where(wanted_T & (sorted_N[place] == keys_T), place, NO_CONTEXT)


def _checked(tokens_T: ArrayLike, vocab: int) -> Ids:
    tokens = np.asarray(tokens_T, np.int64)
    assert tokens.ndim == 1 and (not len(tokens) or (tokens.min() >= 0 and tokens.max() < vocab))
    return tokens

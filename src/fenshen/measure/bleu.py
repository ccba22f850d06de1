"""BLEU of made sentences against real ones, and self-BLEU of a set against itself: exact, against all of them, in seconds.

Papineni et al. 2002; Zhu et al. 2018 (Texygen), whose numbers these are: BLEU per sentence, where no n-gram matches 0.1 of one counted as
matching (Chen & Cherry 2014, method 1), averaged over the sentences. A high BLEU says that what is made is usual, a high self-BLEU that
it is always the same: the goal is what real sentences score, not the most.
Shapes: S sentences, P pairs of a sentence and an n-gram in it.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fenshen.errors import DataError
from fenshen.measure.distances import Array

Ids = NDArray[np.int64]
Sentences = Sequence[Sequence[Hashable]]
LONGEST = 5
MISSED = 0.1  # What counts as matching where nothing does.
IDEOGRAPHS = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
WORD = re.compile(rf"[{IDEOGRAPHS}]|[^\W{IDEOGRAPHS}]+(?:-[^\W{IDEOGRAPHS}]+)*|'\w+|[^\w\s]")


class _Counts(NamedTuple):
    """How often (P) which n-gram (P) stands in which sentence (P)."""

    sentence: Ids
    gram: Ids
    often: Ids


def words(text: str) -> list[str]:
    """Words, marks, and ideographs one by one: "the dog's bed." -> the, dog, 's, bed and the mark."""
    return WORD.findall(text)


def bleu(made: Sentences, real: Sentences, longest: int = LONGEST) -> dict[int, float]:
    """BLEU-2 to BLEU-`longest` of sentences of words, each against all real ones: the mean over sentences, in [0, 1].

    DataError where either side is empty.
    """
    if not made or not real:
        raise DataError("BLEU compares sentences with real ones, and there are none")
    length, split = _lengths([*made, *real]), len(made)
    precisions = []
    for counts in _grams([*made, *real], longest):
        own = counts.sentence < split
        most = np.zeros(counts.gram.max(initial=-1) + 1, np.int64)
        np.maximum.at(most, counts.gram[~own], counts.often[~own])
        precisions.append(_matched(_Counts(*(x[own] for x in counts)), most[counts.gram[own]], split))
    known = np.unique(length[split:])
    return _scores(precisions, length[:split], _nearest(length[:split], known))


def self_bleu(made: Sentences, longest: int = LONGEST) -> dict[int, float]:
    """The same of each sentence against all others of its set. DataError with fewer than two."""
    if len(made) < 2:
        raise DataError("self-BLEU compares sentences with each other: it takes two or more")
    length, precisions = _lengths(made), []
    for counts in _grams(made, longest):
        order = np.lexsort((counts.often, counts.gram))
        last = np.flatnonzero(np.diff(counts.gram[order], append=-1))
        most = counts.often[order][last]
        second = np.where(np.diff(last, prepend=-1) > 1, counts.often[order][np.maximum(last - 1, 0)], 0)
        others = np.where(counts.often == most[counts.gram], second[counts.gram], most[counts.gram])
        precisions.append(_matched(counts, others, len(made)))
    known, times = np.unique(length, return_counts=True)
    alone = np.isin(length, known[times == 1])
    reference = length.copy()
    for i in np.flatnonzero(alone):
        reference[i] = _nearest(length[i : i + 1], known[known != length[i]])[0]
    return _scores(precisions, length, reference)


def distinct(made: Sentences, n: int) -> float:
    """The share of n-grams that are different, in (0, 1]; 0 where no sentence has so many words. Li et al. 2016."""
    counts = list(_grams(made, n))[-1]
    return len(np.unique(counts.gram)) / max(1, int(counts.often.sum()))


def _lengths(sentences: Sentences) -> Ids:
    return np.array([len(sentence) for sentence in sentences], np.int64)


def _grams(sentences: Sentences, longest: int) -> Iterator[_Counts]:
    """Of 1-grams, of 2-grams, …: n-grams by numbers from 0, the same in all sentences."""
    words: dict[Hashable, int] = {}
    token = np.array([words.setdefault(word, len(words)) for sentence in sentences for word in sentence], np.int64)
    length = _lengths(sentences)
    sentence = np.repeat(np.arange(len(sentences)), length)
    left = np.repeat(np.cumsum(length), length) - np.arange(len(token))  # Words from here to the end of the sentence.
    gram, place = token, np.arange(len(token))
    for n in range(1, longest + 1):
        if n > 1:
            inside = left[place] >= n
            place = place[inside]
            gram = np.unique(gram[inside] * len(words) + token[place + n - 1], return_inverse=True)[1]
        width = int(gram.max(initial=0)) + 1
        keys, count = np.unique(sentence[place] * width + gram, return_counts=True)
        yield _Counts(keys // width, keys % width, count)


def _matched(counts: _Counts, allowed_P: Ids, sentences: int) -> Array:
    """Per sentence the share of its n-grams that the references have as often (S)."""
    matched = np.bincount(counts.sentence, np.minimum(counts.often, allowed_P), sentences)
    return np.where(matched, matched, MISSED) / np.maximum(1, np.bincount(counts.sentence, counts.often, sentences))


def _nearest(length_S: Ids, known: Ids) -> Ids:
    """The length of a reference that is nearest to each sentence's, the shorter of two. `known`: sorted, all different."""
    above = np.searchsorted(known, length_S).clip(0, len(known) - 1)
    below = np.maximum(above - 1, 0)
    return np.where(length_S - known[below] <= np.abs(known[above] - length_S), known[below], known[above])


def _scores(precisions: list[Array], length_S: Ids, reference_S: Ids) -> dict[int, float]:
    """exp(mean of log precisions), times exp(1 - r/c) for what is shorter than its reference."""
    brevity = np.exp(np.minimum(0, 1 - reference_S / np.maximum(length_S, 1)))
    logs = np.cumsum(np.log(precisions), axis=0)
    return {n: float((brevity * np.exp(logs[n - 1] / n)).mean()) for n in range(2, len(precisions) + 1)}

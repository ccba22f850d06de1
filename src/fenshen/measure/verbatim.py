"""What of a text stands word for word in the training texts, and a rule for writing that keeps such runs short.

By a suffix array: all places of the training texts, sorted by what stands from there on (Manber & Myers 1993), where the places of a run
are found by bisection. Lengths are in characters.
"""

from __future__ import annotations

import codecs
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fenshen.media.text import Alphabet

BETWEEN = "\0"  # Stands between documents, and in none of them.
PACKED, BITS = 3, 21  # Characters of 21 bits that fit into one number.
LONGEST = 1 << 14  # Characters of a run that are compared.


class Run(NamedTuple):
    """A part of a text that stands in a training text: where it starts, how long it is, and where in `Corpus.text` it stands."""

    start: int
    length: int
    place: int


class Corpus:
    """The training texts, indexed: about a second per million characters, and twelve bytes for each."""

    def __init__(self, texts: Iterable[str]):
        self.text = BETWEEN + BETWEEN.join(text.replace(BETWEEN, " ") for text in texts) + BETWEEN
        self.order = suffix_array(self.text)

    def places(self, part: str) -> NDArray[np.int64]:
        """Where `part` stands, in any order; none where it does not."""

        def there(i: int) -> str:
            return self.text[i : i + len(part)]

        low = bisect_left(self.order, part, key=there)
        return self.order[low : bisect_right(self.order, part, low, key=there)]

    def at(self, text: str, start: int) -> Run:
        """The longest run that starts there; of length 0 where the character is in no training text."""
        part = text[start : start + LONGEST]
        near = bisect_left(self.order, part, key=lambda i: self.text[i : i + LONGEST])
        beside = [int(self.order[i]) for i in (near - 1, near) if 0 <= i < len(self.order)]
        length, place = max((_common(part, self.text, i), i) for i in beside)
        return Run(start, length, place)

    def runs(self, text: str, least: int) -> list[Run]:
        """The runs of at least so many characters, from left to right, none of them inside another."""
        found: list[Run] = []
        start = 0
        while start <= len(text) - least:
            run = self.at(text, start)
            if run.length >= least and not (found and found[-1].start + found[-1].length >= start + run.length):
                found.append(run)
            start += 1
        return found

    def longest(self, text: str) -> Run:
        """The longest run of a text, the first of several."""
        best, start = Run(0, 0, 0), 0
        while start < len(text) - best.length:
            if len(self.places(text[start : start + best.length + 1])):
                best = self.at(text, start)
            start += 1
        return best


def suffix_array(text: str) -> NDArray[np.int64]:
    """Places of `text` in the order of what stands from there on, by prefix doubling."""
    letters = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4").astype(np.int64)
    padded = np.concatenate([letters + 1, np.zeros(PACKED, np.int64)])
    key = np.zeros(len(letters), np.int64)
    for i in range(PACKED):
        key = key << BITS | padded[i : len(letters) + i]
    length = PACKED
    while True:
        order = np.argsort(key)
        rank = np.empty(len(key), np.int64)
        rank[order] = np.cumsum(np.diff(key[order], prepend=key[order[0]]) != 0)
        if rank[order[-1]] == len(key) - 1 or length >= LONGEST:
            return order
        after = np.zeros(len(key), np.int64)
        after[: len(key) - length] = rank[length:] + 1
        key, length = rank * (len(key) + 1) + after, 2 * length


def _common(part: str, text: str, place: int) -> int:
    """How many characters of `part` stand at `place`, by halving."""
    low, high = 0, min(len(part), len(text) - place)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if part.startswith(text[place + low : place + middle], low) else (low, middle - 1)
    return low


@dataclass
class NoCopy:
    """A rule for writing (`fenshen.narrate.Allowed`): no token that makes a run of more than `most` characters of the training texts.

    A piece that is longer all by itself may still be written.
    """

    corpus: Corpus
    alphabet: Alphabet
    most: int

    def __post_init__(self) -> None:
        self._spell(b"")

    def __call__(self, tokens: Sequence[int]) -> NDArray[np.bool_]:
        tail, pending = whole(b"".join(self.alphabet.pieces[token] for token in tokens[-4 * self.most - 4 :]))
        if pending != self.pending:
            self._spell(pending)
        allowed_V = np.ones(self.alphabet.size, bool)
        for kept in range(min(self.most, len(tail)), max(0, self.most - self.longest), -1):
            places = self.corpus.places(tail[len(tail) - kept :])
            for more in {self.corpus.text[place + kept : place + self.most + 1] for place in places.tolist()}:
                low, high = bisect_left(self.spelled, more), bisect_left(self.spelled, more + chr(0x10FFFF))
                allowed_V[self.tokens[low:high]] = False
        return allowed_V

    def _spell(self, pending: bytes) -> None:
        """What each token adds to the text where a character has begun with `pending`; sorted."""
        self.pending = pending
        added = {token: whole(pending + self.alphabet.pieces[token])[0] for token in range(self.alphabet.first, self.alphabet.size)}
        self.tokens = np.array(sorted(added, key=added.__getitem__))
        self.spelled = [added[token] for token in self.tokens.tolist()]
        self.longest = max(map(len, self.spelled), default=0)


def whole(spelled: bytes) -> tuple[str, bytes]:
    """The characters of some UTF-8, and what has begun of one more at the end. What is none, as half of one at the beginning, is left out."""
    decoder = codecs.getincrementaldecoder("utf-8")("ignore")
    return decoder.decode(spelled), decoder.getstate()[0]

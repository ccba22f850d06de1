"""Finds texts that are the same, and nearly the same, among many: shingles, MinHash (Broder 1997), bands, connected groups.

Case, space and punctuation do not count. A text is the set of its runs of characters (three in Chinese, six elsewhere); the part of
all runs that two texts share is estimated by how many of HASHES random smallest values they share. Texts that agree in one of the
bands are compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from fenshen.data.duplicates import numbered

HASHES, BAND = 64, 4
SAME = 0.65  # Estimated part of shared runs from which two texts are near copies; 32 values know it to ± 0.06.
NEIGHBOURS = 16  # Texts of one band's bucket are compared with this many next to them.
LONGEST = 1 << 22  # Characters of a text that are looked at, and about as many of all at once.
STEP = np.uint32(0x9E3779B1)  # 2**32 over the golden ratio: multiplying by it mixes.


def group(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Two int64 arrays (N): the number of the group of exact copies, and of exact or near copies; numbered as they first appear."""
    first: dict[str, int] = {}
    exact = numbered(np.array([first.setdefault(text, len(first)) for text in texts], np.int64))
    left, right = near_pairs(list(first))
    links = coo_array((np.ones(len(left), bool), (left, right)), shape=(len(first), len(first)))
    return exact, numbered(connected_components(links, directed=False)[1][exact])


def near_pairs(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Index pairs (left, right) of nearly equal texts among different ones."""
    signatures = sign(texts)
    found = [np.zeros((2, 0), np.int64)]
    for band in range(0, HASHES, BAND):
        keys = np.ascontiguousarray(signatures[:, band : band + BAND]).view(f"V{4 * BAND}")[:, 0]
        _, bucket = np.unique(keys, return_inverse=True)
        order = np.argsort(bucket, kind="stable")
        for step in range(1, min(NEIGHBOURS, len(texts) - 1) + 1):
            places = np.flatnonzero(bucket[order[step:]] == bucket[order[:-step]])
            if not len(places):
                break
            pairs = np.stack([order[places], order[places + step]])
            found.append(pairs[:, (signatures[pairs[0]] == signatures[pairs[1]]).mean(1) >= SAME])
    left, right = np.concatenate(found, axis=1)
    return left, right


def sign(texts: Sequence[str]) -> np.ndarray:
    """uint32 (N, HASHES): the smallest values of each text's runs; texts without a letter are all alike."""
    return np.concatenate([np.zeros((0, HASHES), np.uint32), *(_sign(part) for part in _parts(texts))])


def _parts(texts: Sequence[str]) -> Iterator[list[str]]:
    part: list[str] = []
    size = 0
    for text in texts:
        part.append(text[:LONGEST])
        size += len(part[-1])
        if size >= LONGEST:
            yield part
            part, size = [], 0
    if part:
        yield part


def _sign(texts: list[str]) -> np.ndarray:
    letters, owner = _letters(texts)
    signatures = np.full((len(texts), HASHES), 0xFFFFFFFF, np.uint32)
    if len(letters):
        runs = _runs(letters, owner, len(texts))
        starts = np.flatnonzero(np.concatenate([[True], owner[1:] != owner[:-1]]))
        factors = np.random.default_rng(0).integers(0, 1 << 31, HASHES, np.uint32) * np.uint32(2) + np.uint32(1)
        for number, factor in enumerate(factors):
            signatures[owner[starts], number] = np.minimum.reduceat(runs * factor, starts)
    return signatures


def _letters(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """uint32 (L) letters and digits of all texts without case, and int32 (L) the text that each stands in."""
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), "<u4")
    owner = np.repeat(np.arange(len(texts), dtype=np.int32), [len(text) for text in texts])
    table = np.zeros(0x110000, np.uint32)
    for code in np.flatnonzero(np.bincount(codes, minlength=1)).tolist():
        table[code] = ord(chr(code).casefold()[0]) if chr(code).isalnum() else 0
    folded = table[codes]
    return folded[folded > 0], owner[folded > 0]


def _runs(letters: np.ndarray, owner: np.ndarray, count: int) -> np.ndarray:
    """uint32 (L): a hash of the run that begins with each letter: three in a text that is mostly Chinese, six in others."""

    def after(values: np.ndarray, steps: int) -> np.ndarray:
        moved = np.zeros_like(values)
        moved[:-steps] = np.where(owner[steps:] == owner[:-steps], values[steps:], 0)
        return moved

    three = _mix(_mix(_mix(letters) + after(letters, 1)) + after(letters, 2))
    six = _mix(three * STEP + after(three, 3))
    chinese = np.bincount(owner, (letters >= 0x3400) & (letters < 0xA000), count) * 2 > np.bincount(owner, minlength=count)
    return np.where(chinese[owner], three, six)


def chinese_part(texts: Sequence[str]) -> float:
    """The part of all letters and digits that are Chinese characters."""
    all_letters = chinese = 0
    for part in _parts(texts):
        letters, _ = _letters(part)
        all_letters += len(letters)
        chinese += int(np.count_nonzero((letters >= 0x3400) & (letters < 0xA000)))
    return chinese / max(1, all_letters)


def _mix(values: np.ndarray) -> np.ndarray:
    values = values * STEP
    values ^= values >> np.uint32(15)
    values = values * np.uint32(0x85EBCA6B)
    return values ^ (values >> np.uint32(13))

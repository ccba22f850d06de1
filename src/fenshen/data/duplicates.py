"""Finds pictures that are the same, and nearly the same, among many: difference hash, bands, a check, connected groups.

Works on thumbnails of 16×16 RGB. Two pictures with a copy's changes (another format or size, a little brighter) agree in most of
the 64 bits of their difference hashes, hence nearly always in one of four bands of 16 bits; only those are compared.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

SIDE = 16
BANDS = 4
NEIGHBOURS = 24  # Pictures of one band's bucket are compared with this many next to them, in the order of their full hash.
CHUNK = 1 << 12
FARTHEST = 12  # Bits of 64 in which the hashes of near copies may differ.
SAME_SHAPE = 0.13  # Largest RMS difference of two thumbnails of contrast 1. Copies: 0.1 and less; at 0.2 MNIST begins to chain.
SAME_MEAN = 3.0, 0.25  # Largest difference of mean brightness, of 255: this much, and this part of the contrast more.
SAME_CONTRAST = 1.2  # Largest ratio of contrasts.
NOISE = 2.0  # Contrast below which a thumbnail counts as flat, of 255.


def group(hashes: list[str], thumbnails: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`hashes`: of the content, one per picture; `thumbnails`: uint8 (N, 16, 16, 3).

    Returns two int64 arrays (N): the number of the group of exact copies, and of exact or near copies; groups are
    numbered in the order in which they first appear.
    """
    _, first, exact = np.unique(np.array(hashes), return_index=True, return_inverse=True)
    left, right = near_pairs(thumbnails[first])
    links = coo_array((np.ones(len(left), bool), (left, right)), shape=(len(first), len(first)))
    near = connected_components(links, directed=False)[1]
    return numbered(exact.reshape(-1)), numbered(near[exact.reshape(-1)])


def numbered(groups: np.ndarray) -> np.ndarray:
    """The same groups, numbered in the order in which they first appear."""
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse.reshape(-1)]


def near_pairs(thumbnails: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index pairs (left, right) of nearly equal thumbnails, uint8 (N, 16, 16, 3)."""
    hashes, (coarse, means, contrasts) = difference_hashes(thumbnails), _coarse(thumbnails)
    found = [np.zeros(0, np.int64)]
    for band in range(BANDS):
        for left, right in _candidates(hashes, band):
            near = np.bitwise_count(hashes[left] ^ hashes[right]) <= FARTHEST
            left, right = left[near], right[near]
            near = _alike(means[left], means[right], contrasts[left], contrasts[right])
            left, right = left[near], right[near]
            near = ((coarse[left] - coarse[right]) ** 2).mean(1) < SAME_SHAPE**2
            found.append(np.minimum(left, right)[near] * len(hashes) + np.maximum(left, right)[near])
    left, right = np.divmod(np.unique(np.concatenate(found)), max(len(hashes), 1))
    starts = range(0, len(left), CHUNK)
    same = [nearly_equal(thumbnails[left[at : at + CHUNK]], thumbnails[right[at : at + CHUNK]]) for at in starts]
    keep = np.concatenate([np.zeros(0, bool), *same])
    return left[keep], right[keep]


def _coarse(thumbnails: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """float32 (N, 16): 4×4 means of what `nearly_equal` compares (their RMS difference is never the larger one); means and contrasts (N)."""
    result, means, contrasts = (np.empty((len(thumbnails), *shape), np.float32) for shape in ((16,), (), ()))
    for at in range(0, len(thumbnails), CHUNK):
        part = slice(at, at + CHUNK)
        normal, means[part], contrasts[part] = _normal(thumbnails[part])
        result[part] = normal.reshape(-1, 4, SIDE // 4, 4, SIDE // 4 * 3).mean((2, 4)).reshape(-1, 16)
    return result, means, contrasts


def _alike(mean_a: np.ndarray, mean_b: np.ndarray, contrast_a: np.ndarray, contrast_b: np.ndarray) -> np.ndarray:
    """bool (N): brightness and contrast differ by no more than a copy's."""
    low, high = np.minimum(contrast_a, contrast_b), np.maximum(contrast_a, contrast_b)
    return (high < SAME_CONTRAST * low) & (np.abs(mean_a - mean_b) < SAME_MEAN[0] + SAME_MEAN[1] * low)


def _normal(thumbnails: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """float32 (N, 768) with mean 0 and contrast 1, the means (N) and the contrasts (N) that were taken out."""
    values = thumbnails.reshape(len(thumbnails), -1).astype(np.float32)
    means = values.mean(1)
    values -= means[:, None]
    contrasts = np.sqrt((values * values).mean(1)) + NOISE
    return values / contrasts[:, None], means, contrasts


def difference_hashes(thumbnails: np.ndarray) -> np.ndarray:
    """uint8 (N, 16, 16, 3) -> uint64 (N): is each of 8×8 places darker than its right neighbour? Flat places give 0.

    Bits are dealt out to the bands in turn, so that every band looks at the whole picture.
    """
    result = np.zeros(len(thumbnails), np.uint64)
    weights = _box(SIDE, 9)
    for at in range(0, len(thumbnails), CHUNK):
        luma = thumbnails[at : at + CHUNK].astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
        small = luma.reshape(-1, 8, 2, SIDE).mean(2) @ weights
        bits = (small[..., 1:] - small[..., :-1] > NOISE).reshape(-1, 64 // BANDS, BANDS).swapaxes(1, 2).reshape(-1, 64)
        result[at : at + CHUNK] = np.packbits(bits, axis=1).view(">u8")[:, 0]
    return result


def _box(size: int, parts: int) -> np.ndarray:
    """(size, parts): each part is the mean of an equal share of the places."""
    edges = np.linspace(0, size, parts + 1)
    places = np.arange(size)
    overlap = np.minimum(places[:, None] + 1, edges[None, 1:]) - np.maximum(places[:, None], edges[None, :-1])
    return (overlap.clip(0) * parts / size).astype(np.float32)


def _candidates(hashes: np.ndarray, band: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs that agree in one band; in a crowded bucket only those close in the order of their rotated hash."""
    turned = (hashes << np.uint64(16 * band)) | (hashes >> np.uint64((64 - 16 * band) % 64)) if band else hashes
    order = np.argsort(turned, kind="stable")
    bucket = turned[order] >> np.uint64(48)
    for step in range(1, min(NEIGHBOURS, len(hashes) - 1) + 1):
        same = np.flatnonzero(bucket[step:] == bucket[:-step])
        yield order[same], order[same + step]


def nearly_equal(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """uint8 (N, 16, 16, 3) twice -> bool (N): the same but for brightness, contrast and the noise of a copy."""
    (a, mean_a, contrast_a), (b, mean_b, contrast_b) = _normal(left), _normal(right)
    return (((a - b) ** 2).mean(1) < SAME_SHAPE**2) & _alike(mean_a, mean_b, contrast_a, contrast_b)

"""Groups found in unlabelled pictures, so that a model can be told which one it makes.

One generator has to cover very different pictures; told which group a picture is of, it learns each sooner and forgets none
(Liu et al. 2020, "Diverse image generation via self-conditioned GANs"). Groups are k-means clusters of the training pictures'
principal components; pictures held out are put into the nearest one.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from PIL import Image

from fenshen.data.prepare import Dataset
from fenshen.media.image import to_image

FEWEST = 1000
COMPONENTS = 32
SIDE = 16
FIT_ON = 20_000


def default_groups(count: int) -> int:
    """How many groups `count` training pictures are put into; 0 for sets too small to gain by it."""
    return 0 if count < FEWEST else min(64, round(math.sqrt(count / 50)))


def group(dataset: Dataset, groups: int, seed: int) -> Dataset:
    """The same pictures with the group (0 … groups - 1, largest first) in place of a label; classes are named group-1, group-2, …"""
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.decomposition import PCA

    small = np.stack([_thumbnail(picture) for picture in dataset.pictures])
    rng = np.random.default_rng(seed)
    sample = small[rng.permutation(dataset.train)[:FIT_ON]].astype(np.float32) / 255
    pca = PCA(min(COMPONENTS, *sample.shape), random_state=seed, svd_solver="full" if sample.shape[1] <= 256 else "auto").fit(sample)
    parts = [pca.transform(part.astype(np.float32) / 255) for part in np.array_split(small, -(-len(small) // 5000))]
    features = np.concatenate(parts)
    means = MiniBatchKMeans(groups, random_state=seed, n_init=3, batch_size=4096).fit(features[dataset.train])
    found = means.predict(features)
    used, counts = np.unique(found[dataset.train], return_counts=True)
    rank = np.zeros(groups, np.int64)
    rank[used[np.argsort(-counts, kind="stable")]] = np.arange(len(used))
    names = tuple(f"group-{number}" for number in range(1, len(used) + 1))
    return replace(dataset, labels=rank[found], classes=names)


def _thumbnail(picture_HWC: np.ndarray) -> np.ndarray:
    """A small copy, flat; what is gray stays gray."""
    if picture_HWC.shape[0] <= SIDE:
        return picture_HWC.reshape(-1)
    small = to_image(picture_HWC).resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(small).reshape(-1)

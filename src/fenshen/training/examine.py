"""A cheap look at what a model makes while it trains: how far from real pictures, how various."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from fenshen.data import Dataset, cache
from fenshen.data.items import digest
from fenshen.lang import tr
from fenshen.measure.distances import frechet_distance, kid
from fenshen.measure.diversity import vendi_score_of_radius
from fenshen.measure.encoders import VERSION, Encoder, feature_count, train_encoder
from fenshen.run import read_tensors, write_tensors

COUNT = 256  # Pictures made for one look.
REAL = 1000  # Real ones they are compared with.
CLUSTERS, RARE = 32, 0.1
ALIKE = 0.7
COST = 0.3  # Pictures made per real picture shown: about 4 % of the time, since making one is a ninth of a step.
MOST_SEEN = 40_000  # Pictures that the encoder is trained on.
MOST_EXACT = 2000  # Pictures on either side of a Fréchet distance during training.


def encoder_of(dataset: Dataset, device: torch.device, say: Callable[[str], None]) -> Encoder:
    """The frozen encoder of these training pictures, from the cache or trained now; never sees a held-out one."""
    name = f"encoder-{digest(VERSION, dataset.fingerprint, dataset.train.tolist(), None if dataset.labels is None else dataset.labels.tolist())}"

    def build(folder: Path) -> None:
        say(tr("learning to see these pictures, so that the quality can be measured; once per set of pictures"))
        chosen = np.sort(np.random.default_rng(0).permutation(dataset.train)[:MOST_SEEN])
        labels = None if dataset.labels is None else dataset.labels[chosen]
        features = feature_count(min(len(dataset.train), len(dataset.held_out)))
        encoder = train_encoder(dataset.pictures[chosen], labels, len(dataset.classes), features, seed=0, device=device, say=say)
        write_tensors(folder / "encoder.safetensors", *encoder.state())
        (folder / "info.json").write_text(json.dumps({"fingerprint": dataset.fingerprint}), "utf-8")

    tensors, header = read_tensors(cache.obtain(name, build) / "encoder.safetensors")
    return Encoder.from_state(tensors, header).to(device)


@dataclass(frozen=True)
class Look:
    """`kid`: kernel distance to the training pictures, with its standard error; `diversity`: 0 all alike, 1 as various as real pictures;
    `kinds`: samples in each cluster of real pictures; `due`: how many there should be."""

    kimg: float
    kid: float
    error: float
    diversity: float
    kinds: list[int]
    due: list[float]


class Examiner:
    """Compares made pictures with a fixed part of the training pictures, in the standardised features of a frozen encoder.

    Standardised, so that a distance means about the same everywhere: of digits, five pictures over and over are at 0.8, twenty at 0.2.

    Diversity is the effective number of different samples (Vendi score, Friedman & Dieng 2023), relative to that of as many real
    pictures. Kinds are k-means clusters of real pictures, after the bins of Richardson & Weiss 2018 (NDB).
    """

    def __init__(self, features: Callable[[np.ndarray], np.ndarray], dataset: Dataset, seed: int):
        from sklearn.cluster import KMeans

        order = np.random.default_rng((seed, len(dataset.train))).permutation(dataset.train)
        self.features, self.dataset, self.order = features, dataset, order
        real = features(dataset.pictures[np.sort(order[:REAL])])
        self.center, spread = real.mean(0), real.std(0)
        self.spread = np.maximum(spread, 0.05 * spread.mean() + 1e-9)  # What hardly varies counts for little.
        self.real = (real - self.center) / self.spread
        clusters = max(2, min(CLUSTERS, len(self.real) // 8))
        self.clusters = KMeans(clusters, n_init=1, random_state=seed).fit(self.real)
        self.due = (COUNT * np.bincount(self.clusters.labels_, minlength=clusters) / len(self.real)).tolist()
        rng = np.random.default_rng(seed)
        some = self.real[rng.choice(len(self.real), COUNT)]
        self.radius = ALIKE * float(np.sqrt(2 * self.real.var(0).sum()))  # Part of the root mean square distance of two real pictures.
        self.variety = vendi_score_of_radius(some, self.radius) - 1

    def look(self, kimg: float, pictures_NHWC: np.ndarray) -> Look:
        """What `pictures_NHWC` (uint8) look like now."""
        made = (self.features(pictures_NHWC) - self.center) / self.spread
        distance, error = kid(made, self.real)
        kinds = np.bincount(self.clusters.predict(made), minlength=len(self.due)).tolist()
        return Look(kimg, distance, error, (vendi_score_of_radius(made, self.radius) - 1) / self.variety, kinds, self.due)


def missing(looks: Sequence[Look]) -> float:
    """The part of real pictures whose kind samples hardly ever are: less than a tenth as often as they should, in all these looks."""
    made, due = (np.sum([getattr(look, name) for look in looks], 0) for name in ("kinds", "due"))
    return float(due[made < RARE * due].sum() / due.sum())


class Goal:
    """The Fréchet distance to held-out pictures, as a multiple of that of as many training pictures."""

    def __init__(self, examiner: Examiner):
        dataset = examiner.dataset
        self.count = min(MOST_EXACT, len(dataset.held_out), len(dataset.train))
        self.features = examiner.features
        self.held_out = self.features(dataset.pictures[dataset.held_out[: self.count]])
        self.floor = frechet_distance(self.features(dataset.pictures[np.sort(examiner.order[: self.count])]), self.held_out)

    def times_floor(self, pictures_NHWC: np.ndarray) -> float:
        """Of `count` made pictures (uint8)."""
        return frechet_distance(self.features(pictures_NHWC), self.held_out) / self.floor

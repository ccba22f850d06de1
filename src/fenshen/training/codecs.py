"""What a model over codes takes from the run whose codes they are, when it is planned; the weights come later (`training.transfer`).

The codes of all pictures are found once and kept in the cache: the codec stays as it is, and so do they.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fenshen.data import Dataset, cache
from fenshen.data.items import digest
from fenshen.errors import RecipeError
from fenshen.families.overcodes import CodeWriter
from fenshen.families.quantized import Codec
from fenshen.lang import tr
from fenshen.media.image import to_tensor
from fenshen.recipe import Augment, OverCodes, Recipe, Vae
from fenshen.run import RunFolder

SHAPES = {"nano": (128, 4), "small": (192, 4), "base": (384, 6), "large": (768, 12)}  # Width and layers.
ENCODED = 256  # Pictures at once.
FEW, FEW_DROPOUT, DROPOUT = 10_000, 0.4, 0.1  # Pictures that are soon known by heart.


def complete_codes(recipe: Recipe, model: OverCodes, dataset: Dataset, classes: tuple[str, ...], size: str) -> dict[str, Any]:
    """The keys of `model` that follow from the codec. RecipeError where it is none, or not of pictures like these."""
    if not model.codec:
        raise RecipeError("model.codec: name the run whose codes are to be learnt, one trained with --recipe vae --set model.quantizer=vq")
    run = RunFolder.find(model.codec)
    sampler, made, _ = run.load_sampler()
    coding = run.recipe().model
    if not isinstance(sampler, Codec) or not isinstance(coding, Vae):
        raise RecipeError("model.codec={run} has no codes: name one trained with --recipe vae --set model.quantizer=vq", run=model.codec)
    if made.size[0] != dataset.resolution or made.channels != (dataset.pictures.shape[-1]):
        raise RecipeError("model.codec={run} codes pictures of {size} pixels and {channels} channels: set data.resolution and data.channels to that",
                          run=model.codec, size=made.size[0], channels=made.channels)  # fmt: skip
    if made.classes and made.classes != classes:
        raise RecipeError("model.codec={run} is told labels that these pictures do not have: train it with model.condition=none", run=model.codec)
    width, depth = SHAPES[size]
    return {
        "model.codec": str(run.path.resolve()), "model.coding": coding.model_dump(exclude_none=True), "model.coding_told": bool(made.classes),
        "model.width": model.width or width, "model.depth": model.depth or depth,
        "model.dropout": (FEW_DROPOUT if len(dataset.train) < FEW else DROPOUT) if model.dropout is None else model.dropout,
    }  # fmt: skip


def with_codes(recipe: Recipe, dataset: Dataset, run: RunFolder | None, device: torch.device, say: Callable[[str], None]) -> Dataset:
    """The pictures with their codes, where a model over codes learns them; not where they are augmented, since other pictures have other codes.

    `run`: one that goes on, whose own copy of the codec is used; of a new one that of `model.codec`.
    """
    model = recipe.model
    if not isinstance(model, OverCodes) or recipe.data.augment != Augment():
        return dataset
    sampler = RunFolder.find(model.codec).load_sampler()[0] if run is None else run.load_sampler()[0]
    codec = sampler.codec if isinstance(sampler, CodeWriter) else sampler
    assert isinstance(codec, Codec)
    return replace(dataset, codes=codes_of(codec, dataset, device, say))


def codes_of(codec: Codec, dataset: Dataset, device: torch.device, say: Callable[[str], None]) -> np.ndarray:
    """int16 (N, P), memory-mapped: the codes of all pictures, from the cache or found now."""
    weights = hashlib.sha256()
    for name, value in codec.state_dict().items():
        weights.update(name.encode() + value.cpu().numpy().tobytes())
    labels = None if dataset.labels is None or not codec.knows.labels else dataset.labels

    def build(folder: Path) -> None:
        say(tr("reading the codes of {count} pictures, once per codec", count=f"{len(dataset.pictures):,}"))
        np.save(folder / "codes.npy", np.concatenate(list(_encoded(codec.to(device).eval(), dataset, labels, device))))
        (folder / "info.json").write_text(json.dumps({"fingerprint": dataset.fingerprint}), "utf-8")

    name = f"codes-{digest(dataset.fingerprint, weights.hexdigest(), None if labels is None else labels.tolist())}"
    return np.load(cache.obtain(name, build) / "codes.npy", mmap_mode="r")


@torch.no_grad()
def _encoded(codec: Codec, dataset: Dataset, labels: np.ndarray | None, device: torch.device) -> Iterator[np.ndarray]:
    for start in range(0, len(dataset.pictures), ENCODED):
        part = slice(start, start + ENCODED)
        given = {} if labels is None else {"label": torch.from_numpy(labels[part]).to(device)}
        x_BCHW = to_tensor(np.array(dataset.pictures[part])).to(device)
        yield codec.encode(x_BCHW, given).code_BP.cpu().numpy().astype(np.int16)

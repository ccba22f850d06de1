"""What a model over codes takes from the run whose codes they are, when it is planned; the weights come later (`training.transfer`)."""

from __future__ import annotations

from typing import Any

from fenshen.data import Dataset
from fenshen.errors import RecipeError
from fenshen.families.quantized import Codec
from fenshen.recipe import OverCodes, Recipe, Vae
from fenshen.run import RunFolder

SHAPES = {"nano": (128, 4), "small": (192, 4), "base": (384, 6), "large": (768, 12)}  # Width and layers.


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
        "model.dropout": 0.1 if model.dropout is None else model.dropout,
    }  # fmt: skip

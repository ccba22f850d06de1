"""What a run is trained on, pictures or words, and whether a recipe can do anything with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fenshen.data import Dataset, Texts, kind_of, prepare, prepare_texts
from fenshen.errors import RecipeError
from fenshen.recipe import Recipe, Wording

Material = Dataset | Texts


def material(recipe: Recipe, say: Callable[[str], None]) -> Material:
    """What `recipe.data` names, prepared. DataError, OutOfSpaceError; RecipeError where it is not what the model learns."""
    kind = kind_of(recipe.data)
    if kind == "words" and not isinstance(recipe.model, Wording):
        raise RecipeError(
            "model.family={family} learns pictures, and {source} holds words: use --recipe transformer or lstm, or say data.kind=pictures",
            family=recipe.model.family, source=recipe.data.source)  # fmt: skip
    if kind == "pictures" and isinstance(recipe.model, Wording):
        raise RecipeError(
            "model.family={family} learns words, and {source} holds pictures: use --recipe gan or vae, or say data.kind=words",
            family=recipe.model.family, source=recipe.data.source)  # fmt: skip
    if kind == "words":
        return prepare_texts(recipe.data, seed=recipe.train.seed, say=say)
    return prepare(recipe.data, seed=recipe.train.seed, say=say)


def data_record(dataset: Material) -> dict[str, Any]:
    """What a run keeps of its data, for data.json."""
    record = {
        "fingerprint": dataset.fingerprint, "train": len(dataset.train), "held_out": len(dataset.held_out), "classes": list(dataset.classes),
        "reason": dataset.reason, "notes": list(dataset.notes), "skipped": [{"file": name, "reason": why} for name, why in dataset.skipped],
    }  # fmt: skip
    if isinstance(dataset, Dataset):
        return record | {"resolution": dataset.resolution, "channels": dataset.channels}
    said = {"unit": dataset.unit, "tokens": dataset.alphabet.kind, "vocabulary": dataset.alphabet.size}
    return record | said | {"token_count": len(dataset.tokens), "bytes": int(dataset.bytes_N.sum())}

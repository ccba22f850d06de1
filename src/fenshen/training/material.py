"""What a run is trained on, pictures or words, and whether a recipe can do anything with it."""

from __future__ import annotations

from collections.abc import Callable

from fenshen.data import Dataset, Texts, kind_of, prepare, prepare_texts
from fenshen.errors import RecipeError
from fenshen.recipe import Recipe, Writing

Material = Dataset | Texts


def material(recipe: Recipe, say: Callable[[str], None]) -> Material:
    """What `recipe.data` names, prepared. DataError, OutOfSpaceError; RecipeError where it is not what the model learns."""
    kind = kind_of(recipe.data)
    if kind == "words" and not isinstance(recipe.model, Writing):
        raise RecipeError(
            "model.family={family} learns pictures, and {source} holds words: use --recipe transformer or lstm, or say data.kind=pictures",
            family=recipe.model.family, source=recipe.data.source)  # fmt: skip
    if kind == "pictures" and isinstance(recipe.model, Writing):
        raise RecipeError(
            "model.family={family} learns words, and {source} holds pictures: use --recipe gan or vae, or say data.kind=words",
            family=recipe.model.family, source=recipe.data.source)  # fmt: skip
    if kind == "words":
        return prepare_texts(recipe.data, seed=recipe.train.seed, say=say)
    return prepare(recipe.data, seed=recipe.train.seed, say=say)

"""Recipes: what they refuse, what they keep, and that they come back from TOML as they were."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fenshen.errors import RecipeError
from fenshen.recipe import FAMILIES, Recipe, load_recipe, parse, ready_recipes, set_from_text


def test_toml_comes_back(tmp_path: Path) -> None:
    recipe = Recipe().set({"train.lr": 2e-4, "data.source": 'a "quoted" 路径', "model.penalty.kind": "gp", "train.compile": False})
    (tmp_path / "a.toml").write_text(recipe.toml(), "utf-8")
    assert load_recipe(tmp_path / "a.toml") == recipe


@given(st.floats(min_value=1e-9, max_value=1e9), st.integers(0, 2**31 - 1), st.text(min_size=1))
def test_any_value_comes_back(lr: float, seed: int, source: str) -> None:
    import tomllib

    recipe = Recipe().set({"train.lr": lr, "train.seed": seed, "data.source": source})
    assert parse(tomllib.loads(recipe.toml()), "here") == recipe


@pytest.mark.parametrize("name", sorted(ready_recipes()))
def test_ready_recipes_are_whole(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.model.family in FAMILIES
    header = ready_recipes()[name].read_text("utf-8").splitlines()[0]
    assert header.startswith("# ")


def test_set_leaves_the_old_one_alone() -> None:
    old = Recipe()
    new = old.set({"train.minutes": 5})
    assert old.train.minutes is None and new.train.minutes == 5 and new.set({"train.minutes": None}) == old


def test_a_recipe_cannot_be_changed_in_place() -> None:
    with pytest.raises(Exception, match="frozen"):
        Recipe().train.seed = 5  # type: ignore[misc]


@pytest.mark.parametrize(("key", "value", "said"), [
    ("train.seconds", 5, "known here: seed, minutes"), ("nix.lr", 1, "no key nix"), ("train.lr.more", 1, "train.lr = "),
    ("train.lr", 0, "more than 0"), ("train.batch", "many", "a whole number is needed"),
    ("train.lr", "fast", "train.lr = fast"), ("data.resolution", 7, "8"), ("data.resolution", 1024, "256"), ("model.family", "nix", "model.family"),
    ("model.objective", "nix", "relativistic"), ("train.ticks", 1.5, "train.ticks"), ("data.augment.flip", 2, "data.augment.flip"),
])  # fmt: skip
def test_wrong_keys_and_values_are_refused(key: str, value: object, said: str) -> None:
    with pytest.raises(RecipeError) as error:
        Recipe().set({key: value})
    assert said in str(error.value)


@pytest.mark.parametrize(("pair", "value"), [
    ("a.b=1e-3", 1e-3), ("a.b=3", 3), ("a.b=true", True), ("a.b=word", "word"), ('a.b="3"', "3"), ("a.b=x=y", "x=y"),
    ("a.b=with space", "with space"), (" a.b =1", 1),
])  # fmt: skip
def test_values_are_read_as_toml_or_words(pair: str, value: object) -> None:
    assert set_from_text([pair]) == {"a.b": value}


@pytest.mark.parametrize("pair", ["train.lr", "=3", ""])
def test_a_pair_needs_key_and_value(pair: str) -> None:
    with pytest.raises(RecipeError, match="key=value"):
        set_from_text([pair])


def test_an_unknown_recipe_names_the_known_ones() -> None:
    with pytest.raises(RecipeError, match="gan"):
        load_recipe("nix")

"""The form of a recipe: every field gets the part that fits its type, and what was changed in it is what the recipe gets."""

from __future__ import annotations

import json
from typing import Annotated, Literal

import pytest
from pydantic import Field

pytest.importorskip("gradio", reason="the extra 'studio' is not installed")

from fenshen.errors import RecipeError
from fenshen.lang import speaking
from fenshen.recipe import Recipe, Section, load_recipe, ready_recipes
from fenshen.studio.form import changed, checked, entries, form, shown


class Made(Section):
    """A section that nobody has heard of."""

    wobble_seconds: Annotated[float, Field(gt=0, le=30)] = Field(2.5, description="how long it wobbles")
    blend: Annotated[float, Field(ge=0, le=1)] = 0.25
    shape: Literal["round", "square"] = "round"
    corners: Annotated[int, Field(ge=3, le=12)] | None = Field(None, description="derived from the <shape>")
    loud: bool = True
    sides: tuple[int, ...] = ()
    only: Literal["this"] = "this"


class Newer(Recipe):
    made: Made = Made()


def part(markup: str, key: str) -> str:
    """The element of one key, from its own field on to the next."""
    start = markup.index(f'data-key="{key}"')
    return markup[markup.rindex("<div", 0, start) : markup.index("</div>", start)]


def test_a_new_field_appears_by_itself() -> None:
    with speaking("en"):
        markup = form(Newer(), home=True)
    wobble = part(markup, "made.wobble_seconds")
    assert 'type="number"' in wobble and 'max="30"' in wobble and "seconds" in wobble and "how long it wobbles" in wobble and 'value="2.5"' in wobble
    assert 'type="range"' in part(markup, "made.blend")
    assert '<option value="round" selected' in part(markup, "made.shape") and ">square<" in part(markup, "made.shape")
    corners = part(markup, "made.corners")
    assert 'min="3"' in corners and 'step="1"' in corners and 'placeholder="by itself"' in corners and "&lt;shape&gt;" in corners
    assert 'type="checkbox" checked' in part(markup, "made.loud")
    assert "made.only" not in markup
    with speaking("zh"):
        assert "秒" in part(form(Newer(), home=True), "made.wobble_seconds")


def test_changes_are_what_the_recipe_takes() -> None:
    told = {"made.shape": "square", "made.corners": "", "made.loud": "false", "made.sides": "[3, 4]", "made.wobble_seconds": "7", "unknown": "1"}
    assert changed(Newer(), json.dumps(told), home=True) == {
        "made.shape": "square", "made.corners": None, "made.loud": False, "made.sides": [3, 4], "made.wobble_seconds": "7",
    }  # fmt: skip
    changes = changed(Recipe(), json.dumps({"train.lr": "0.002", "train.batch": "16", "model.codes.categorical": "10"}), home=True)
    recipe = Recipe().set(changes)
    assert (recipe.train.lr, recipe.train.batch, recipe.model.codes.categorical) == (0.002, 16, (10,))  # type: ignore[union-attr]


@pytest.mark.parametrize("told", ["", "{}"])
def test_nothing_changed_is_nothing(told: str) -> None:
    assert changed(Recipe(), told, home=True) == {} and checked({}) == ""


def test_a_mistake_is_the_recipes_own() -> None:
    changes = changed(Recipe(), '{"train.batch": "-5"}', home=True)
    with speaking("zh"), pytest.raises(RecipeError, match="至少为 1") as wrong:
        Recipe().set(changes)
    with speaking("en"):
        assert "train.batch = -5: at least 1" in checked(changes, str(wrong.value))


def test_strangers_name_no_file_here() -> None:
    keys = {entry.key for entry in entries(Recipe(), home=False)}
    assert {"train.start_from", "evaluate.encoder_weights"} & {entry.key for entry in entries(Recipe(), home=True)} and "train.device" in keys
    assert not {"train.start_from", "evaluate.encoder_weights", "data.source"} & keys
    assert changed(Recipe(), '{"train.start_from": "/etc", "data.source": "/etc"}', home=False) == {}


@pytest.mark.parametrize("name", list(ready_recipes()))
def test_every_ready_recipe_has_a_form_that_changes_nothing(name: str) -> None:
    """What the form shows of a recipe, sent back, is that recipe."""
    recipe = load_recipe(name)
    fields = entries(recipe, home=True)
    assert not [entry.key for entry in fields if not entry.help]
    told = {entry.key: shown(entry.value) for entry in fields}
    assert recipe.set(changed(recipe, json.dumps(told), home=True)) == recipe

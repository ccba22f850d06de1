"""Labelled sheets: everything in its place, words where there is room, numbers as colors."""

from __future__ import annotations

import numpy as np
import pytest
from made import pixels

from fenshen.errors import RecipeError
from fenshen.media.sheet import GAP, LINE, drawable, heat, legend, sheet, signed


def test_cells_stand_where_they_should_and_are_enlarged_without_smoothing() -> None:
    small = pixels(0, 16)
    whole = sheet([[small, small], [small, small]], (), ("a", "b"))
    assert whole.shape == (LINE + GAP + 2 * (64 + GAP), GAP + 2 * (64 + GAP), 3)
    assert np.array_equal(whole[LINE + GAP + 64 + GAP :, GAP:][:64:4, :64:4], small)
    assert whole[:LINE].min() < 100, "the words are dark"


@pytest.mark.parametrize("depth", [1, 3, 4])
def test_pictures_of_any_depth(depth: int) -> None:
    assert sheet([[pixels(1, 70, depth=depth)]], ("name",)).shape[2] == 3


def test_names_are_drawn_at_the_left_and_long_words_get_room() -> None:
    plain, named = sheet([[pixels(0, 64)]]), sheet([[pixels(0, 64)]], ("smiling",))
    assert named.shape[1] > plain.shape[1] + 30 and named[:, : named.shape[1] - 70].min() < 100
    assert sheet([[pixels(0, 64)]], (), ("a word that is longer than a cell",)).shape[1] > 200


def test_what_the_font_lacks_becomes_a_number() -> None:
    assert drawable("größer", 2) == "größer" and drawable("微笑", 2) == "#2" and (signed(1.5), signed(-3), signed(0)) == ("+1.5", "-3", "0")


def test_a_sheet_has_its_limit() -> None:
    with pytest.raises(RecipeError, match="million pixels"):
        sheet([[pixels(0, 64)] * 200] * 200)


def test_heat_goes_from_white_to_dark() -> None:
    colors = heat(np.linspace(0, 2, 64)[None], 2).astype(float)
    assert (colors[0, 0] == 255).all() and colors[0, -1].sum() < 120 and (np.diff(colors[0].sum(1)) <= 0).all()
    assert (heat(np.zeros((2, 2)), 0.0) == 255).all()
    assert legend(0.25, "per unit", 300).shape == (52, 300, 3)

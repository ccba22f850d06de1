"""A few pictures of any source, small, evenly from beginning to end."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made import classes, files, picture, png, write_folder, write_zip

from fenshen import api


def test_evenly_over_all_folders(tmp_path: Path) -> None:
    seen = api.glance(write_zip(tmp_path / "pets.zip", classes(20)), count=8)
    assert [sample.label for sample in seen] == ["cat"] * 4 + ["dog"] * 4
    assert len({sample.name for sample in seen}) == 8 and seen[0].pixels.shape == (24, 24, 3)


def test_large_ones_become_small_and_broken_ones_are_left_out(tmp_path: Path) -> None:
    data = write_folder(tmp_path / "data", files(2) | {"torn.png": png(9)[:50]})
    picture(3, 300, 120).save(data / "tall.png")
    seen = {sample.name: sample.pixels for sample in api.glance(data, side=60)}
    assert set(seen) == {"000.png", "001.png", "tall.png"} and seen["tall.png"].shape == (60, 24, 3)
    assert np.array_equal(seen["000.png"], np.asarray(picture(0, 24)))


@pytest.mark.parametrize(("count", "got"), [(0, 0), (1, 1), (5000, 1797)])
def test_any_count_of_digits(count: int, got: int) -> None:
    seen = api.glance("digits", count)
    assert len(seen) == got and all(sample.pixels.shape == (8, 8, 1) and sample.label is not None for sample in seen)

"""The public API is what is listed, no more and no less, and every name of it is documented."""

from __future__ import annotations

import inspect

import fenshen

PUBLIC = ["Pictures", "Run", "Words", "__version__", "adapt", "load", "look", "plan", "resume", "runs", "train", "tune", "unpack"]


def test_the_public_api_is_what_is_listed() -> None:
    assert sorted(fenshen.__all__) == PUBLIC
    assert all(hasattr(fenshen, name) for name in PUBLIC)


def test_everything_public_is_documented() -> None:
    assert not [name for name in PUBLIC if name != "__version__" and not inspect.getdoc(getattr(fenshen, name))]


def test_unknown_names_are_refused() -> None:
    assert not hasattr(fenshen, "nothing_of_this_name")

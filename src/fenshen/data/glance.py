"""A few samples of a source to look at, evenly from beginning to end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from PIL import Image

from fenshen.data.items import Item
from fenshen.data.sources import open_source
from fenshen.errors import UnreadableError
from fenshen.media.image import normalize, read_picture


@dataclass(frozen=True)
class Glanced:
    """One picture of a source, small: uint8 (H, W, C), not larger than asked for; its name, and its label where it has one."""

    name: str
    label: str | None
    pixels: np.ndarray


def glance(source: str, count: int = 24, side: int = 96) -> list[Glanced]:
    """At most `count` pictures, their longer side at most `side` pixels; unreadable ones are left out. DataError as of `open_source`."""
    opened = open_source(source)
    names, total = opened.classes(), sum(1 for _ in opened.items())
    wanted = {round(index) for index in np.linspace(0, total - 1, min(count, total))} if total else set()
    return [small for index, item in enumerate(opened.items()) if index in wanted for small in _small(item, names, side)]


def _small(item: Item, classes: list[str] | None, side: int) -> Iterator[Glanced]:
    with suppress(UnreadableError):
        data = item.read()
        picture = read_picture(data, at_least=side) if isinstance(data, bytes) else normalize(Image.fromarray(data.squeeze()))
        label = classes[item.label] if isinstance(item.label, int) and classes else item.label
        if max(picture.size) > side:
            picture.thumbnail((side, side), Image.Resampling.LANCZOS)
        pixels = np.asarray(picture)
        yield Glanced(item.name, None if label is None else str(label), pixels if pixels.ndim == 3 else pixels[..., None])

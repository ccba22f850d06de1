"""Labelled sheets of pictures, and colors for numbers: what people look at to see what a knob does.

Shapes: N pictures, H height, W width, C channels. Words are drawn in Pillow's own font, which knows Latin letters alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fenshen.errors import RecipeError
from fenshen.media.image import WHITE, enlarged, flattened

LEAST_CELL = 64  # Pixels.
TEXT, GAP, LINE = 14, 3, 22  # Size of letters, space between cells, height of a line of text; pixels.
LARGEST = 100_000_000  # Pixels of a whole sheet.
INK = (40, 40, 40)
HEAT = np.array([(255, 255, 255), (254, 217, 118), (253, 141, 60), (217, 26, 33), (70, 0, 30)], np.float64)


def sheet(rows: Sequence[Sequence[np.ndarray]], names: Sequence[str] = (), columns: Sequence[str] = (), least: int = LEAST_CELL) -> np.ndarray:
    """Rows of equal-sized pictures uint8 (H, W, C) -> one in color, with a name at the left of each row and words above each column.

    Small pictures are enlarged until a cell has `least` pixels. A name that the font cannot draw becomes the number of its row, `#2`.
    RecipeError where the sheet would have more than 100 million pixels.
    """
    font = ImageFont.load_default(TEXT)
    names, columns = [drawable(name, number) for number, name in enumerate(names, 1)], [drawable(word, n) for n, word in enumerate(columns, 1)]
    count, shape = max(len(row) for row in rows), enlarged(rows[0][0], least).shape
    height, width = shape[0] + GAP, max([shape[1], *(int(font.getlength(word)) + 6 for word in columns)]) + GAP
    left = max([0, *(int(font.getlength(name)) + 12 for name in names)]) + GAP
    top = (LINE if columns else 0) + GAP
    if (whole := (left + count * width) * (top + len(rows) * height)) > LARGEST:
        text = "a sheet of {count} pictures would have {pixels} million pixels: at most {most}; ask for fewer"
        raise RecipeError(text, count=count * len(rows), pixels=whole // 10**6, most=LARGEST // 10**6)
    canvas = Image.new("RGB", (left + count * width, top + len(rows) * height), (WHITE,) * 3)
    draw = ImageDraw.Draw(canvas)
    for number, word in enumerate(columns):
        draw.text((left + number * width + shape[1] / 2, top / 2), word, INK, font, anchor="mm")
    for line, row in enumerate(rows):
        if line < len(names):
            draw.text((left - 8, top + line * height + shape[0] / 2), names[line], INK, font, anchor="rm")
        for number, picture in enumerate(row):
            canvas.paste(Image.fromarray(enlarged(colored(picture), least)), (left + number * width, top + line * height))
    return np.asarray(canvas)


def colored(picture_HWC: np.ndarray) -> np.ndarray:
    """Gray, color or transparent uint8 (H, W, C) -> (H, W, 3), transparency over a light checkerboard."""
    if picture_HWC.shape[2] == 4:
        return flattened(picture_HWC[None], max(2, picture_HWC.shape[0] // 8))[0]
    return picture_HWC.repeat(3, 2) if picture_HWC.shape[2] == 1 else picture_HWC


def signed(value: float) -> str:
    """`+1.5`, `-3`, `0`: a value above a column."""
    return f"{value:+.2g}" if abs(value) > 1e-9 else "0"


def drawable(text: str, number: int) -> str:
    """The text, or `#number` where it has letters that the font lacks."""
    return text if all(ord(letter) < 0x180 or letter in "–−…" for letter in text) else f"#{number}"


def heat(values_HW: np.ndarray, top: float) -> np.ndarray:
    """Numbers 0 … top -> uint8 (H, W, 3): white, yellow, orange, red, nearly black."""
    place = (values_HW / max(top, 1e-12)).clip(0, 1)
    return np.stack([np.interp(place, np.linspace(0, 1, len(HEAT)), HEAT[:, c]) for c in range(3)], -1).round().astype(np.uint8)


def legend(top: float, unit: str, width: int) -> np.ndarray:
    """The colors of `heat` as a bar with 0, half and `top` written below and the unit beside it: uint8 (H, width, 3)."""
    font = ImageFont.load_default(TEXT)
    bar = max(40, min(420, width - 40 - int(font.getlength(unit))))
    canvas = Image.new("RGB", (width, 52), (WHITE,) * 3)
    canvas.paste(Image.fromarray(heat(np.linspace(0, top, bar)[None].repeat(16, 0), top)), (12, 8))
    draw = ImageDraw.Draw(canvas)
    draw.rectangle((11, 7, 12 + bar, 24), outline=(160, 160, 160))
    for part, anchor in ((0.0, "lt"), (0.5, "mt"), (1.0, "rt")):
        draw.text((12 + part * bar, 29), f"{part * top:.2g}", INK, font, anchor=anchor)
    draw.text((12 + bar + 12, 16), unit, INK, font, anchor="lm")
    return np.asarray(canvas)

"""Pictures that a person brings: read by the code that reads training pictures, within its limits, and fitted to what the run makes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fenshen.control.hand import Hand
from fenshen.data import open_source
from fenshen.data.items import FILE_LIMIT, read_limited
from fenshen.data.scan import array_picture
from fenshen.errors import DataError, UnreadableError
from fenshen.lang import tr
from fenshen.media.image import DEPTH, Channels, fit_picture, read_picture

MOST = 1000  # Pictures at once.


def read_pictures(hand: Hand, source: str | Path, most: int = MOST) -> tuple[list[str], np.ndarray]:
    """(names, uint8 (N, H, W, C)) of a picture's file, or of a folder, archive or .npz; of the run's own size and channels.

    Those of another shape are fitted as the training pictures were, which is said. DataError for what cannot be read, and for more
    than `most`.
    """
    path, names = Path(source).expanduser(), list[str]()
    pictures: list[np.ndarray] = []
    if path.is_file() and path.suffix.lower() not in (".npz", ".zip", ".parquet", ".tar", ".tgz", ".gz", ".xz", ".bz2"):
        return [path.name], _fitted(hand, path.name, read_file(path))[None]
    for item in open_source(str(source)).items():
        if len(pictures) == most:
            raise DataError("{path} holds more than {most} pictures: give fewer", path=source, most=most)
        names.append(item.name)
        pictures.append(_fitted(hand, item.name, item.read()))
    if not pictures:
        raise DataError("there is no picture in {path}", path=source)
    return names, np.stack(pictures)


def read_file(path: Path) -> bytes:
    """All of one file. DataError where it cannot be read or is too large."""
    try:
        with open(path, "rb") as file:
            return read_limited(file, path.stat().st_size, FILE_LIMIT)
    except OSError as error:
        raise DataError("{path} cannot be read: {problem}", path=path, problem=error.strerror) from None
    except UnreadableError as error:
        raise DataError("{path} cannot be read: {problem}", path=path, problem=error) from None


def _fitted(hand: Hand, name: str, data: bytes | np.ndarray) -> np.ndarray:
    """One picture as the run sees pictures."""
    side, fit = hand.made.size[0], hand.run.recipe().data.fit
    channels: Channels = next(name for name, depth in DEPTH.items() if depth == hand.made.channels)
    try:
        picture = read_picture(data, at_least=2 * side) if isinstance(data, bytes) else array_picture(data)
    except UnreadableError as error:
        raise DataError("{path} cannot be read: {problem}", path=name, problem=error) from None
    if picture.size != (side, side):
        width, height = picture.size
        hand.say(tr("{name} has {width}×{height} pixels: fitted to {side}×{side} ({fit})", name=name, width=width, height=height, side=side, fit=fit))
    return fit_picture(picture, side, channels, fit)

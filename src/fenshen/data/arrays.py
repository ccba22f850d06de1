"""Pictures in arrays: .npz files and the built-in handwritten digits. Arrays are streamed, never unpickled."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from math import prod
from pathlib import Path
from typing import IO

import numpy as np
from numpy.lib import format as npy

from fenshen.data.items import RATIO_FROM, RATIO_LIMIT, Item, Split, digest, file_key
from fenshen.errors import DataError
from fenshen.lang import Said, said, tr

PARTS: tuple[tuple[str, str, Split | None], ...] = (
    ("x_train", "y_train", "train"),
    ("x_test", "y_test", "held_out"),
    ("train_images", "train_labels", "train"),
    ("val_images", "val_labels", "held_out"),
    ("test_images", "test_labels", "held_out"),
    ("images", "labels", None),
)
CHUNK_BYTES = 8 << 20
LABELS_LIMIT = 1 << 30


@dataclass(frozen=True)
class Header:
    """Shape and type of one array, read without its values."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype

    @property
    def bytes(self) -> int:
        return prod(self.shape) * self.dtype.itemsize


def read_npy_header(file: IO[bytes]) -> Header:
    """Moves `file` to the first value. Raises ValueError for anything that is not a plain array."""
    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = read(file)
    if dtype.hasobject:
        raise ValueError("holds Python objects, which are never loaded")
    return Header(shape, fortran, dtype)


class NpzSource:
    """`x_train`/`y_train`/`x_test`/`y_test` or `images`/`labels`; N×H×W, N×H×W×C or N×C×H×W; x_test is the held-out split.

    Raises DataError naming the arrays found when there are no pictures among them.
    """

    def __init__(self, path: Path):
        self.path, self.where = path, str(path)
        self.assumed: list[Said] = []

    def key(self) -> str:
        return digest("npz", file_key(self.path))

    @cached_property
    def headers(self) -> dict[str, Header]:
        """Name -> header of each array; declared sizes are checked against the file before anything is allocated."""
        try:
            with zipfile.ZipFile(self.path) as archive:
                members = {info.filename.removesuffix(".npy"): info for info in archive.infolist() if info.filename.endswith(".npy")}
                headers = {}
                for name, info in members.items():
                    with archive.open(info) as file:
                        headers[name] = read_npy_header(file)
                    too_much = headers[name].bytes > max(RATIO_FROM, 10 * RATIO_LIMIT * info.compress_size)
                    if headers[name].bytes > info.file_size or too_much:
                        raise ValueError(tr("{name} declares more bytes than the file holds", name=name))
                return headers
        except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError, NotImplementedError, RuntimeError) as error:
            raise DataError("{path} cannot be read as .npz ({problem})", path=self.where, problem=error) from None

    @cached_property
    def parts(self) -> list[tuple[str, str | None, Split | None, Header]]:
        """Arrays of pictures with their labels and split."""
        found: list[tuple[str, str | None, Split | None, Header]] = []
        for pictures, labels, split in PARTS:
            if pictures in self.headers:
                found.append((pictures, labels if labels in self.headers else None, split, self.headers[pictures]))
        usable = [part for part in found if part[3].dtype.kind in "uifb" and _layout(part[3].shape)]
        if not found or len(usable) < len(found):
            listed = ", ".join(f"{name} {'×'.join(map(str, header.shape))} {header.dtype}" for name, header in self.headers.items())
            text = "no pictures in {path}: it needs x_train or images of shape N×H×W or N×H×W×C (C = 1, 3, 4); found: {found}"
            raise DataError(text, path=self.where, found=listed or tr("nothing"))
        splits = {part[2] for part in usable}
        return usable if len(splits) == 2 else [(name, labels, None, header) for name, labels, _, header in usable]

    def _rows(self, name: str) -> Iterator[np.ndarray]:
        """One array in chunks of whole rows."""
        header = self.headers[name]
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(f"{name}.npy") as file:
                if header.fortran:
                    yield npy.read_array(file, allow_pickle=False)
                    return
                read_npy_header(file)
                width = prod(header.shape[1:]) * header.dtype.itemsize
                step = max(1, CHUNK_BYTES // max(width, 1))
                for start in range(0, header.shape[0], step):
                    count = min(step, header.shape[0] - start)
                    data = _read_exactly(file, count * width)
                    yield np.frombuffer(data, header.dtype).reshape(count, *header.shape[1:])
        except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError) as error:
            raise DataError("{path}: the array {name} is damaged or cut off ({problem})", path=self.where, name=name, problem=error) from None

    @cached_property
    def to_bytes(self) -> Callable[[np.ndarray], np.ndarray]:
        """How values become 0 … 255, decided once by the range of all of them."""
        low, high, kind = np.inf, -np.inf, "u"
        for name, _, _, header in self.parts:
            kind = header.dtype.kind
            for rows in self._rows(name):
                if header.dtype == np.uint8 and high > 1:  # Bytes are 0 … 255, except where all of them are 0 or 1.
                    break
                low, high = float(np.minimum(low, rows.min())), float(np.maximum(high, rows.max()))  # Carries NaN along.
        assumed = assume_range(low, high, kind)
        if assumed is None:
            text = "{path}: values between {low} and {high} are not pictures; use uint8, or floats in 0 … 1 or -1 … 1"
            raise DataError(text, path=self.where, low=f"{low:g}", high=f"{high:g}")
        if assumed != (0.0, 255.0):
            self.assumed.append(said("values of {low:g} … {high:g} were taken for black … white", low=assumed[0], high=assumed[1]))
        return partial(_scale, low=assumed[0], high=assumed[1])

    def _labels(self, name: str | None, count: int) -> list[int] | list[str] | None:
        if name is None:
            return None
        if self.headers[name].bytes > LABELS_LIMIT:
            raise DataError("{path}: {name} is too large for labels", path=self.where, name=name)
        values = np.concatenate(list(self._rows(name)))
        if values.ndim == 2 and values.shape[1] > 1 and values.dtype.kind in "iufb" and (values.sum(1) == 1).all():
            values = values.argmax(1)  # one-hot
        values = values.reshape(len(values), -1)
        whole = values.dtype.kind in "iub" or (values.dtype.kind == "f" and bool((values == np.floor(values)).all()))
        if values.shape != (count, 1) or not (whole or values.dtype.kind == "U"):
            text = "{path}: {name} must hold one whole number or name per picture ({count} of them)"
            raise DataError(text, path=self.where, name=name, count=count)
        return [str(value) for value in values[:, 0]] if values.dtype.kind == "U" else [int(value) for value in values[:, 0]]

    def items(self) -> Iterator[Item]:
        for name, label_name, split, header in self.parts:
            labels = self._labels(label_name, header.shape[0])
            index, turn = 0, _layout(header.shape)
            assert turn is not None
            for rows in self._rows(name):
                pictures = turn(self.to_bytes(rows))
                for picture in pictures:
                    yield Item(f"{name}/{index:06d}", picture.copy, None if labels is None else labels[index], None, split)
                    index += 1

    def ignored(self) -> list[str]:
        used = {name for part in self.parts for name in part[:2]}
        return [name for name in self.headers if name not in used]

    def classes(self) -> list[str] | None:
        return None

    def notes(self) -> list[Said]:
        return list(self.assumed)


class DigitsSource:
    """scikit-learn's 1797 real handwritten digits, 8×8, values 0 … 16."""

    where = "digits"

    def key(self) -> str:
        return digest("digits", 1)

    def items(self) -> Iterator[Item]:
        from sklearn.datasets import load_digits

        digits = load_digits()
        pictures = np.round(digits.images * (255 / 16)).astype(np.uint8)[..., None]
        for index, (picture, label) in enumerate(zip(pictures, digits.target, strict=True)):
            yield Item(f"digits/{index:04d}", picture.copy, int(label))

    def ignored(self) -> list[str]:
        return []

    def classes(self) -> list[str] | None:
        return None

    def notes(self) -> list[Said]:
        return []


def _layout(shape: tuple[int, ...]) -> Callable[[np.ndarray], np.ndarray] | None:
    """How rows of this shape become N×H×W×C; None where they are no pictures."""
    if len(shape) == 3 and min(shape) > 0:
        return lambda rows: rows[..., None]
    if len(shape) == 4 and shape[3] in (1, 3, 4) and min(shape) > 0:
        return lambda rows: rows
    if len(shape) == 4 and shape[1] in (1, 3, 4) and min(shape) > 0:
        return lambda rows: np.moveaxis(rows, 1, 3)
    return None


def assume_range(low: float, high: float, kind: str) -> tuple[float, float] | None:
    """Values that mean black and white, from the range and the kind of number (u, i, f, b); None where it cannot be told (NaN too)."""
    if kind == "b" or (kind in "ui" and low >= 0 and high <= 1):
        return 0.0, 1.0
    tops = ((0.0, 255.0), (0.0, 65535.0)) if kind in "ui" else ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))
    return next((top for top in tops if top[0] <= low and high <= top[1]), None)


def _scale(rows: np.ndarray, low: float, high: float) -> np.ndarray:
    if rows.dtype == np.uint8 and (low, high) == (0.0, 255.0):
        return rows
    return np.round((rows.astype(np.float32) - low) * np.float32(255 / (high - low))).clip(0, 255).astype(np.uint8)


def _read_exactly(file: IO[bytes], count: int) -> bytes:
    data = file.read(count)
    if len(data) != count:
        raise EOFError(tr("{missing} bytes are missing", missing=count - len(data)))
    return data

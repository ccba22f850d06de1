"""What every source yields, and the limits that keep a hostile file from filling memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Literal, Protocol

import numpy as np

from fenshen.errors import DataError, UnreadableError
from fenshen.lang import Said

Split = Literal["train", "held_out"]
FILE_LIMIT = 1 << 30  # Bytes of one picture file, packed or not.
TEXT_LIMIT = 64 << 20  # Bytes of one file of captions.
TOTAL_LIMIT = 1 << 40  # Unpacked bytes of one archive.
RATIO_LIMIT = 200  # Unpacked bytes per packed byte, for archives that unpack to more than RATIO_FROM bytes.
RATIO_FROM = 128 << 20


@dataclass(frozen=True)
class Item:
    """One picture, not read yet. `read` gives a file's bytes or uint8 (H, W, C); call it before asking for the next item."""

    name: str
    read: Callable[[], bytes | np.ndarray]
    label: str | int | None = None
    caption: str | None = None
    split: Split | None = None


class Source(Protocol):
    """Pictures in a fixed order. Nothing is decoded and no file stays open between two iterations."""

    where: str  # for messages

    def key(self) -> str:
        """Changes when a file behind the source changes; cheap: no picture is read."""
        ...

    def items(self) -> Iterator[Item]: ...

    def ignored(self) -> list[str]:
        """Names of the files that are neither pictures nor descriptions of pictures."""
        ...

    def classes(self) -> list[str] | None:
        """Names of integer labels, where the source knows them."""
        ...

    def notes(self) -> list[Said]:
        """What was assumed about the data, in words."""
        ...


def digest(*parts: object) -> str:
    """A short stable name for any JSON-able values."""
    return hashlib.sha256(json.dumps(parts, ensure_ascii=True, default=str).encode()).hexdigest()[:32]


def file_key(path: Path) -> list[object]:
    """Place, size and time of change of one file."""
    status = path.stat()
    return [str(path.resolve()), status.st_size, status.st_mtime_ns]


def read_limited(file: IO[bytes], declared: int, limit: int = FILE_LIMIT) -> bytes:
    """All bytes of an open file, refused when there are more than `limit` or than `declared`, whatever its header says."""
    if declared > limit:
        raise UnreadableError("{size} MB are more than the limit of {limit} MB", size=declared >> 20, limit=limit >> 20)
    data = file.read(declared + 1)
    if len(data) > declared:
        raise UnreadableError("holds more than the {size} bytes it declares", size=declared)
    return data


def check_member(where: str, name: str, size: int, packed: int) -> None:
    """Refuses a whole archive for a member that would be written elsewhere or that would fill memory.

    `size`: declared bytes of this member and `packed` its bytes in the archive, or both of all members so far.
    """
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if ".." in parts or name.startswith(("/", "\\")) or (len(name) > 1 and name[1] == ":") or "\0" in name:
        raise DataError("{where} is refused: {name} points outside of the archive; pack it anew without such paths", where=where, name=name)
    if size > TOTAL_LIMIT or (size > RATIO_FROM and size > RATIO_LIMIT * max(packed, 1)):
        text = "{where} is refused: {name} unpacks to {size} MB from {packed} KB (a decompression bomb?); use an unpacked folder"
        raise DataError(text, where=where, name=name, size=size >> 20, packed=packed >> 10)

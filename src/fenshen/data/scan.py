"""One pass over a source: what each picture is, which ones cannot be read, which ones are copies. Kept in the cache."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, ImageChops

from fenshen.data import cache
from fenshen.data.duplicates import SIDE, group
from fenshen.data.items import Item, Source, Split, digest
from fenshen.errors import UnreadableError
from fenshen.lang import Said, tr
from fenshen.media.image import MODE, over_white, read_header, read_picture

FORMAT = 1  # Raise it when entries of the cache change their meaning.
CHUNK_ITEMS, CHUNK_BYTES = 64, 16 << 20
DRAFT = 64  # Pixels to which a JPEG may be decoded small for a look at it.
SAY_SECONDS = 5.0

Say = Callable[[str], None]
T = TypeVar("T")


@dataclass
class Row:
    """One usable picture. `copy` and `near` number its groups of exact and of exact-or-near duplicates."""

    name: str
    sha256: str
    width: int
    height: int
    mode: str
    format: str
    gray: bool
    transparent: bool
    label: str | int | None = None
    caption: str | None = None
    split: Split | None = None
    copy: int = 0
    near: int = 0


@dataclass
class Scan:
    """What a source holds: usable pictures in order, the unreadable (name, reason), the ignored, class names, assumptions."""

    rows: list[Row] = field(default_factory=list)
    skipped: list[tuple[str, Said]] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    classes: list[str] | None = None
    notes: list[Said] = field(default_factory=list)


def scan_name(source: Source) -> str:
    """Name of the source's scan in the cache."""
    return f"scan-{digest(FORMAT, source.key())}"


def scan(source: Source, say: Say) -> Scan:
    """The scan of a source, from the cache or made now. Raises DataError when the source as a whole cannot be used."""
    folder = cache.obtain(scan_name(source), lambda part: _save(_look_at_all(source, say), part))
    values = json.loads((folder / "scan.json").read_text("utf-8"))
    with open(folder / "rows.jsonl", encoding="utf-8") as lines:
        rows = [Row(*json.loads(line)) for line in lines]
    skipped = [(name, Said(*reason)) for name, reason in values["skipped"]]
    return Scan(rows, skipped, values["ignored"], values["classes"], [Said(*note) for note in values["notes"]])


def _save(found: Scan, folder: Path) -> None:
    values = {"skipped": found.skipped, "ignored": found.ignored, "classes": found.classes, "notes": found.notes}
    (folder / "scan.json").write_text(json.dumps(values), "utf-8")
    with open(folder / "rows.jsonl", "w", encoding="utf-8") as lines:
        lines.writelines(json.dumps(list(vars(row).values())) + "\n" for row in found.rows)


def _look_at_all(source: Source, say: Say) -> Scan:
    found, thumbnails = Scan(ignored=source.ignored(), classes=source.classes()), bytearray()
    heard = time.monotonic()
    for result in in_order(look_at, source.items()):
        match result:
            case (Row() as row, bytes() as thumbnail):
                found.rows.append(row)
                thumbnails += thumbnail
            case (str() as name, Said() as reason):
                found.skipped.append((name, reason))
        if time.monotonic() - heard > SAY_SECONDS:
            heard = time.monotonic()
            say(tr("looked at {count} pictures", count=len(found.rows)))
    pixels = np.frombuffer(bytes(thumbnails), np.uint8).reshape(-1, SIDE, SIDE, 3)
    exact, near = group([row.sha256 for row in found.rows], pixels)
    for row, copy, close in zip(found.rows, exact.tolist(), near.tolist(), strict=True):
        row.copy, row.near = copy, close
    found.notes = source.notes()
    return found


def look_at(item: Item, data: bytes | np.ndarray) -> tuple[Row, bytes] | tuple[str, Said]:
    """A row and its 16×16 thumbnail, or (name, why it cannot be read)."""
    try:
        if isinstance(data, bytes):
            header = read_header(data)
            picture = read_picture(data, at_least=DRAFT)
            size, mode, kind = (header.width, header.height), header.mode, header.format
        else:
            picture = array_picture(data)
            size, mode, kind = picture.size, picture.mode, "array"
    except UnreadableError as error:
        return item.name, reason_of(error)
    gray, transparent = colors_of(picture)
    row = Row(item.name, content_hash(data), *size, mode, kind, gray, transparent, item.label, item.caption, item.split)
    return row, thumbnail_of(picture)


def reason_of(error: UnreadableError) -> Said:
    """Why a file cannot be read, to be kept."""
    return Said(error.text, {key: value if isinstance(value, int | float) else str(value) for key, value in error.values.items()})


def content_hash(data: bytes | np.ndarray) -> str:
    """sha256 of a file's bytes, or of an array's shape and values."""
    if isinstance(data, bytes):
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha256(repr(data.shape).encode() + data.tobytes()).hexdigest()


def array_picture(pixels: np.ndarray) -> Image.Image:
    """uint8 (H, W, C) -> a Pillow picture."""
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels, MODE[pixels.shape[2]])


def colors_of(picture: Image.Image) -> tuple[bool, bool]:
    """Whether every visible pixel is gray, and whether any can be seen through."""
    transparent = picture.mode == "RGBA" and picture.getchannel("A").getextrema()[0] < 250  # type: ignore[operator]
    if picture.mode == "L":
        return True, transparent
    red, green, blue = over_white(picture).convert("RGB").split()
    gray = all(ImageChops.difference(red, other).getextrema()[1] == 0 for other in (green, blue))
    return gray, transparent


def thumbnail_of(picture: Image.Image) -> bytes:
    """16×16 RGB, 768 bytes; transparency over mid-gray, so that white shapes stay visible."""
    small = picture.resize((SIDE, SIDE), Image.Resampling.BOX)
    if small.mode == "RGBA":
        small = Image.alpha_composite(Image.new("RGBA", small.size, (128, 128, 128, 255)), small)
    return small.convert("RGB").tobytes()


def in_order(work: Callable[[Item, bytes | np.ndarray], T], items: Iterable[Item]) -> Iterator[T | tuple[str, Said]]:
    """`work` on every item by several threads, results in order; (name, reason) for an item that cannot be read.

    Files are read here, one after the other (an archive has one reading head); decoding frees Python's lock.
    """

    def work_on(chunk: list[tuple[Item, bytes | np.ndarray | Said]]) -> list[T | tuple[str, Said]]:
        return [(item.name, data) if isinstance(data, Said) else work(item, data) for item, data in chunk]

    workers = max(1, min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1))
    waiting: deque[Future[list[T | tuple[str, Said]]]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for chunk in _chunks(items):
            waiting.append(pool.submit(work_on, chunk))
            if len(waiting) > workers + 1:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


def _chunks(items: Iterable[Item]) -> Iterator[list[tuple[Item, bytes | np.ndarray | Said]]]:
    """Items with what was read, or with the reason why not, by the dozen: few enough bytes at once to fit any memory."""
    chunk: list[tuple[Item, bytes | np.ndarray | Said]] = []
    size = 0
    for item in items:
        try:
            data = item.read()
            size += len(data) if isinstance(data, bytes) else data.nbytes
            chunk.append((item, data))
        except UnreadableError as error:
            chunk.append((item, reason_of(error)))
        if len(chunk) >= CHUNK_ITEMS or size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk

"""Pictures of any kind -> one memory-mapped uint8 array, its labels and its split, made once and kept in the cache."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from fenshen.data import cache
from fenshen.data.choices import choose_channels, choose_labels, choose_resolution, choose_split
from fenshen.data.items import Item, Source, digest
from fenshen.data.scan import FORMAT, SAY_SECONDS, Row, Say, Scan, array_picture, content_hash, in_order, scan, scan_name
from fenshen.data.sources import open_source
from fenshen.errors import DataError
from fenshen.lang import Said, tr
from fenshen.media.image import DEPTH, Channels, Fit, fit_picture, read_picture
from fenshen.recipe import Data


@dataclass(frozen=True)
class Dataset:
    """Prepared pictures.

    pictures: uint8 (N, H, W, C), memory-mapped, read-only. labels: int64 (N) or None; classes: their names.
    train, held_out: int64 indices. fingerprint: changes with the content, names, labels or preparation of any picture.
    manifest: JSON lines, one per picture (name, label, caption, split of the source, sha256, duplicate group).
    skipped: (name, reason) of the unreadable. reason: why this resolution and these channels, in words.
    across: pictures held out by the source itself that have a near-duplicate in its training part.
    codes: int16 (N, P) or None: what each is in the codes of a run, where these are learnt in place of the pictures.
    """

    pictures: np.ndarray
    labels: np.ndarray | None
    classes: tuple[str, ...]
    train: np.ndarray
    held_out: np.ndarray
    fingerprint: str
    resolution: int
    channels: Channels
    manifest: Path
    skipped: tuple[tuple[str, str], ...]
    reason: str
    notes: tuple[str, ...]
    across: int
    codes: np.ndarray | None = None

    def names(self) -> list[str]:
        """Name of each picture in its source."""
        return [row["name"] for row in read_manifest(self.manifest)]


def silent(text: str) -> None:
    """Says nothing."""


def prepare(data: Data, seed: int = 0, say: Say = silent) -> Dataset:
    """The pictures of `data.source`, alike in size and channels, from the cache or prepared now.

    `seed` decides which are held out. `say` is told what takes long. Raises DataError, OutOfSpaceError.
    """
    source = open_source(data.source)
    options = (data.resolution, data.channels, data.fit)
    name = f"set-{digest(FORMAT, source.key(), options)}"
    folder = _twin(source, data) or cache.obtain(name, lambda part: _build(source, data, say, part))
    return _load(folder, data, seed)


def _twin(source: Source, data: Data) -> Path | None:
    """The same set, prepared when resolution and channels were still to be chosen: a recipe that is saved with a run names them."""
    if data.resolution is None or data.channels is None:
        return None
    wanted = {"scan": scan_name(source), "resolution": data.resolution, "channels": data.channels, "fit": data.fit}
    for path in cache.root().glob("set-*/info.json"):
        try:
            info = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError):  # Being deleted.
            continue
        if all(info.get(key) == value for key, value in wanted.items()) and path.parent.suffix != cache.PART:
            return path.parent
    return None


def _build(source: Source, data: Data, say: Say, folder: Path) -> None:
    say(tr("preparing the pictures of {where}", where=source.where))
    found = scan(source, say)
    rows = check(found, source.where)
    resolution, why_resolution = choose_resolution(rows, data.resolution, data.fit)
    channels, why_channels = choose_channels(rows, data.channels)
    cache.check_free(len(rows) * (resolution * resolution * DEPTH[channels] + 256))
    _write_pictures(source, found, (resolution, channels, data.fit), say, folder / "pictures.u8")
    labels, classes = choose_labels([row.label for row in rows], found.classes)
    if labels is not None:
        np.save(folder / "labels.npy", labels)
    np.save(folder / "near.npy", np.array([row.near for row in rows], np.int64))
    _write_manifest(rows, folder / "manifest.jsonl")
    info = {
        "fingerprint": fingerprint(rows, resolution, channels, data.fit),
        "scan": scan_name(source),
        "count": len(rows),
        "resolution": resolution,
        "channels": channels,
        "fit": data.fit,
        "classes": classes,
        "reasons": [why_resolution, why_channels],
        "notes": found.notes,
        "skipped": found.skipped,
        "own_split": has_own_split(rows),
        "across": across(rows),
    }
    (folder / "info.json").write_text(json.dumps(info, indent=1), "utf-8")


def check(found: Scan, where: str) -> list[Row]:
    """The usable rows. Raises DataError when there are too few to learn from."""
    if not found.rows and found.skipped:
        name, reason = found.skipped[0]
        text = "none of the {count} pictures in {where} can be read; the first is {name}: {reason}"
        raise DataError(text, count=len(found.skipped), where=where, name=name, reason=reason)
    if not found.rows and found.ignored:
        kinds = Counter(PurePosixPath(name).suffix or name for name in found.ignored)
        listed = ", ".join(kind for kind, _ in kinds.most_common(3))
        raise DataError("no picture in {where}, only {count} other files ({kinds})", where=where, count=len(found.ignored), kinds=listed)
    if not found.rows:
        raise DataError("no picture in {where}: it is empty", where=where)
    different = len({row.sha256 for row in found.rows})
    if different < 2:
        text = "a generator needs at least two different pictures; {where} holds {count}, of which {different} is different: add more"
        text = text if len(found.rows) > 1 else "a generator needs at least two different pictures; {where} holds one: add more"
        raise DataError(text, where=where, count=len(found.rows), different=different)
    return found.rows


def has_own_split(rows: Sequence[Row]) -> bool:
    """Whether the source itself says of every picture if it is held out, and holds out some."""
    return {row.split for row in rows} == {"train", "held_out"}


def across(rows: Sequence[Row]) -> int:
    """How many pictures that the source holds out have a near-duplicate in its training part."""
    trained = {row.near for row in rows if row.split == "train"}
    return sum(row.split == "held_out" and row.near in trained for row in rows)


def fingerprint(rows: list[Row], resolution: int, channels: Channels, fit: Fit) -> str:
    """sha256 over name, content, label and split of every usable picture, in order, and how they were prepared."""
    whole = hashlib.sha256(json.dumps([FORMAT, resolution, channels, fit]).encode())
    for row in rows:
        whole.update(json.dumps([row.name, row.sha256, row.label, row.split]).encode())
    return whole.hexdigest()


def _write_pictures(source: Source, found: Scan, options: tuple[int, Channels, Fit], say: Say, path: Path) -> None:
    """Streams the fitted pictures; what changed since the scan stops it."""
    resolution, channels, fit = options
    skipped = {name for name, _ in found.skipped}

    def fitted(item: Item, data: bytes | np.ndarray) -> tuple[str, str, np.ndarray]:
        picture = read_picture(data, at_least=2 * resolution) if isinstance(data, bytes) else array_picture(data)
        return item.name, content_hash(data), fit_picture(picture, resolution, channels, fit)

    usable: Iterator[Item] = (item for item in source.items() if item.name not in skipped)
    written, differ, first, heard = 0, False, b"", time.monotonic()
    with open(path, "wb") as file:
        for row, result in zip(found.rows, in_order(fitted, usable), strict=False):
            if len(result) != 3 or result[:2] != (row.name, row.sha256):
                raise DataError("{name} in {where} changed while it was being read; run it again", name=row.name, where=source.where)
            pixels = result[2].tobytes()
            file.write(pixels)
            first, written = first or pixels, written + 1
            differ = differ or pixels != first
            if time.monotonic() - heard > SAY_SECONDS:
                heard = time.monotonic()
                say(tr("prepared {count} of {all} pictures", count=written, all=len(found.rows)))
    if written < len(found.rows):
        raise DataError("{where} changed while it was being read; run it again", where=source.where)
    if not differ:
        text = "a generator needs at least two different pictures; all {count} in {where} look the same at {resolution} pixels"
        raise DataError(text, count=written, where=source.where, resolution=resolution)


def _write_manifest(rows: list[Row], path: Path) -> None:
    keys = ("name", "label", "caption", "split", "sha256", "near")
    with open(path, "w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps({key: getattr(row, key) for key in keys}) + "\n")


def read_manifest(path: Path) -> Iterator[dict]:
    """One dict per picture, in order."""
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def _load(folder: Path, data: Data, seed: int) -> Dataset:
    info = json.loads((folder / "info.json").read_text("utf-8"))
    resolution, channels = info["resolution"], info["channels"]
    shape = (info["count"], resolution, resolution, DEPTH[channels])
    manifest, labels = folder / "manifest.jsonl", folder / "labels.npy"
    rows = list(read_manifest(manifest))
    own = np.array([row["split"] == "held_out" for row in rows]) if info["own_split"] else None
    train, held_out = choose_split([row["name"] for row in rows], np.load(folder / "near.npy"), own, data.held_out, seed)
    return Dataset(
        pictures=np.memmap(folder / "pictures.u8", np.uint8, "r", shape=shape),
        labels=np.load(labels) if labels.exists() else None,
        classes=tuple(info["classes"]),
        train=train,
        held_out=held_out,
        fingerprint=info["fingerprint"],
        resolution=resolution,
        channels=channels,
        manifest=manifest,
        skipped=tuple((name, str(Said(*reason))) for name, reason in info["skipped"]),
        reason="; ".join(str(Said(*why)) for why in info["reasons"]),
        notes=tuple(str(Said(*note)) for note in info["notes"]),
        across=info["across"],
    )

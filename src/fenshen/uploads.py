"""Files that came through the browser, each visit's in a folder of its own whose name nobody guesses: RUNS/.studio/files/TOKEN/.

What is in a parcel lies as it was sent: folders stay folders (they are labels), archives stay archives, which `fenshen.data` reads
under its own limits. What no run and no training uses is gone a day later, and with the last run that used it.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from fenshen.errors import DataError, OutOfSpaceError
from fenshen.media.image import is_picture_name
from fenshen.places import runs_root

MOST_FILES = 50_000
LARGEST_FILE, LARGEST_PARCEL = 1 << 30, 4 << 30  # Bytes.
LEFT_FREE = 1 << 30  # Bytes of the disk that uploads never fill.
DEEPEST, LONGEST = 12, 200  # Folders in each other; letters of a name.
KEPT_SECONDS = 24 * 3600
TOKEN = re.compile("[A-Za-z0-9_-]{24}")
UNSAFE = re.compile(r"[\x00-\x1f\x7f<>:\"|?*\ud800-\udfff\u200e\u200f\u202a-\u202e\u2066-\u2069]")
SENT = "files"  # Where all lies that did not come as one folder or one archive.


def root() -> Path:
    return runs_root() / ".studio" / "files"


@dataclass(frozen=True)
class Parcel:
    """What one visit has sent so far."""

    path: Path

    @classmethod
    def new(cls) -> Parcel:
        """An empty one. Old ones that nobody uses are cleared away first."""
        sweep()
        path = root() / secrets.token_urlsafe(18)
        (path / SENT).mkdir(parents=True, mode=0o700)
        return cls(path)

    @classmethod
    def find(cls, token: str) -> Parcel:
        """The parcel of that name. DataError where there is none (any more)."""
        path = root() / token
        if not TOKEN.fullmatch(token) or not path.is_dir():
            raise DataError("these files are not here any more: send them again")
        return cls(path)

    @property
    def token(self) -> str:
        return self.path.name

    def files(self) -> Iterator[Path]:
        return (path for path in (self.path / SENT).rglob("*") if path.is_file())

    def source(self) -> Path:
        """What is to be trained on: the one archive, text or folder that was sent, else all of it. DataError where it is empty."""
        entries = sorted((self.path / SENT).iterdir())
        if not entries:
            raise DataError("nothing was sent: choose files or a folder")
        alone = len(entries) == 1 and (entries[0].is_dir() or not is_picture_name(entries[0]))
        return (entries[0] if alone else self.path / SENT).absolute()

    def write(self, name: str, largest: int) -> Writing:
        """Takes one more file in, of at most so many bytes. DataError where its name says that it cannot be used."""
        place = self.path / SENT / checked(name)
        with contextlib.suppress(FileExistsError, NotADirectoryError):
            place.parent.mkdir(parents=True, exist_ok=True)
        if not place.parent.is_dir() or place.is_dir():
            raise DataError("{name}: a file and a folder have the same name", name=name)
        return Writing(place, name, min(largest, LARGEST_FILE))

    def give_back(self) -> None:
        """Removes it, unless something uses it."""
        if not used(self.token):
            shutil.rmtree(self.path, ignore_errors=True)


class Writing:
    """A file that is on its way: `add` what comes, then `close`; whole or not at all."""

    def __init__(self, place: Path, name: str, largest: int):
        self.place, self.name, self.largest, self.size = place, name, largest, 0
        self.part = place.with_name(f".{secrets.token_hex(4)}.part")
        self.file: BinaryIO = open(self.part, "wb")  # noqa: SIM115 (open until `close` or `give_up`)

    def add(self, data: bytes) -> None:
        """DataError beyond the limit, OutOfSpaceError before the disk is full."""
        self.size += len(data)
        if self.size > self.largest:
            text = "{name} is too large: at most {limit} MB a file and {all} MB together; give the path of a folder on this computer instead"
            raise DataError(text, name=self.name, limit=LARGEST_FILE >> 20, all=LARGEST_PARCEL >> 20)
        if shutil.disk_usage(self.part.parent).free < LEFT_FREE + len(data):
            raise OutOfSpaceError("{name} does not fit: the disk is nearly full; free some space, or delete runs", name=self.name)
        self.file.write(data)

    def close(self) -> int:
        """Its size in bytes."""
        self.file.close()
        self.part.replace(self.place)
        return self.size

    def give_up(self) -> None:
        self.file.close()
        self.part.unlink(missing_ok=True)


def checked(name: str) -> Path:
    """A relative path without anything that a file system or a page could stumble over. DataError for what cannot be used."""
    parts = [UNSAFE.sub("_", part).strip() for part in name.replace("\\", "/").split("/")]
    if not parts[-1] or ".." in parts or len(parts) > DEEPEST or any(len(part.encode()) > LONGEST for part in parts) or name.startswith("/"):
        raise DataError("{name} is no name for a file here: rename it", name=name[:LONGEST])
    kept = [part for part in parts if part not in ("", ".")]
    if any(part.startswith(".") for part in kept):
        raise DataError("{name} is hidden and left out", name=name)
    if not _readable(kept[-1]):
        raise DataError("{name} is neither pictures nor words: send pictures, texts, .zip, .tar, .npz or .parquet", name=name)
    return Path(*kept)


def _readable(name: str) -> bool:
    from fenshen.data.listing import is_words_name  # A second to import, and the studio shall start at once.
    from fenshen.data.sources import TAR

    return is_picture_name(name) or is_words_name(name) or name.lower().endswith((".zip", ".npz", ".parquet", *TAR))


def sweep(now: float | None = None) -> None:
    """Clears away what is older than a day and used by nobody."""
    limit = (time.time() if now is None else now) - KEPT_SECONDS
    old = [path for path in root().glob("*") if path.is_dir() and path.stat().st_mtime < limit]
    for path in old:
        if not used(path.name):
            shutil.rmtree(path, ignore_errors=True)


def used(token: str) -> bool:
    """Whether a run was trained on it, or a training that is not over wants it."""
    telling = [*runs_root().glob("*/recipe.toml"), *(runs_root() / ".studio" / "jobs").glob("*/job.json")]
    for path in telling:
        with contextlib.suppress(OSError):
            if token in path.read_text("utf-8", "replace"):
                return True
    return False


def release(source: str) -> None:
    """After a run is gone: what it was trained on goes too, where it came through the browser and nobody else uses it."""
    with contextlib.suppress(ValueError):
        token = Path(source).absolute().relative_to(root().absolute()).parts[0]
        if TOKEN.fullmatch(token) and not used(token):
            shutil.rmtree(root() / token, ignore_errors=True)

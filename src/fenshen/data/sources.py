"""Opens a source by its name; folders are read here, other kinds in the files beside."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from functools import cached_property, partial
from pathlib import Path

from fenshen.data.archives import TarSource, ZipSource
from fenshen.data.arrays import DigitsSource, NpzSource
from fenshen.data.hub import download
from fenshen.data.items import FILE_LIMIT, TEXT_LIMIT, Item, Source, digest, read_limited
from fenshen.data.listing import PICTURES, Listing, Wanted, make_listing
from fenshen.data.tables import ParquetSource
from fenshen.errors import DataError, UnreadableError
from fenshen.lang import Said
from fenshen.media.image import is_picture_name

TAR = (".tar", ".tgz", ".tar.gz", ".txz", ".tar.xz", ".tbz2", ".tar.bz2")


def open_source(source: str) -> Source:
    """A folder, zip, tar, .npz, .parquet, hf://NAME or `digits`. Reads names and headers only. Raises DataError."""
    if source == "digits":
        return DigitsSource()
    if source.startswith("hf://"):
        return _open_folder(download(source.removeprefix("hf://")), source, links=True)
    path = checked(source)
    if path.is_dir():
        return _open_folder(path, source)
    match path.name.lower():
        case name if name.endswith(".zip"):
            return ZipSource(path)
        case name if name.endswith(TAR):
            return TarSource(path)
        case name if name.endswith(".npz"):
            return NpzSource(path)
        case name if name.endswith(".parquet"):
            return ParquetSource([path], source)
        case name if is_picture_name(name):
            raise DataError("{path} is one picture; give the folder that holds your pictures", path=source)
    raise DataError("{path} is not data that can be read: give a folder, zip, tar, .npz, .parquet, hf://NAME or digits", path=source)


def checked(source: str) -> Path:
    """The file or folder of that name. DataError where there is none, or where it may not be read."""
    path = Path(source).expanduser()
    if not path.exists():
        raise DataError("there is no file or folder {path} (built in: digits, topics)", path=source)
    if not os.access(path, os.R_OK):
        raise DataError("{path} may not be read: check its permissions", path=source)
    if not path.is_dir() and not path.is_file():
        raise DataError("{path} is neither a file nor a folder", path=source)
    return path


def _open_folder(path: Path, where: str, links: bool = False) -> Source:
    folder = FolderSource(path, where, links)
    shards = [path / name for name in folder.listing.ignored if name.lower().endswith(".parquet")]
    return ParquetSource(shards, where) if shards and not folder.listing.wanted else folder


class FolderSource:
    """Files in a folder, at any depth. Links are followed to files inside the folder only, unless `links`."""

    def __init__(self, path: Path, where: str, links: bool = False, wanted: Wanted = PICTURES):
        self.path, self.where, self.links, self.wanted = path.resolve(), where, links, wanted
        self.outside: list[str] = []

    @cached_property
    def files(self) -> dict[str, os.stat_result]:
        """Relative name -> status of every readable plain file."""
        found: dict[str, os.stat_result] = {}
        for folder, folders, names in os.walk(self.path):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in names:
                path = Path(folder, name)
                relative = path.relative_to(self.path).as_posix()
                status = self._status(path)
                if status is None:
                    self.outside.append(relative)
                else:
                    found[relative] = status
        return found

    def _status(self, path: Path) -> os.stat_result | None:
        try:
            if path.is_symlink() and not self.links and not path.resolve().is_relative_to(self.path):
                return None
            status = path.stat()
        except OSError:  # A broken link, or a folder that may not be entered.
            return None
        return status if stat.S_ISREG(status.st_mode) else None

    @cached_property
    def listing(self) -> Listing:
        return make_listing(self.files, partial(self._read, limit=TEXT_LIMIT), self.wanted)

    def _read(self, name: str, limit: int = FILE_LIMIT) -> bytes:
        try:
            with open(self.path / name, "rb") as file:
                return read_limited(file, os.fstat(file.fileno()).st_size, limit)
        except OSError as error:
            raise UnreadableError("cannot be opened ({problem})", problem=error.strerror) from None

    def key(self) -> str:
        rows = sorted((name, status.st_size, status.st_mtime_ns) for name, status in self.files.items())
        return digest("folder", str(self.path), rows)

    def items(self) -> Iterator[Item]:
        known = self.listing
        for name in known.wanted:
            yield Item(name, partial(self._read, name), known.labels.get(name), known.captions.get(name), known.splits.get(name))

    def ignored(self) -> list[str]:
        return self.listing.ignored + [name for name in self.outside if self.wanted.accepts(name)]

    def classes(self) -> list[str] | None:
        return None

    def notes(self) -> list[Said]:
        return []

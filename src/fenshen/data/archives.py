"""Files in zip and tar archives, read in place: nothing is ever unpacked to the disk."""

from __future__ import annotations

import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path

from fenshen.data.items import FILE_LIMIT, TEXT_LIMIT, Item, check_member, digest, file_key, read_limited
from fenshen.data.listing import PICTURES, Listing, Wanted, make_listing
from fenshen.errors import DataError, UnreadableError
from fenshen.lang import Said

BROKEN = (zipfile.BadZipFile, tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, OSError, NotImplementedError, ValueError)


@contextmanager
def _blamed(path: Path) -> Iterator[None]:
    """Any error of an archive reader becomes a DataError that names the archive."""
    try:
        yield
    except BROKEN as error:
        text = "{path} is damaged or cut off ({problem}); copy or pack it again"
        raise DataError(text, path=path, problem=str(error) or type(error).__name__) from None


class _Archive:
    """What zip and tar have in common: one file, a listing of its members."""

    def __init__(self, path: Path, wanted: Wanted = PICTURES):
        self.path, self.where, self.wanted = path, str(path), wanted

    @cached_property
    def listing(self) -> Listing:
        raise NotImplementedError

    def key(self) -> str:
        return digest("archive", file_key(self.path))

    def ignored(self) -> list[str]:
        return self.listing.ignored

    def classes(self) -> list[str] | None:
        return None

    def notes(self) -> list[Said]:
        return []


class ZipSource(_Archive):
    """A zip archive. Raises DataError for members that are encrypted, links, point outside, or unpack to far too much."""

    @cached_property
    def listing(self) -> Listing:
        with _blamed(self.path), zipfile.ZipFile(self.path) as archive:
            members = {info.filename: info for info in self._checked(archive)}
            return make_listing(members, lambda name: self._read(archive, members[name], TEXT_LIMIT), self.wanted)

    def _checked(self, archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
        members, total, packed = [], 0, self.path.stat().st_size
        for info in archive.infolist():
            total += info.file_size
            check_member(self.where, info.orig_filename, info.file_size, info.compress_size)
            check_member(self.where, info.filename, total, packed)
            if stat.S_ISLNK(info.external_attr >> 16):
                raise DataError("{where} is refused: {name} is a link; pack it anew without links", where=self.where, name=info.filename)
            if info.flag_bits & 1:
                raise DataError("{where} is encrypted: unpack it with its password and give the folder", where=self.where)
            if not info.is_dir():
                members.append(info)
        return members

    @staticmethod
    def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limit: int = FILE_LIMIT) -> bytes:
        try:
            with archive.open(info) as file:
                return read_limited(file, info.file_size, limit)
        except BROKEN as error:
            raise UnreadableError("damaged in the archive ({problem})", problem=str(error) or type(error).__name__) from None

    def items(self) -> Iterator[Item]:
        known = self.listing
        with _blamed(self.path), zipfile.ZipFile(self.path) as archive:
            for name in known.wanted:
                read = partial(self._read, archive, archive.getinfo(name))
                yield Item(name, read, known.labels.get(name), known.captions.get(name), known.splits.get(name))


class TarSource(_Archive):
    """A tar archive, packed or not, read front to back. Refuses links, devices, outside paths and bombs with a DataError."""

    @cached_property
    def listing(self) -> Listing:
        names, tables, total = [], {}, 0
        packed = self.path.stat().st_size
        with _blamed(self.path), tarfile.open(self.path, "r|*") as archive:
            for member in archive:
                total += member.size
                check_member(self.where, member.name, total, packed)
                if member.issym() or member.islnk() or member.isdev() or member.issparse():
                    raise DataError("{where} is refused: {name} is a link or a device; pack it anew without", where=self.where, name=member.name)
                if member.isfile():
                    names.append(member.name.removeprefix("./"))
                    if Path(member.name).name.lower() in self.wanted.tables:
                        tables[names[-1]] = self._read(archive, member, TEXT_LIMIT)
        return make_listing(names, tables.__getitem__, self.wanted)

    @staticmethod
    def _read(archive: tarfile.TarFile, member: tarfile.TarInfo, limit: int = FILE_LIMIT) -> bytes:
        file = archive.extractfile(member)
        assert file is not None
        return read_limited(file, member.size, limit)

    def items(self) -> Iterator[Item]:
        known = self.listing
        wanted = set(known.wanted)
        with _blamed(self.path), tarfile.open(self.path, "r|*") as archive:
            for member in archive:
                name = member.name.removeprefix("./")
                if member.isfile() and name in wanted:
                    wanted.remove(name)  # A tar may hold a name twice.
                    read = partial(self._read, archive, member)
                    yield Item(name, read, known.labels.get(name), known.captions.get(name), known.splits.get(name))

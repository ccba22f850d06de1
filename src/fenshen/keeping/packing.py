"""How a run travels to another machine: packed whole into one zip, and brought in again.

What is brought in is hostile until it has been read: only names that a run has, no links, nothing outside, no more bytes than are declared
and fit. Then `fenshen.keeping.arrival` reads it, and only what passed all of it appears among the runs.
"""

from __future__ import annotations

import io
import os
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from fenshen.data.archives import BROKEN
from fenshen.data.items import check_member
from fenshen.errors import DataError, RunFolderError
from fenshen.keeping.arrival import check
from fenshen.keeping.runs import PARTS, call, free_place
from fenshen.lang import tr
from fenshen.places import runs_root
from fenshen.run import RunFolder, enough_space
from fenshen.writing import writable

MOST_FILES = 100_000
MOST_BYTES = 64 << 30
DEEPEST = 5  # Folders in each other.
FOLDERS = {"state", "samples", "tensorboard", "generated", "control", "export"}
ENDINGS = {".png", ".webp", ".gif", ".mp4", ".npz", ".txt", ".jsonl", ".json", ".csv", ".toml", ".md", ".html", ".safetensors", ".onnx"}
PACKED = {".toml", ".json", ".jsonl", ".txt", ".html", ".csv", ".md"}  # All else is dense already.
CHUNK = 1 << 20


def pack(run: RunFolder, out: Path | None = None) -> Path:
    """One zip with all files of a run; by default NAME.zip in the current folder. RunFolderError where that exists or the run trains."""
    name = run.path.resolve().name
    path = out or Path(f"{name}.zip")
    if path.suffix.lower() != ".zip":
        raise RunFolderError("{path}: a run is packed into a .zip; name one with --out", path=path)
    if path.exists():
        raise RunFolderError("{path} exists already: name another file with --out", path=path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with writable(path), run.held(), zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=6, strict_timestamps=False) as archive:
            for file in _own(run.path):
                packing = zipfile.ZIP_DEFLATED if file.suffix in PACKED else zipfile.ZIP_STORED
                archive.write(file, f"{name}/{file.relative_to(run.path).as_posix()}", packing)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def _own(folder: Path) -> Iterator[Path]:
    """The files that a run has, and no others."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and refusal(path.relative_to(folder).as_posix()) is None:
            yield path


@dataclass(frozen=True)
class Member:
    """One file that comes in: its place in the run, its bytes as declared, and how to open it."""

    name: str
    size: int
    open: Callable[[], IO[bytes] | io.FileIO]


def unpack(source: Path, name: str | None = None, root: Path | None = None) -> RunFolder:
    """Brings a packed run (a zip, or the folder of a run) in among the runs, whole or not at all; `name`: what it is called, by default as before.

    DataError for an archive that cannot be used, RunFolderError for what is not a run and for a name that is taken.
    """
    root = root or runs_root()
    if not source.exists():
        raise DataError("{path} does not exist: name the .zip of a run, or its folder", path=source)
    if source.is_dir():
        return _bring(list(_of_folder(source)), free_place(root, name or source.resolve().name), source)
    try:
        with zipfile.ZipFile(source) as archive:
            called, members = _of_zip(archive, source)
            return _bring(members, free_place(root, name or called or source.stem), source)
    except BROKEN as error:
        text = "{path} is damaged or cut off ({problem}); copy or pack it again"
        raise DataError(text, path=source, problem=str(error) or type(error).__name__) from None


def _of_folder(folder: Path) -> Iterator[Member]:
    for path in sorted(folder.rglob("*")):
        kind = path.lstat().st_mode
        if stat.S_ISDIR(kind):
            continue
        name = path.relative_to(folder).as_posix()
        if not stat.S_ISREG(kind):
            raise RunFolderError("{source} is refused: {name} is a link or a device", source=folder, name=name)
        yield Member(name, path.lstat().st_size, partial(io.FileIO, path))


def _of_zip(archive: zipfile.ZipFile, source: Path) -> tuple[str | None, list[Member]]:
    """What the run is called, where all files stand in one folder, and the files."""
    infos, total, packed = [], 0, source.stat().st_size
    for info in archive.infolist():
        total += info.file_size
        check_member(str(source), info.orig_filename, info.file_size, info.compress_size)
        check_member(str(source), info.filename, total, packed)
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise DataError("{where} is refused: {name} is a link; pack it anew without links", where=source, name=info.filename)
        if info.flag_bits & 1:
            raise DataError("{where} is encrypted: unpack it with its password and give the folder", where=source)
        infos += [] if info.is_dir() else [info]
    tops = {info.filename.partition("/")[0] for info in infos}
    called = tops.pop() if len(tops) == 1 and all("/" in info.filename for info in infos) else None
    strip = 0 if called is None else len(called) + 1
    return called, [Member(info.filename[strip:], info.file_size, partial(archive.open, info)) for info in infos]


def refusal(name: str) -> str | None:
    """Why no file of a run has this name, with slashes between folders, in words; None where one may."""
    path = PurePosixPath(name)
    parts = path.parts
    strange = any(part.startswith(".") or not part.isprintable() for part in parts)
    if not parts or strange or path.is_absolute() or "\\" in name or path.as_posix() != name:
        return tr("a name that leads elsewhere or is hidden")
    if parts[0] not in PARTS or (len(parts) > 1) != (parts[0] in FOLDERS):
        return tr("a run has no file of this name")
    if len(parts) > DEEPEST:
        return tr("too many folders in each other")
    if parts[0] == "tensorboard":
        return None if parts[-1].startswith("events.out.tfevents.") else tr("a run has no file of this name")
    return None if path.suffix.lower() in ENDINGS else tr("a run has no files of this kind")


def _bring(members: list[Member], place: Path, source: Path) -> RunFolder:
    """Copies into a hidden folder beside, checks, and lets it appear."""
    _check_members(members, source)
    with writable(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        hidden = Path(tempfile.mkdtemp(prefix=".import-", dir=place.parent))
    try:
        coming = RunFolder(hidden / place.name)
        for member in members:
            _copy(member, coming.path / member.name, source)
        check(coming)
        free_place(place.parent, place.name)
        coming.path.rename(place)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
    call(RunFolder(place))
    return RunFolder(place)


def _check_members(members: list[Member], source: Path) -> None:
    names = [member.name for member in members]
    if not {"recipe.toml", "weights.safetensors"} <= set(names):
        raise RunFolderError("{source} is no run that was saved: recipe.toml or weights.safetensors is missing", source=source)
    for name in names:
        if (problem := refusal(name)) is not None:
            raise RunFolderError("{source} is refused: {name}: {problem}", source=source, name=repr(name), problem=problem)
    total = sum(member.size for member in members)
    if len(names) > MOST_FILES or len({name.casefold() for name in names}) < len(names):
        raise RunFolderError("{source} is refused: more than {most} files, or two of one name", source=source, most=MOST_FILES)
    free = shutil.disk_usage(next(path for path in (runs_root().absolute(), *runs_root().absolute().parents) if path.exists())).free
    if total > min(MOST_BYTES, free):
        raise RunFolderError("{source} is refused: it unpacks to {size} MB, and {free} MB are free; at most {most} MB are taken",
                             source=source, size=total >> 20, free=free >> 20, most=MOST_BYTES >> 20)  # fmt: skip


def _copy(member: Member, path: Path, source: Path) -> None:
    """No more bytes than were declared, whatever comes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    left = member.size
    with enough_space(path), member.open() as file, open(path, "xb") as new:
        while part := file.read(CHUNK):
            left -= len(part)
            if left < 0:
                raise RunFolderError("{source} is refused: {name}: {problem}", source=source, name=repr(member.name),
                                     problem=tr("more bytes than it declares"))  # fmt: skip
            new.write(part)

"""The one place where decoded data is kept between runs: one folder per key, published whole or not at all.

Entries hold private pictures: folders are readable by their owner only. A lock file per key makes two processes that need
the same entry build it once; the lock of a killed process frees itself, and what it left is removed by the next one.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fenshen.errors import FenshenError, OutOfSpaceError

PART = ".part"
MARGIN = 64 << 20  # Bytes that stay free on the disk.


def root() -> Path:
    """$FENSHEN_CACHE, else $XDG_CACHE_HOME/fenshen, else ~/.cache/fenshen."""
    if own := os.environ.get("FENSHEN_CACHE"):
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "fenshen"


def find(name: str) -> Path | None:
    """The folder of a finished entry."""
    folder = root() / name
    return folder if folder.is_dir() else None


def obtain(name: str, build: Callable[[Path], None]) -> Path:
    """The folder of entry `name`; where there is none yet, `build` fills an empty folder, which then appears in one step.

    Waits while another process builds the same entry. Raises OutOfSpaceError, and FenshenError where the cache cannot be written.
    """
    if found := find(name):
        return found
    with _writable(), _locked(name):
        if found := find(name):  # Built by another process while this one waited.
            return found
        clean()
        part = root() / (name + PART)
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(mode=0o700)
        try:
            build(part)
            _sync(part)
            part.rename(root() / name)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
    return root() / name


def check_free(bytes_needed: int) -> None:
    """Raises OutOfSpaceError when the disk of the cache has no room for that many bytes."""
    free = shutil.disk_usage(root()).free
    if free < bytes_needed + MARGIN:
        text = "the prepared data need {need} MB but {folder} has {free} MB free; free some or set FENSHEN_CACHE to another disk"
        raise OutOfSpaceError(text, need=(bytes_needed + MARGIN) >> 20, folder=root(), free=free >> 20)


def clean() -> None:
    """Removes what killed processes left half-built."""
    for part in root().glob(f"*{PART}"):
        with _lock_file(part.name.removesuffix(PART)) as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:  # Somebody is building it right now.
                continue
            shutil.rmtree(part, ignore_errors=True)


def delete(fingerprint: str) -> int:
    """Removes every entry whose info.json carries this fingerprint, with the scans they came from; returns the bytes freed."""
    freed = 0
    for info_file in list(root().glob("*/info.json")):
        try:
            info = json.loads(info_file.read_text("utf-8"))
        except (OSError, ValueError):
            continue
        if info.get("fingerprint") == fingerprint:
            freed += sum(_remove(folder) for folder in (info_file.parent, root() / str(info.get("scan"))))
    return freed


def _remove(folder: Path) -> int:
    """Out of sight in one step first, so that nobody finds half an entry."""
    if not folder.is_dir():
        return 0
    size = sum(file.stat().st_size for file in folder.iterdir())
    gone = folder.with_name(folder.name + PART)
    with _locked(folder.name):
        shutil.rmtree(gone, ignore_errors=True)
        folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)
    return size


@contextmanager
def _lock_file(name: str) -> Iterator[int]:
    handle = os.open(root() / f".{name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield handle
    finally:
        os.close(handle)  # Frees the lock. The file stays: removing it would let two processes lock two different files.


@contextmanager
def _locked(name: str) -> Iterator[None]:
    with _lock_file(name) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _writable() -> Iterator[None]:
    """Makes the root; a full disk or a forbidden folder is told with its remedy."""
    try:
        root().mkdir(parents=True, mode=0o700, exist_ok=True)
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            text = "the disk is full: {folder} cannot hold the prepared data; free some or set FENSHEN_CACHE to another disk"
            raise OutOfSpaceError(text, folder=root()) from None
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            text = "the cache {folder} cannot be written ({problem}); set FENSHEN_CACHE to a folder that can"
            raise FenshenError(text, folder=root(), problem=error.strerror) from None
        raise


def _sync(folder: Path) -> None:
    """Everything on the disk before the entry appears."""
    for path in [*folder.iterdir(), folder]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

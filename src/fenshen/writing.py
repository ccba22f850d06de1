"""Every file that leaves a run is written here: stamped as made by a model, streaming, and whole or not at all.

A folder (one picture each), one picture (a grid), or an .npz (`images` uint8 N×H×W or N×H×W×C, `labels` where there are any). Words are
written as .txt, which has no place for a stamp, or as .jsonl, where every line carries it.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO

import numpy as np

from fenshen import __version__
from fenshen.errors import FenshenError, OutOfSpaceError, RecipeError
from fenshen.media.image import grid, save_picture
from fenshen.run import FULL, write_atomically

Stream = Iterable[tuple[np.ndarray, np.ndarray | None]]
REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EEXIST, errno.ENOTEMPTY)
LARGEST_GRID = 100_000_000  # Pixels.
RULE = "\n\n" + 40 * "―" + "\n\n"  # Between two texts.
EARLIEST = (1980, 1, 1, 0, 0, 0)  # A zip member's date; a fixed one keeps the same pictures the same bytes.


def stamp_of(run: str, **more: object) -> dict[str, str]:
    """What every written file says about itself."""
    stamp = {"Software": f"fenshen {__version__}", "Source": "made by a generative model", "Run": run}
    return stamp | {key: str(value) for key, value in more.items()}


def write_folder(stream: Stream, folder: Path, suffix: str, classes: Sequence[str], stamp: dict[str, str], replace: bool = False) -> int:
    """One file per picture: 000000.png, or 000000-LABEL.png where there are labels. The folder appears when all are written.

    Raises RecipeError where the folder exists and is not empty, unless `replace`.
    """
    number = 0
    with _whole(folder, replace) as part:
        for pictures, labels in stream:
            for index, picture in enumerate(pictures):
                label = None if labels is None else classes[int(labels[index])]
                more = {"Index": str(number)} | ({} if label is None else {"Label": label})
                name = f"{number:06d}{'' if label is None else '-' + plain(label)}{suffix}"
                save_picture(picture, part / name, stamp=stamp | more)
                number += 1
    return number


def write_named(stream: Iterable[tuple[str, np.ndarray]], folder: Path, suffix: str, stamp: dict[str, str], replace: bool = False) -> int:
    """Pictures of any size under names of their own; otherwise as `write_folder`."""
    number = 0
    with _whole(folder, replace) as part:
        for name, picture in stream:
            save_picture(picture, part / f"{name}{suffix}", stamp=stamp)
            number += 1
    return number


def write_slices(volume_DHWC: np.ndarray, folder: Path, suffix: str, stamp: dict[str, str], replace: bool = False) -> int:
    """A volume as a stack of pictures, one per position along its first axis: 000.png, 001.png, …; otherwise as `write_folder`."""
    return write_named(((f"{depth:03d}", picture) for depth, picture in enumerate(volume_DHWC)), folder, suffix, stamp, replace)


@contextlib.contextmanager
def _whole(folder: Path, replace: bool) -> Iterator[Path]:
    """A folder to write into, which takes its name when the block is over, or is gone where the block failed."""
    if not replace and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RecipeError("{path} exists already and is not empty: name another one with --out", path=folder)
    part = folder.with_name(f".{folder.name}.part")
    with writable(folder):
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        try:
            yield part
            if folder.exists():
                shutil.rmtree(folder) if replace else folder.rmdir()
            part.rename(folder)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise


def plain(label: str) -> str:
    """A label as a part of a file name anywhere."""
    return re.sub(r"[^\w.+-]+", "_", label)[:40]


def write_picture(picture: np.ndarray, path: Path, stamp: dict[str, str]) -> None:
    """One picture as one file."""
    with writable(path):
        save_picture(picture, path, stamp=stamp)


def write_grid(stream: Stream, path: Path, columns: int | None, count: int, stamp: dict[str, str]) -> int:
    """All pictures as one. RecipeError where that would be too large."""
    parts: list[np.ndarray] = []
    for pictures, _ in stream:
        side = max(48, pictures.shape[1])
        if count * side**2 > LARGEST_GRID:
            most = LARGEST_GRID // side**2
            raise RecipeError("a grid of {count} pictures is too large: at most {most}; a folder takes any number", count=count, most=most)
        parts.append(pictures)
    with writable(path):
        save_picture(grid(np.concatenate(parts), columns, flatten=True), path, stamp=stamp)
    return count


def write_npz(stream: Stream, path: Path, count: int, stamp: dict[str, str]) -> int:
    """`images` and `labels`, compressed, one batch in memory at a time; the stamp is the archive's comment."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    labels: list[np.ndarray] = []
    with writable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
                with _member(archive, "images.npy") as file:
                    for index, (pictures, given) in enumerate(stream):
                        pictures = pictures[..., 0] if pictures.shape[-1] == 1 else pictures
                        if index == 0:
                            _header(file, (count, *pictures.shape[1:]), pictures.dtype)
                        file.write(np.ascontiguousarray(pictures).tobytes())
                        labels += [] if given is None else [given.astype(np.int64)]
                if labels:
                    with _member(archive, "labels.npy") as file:
                        _header(file, (count,), np.dtype(np.int64))
                        file.write(np.concatenate(labels).tobytes())
                archive.comment = json.dumps(stamp).encode()
            os.replace(part, path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    return count


def write_texts(texts: Iterable[tuple[str, str]], path: Path, stamp: dict[str, str]) -> Path:
    """(prompt, what follows it) of each text, in one .txt with a rule between two of them, or in a .jsonl. RecipeError for another ending."""
    match path.suffix.lower():
        case ".txt":
            content = RULE.join(prompt + text for prompt, text in texts) + "\n"
        case ".jsonl":
            content = "".join(json.dumps({"prompt": prompt, "text": text} | stamp, ensure_ascii=False) + "\n" for prompt, text in texts)
        case _:
            raise RecipeError("cannot write {path}: name a .txt or a .jsonl for words", path=path)
    with writable(path):
        write_atomically(path, content.encode())
    return path


def _member(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    info = zipfile.ZipInfo(name, EARLIEST)
    info.compress_type = zipfile.ZIP_DEFLATED
    return archive.open(info, "w", force_zip64=True)


def _header(file: IO[bytes], shape: tuple[int, ...], dtype: np.dtype) -> None:
    described = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, described)


@contextlib.contextmanager
def writable(path: Path) -> Iterator[None]:
    """Turns what a disk can refuse into errors that say what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise OutOfSpaceError("the disk is full: {path} was not written", path=path) from None
        if error.errno in REFUSED:
            raise FenshenError("{path} cannot be written ({problem}): name another place with --out", path=path, problem=error.strerror) from None
        raise

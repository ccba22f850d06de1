"""Examples with and without something: a folder, a CSV or a TOML of pictures' files and numbers of pictures that the run makes."""

from __future__ import annotations

import csv
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fenshen.control.hand import Seed
from fenshen.errors import DataError
from fenshen.media.image import is_picture_name

TEXT_LIMIT = 1 << 20  # Bytes of a CSV or TOML.
MOST = 1000  # Examples of a kind.
YES, NO = {"1", "yes", "with", "true", "like"}, {"0", "no", "without", "false", "dislike"}


@dataclass(frozen=True)
class Examples:
    """Stops: `17`, `1:17`, or the path of a picture."""

    having: tuple[str, ...]
    lacking: tuple[str, ...]


def read_examples(path: Path) -> Examples:
    """A folder with the folders `with` and `without`; a CSV of lines like `photo.png,1` or `17,0`; a TOML with the lists `with` and `without`.

    Paths are relative to the file. DataError for anything else, and unless there is at least one of each kind.
    """
    if path.is_dir():
        having, lacking = _of_folder(path / "with"), _of_folder(path / "without")
    else:
        text = _text(path)
        having, lacking = _of_toml(path, text) if path.suffix.lower() == ".toml" else _of_csv(path, text)
    if not having or not lacking:
        raise DataError("{path}: give at least one example with and one without; there are {having} and {lacking}",
                        path=path, having=len(having), lacking=len(lacking))  # fmt: skip
    if max(len(having), len(lacking)) > MOST:
        raise DataError("{path}: at most {most} examples of a kind", path=path, most=MOST)
    return Examples(tuple(having), tuple(lacking))


def _of_folder(folder: Path) -> list[str]:
    return [str(path) for path in sorted(folder.iterdir()) if is_picture_name(path) and path.is_file()] if folder.is_dir() else []


def _text(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            data = file.read(TEXT_LIMIT + 1)
        if len(data) > TEXT_LIMIT:
            raise DataError("--examples {path}: a text of more than {limit} MB is none", path=path, limit=TEXT_LIMIT >> 20)
        return data.decode("utf-8-sig")
    except OSError as error:
        raise DataError("--examples {path}: cannot be read ({problem})", path=path, problem=error.strerror) from None
    except UnicodeDecodeError:
        raise DataError("--examples {path}: give a folder with the folders `with` and `without`, a .csv or a .toml", path=path) from None


def _of_csv(path: Path, text: str) -> tuple[list[str], list[str]]:
    found: dict[bool, list[str]] = {True: [], False: []}
    for number, row in enumerate(csv.reader(text.splitlines()), start=1):
        cells = [cell.strip() for cell in row]
        if not any(cells) or cells[0].startswith("#"):
            continue
        said = cells[1].lower() if len(cells) == 2 else ""
        if said not in YES | NO:
            if number == 1:  # The names of the columns.
                continue
            raise DataError("{path}, line {number}: write PICTURE,1 or PICTURE,0, for example photo.png,1 or 17,0", path=path, number=number)
        found[said in YES].append(_stop(path, cells[0]))
    return found[True], found[False]


def _of_toml(path: Path, text: str) -> tuple[list[str], list[str]]:
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DataError("{path} is not valid TOML: {problem}", path=path, problem=error) from None
    return _of_list(path, values.get("with")), _of_list(path, values.get("without"))


def _of_list(path: Path, values: Any) -> list[str]:
    if not isinstance(values, list) or not all(isinstance(value, str | int) and not isinstance(value, bool) for value in values):
        raise DataError("{path}: write the lists with = [...] and without = [...] of pictures' files and numbers", path=path)
    return [_stop(path, str(value)) for value in values]


def _stop(path: Path, text: str) -> str:
    return text if Seed.read(text) else str(path.parent / Path(text).expanduser())

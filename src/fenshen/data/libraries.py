"""Sources of words: a file, a folder or an archive of files, and English that comes with Python; and which kind of data a source holds."""

from __future__ import annotations

import os
import tarfile
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Literal

from fenshen.data.archives import TarSource, ZipSource
from fenshen.data.items import FILE_LIMIT, Item, Source, digest, file_key, read_limited
from fenshen.data.listing import WORD_FILES, WORDS, is_words_name
from fenshen.data.sources import TAR, FolderSource, checked
from fenshen.errors import DataError, UnreadableError
from fenshen.lang import Said, said
from fenshen.media.image import is_picture_name
from fenshen.recipe import Data

BUILT_IN = "topics"


def kind_of(data: Data) -> Literal["pictures", "words"]:
    """What a source holds, by the endings of its files: words where there are more than twice as many of them as pictures."""
    if data.kind != "auto":
        return data.kind
    path = Path(data.source).expanduser()
    if data.source == BUILT_IN:
        return "words"
    if data.source == "digits" or data.source.startswith("hf://") or not path.exists():
        return "pictures"
    names = _names(path)
    words, pictures = (sum(map(is_kind, names)) for is_kind in (is_words_name, is_picture_name))
    return "words" if words > 2 * pictures else "pictures"


def _names(path: Path) -> list[str]:
    if path.is_dir():
        return [name for name in FolderSource(path, str(path)).files if not name.startswith(".")]
    try:
        if path.name.lower().endswith(".zip"):
            with zipfile.ZipFile(path) as archive:
                return [name for name in archive.namelist() if not name.startswith("__MACOSX")]
        if path.name.lower().endswith(TAR):
            with tarfile.open(path, "r|*") as packed:
                return [member.name for member in packed]
    except (OSError, EOFError, zipfile.BadZipFile, tarfile.TarError):  # Whoever opens it next says what is wrong.
        return []
    return [path.name]


def open_library(source: str) -> Source:
    """A text file, a folder, zip or tar of text files, or `topics`. Reads names only. Raises DataError."""
    if source == BUILT_IN:
        return TopicsSource()
    if source.startswith("hf://"):
        raise DataError("{path}: only pictures are read from the hub; download the text and give its file", path=source)
    path = checked(source)
    if path.is_dir():
        return FolderSource(path, source, wanted=WORDS)
    match path.name.lower():
        case name if name.endswith(".zip"):
            return ZipSource(path, WORDS)
        case name if name.endswith(TAR):
            return TarSource(path, WORDS)
        case name if is_words_name(name):
            return FileSource(path)
        case name if name.endswith((".doc", ".rtf", ".odt", ".mobi", ".azw3", ".pages")):
            raise DataError("{path} cannot be read; save it as .docx, .txt, .epub or .pdf and give that", path=source)
    known = ", ".join(WORD_FILES)
    raise DataError("{path} is no text that can be read: give a folder, zip or tar, or a file that ends in {known}", path=source, known=known)


class _Plain:
    """What sources say that hold nothing but what is wanted."""

    def ignored(self) -> list[str]:
        return []

    def classes(self) -> list[str] | None:
        return None


class FileSource(_Plain):
    """One file."""

    def __init__(self, path: Path):
        self.path, self.where = path, str(path)

    def key(self) -> str:
        return digest("file", file_key(self.path))

    def items(self) -> Iterator[Item]:
        yield Item(self.path.name, self._read)

    def _read(self) -> bytes:
        try:
            with open(self.path, "rb") as file:
                return read_limited(file, os.fstat(file.fileno()).st_size, FILE_LIMIT)
        except OSError as error:
            raise UnreadableError("cannot be opened ({problem})", problem=error.strerror) from None

    def notes(self) -> list[Said]:
        return []


class TopicsSource(_Plain):
    """The help texts of Python: half a megabyte of English about a programming language, a document per topic."""

    where = BUILT_IN

    def __init__(self) -> None:
        from pydoc_data.topics import topics

        self.topics: dict[str, str] = topics

    def key(self) -> str:
        return digest("topics", sorted(self.topics.items()))

    def items(self) -> Iterator[Item]:
        for name, text in sorted(self.topics.items()):
            yield Item(f"{name}.txt", partial(str.encode, text))

    def notes(self) -> list[Said]:
        return [said("{count} help texts of this version of Python", count=len(self.topics))]

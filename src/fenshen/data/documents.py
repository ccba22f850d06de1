"""Files of words -> documents: what each file says, cut into the units that begin anew, and which of them are copies."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from statistics import median
from typing import Literal

import numpy as np

from fenshen.data.formats import docx_text, epub_chapters, html_text, pdf_text
from fenshen.data.items import Item, Source, Split
from fenshen.data.rows import read_rows
from fenshen.data.scan import SAY_SECONDS, Say, in_order, reason_of
from fenshen.data.similar import group
from fenshen.errors import DataError, UnreadableError
from fenshen.lang import Said, said, tr
from fenshen.media.encodings import decode
from fenshen.recipe import Data

Unit = Literal["document", "line", "poem"]
FEWEST_CHARACTERS = 100  # With less there is nothing to learn from.
MOST_SPEAKERS = 500  # Those who speak most get a tag; the names of others are spelt out.
MANY_LINES = 200  # From so many alike lines on, each is taken for a unit of its own.
LONG_LINE = 1_000_000  # Characters of a line that makes one wonder.
ALIKE = 3  # Times: by so much a line may be longer or shorter than the median and still be alike.


@dataclass(frozen=True)
class Document:
    """One text that begins anew. Speakers stand in it as tags; `label` and `split` are what its source says."""

    name: str
    text: str
    label: str | None = None
    split: Split | None = None


@dataclass
class Library:
    """What a source holds: documents in order, the unreadable (name, reason), the ignored, how many files were in each encoding.

    tags: of speakers, the most frequent first. exact, near: int64 (N), groups of copies. reason: why this unit, in words.
    """

    documents: list[Document] = field(default_factory=list)
    skipped: list[tuple[str, Said]] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    files: int = 0
    encodings: Counter[str] = field(default_factory=Counter)
    notes: list[Said] = field(default_factory=list)
    tags: tuple[str, ...] = ()
    unit: Unit = "document"
    reason: Said = field(default_factory=lambda: said(""))
    exact: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    near: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))


@dataclass(frozen=True)
class Page:
    """What one file gave: documents as they stand in it, its encoding where it is plain text, what was assumed."""

    name: str
    documents: list[Document]
    encoding: str | None = None
    notes: tuple[Said, ...] = ()
    tags: tuple[str, ...] = ()


def read_library(source: Source, data: Data, say: Say) -> Library:
    """Reads everything once. Raises DataError when the source as a whole cannot be used."""
    found = Library(ignored=source.ignored(), notes=source.notes())
    whole: list[Document] = []
    tags: Counter[str] = Counter()
    notes: list[tuple[str, Said]] = []
    heard = time.monotonic()
    for result in in_order(lambda item, content: read(item, content, data), source.items()):
        match result:
            case Page() as page:
                found.files += 1
                whole += page.documents
                tags.update(page.tags)
                notes += ((page.name, note) for note in page.notes)
                found.encodings.update([page.encoding] if page.encoding else [])
            case (str() as name, Said() as reason):
                found.skipped.append((name, reason))
        if time.monotonic() - heard > SAY_SECONDS:
            heard = time.monotonic()
            say(tr("read {count} files", count=found.files))
    check(whole, found, source.where)
    found.notes += gathered([*notes, *long_lines(whole)])
    found.tags = tuple(tag for tag, _ in tags.most_common(MOST_SPEAKERS))
    found.unit, found.reason = choose_unit(whole, data.unit)
    found.documents = [part for document in whole for part in units(document, found.unit)]
    found.exact, found.near = group([document.text for document in found.documents])
    return found


def read(item: Item, content: bytes | np.ndarray, data: Data) -> Page | tuple[str, Said]:
    """One file's documents, or (name, why it cannot be read)."""
    assert isinstance(content, bytes)
    try:
        page = read_file(item.name, content, data)
    except UnreadableError as error:
        return item.name, reason_of(error)
    documents = [replace(document, text=mended(document.text), label=document.label or _text(item.label), split=document.split or item.split)
                 for document in page.documents]  # fmt: skip
    return replace(page, documents=[document for document in documents if document.text.strip()])


def mended(text: str) -> str:
    """Halves of a character that JSON can hold, and no file, are written as unknown."""
    return text if text.isascii() else text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")


def _text(label: str | int | None) -> str | None:
    return None if label is None else str(label)


def read_file(name: str, content: bytes, data: Data) -> Page:
    """What a file of that name says, by its ending. Raises UnreadableError."""
    if not content.strip():
        raise UnreadableError("is empty")
    match PurePosixPath(name).suffix.lower():
        case ".docx":
            return Page(name, [Document(name, docx_text(content))])
        case ".epub":
            return Page(name, [Document(f"{name}/{chapter}", text) for chapter, text in epub_chapters(content)])
        case ".pdf":
            return Page(name, [Document(name, pdf_text(content))])
    found = decode(content, data.encoding)
    notes = (found.note,) if found.note else ()
    match PurePosixPath(name).suffix.lower():
        case ".html" | ".htm" | ".xhtml":
            return Page(name, [Document(name, html_text(found.text))], found.encoding, notes)
        case ".json" | ".jsonl" | ".ndjson" | ".csv" | ".tsv" as kind:
            table = read_rows(kind, found.text, data)
            documents = [Document(f"{name}:{row}" if row else name, text, label, split) for row, text, label, split in table.texts]
            return Page(name, documents, found.encoding, (*notes, *table.notes), tuple(table.speakers))
    return Page(name, [Document(name, found.text)], found.encoding, notes)


def long_lines(documents: Sequence[Document]) -> Iterator[tuple[str, Said]]:
    """Texts that may be something else."""
    for document in documents:
        longest = max(map(len, document.text.split("\n")))
        if longest > LONG_LINE:
            yield document.name, said("{where} has a line of {size} million characters: is it text?", size=round(longest / 1e6, 1))


def gathered(notes: Sequence[tuple[str, Said]]) -> Iterator[Said]:
    """Each note once, with the first of the files that it is about as {where}, and how many more there are."""
    files: dict[str, tuple[Said, list[str]]] = {}
    for name, note in notes:
        files.setdefault(json.dumps(note), (note, []))[1].append(name)
    for note, names in files.values():
        more = f" (+ {len(names) - 1})" if len(names) > 1 else ""
        yield said(note.text, **note.values, where=names[0] + more)


def check(documents: Sequence[Document], found: Library, where: str) -> None:
    """Raises DataError when there is too little to learn from."""
    if not documents and found.skipped:
        name, reason = found.skipped[0]
        text = "none of the {count} files in {where} can be read; the first is {name}: {reason}"
        text = text if len(found.skipped) > 1 else "{name} {reason}"
        name = where if where.endswith(name) else f"{where}/{name}" if len(found.skipped) == 1 else name
        raise DataError(text, count=len(found.skipped), where=where, name=name, reason=reason)
    if not documents:
        raise DataError("no text in {where}, only {count} other files", where=where, count=len(found.ignored))
    characters = sum(len(document.text) for document in documents)
    if characters < FEWEST_CHARACTERS:
        text = "{where} holds {count} characters; a model needs some ten thousand to learn from, and {fewest} at the least: add more"
        raise DataError(text, where=where, count=characters, fewest=FEWEST_CHARACTERS)


def choose_unit(documents: Sequence[Document], wanted: Unit | None) -> tuple[Unit, Said]:
    """What begins anew each time, and why, in words."""
    if wanted is not None:
        return wanted, said("as asked for")
    lines = [line for document in documents for line in document.text.strip().split("\n")]
    lengths = [len(line.strip()) for line in lines]
    middle = median(lengths)
    alike = sum(middle <= ALIKE * length and length <= ALIKE * middle for length in lengths)
    if len(lines) >= max(MANY_LINES, 20 * len(documents)) and all(lengths) and alike >= 0.95 * len(lines):
        text = "each of the {count} lines begins anew, as they are alike in length and none is blank; data.unit=document keeps them together"
        return "line", said(text, count=len(lines))
    return "document", said("each document begins anew; data.unit=line or poem cuts it at lines or blank lines")


def units(document: Document, unit: Unit) -> Iterator[Document]:
    """The parts of a document that begin anew; those of a longer one are named by its name and the number of their first line."""
    if unit == "document":
        yield replace(document, text=document.text.strip())
        return
    block: list[str] = []
    for number, line in enumerate([*document.text.split("\n"), ""], 1):
        block += [line.rstrip()] if line.strip() else []
        if block and (unit == "line" or not line.strip()):
            yield replace(document, name=f"{document.name}:{number - (len(block) if not line.strip() else 0)}", text="\n".join(block).strip())
            block = []

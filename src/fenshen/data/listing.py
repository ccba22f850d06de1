"""What file names and the tables beside them say: which files are wanted, their labels, splits and captions."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from fenshen.data.items import Split
from fenshen.errors import UnreadableError
from fenshen.media.image import is_picture_name

TABLES = ("captions.tsv", "metadata.csv", "metadata.jsonl")
WORD_FILES = (
    ".txt", ".text", ".md", ".markdown", ".html", ".htm", ".xhtml", ".docx", ".epub", ".pdf", ".json", ".jsonl", ".ndjson", ".csv", ".tsv",
)  # fmt: skip
SPLITS: dict[str, Split] = {"train": "train", "test": "held_out", "val": "held_out", "valid": "held_out"}
NAME_COLUMNS, CAPTION_COLUMNS = ("file_name", "file", "filename", "image"), ("text", "caption", "captions", "title")


@dataclass(frozen=True)
class Wanted:
    """Which files of a source are samples, by their names, and which ones describe others."""

    accepts: Callable[[str], bool]
    tables: tuple[str, ...] = ()


def is_words_name(name: str) -> bool:
    """Whether a file's name says that it holds text."""
    return name.lower().endswith(WORD_FILES)


PICTURES, WORDS = Wanted(is_picture_name, TABLES), Wanted(is_words_name)


@dataclass
class Listing:
    """The wanted ones among the files, sorted by name, and what is known of each by its name."""

    wanted: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    splits: dict[str, Split] = field(default_factory=dict)
    captions: dict[str, str] = field(default_factory=dict)


def make_listing(names: Iterable[str], read: Callable[[str], bytes], wanted: Wanted) -> Listing:
    """`names`: paths with forward slashes, relative to the source; `read` gets the bytes of a table of captions."""
    listing, tables = Listing(), []
    for name in sorted(names):
        path = PurePosixPath(name)
        if any(part.startswith(".") or part == "__MACOSX" for part in path.parts):
            continue
        if wanted.accepts(name):
            listing.wanted.append(name)
        elif path.name.lower() in wanted.tables:
            tables.append(name)
        else:
            listing.ignored.append(name)
    listing.labels, listing.splits = labels_and_splits(listing.wanted)
    for table in tables:
        try:
            _add_table(listing, table, read(table).decode("utf-8-sig"))
        except (UnicodeDecodeError, UnreadableError, csv.Error):
            listing.ignored.append(table)
    return listing


def labels_and_splits(names: list[str]) -> tuple[dict[str, str], dict[str, Split]]:
    """From folders: train/test|val|valid are splits; then two or more folders that hold every file are classes."""
    folders = {name: PurePosixPath(name).parts[:-1] for name in names}
    folders = _without_common(folders)
    first = {parts[0] if parts else "" for parts in folders.values()}
    splits: dict[str, Split] = {}
    if {SPLITS.get(name.lower()) for name in first} == {"train", "held_out"}:
        splits = {name: SPLITS[parts[0].lower()] for name, parts in folders.items()}
        folders = {name: parts[1:] for name, parts in folders.items()}
    labels = {name: parts[0] if parts else "" for name, parts in folders.items()}
    known = set(labels.values())
    return (labels if len(known) >= 2 and "" not in known else {}), splits


def _without_common(folders: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Leading folders that every file is in say nothing."""
    paths = list(folders.values())
    common = 0
    while paths and all(len(parts) > common and parts[common] == paths[0][common] for parts in paths):
        common += 1
    return {name: parts[common:] for name, parts in folders.items()}


def _add_table(listing: Listing, table: str, text: str) -> None:
    """Captions and labels of one table; its file names are relative to it, or bare names anywhere beside or below."""
    exact = set(listing.wanted)
    folder = PurePosixPath(table).parent
    below = [name for name in listing.wanted if str(folder) == "." or name.startswith(f"{folder}/")]
    by_name: dict[str, list[str]] = {}
    for name in below:
        by_name.setdefault(PurePosixPath(name).name, []).append(name)
    labels: dict[str, str] = {}
    for file, caption, label in read_table(table, text):
        found = [str(folder / file)] if str(folder / file) in exact else by_name.get(PurePosixPath(file).name, [])
        if len(found) != 1:  # Not there, or more than one of that name.
            continue
        if caption:
            listing.captions[found[0]] = caption
        if label:
            labels[found[0]] = label
    if labels:
        listing.labels = {**listing.labels, **labels} if labels.keys() >= set(below) else labels


def read_table(table: str, text: str) -> list[tuple[str, str, str]]:
    """(file, caption, label) of each row of captions.tsv, metadata.csv or metadata.jsonl; rows that make no sense are left out."""
    lowered = table.lower()
    if lowered.endswith(".jsonl"):
        return [row for line in text.splitlines() if (row := _from_json(line))]
    if lowered.endswith(".tsv"):
        rows = [line.split("\t") for line in text.splitlines() if "\t" in line]
        return [(row[0].strip(), row[-1].strip(), "") for row in rows]  # A header names no picture, so it falls out by itself.
    reader = csv.DictReader(io.StringIO(text))
    return [row for values in reader if (row := _from_columns({str(key).strip(): value for key, value in values.items()}))]


def _from_json(line: str) -> tuple[str, str, str] | None:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return _from_columns(values) if isinstance(values, dict) else None


def _from_columns(values: dict[str, object]) -> tuple[str, str, str] | None:
    lowered = {key.lower(): value for key, value in values.items()}
    file = next((lowered[key] for key in NAME_COLUMNS if lowered.get(key)), None)
    caption = next((lowered[key] for key in CAPTION_COLUMNS if lowered.get(key)), "")
    label = lowered.get("label")
    return (str(file), str(caption), "" if label is None else str(label)) if file else None

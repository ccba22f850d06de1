"""What words are in a source, what is broken, and how they would be trained: the answer of `fenshen look` for words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import median_low
from typing import Any

import numpy as np

from fenshen.data.documents import Document, Library, Unit, read_library
from fenshen.data.libraries import open_library
from fenshen.data.look import EXAMPLES, IMBALANCE
from fenshen.data.prepare import silent
from fenshen.data.scan import Say
from fenshen.data.texts import across, labels_of, learn, split, tags_of
from fenshen.lang import tr
from fenshen.recipe import Data

FEW, TINY = 200_000, 20_000  # Characters.
EXCERPT = 60  # Characters of a document that stand for it.
SAMPLES, SAMPLE = 5, 200  # Documents that are shown, and characters of each.


@dataclass(frozen=True)
class WordsReport:
    """What `look` found. lengths: (smallest, middle, largest) characters of a document; examples are groups of beginnings of documents.

    duplicates: documents that are exact copies of an earlier one; near_duplicates: exact or near copies of an earlier one.
    excerpt: how the first one begins; samples: how a few do, evenly from beginning to end. tokens: what they would be read as, in words.
    train, held_out: documents; held_out_characters: of the latter.
    """

    source: str
    files: int
    encodings: dict[str, int]
    unit: Unit
    unit_reason: str
    count: int
    characters: int
    bytes: int
    lengths: tuple[int, int, int]
    labels: dict[str, int]
    speakers: list[str]
    duplicates: int
    near_duplicates: int
    near_duplicate_examples: list[list[str]]
    unreadable: list[tuple[str, str]]
    ignored: int
    ignored_examples: list[str]
    tokens: str
    train: int
    held_out: int
    held_out_characters: int
    excerpt: str
    samples: list[str]
    notes: list[str]
    warnings: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def look_words(data: Data, seed: int = 0, say: Say = silent) -> WordsReport:
    """Reads all of `data.source` once, as `prepare_texts` does. Raises DataError where there is no usable text."""
    source = open_library(data.source)
    found = read_library(source, data, say)
    documents, held_out = split(found, data.held_out, seed)
    labels, classes, notes = labels_of(documents)
    trained = [document.text for document, held in zip(documents, held_out, strict=True) if not held]
    _, reason = learn(documents, trained, tags_of(classes, found), data)
    counts = {} if labels is None else dict(zip(classes, np.bincount(labels, minlength=len(classes)).tolist(), strict=True))
    sizes = sorted(len(document.text) for document in found.documents)
    held = sum(len(document.text) for document, out in zip(documents, held_out, strict=True) if out)
    return WordsReport(
        source=source.where,
        files=found.files,
        encodings=dict(found.encodings.most_common()),
        unit=found.unit,
        unit_reason=str(found.reason),
        count=len(found.documents),
        characters=sum(sizes),
        bytes=sum(len(document.text.encode()) for document in found.documents),
        lengths=(sizes[0], median_low(sizes), sizes[-1]),
        labels=counts,
        speakers=[tag.removeprefix("<speaker:").removesuffix(">") for tag in found.tags],
        duplicates=len(found.documents) - len(set(found.exact.tolist())),
        near_duplicates=len(found.documents) - len(set(found.near.tolist())),
        near_duplicate_examples=_examples(found),
        unreadable=[(name, str(reason)) for name, reason in found.skipped],
        ignored=len(found.ignored),
        ignored_examples=found.ignored[:EXAMPLES],
        tokens=str(reason),
        train=len(trained),
        held_out=len(documents) - len(trained),
        held_out_characters=held,
        excerpt=_excerpt(found.documents[0]),
        samples=[_excerpt(found.documents[index], SAMPLE) for index in _evenly(len(found.documents), SAMPLES)],
        notes=[str(note) for note in found.notes + across(found) + notes],
        warnings=list(_warnings(found, counts, held)),
    )


def _excerpt(document: Document, most: int = EXCERPT) -> str:
    words = " ".join(document.text[: 4 * most].split())
    return words if len(words) <= most else words[:most] + "…"


def _evenly(count: int, most: int) -> list[int]:
    """At most so many different places among `count`, from the first to the last."""
    return sorted({round(place) for place in np.linspace(0, count - 1, min(count, most))})


def _examples(found: Library) -> list[list[str]]:
    """Beginnings of the documents in the largest groups of near copies, exact ones once."""
    members: dict[int, dict[str, None]] = {}
    for document, number in zip(found.documents, found.near.tolist(), strict=True):
        members.setdefault(number, {})[_excerpt(document)] = None
    groups = sorted((list(names) for names in members.values() if len(names) > 1), key=len, reverse=True)
    return [names[:EXAMPLES] for names in groups[:EXAMPLES]]


def _warnings(found: Library, counts: dict[str, int], held: int) -> Iterable[str]:
    distinct = _distinct(found.documents, found.near.tolist())
    if distinct < TINY:
        yield tr("only {count} characters of text: a model will know them by heart; some ten thousand are a start", count=distinct)
    elif distinct < FEW:
        yield tr("{count} characters are few: expect sentences close to those that are there", count=distinct)
    if not held:
        yield tr("nothing is held out, so nothing can be measured on unseen text: add more, or longer texts")
    if counts and max(counts.values()) > IMBALANCE * min(counts.values()):
        most, least = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
        text = "the labels are uneven: {most} has {many} documents, {least} has {few}; the small ones will be learnt less well"
        yield tr(text, most=most, many=counts[most], least=least, few=counts[least])
    labelled = sum(document.label is not None for document in found.documents)
    if not counts and 0 < labelled < len(found.documents):
        text = "{count} of {all} documents have a label; labels are used only when every one has one"
        yield tr(text, count=labelled, all=len(found.documents))
    if found.skipped and len(found.skipped) * 10 > found.files:
        yield tr("{count} files cannot be read", count=len(found.skipped))


def _distinct(documents: Sequence[Document], groups: Sequence[int]) -> int:
    """Characters of all documents, of near copies the first alone."""
    first = dict(zip(reversed(groups), reversed(documents), strict=True))
    return sum(len(document.text) for document in first.values())

"""Words of any kind -> one memory-mapped row of tokens, where its documents begin, and their split; made once and kept in the cache."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from fenshen.data import cache
from fenshen.data.canaries import canaries, plant
from fenshen.data.choices import choose_labels, choose_split
from fenshen.data.documents import Document, Library, Unit, read_library
from fenshen.data.items import Source, digest
from fenshen.data.libraries import open_library
from fenshen.data.prepare import silent
from fenshen.data.scan import Say
from fenshen.data.similar import chinese_part
from fenshen.errors import DataError
from fenshen.lang import Said, said, tr
from fenshen.measure.exposure import Secret
from fenshen.media.folder import ModelFolder
from fenshen.media.text import END, Alphabet, learn_bytes, learn_characters, tag_text
from fenshen.recipe import Data

FORMAT = 2  # Raise it when entries of the cache change their meaning.
PIECES_FROM = 5_000_000  # Bytes of UTF-8 from which on byte pieces are learnt; single characters make shorter work of less.
BYTES_PER_PIECE = 500  # Of text, at least: a piece that hardly ever comes is not learnt.
CHINESE = 0.3  # Part of the letters from which on a text counts as Chinese, whose characters are pieces already.
DOMINANT = 0.05  # A document that is more than this part of everything is not held out whole, but by its end.
LEAST_END = 200  # Characters that such an end has at least.
MOST_CLASSES = 1000


@dataclass(frozen=True)
class Texts:
    """Prepared words. N documents in T tokens.

    tokens: uint16 or uint32 (T), memory-mapped, read-only: every document, each preceded by END and the tag of its label, if any.
    starts: int64 (N + 1), where documents begin in `tokens`, at their END; the last is T. bytes_N: int64, UTF-8 bytes of each text.
    labels: int64 (N) or None; classes: their names. train, held_out: int64 indices of documents.
    fingerprint: changes with the name, text, label or split of any document, and with the alphabet.
    manifest, skipped, reason, notes: as of `fenshen.data.prepare.Dataset`.
    canaries: made-up secrets in what is trained on; unseen: as many that are nowhere (`fenshen.data.canaries`).
    """

    tokens: np.ndarray
    starts: np.ndarray
    bytes_N: np.ndarray
    labels: np.ndarray | None
    classes: tuple[str, ...]
    train: np.ndarray
    held_out: np.ndarray
    alphabet: Alphabet
    unit: Unit
    fingerprint: str
    manifest: Path
    skipped: tuple[tuple[str, str], ...]
    reason: str
    notes: tuple[str, ...]
    canaries: tuple[Secret, ...] = ()
    unseen: tuple[Secret, ...] = ()

    def __len__(self) -> int:
        return len(self.bytes_N)

    @cached_property
    def lengths(self) -> np.ndarray:
        """int64 (N): tokens of each document, END and tag of its label included."""
        return np.diff(self.starts)

    def text(self, index: int) -> str:
        """A document as it was written, without the tag of its label."""
        first = self.starts[index] + 1 + (self.labels is not None)
        return self.alphabet.decode(self.tokens[first : self.starts[index + 1]])


def prepare_texts(data: Data, seed: int = 0, say: Say = silent) -> Texts:
    """The words of `data.source` as tokens, from the cache or prepared now.

    `seed` decides which documents are held out. `say` is told what takes long. Raises DataError, OutOfSpaceError.
    """
    source = open_library(data.source)
    options = data.model_dump(include={"unit", "encoding", "text_column", "label_column", "tokens", "vocabulary", "held_out"})
    if data.tokenizer is not None:
        options["tokenizer"] = digest(ModelFolder(Path(data.tokenizer)).tokenizer)
    if data.canaries:
        options["canaries"] = [data.canaries, data.canary_copies]
    name = f"words-{digest(FORMAT, source.key(), options, seed)}"
    return _load(cache.obtain(name, lambda part: _build(source, data, seed, say, part)))


def _build(source: Source, data: Data, seed: int, say: Say, folder: Path) -> None:
    say(tr("reading the words of {where}", where=source.where))
    found = read_library(source, data, say)
    documents, held_out = split(found, data.held_out, seed)
    chinese = data.canaries > 0 and chinese_part([document.text for document in documents]) >= CHINESE
    hidden = canaries(data.canaries, seed, chinese)
    documents, held_out = plant(documents, held_out, hidden, data.canary_copies, found.unit, seed, chinese)
    labels, classes, notes = labels_of(documents)
    trained = [document.text for document, held in zip(documents, held_out, strict=True) if not held]
    alphabet, reason = learn(documents, trained, tags_of(classes, found), data)
    if hidden:
        text = "{count} made-up sentences with random numbers are hidden in the training texts, each {copies} times: fenshen audit asks for them"
        notes = [*notes, said(text, count=len(hidden), copies=data.canary_copies)]
    cache.check_free(sum(len(document.text) for document in documents) * 8)
    _write_tokens(documents, labels, alphabet, folder)
    rows = "".join(_rows(documents))
    (folder / "manifest.jsonl").write_text(rows, "utf-8")
    np.save(folder / "held_out.npy", held_out)
    info = {
        "fingerprint": hashlib.sha256((json.dumps([FORMAT, alphabet.state()]) + rows).encode()).hexdigest(),
        "alphabet": alphabet.state(),
        "classes": classes,
        "unit": found.unit,
        "reasons": [found.reason, reason],
        "notes": found.notes + across(found) + notes,
        "skipped": found.skipped,
        "canaries": hidden,
        "unseen": canaries(data.canaries, seed, chinese, first=data.canaries + 1),
    }
    (folder / "info.json").write_text(json.dumps(info), "utf-8")


def split(found: Library, part: float, seed: int) -> tuple[list[Document], np.ndarray]:
    """The documents, long ones cut where their end is held out, and bool (N): which ones are held out.

    What the source itself says goes first. A document that makes up much of everything gives its end; the others are held out whole,
    near copies together.
    """
    documents = found.documents
    if {document.split for document in documents} == {"train", "held_out"}:
        return documents, np.array([document.split == "held_out" for document in documents])
    sizes = np.array([len(document.text) for document in documents])
    cut = (sizes > DOMINANT * sizes.sum()) & (sizes * part >= LEAST_END)
    cut = np.isin(found.near, found.near[cut])  # With its near copies, which are as long.
    rest = np.flatnonzero(~cut)
    _, held = choose_split([documents[number].name for number in rest], found.near[rest], None, part, seed)
    whole = set(rest[held].tolist())
    parts: list[tuple[Document, bool]] = []
    for number, document in enumerate(documents):
        parts += ends(document, part) if cut[number] else [(document, number in whole)]
    return [document for document, _ in parts], np.array([held for _, held in parts], bool)


def across(found: Library) -> list[Said]:
    """A note where texts that the source itself holds out have a near copy among those to train on."""
    trained = {number for document, number in zip(found.documents, found.near.tolist(), strict=True) if document.split == "train"}
    held_out = [number for document, number in zip(found.documents, found.near.tolist(), strict=True) if document.split == "held_out"]
    count = sum(number in trained for number in held_out)
    text = "{count} of the {all} held-out texts have a near copy among those to train on: measures will flatter"
    return [said(text, count=count, all=len(held_out))] if count else []


def ends(document: Document, part: float) -> list[tuple[Document, bool]]:
    """A document in two, with the last `part` of its characters held out from the beginning of a line or a sentence on."""
    at = round(len(document.text) * (1 - part))
    places = [document.text.find(mark, at, at + 2000) for mark in ("\n", "。", ". ", " ")]
    at = next((place + 1 for place in places if place >= 0), at)
    last = replace(document, name=f"{document.name} (end)", text=document.text[at:].strip())
    return [(replace(document, text=document.text[:at].strip()), False), *([(last, True)] if last.text else [])]


def labels_of(documents: Sequence[Document]) -> tuple[np.ndarray | None, tuple[str, ...], list[Said]]:
    """int64 (N) or None, names of the classes, and a note where labels are of no use."""
    labels, classes = choose_labels([document.label for document in documents], None)
    if len(classes) > min(MOST_CLASSES, len(documents) / 2):
        text = "{count} different labels are too many to learn what each of them means; they are left aside"
        return None, (), [said(text, count=len(classes))]
    return labels, classes, []


def tags_of(classes: Sequence[str], found: Library) -> tuple[str, ...]:
    """What is one token each: the labels in the order of the classes, then who speaks."""
    return (*(tag_text("label", name) for name in classes), *found.tags)


def learn(documents: Sequence[Document], trained: Sequence[str], tags: tuple[str, ...], data: Data) -> tuple[Alphabet, Said]:
    """The alphabet and why it is of this kind, in words. Byte pieces are learnt from what is trained on alone, unless a model has some."""
    if data.tokenizer is not None:
        if data.tokens or data.vocabulary:
            raise DataError("data.tokens and data.vocabulary are of tokens that are learnt, and data.tokenizer brings some: leave them out")
        alphabet = ModelFolder(Path(data.tokenizer)).alphabet(tags)
        return alphabet, said("{count} byte pieces, those of the model in {folder}", count=alphabet.size, folder=data.tokenizer)
    size = sum(len(text.encode()) for text in trained)
    chinese = chinese_part(trained)
    pieces = data.tokens == "pieces" or (data.tokens is None and size >= PIECES_FROM)
    kind = "bytes" if data.tokens == "bytes" or (pieces and chinese < CHINESE) else "characters"
    if kind == "bytes":
        count = data.vocabulary or min(4096 if size < 4 * PIECES_FROM else 8192, max(512, size // BYTES_PER_PIECE))
        if count < 257:
            raise DataError("data.vocabulary = {count}: byte pieces begin with the 256 single bytes; give 257 or more", count=count)
        alphabet = learn_bytes(trained, count, tags)
        return alphabet, said("{count} byte pieces, for {size} MB of text", count=alphabet.size, size=round(size / 1e6, 1))
    alphabet = learn_characters((document.text for document in documents), tags, data.vocabulary)
    if pieces:
        return alphabet, said("{count} characters, as most of the text is Chinese", count=alphabet.size)
    return alphabet, said("{count} characters", count=alphabet.size)


def _write_tokens(documents: Sequence[Document], labels: np.ndarray | None, alphabet: Alphabet, folder: Path) -> None:
    dtype = np.uint16 if alphabet.size <= 1 << 16 else np.uint32
    starts = np.zeros(len(documents) + 1, np.int64)
    with open(folder / "tokens.bin", "wb") as file:
        for number, document in enumerate(documents):
            before = [END] if labels is None else [END, 2 + int(labels[number])]
            ids = np.concatenate([np.array(before), alphabet.encode(document.text)]).astype(dtype)
            file.write(ids.tobytes())
            starts[number + 1] = starts[number] + len(ids)
    np.save(folder / "starts.npy", starts)
    np.save(folder / "bytes.npy", np.array([len(document.text.encode()) for document in documents], np.int64))
    if labels is not None:
        np.save(folder / "labels.npy", labels)


def _rows(documents: Sequence[Document]) -> list[str]:
    """A JSON line for each document, which say what the data are."""
    keys = ("name", "label", "split")
    hashes = (hashlib.sha256(document.text.encode()).hexdigest() for document in documents)
    return [
        json.dumps({key: getattr(document, key) for key in keys} | {"sha256": sha256}) + "\n"
        for document, sha256 in zip(documents, hashes, strict=True)
    ]  # fmt: skip


def _load(folder: Path) -> Texts:
    info = json.loads((folder / "info.json").read_text("utf-8"))
    alphabet = Alphabet.from_state(info["alphabet"])
    held_out, labels = np.load(folder / "held_out.npy"), folder / "labels.npy"
    return Texts(
        tokens=np.memmap(folder / "tokens.bin", np.uint16 if alphabet.size <= 1 << 16 else np.uint32, "r"),
        starts=np.load(folder / "starts.npy"),
        bytes_N=np.load(folder / "bytes.npy"),
        labels=np.load(labels) if labels.exists() else None,
        classes=tuple(info["classes"]),
        train=np.flatnonzero(~held_out),
        held_out=np.flatnonzero(held_out),
        alphabet=alphabet,
        unit=info["unit"],
        fingerprint=info["fingerprint"],
        manifest=folder / "manifest.jsonl",
        skipped=tuple((name, str(Said(*reason))) for name, reason in info["skipped"]),
        reason="; ".join(str(Said(*why)) for why in info["reasons"]),
        notes=tuple(str(Said(*note)) for note in info["notes"]),
        **{key: tuple(Secret(*secret) for secret in info.get(key, ())) for key in ("canaries", "unseen")},
    )

"""Text in tables, and chats: JSON, JSON lines, CSV and TSV with a text in each row, or what somebody says in each row.

A row is a document, under a label where there is one. Rows that name a speaker are a conversation: all of a file, or those of one
`conversation`. A row may also hold a whole conversation as a list, `messages`. A turn is written `<speaker:NAME>what is said`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from fenshen.data.items import TEXT_LIMIT, Split
from fenshen.data.listing import SPLITS
from fenshen.errors import UnreadableError
from fenshen.lang import Said, said
from fenshen.media.text import tag_text
from fenshen.recipe import Data

TEXT = ("text", "content", "body", "story", "poem", "article", "paragraphs", "message", "value", "utterance", "caption", "正文", "内容", "文本")
LABEL = ("label", "genre", "category", "class", "style", "体裁", "类别", "标签")
SPEAKER = ("speaker", "role", "from", "sender", "说话人", "角色")
CONVERSATION = ("conversation", "conversation_id", "dialogue", "dialogue_id", "thread", "session")
TURNS = ("messages", "conversations", "conversation", "dialogue", "dialog", "turns")

Row = dict[str, Any]


@dataclass
class Table:
    """What a table gives: texts with the number of their row, label and split; tags of who speaks in them; what was assumed."""

    texts: list[tuple[str, str, str | None, Split | None]] = field(default_factory=list)
    speakers: list[str] = field(default_factory=list)
    notes: list[Said] = field(default_factory=list)


def read_rows(kind: str, text: str, data: Data) -> Table:
    """`kind`: .json, .jsonl, .ndjson, .csv or .tsv. Raises UnreadableError for what has another form, or no such column."""
    table = Table()
    match kind:
        case ".json":
            rows = _from_json(text)
        case ".jsonl" | ".ndjson":
            rows = _from_lines(text, table)
        case _:
            rows = _from_table(text, kind == ".tsv", data)
    if not rows:
        raise UnreadableError("has no rows")
    talks = [(str(number), turns) for number, row in enumerate(rows, 1) if (turns := _turns(row))]
    if talks:
        _converse(table, talks, data)
    elif _key(rows, SPEAKER) and data.text_column is None:
        _converse(table, _conversations(rows), data)
    else:
        _write(table, rows, data)
    return table


def _write(table: Table, rows: Sequence[Row], data: Data) -> None:
    """One document a row."""
    column = _text_column(rows, data, table.notes)
    label = None if data.label_column == "none" else _named(rows, data.label_column) if data.label_column else _key(rows, LABEL)
    for number, row in enumerate(rows, 1):
        split = SPLITS.get(str(row.get("split", "")).lower())
        kind = row.get(label) if label else None
        table.texts.append((str(number), written(row.get(column)), None if kind in (None, "") else str(kind), split))


def _converse(table: Table, talks: Iterable[tuple[str, Sequence[Row]]], data: Data) -> None:
    """One document a conversation."""
    for name, turns in talks:
        speaker, column = _key(turns, SPEAKER) or "", _text_column(turns, data, [])
        lines = []
        for turn in turns:
            if words := written(turn.get(column)).strip():
                tag = tag_text("speaker", str(turn.get(speaker) or "?"))
                table.speakers.append(tag)
                lines.append(tag + words)
        table.texts.append((name, "\n".join(lines), None, None))


def _turns(row: Row) -> list[Row]:
    """The turns of a conversation that stands in one row."""
    found: list[Any] = next((row[key] for key in TURNS if isinstance(row.get(key), list)), [])
    return found if found and all(isinstance(turn, dict) for turn in found) and _key(found, SPEAKER) else []


def _conversations(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    key = _key(rows, CONVERSATION)
    talks: dict[str, list[Row]] = {}
    for row in rows:
        talks.setdefault(str(row.get(key, "")) if key else "", []).append(row)
    return list(talks.items())


def written(value: Any) -> str:
    """A cell as text: a list is lines, and of a part of a message that is an object only its text counts."""
    match value:
        case str():
            return value
        case None:
            return ""
        case list():
            parts = [part.get("text", "") if isinstance(part, dict) else part for part in value]
            return ("" if any(isinstance(part, dict) for part in value) else "\n").join(written(part) for part in parts)
    return str(value)


def _text_column(rows: Sequence[Row], data: Data, notes: list[Said]) -> str:
    if data.text_column:
        return _named(rows, data.text_column)
    if known := _key(rows, TEXT):
        return known
    sizes: dict[str, int] = {}
    for row in rows[:1000]:
        for key, value in row.items():
            sizes[key] = sizes.get(key, 0) + (len(written(value)) if isinstance(value, str | list) else 0)
    column = max(sizes, key=sizes.__getitem__, default="")
    if not sizes.get(column):
        raise UnreadableError("has no column of text; name it: data.text_column=NAME; found are {found}", found=", ".join(sizes) or "-")
    notes.append(said("{where}: column {column} is taken for the text; data.text_column names another", column=column))
    return column


def _named(rows: Sequence[Row], name: str) -> str:
    keys = list(dict.fromkeys(key for row in rows[:1000] for key in row))
    if name not in keys:
        raise UnreadableError("has no column {name}; found are {found}", name=name, found=", ".join(keys[:20]))
    return name


def _key(rows: Sequence[Row], known: Sequence[str]) -> str | None:
    """The first known name that most rows have, in whatever case they write it."""
    counts: dict[str, int] = {}
    for row in rows[:1000]:
        for key in row:
            counts[key] = counts.get(key, 0) + 1
    usual = {key.strip().lower(): key for key, count in counts.items() if 2 * count > len(rows[:1000])}
    return next((usual[name] for name in known if name in usual), None)


def _from_json(text: str) -> list[Row]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableError("is no JSON ({problem})", problem=str(error)) from None
    if isinstance(value, dict):  # The longest list in it, or the object itself as the only row.
        lists = [part for part in value.values() if isinstance(part, list) and any(isinstance(item, dict) for item in part)]
        value = max(lists, key=len) if lists and not _turns(value) else [value]
    if not isinstance(value, list):
        raise UnreadableError("has no rows")
    return [_row(item) for item in value]


def _row(value: Any) -> Row:
    """An object as it is, a list of objects as a conversation, anything else as a text."""
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return {"messages": value}
    return value if isinstance(value, dict) else {"text": value}


def _from_lines(text: str, table: Table) -> list[Row]:
    rows, wrong = [], []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                rows.append(_row(json.loads(line)))
            except (ValueError, RecursionError) as error:
                wrong.append((number, str(error)))
    if wrong and not rows:
        raise UnreadableError("is no JSON ({problem})", problem=wrong[0][1])
    if wrong:
        text = "{where}: {count} lines are no JSON and are left out, the first is line {line} ({problem})"
        table.notes.append(said(text, count=len(wrong), line=wrong[0][0], problem=wrong[0][1]))
    return rows


def _from_table(text: str, tabs: bool, data: Data) -> list[Row]:
    """Rows by the names in the first line, where it has a known one, else by the columns' numbers from 1 on."""
    csv.field_size_limit(TEXT_LIMIT)
    first = text.split("\n", 1)[0]
    comma = "\t" if tabs else max(",;\t|", key=first.count)
    try:
        reader = csv.reader(io.StringIO(text), delimiter=comma, quoting=csv.QUOTE_NONE if tabs else csv.QUOTE_MINIMAL)
        lines = [line for line in reader if any(cell.strip() for cell in line)]
    except csv.Error as error:
        raise UnreadableError("is no table ({problem})", problem=error) from None
    known = {*TEXT, *LABEL, *SPEAKER, *CONVERSATION, *(name for name in (data.text_column, data.label_column) if name and not name.isdigit())}
    names = [name.strip() for name in lines[0]] if lines else []
    if {name.lower() for name in names} & known or set(names) & known:
        return [dict(zip(names, line, strict=False)) for line in lines[1:]]
    return [dict(_numbered(line)) for line in lines]


def _numbered(line: Sequence[str]) -> Iterator[tuple[str, str]]:
    yield from ((str(number), cell) for number, cell in enumerate(line, 1))

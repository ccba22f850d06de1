"""JSON by a schema, as a form (`fenshen.media.forms.Form`): whatever is written in it can be read by a program, and fits the schema.

A schema becomes a regular expression, and a state is what of it is still to come: its derivative (Brzozowski 1964). Properties come in
the schema's order, those that are not required may be left out; one space may follow a comma and a colon. Texts and lists are bounded
where the schema does not bound them, so that every text comes to its end.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import Any

from fenshen.errors import DataError

LONGEST_TEXT, LONGEST_LIST, DEEPEST = 200, 8, 16
MOST_NUMBERS = 1000  # Between a minimum and a maximum.
OTHER = "\uffff"  # Stands for every letter that the schema does not name.
# Leading bytes of the characters that are not ASCII, what may follow them, and how many more come. Unicode 15, table 3-7.
UTF8 = (((0xC2, 0xDF), (0x80, 0xBF), 0), ((0xE0, 0xE0), (0xA0, 0xBF), 1), ((0xE1, 0xEC), (0x80, 0xBF), 1), ((0xED, 0xED), (0x80, 0x9F), 1),
        ((0xEE, 0xEF), (0x80, 0xBF), 1), ((0xF0, 0xF0), (0x90, 0xBF), 2), ((0xF1, 0xF3), (0x80, 0xBF), 2),
        ((0xF4, 0xF4), (0x80, 0x8F), 2))  # fmt: skip
SAID_ONLY = {"title", "description", "$schema", "$id", "$defs", "definitions", "default", "examples", "format", "additionalProperties", "$comment"}
KNOWN = {"object": {"properties", "required"}, "array": {"items", "minItems", "maxItems"}, "string": {"minLength", "maxLength"},
         "integer": {"minimum", "maximum"}, "number": {"minimum"}, "boolean": set(), "null": set()}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Expression:
    """A set of texts. Equal ones are one object: they are made by the functions below, which remember what they made."""

    empty: bool  # Whether the empty text is one of them.


@dataclass(frozen=True, eq=False)
class One(Expression):
    """One letter out of `letters`, or out of all others."""

    letters: frozenset[str]
    others: bool


@dataclass(frozen=True, eq=False)
class Then(Expression):
    """One text after the other."""

    first: Expression
    second: Expression


@dataclass(frozen=True, eq=False)
class Either(Expression):
    """A text of any of these."""

    options: frozenset[Expression]


@dataclass(frozen=True, eq=False)
class Times(Expression):
    """`least` to `most` texts, one after the other."""

    inner: Expression
    least: int
    most: int


NEVER, EMPTY = Expression(False), Expression(True)
one = lru_cache(None)(lambda letters, others=False: One(False, letters, others))
_then = lru_cache(None)(lambda first, second: Then(first.empty and second.empty, first, second))
_either = lru_cache(None)(lambda options: Either(any(option.empty for option in options), options))
_times = lru_cache(None)(lambda inner, least, most: Times(least == 0 or inner.empty, inner, least, most))


def then(*parts: Expression) -> Expression:
    """All parts in a row."""

    def pair(second: Expression, first: Expression) -> Expression:
        if first is NEVER or second is NEVER:
            return NEVER
        return second if first is EMPTY else first if second is EMPTY else _then(first, second)

    return reduce(pair, reversed(parts), EMPTY)


def either(options: Iterable[Expression]) -> Expression:
    """Any of these."""
    flat = {inner for option in options for inner in (option.options if isinstance(option, Either) else (option,))} - {NEVER}
    return NEVER if not flat else flat.pop() if len(flat) == 1 else _either(frozenset(flat))


def times(inner: Expression, least: int, most: int) -> Expression:
    """So many of them."""
    if least > most:
        return NEVER
    return EMPTY if most == 0 else inner if (least, most) == (1, 1) else _times(inner, least, most)


@lru_cache(1 << 18)
def after(text: Expression, letter: str) -> Expression:
    """What is still to come once `letter` is read; NEVER where it cannot begin a text."""
    match text:
        case One():
            return EMPTY if (letter in text.letters) != text.others else NEVER
        case Then():
            rest = then(after(text.first, letter), text.second)
            return either([rest, after(text.second, letter)]) if text.first.empty else rest
        case Either():
            return either([after(option, letter) for option in text.options])
        case Times():
            return then(after(text.inner, letter), times(text.inner, max(0, text.least - 1), text.most - 1))
    return NEVER


class Json:
    """The form of JSON that fits `schema`, of characters or, for an alphabet of byte pieces, of UTF-8 bytes. DataError where it is no schema
    or has what cannot be kept to while writing."""

    def __init__(self, schema: Any, as_bytes: bool = False):
        self.schema, self.as_bytes = schema, as_bytes
        self.named: set[str] = set()
        self.start = self._value(schema, DEEPEST)

    def begin(self) -> Expression:
        return self.start

    def read(self, state: Hashable, letter: str) -> Expression | None:
        assert isinstance(state, Expression)
        rest = after(state, self.alike(letter))
        return None if rest is NEVER else rest

    def complete(self, state: Hashable) -> bool:
        assert isinstance(state, Expression)
        return state.empty

    def alike(self, letter: str) -> str:
        return letter if letter in self.named else OTHER

    def decisive(self, state: Hashable) -> Hashable:
        return state

    def _one(self, letters: Iterable[str], others: bool = False) -> Expression:
        self.named.update(letters := frozenset(letters))
        return one(letters, others)

    def _text(self, text: str) -> Expression:
        spelled = text.encode().decode("latin-1") if self.as_bytes else text
        return then(*(self._one(letter) for letter in spelled))

    def _value(self, schema: Any, depth: int) -> Expression:
        if schema is True or schema == {}:
            schema = {"type": ["string", "number", "boolean", "null"]}
        if not isinstance(schema, dict) or depth == 0:
            raise DataError("the schema has {part} where a schema should stand, or goes deeper than {depth} levels", part=schema, depth=DEEPEST)
        if "$ref" in schema:
            return self._value(self._referred(schema["$ref"]), depth - 1)
        for name in ("anyOf", "oneOf"):
            if name in schema:
                return either([self._value(option, depth - 1) for option in schema[name]])
        if "const" in schema or "enum" in schema:
            return either([self._text(json.dumps(value, ensure_ascii=False)) for value in schema.get("enum", [schema.get("const")])])
        kinds = schema.get("type", "object" if "properties" in schema else "array" if "items" in schema else None)
        kinds = kinds if isinstance(kinds, list) else [kinds]
        for key in {*schema} - SAID_ONLY - {"type"}:
            if not any(key in KNOWN.get(kind, ()) for kind in kinds):
                raise DataError("the schema has {key} in a {kind}: this cannot be kept to while writing; leave it out", key=key, kind=kinds[0])
        return either([self._of_kind(kind, schema, depth) for kind in kinds])

    def _of_kind(self, kind: Any, schema: dict[str, Any], depth: int) -> Expression:
        match kind:
            case "object":
                return then(self._text("{"), self._members(list(schema.get("properties", {}).items()), schema, True, depth), self._text("}"))
            case "array":
                return self._list(schema, depth)
            case "string":
                letters = times(self._letter(), schema.get("minLength", 0), schema.get("maxLength", LONGEST_TEXT))
                return then(self._text('"'), letters, self._text('"'))
            case "integer" | "number":
                return self._number(kind, schema)
            case "boolean":
                return either([self._text("true"), self._text("false")])
            case "null":
                return self._text("null")
        raise DataError("the schema has the type {kind}; known are {known}", kind=kind, known=", ".join(KNOWN))

    def _members(self, left: list[tuple[str, Any]], schema: dict[str, Any], first: bool, depth: int) -> Expression:
        """The properties that are left, each with its comma."""
        if not left:
            return EMPTY
        (name, inner), *rest = left
        label = self._text(json.dumps(name, ensure_ascii=False) + ":")
        member = then(EMPTY if first else self._comma(), label, self._space(), self._value(inner, depth - 1))
        with_it = then(member, self._members(rest, schema, False, depth))
        return with_it if name in schema.get("required", ()) else either([with_it, self._members(rest, schema, first, depth)])

    def _list(self, schema: dict[str, Any], depth: int) -> Expression:
        item, least = self._value(schema.get("items", True), depth - 1), schema.get("minItems", 0)
        most = schema.get("maxItems", max(least, LONGEST_LIST))
        more = times(then(self._comma(), item), max(0, least - 1), max(0, most - 1))
        filled = then(item, more) if most else NEVER
        return then(self._text("["), filled if least else either([EMPTY, filled]), self._text("]"))

    def _number(self, kind: str, schema: dict[str, Any]) -> Expression:
        low, high = schema.get("minimum"), schema.get("maximum")
        if low is not None and high is not None:
            if not 0 <= high - low < MOST_NUMBERS:
                raise DataError("the schema has numbers from {low} to {high}: at most {most} of them can be told apart while writing",
                                low=low, high=high, most=MOST_NUMBERS)  # fmt: skip
            return either([self._text(str(value)) for value in range(low, high + 1)])
        if high is not None or low not in (None, 0):
            raise DataError("the schema has a minimum without a maximum, or the other way: give both, or a minimum of 0")
        digit = self._one("0123456789")
        whole = either([self._text("0"), then(self._one("123456789"), times(digit, 0, 8))])
        sign = EMPTY if low == 0 else times(self._text("-"), 0, 1)
        part = EMPTY if kind == "integer" else times(then(self._text("."), times(digit, 1, 6)), 0, 1)
        return then(sign, whole, part)

    def _letter(self) -> Expression:
        """One character of a text, as JSON writes it."""
        special = ['"', "\\", *map(chr, range(32))]
        escaped = then(self._text("\\"), self._one('"\\/bfnrt'))
        if not self.as_bytes:
            return either([escaped, self._one(special, others=True)])
        plain = self._one([chr(code) for code in range(32, 128) if chr(code) not in special])
        wide = [then(self._between(*lead), self._between(*second), times(self._between(0x80, 0xBF), n, n)) for lead, second, n in UTF8]
        return either([escaped, plain, *wide])

    def _between(self, low: int, high: int) -> Expression:
        return self._one(map(chr, range(low, high + 1)))

    def _comma(self) -> Expression:
        return then(self._text(","), self._space())

    def _space(self) -> Expression:
        return times(self._text(" "), 0, 1)

    def _referred(self, place: str) -> Any:
        """The schema at #/a/b."""
        found = self.schema
        for name in place.removeprefix("#").strip("/").split("/"):
            if not isinstance(found, dict) or name not in found:
                raise DataError("the schema refers to {place}, which is not in it", place=place)
            found = found[name]
        return found

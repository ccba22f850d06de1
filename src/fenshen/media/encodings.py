"""Bytes of a text file -> text: which encoding it is in is told in a fixed order, strictly, and said; nothing is guessed silently.

1. A byte order mark. 2. UTF-8, whose last character may be cut off. 3. UTF-16 without a mark, by where its zero bytes stand.
4. GB18030 and Big5: the one that makes many of the most frequent Chinese characters of the bytes. 5. Windows-1252, for texts in Latin
letters with few accents. What fits none is refused, and the encoding has to be named.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass

import numpy as np

from fenshen.errors import UnreadableError
from fenshen.lang import Said, said

MARKS = (
    (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"),
)  # fmt: skip
FREQUENT = frozenset(  # In prose of today, in classical prose and in verse, in both scripts.
    "的一是不了人我在有他这這中大来來上个個国國和说說们們为為子你地出道也时時年得就那要下以生会會自着著去之过過家学學对對可她里裡后後小么麼心多天而能好"
    "都然没沒日于於起还還发發成事只作当當想看文无無开開手十用主行方又如前所本见見经經头頭面公同三已老从從动動两兩长長知者其此何山风風春水月花云雲白"
    "江相归歸君夜秋歌清玉空高青金城南西东東北门門朝今古声聲处處尽盡飞飛马馬酒思情明别別路远遠客烟煙落雨入独獨楼樓万萬千"
)
ENOUGH_FREQUENT = 0.1  # Part of a Chinese text's characters that are among them: 0.3 in verse, 0.5 in prose; 0.04 in a wrong encoding.
MOST_ACCENTS = 0.35  # Of the letters of a text in Windows-1252.
REPLACEMENT = "\ufffd"
PROBE = 1 << 20  # Bytes that are looked at where a look is enough.


@dataclass(frozen=True)
class Decoded:
    """A text, the encoding that it was in, and what a person should know of it; the file's name is still missing in it, {where}."""

    text: str
    encoding: str
    note: Said | None = None


def decode(data: bytes, wanted: str | None = None) -> Decoded:
    """The text of a file, its lines ended by a line feed. `wanted`: an encoding that Python knows.

    Raises UnreadableError for what is empty, not text, or not in the `wanted` encoding.
    """
    if not data.strip():
        raise UnreadableError("is empty")
    found = _as_wanted(data, wanted) if wanted else _detected(data)
    if not found.text.strip():
        raise UnreadableError("is empty")
    if binary(found.text):
        raise UnreadableError("is not text: it holds bytes that no text has")
    return Decoded(found.text.replace("\r\n", "\n").replace("\r", "\n"), found.encoding, found.note)


def binary(text: str) -> bool:
    """Whether a text has characters that only programs write."""
    start = text[:PROBE]
    return "\0" in text or sum(letter < "\b" or "\x0e" <= letter < "\x1b" or "\x1b" < letter < " " for letter in start) * 100 > len(start)


def _as_wanted(data: bytes, wanted: str) -> Decoded:
    try:
        name = codecs.lookup(wanted).name
        text = data.decode(name)
    except LookupError:
        raise UnreadableError("there is no encoding {name}; known are utf-8, utf-16, gb18030, big5, cp1252 and others", name=wanted) from None
    except UnicodeDecodeError as error:
        text = "is not in {name}, which data.encoding names: byte {byte} at {place} means nothing there; leave data.encoding out to have it found"
        raise UnreadableError(text, name=wanted, byte=f"0x{data[error.start]:02x}", place=error.start) from None
    note = None
    if name != "utf-8" and not data.isascii() and (text.startswith("\ufeff") or _strict(data, "utf-8") is not None):
        note = said("{where} is read as {name}, as asked for, though it looks like UTF-8", name=wanted)
    return Decoded(text.removeprefix("\ufeff"), name, note)


def _detected(data: bytes) -> Decoded:
    for mark, name in MARKS:
        if data.startswith(mark) and (text := _strict(data[len(mark) :], name)) is not None:
            return Decoded(text, name)
    if (text := _strict(data, "utf-8")) is not None and "\0" not in text:
        return Decoded(text, "utf-8")
    if b"\0" in data:
        return _utf16(data)
    if (text := _cut_off(data)) is not None:
        return Decoded(text, "utf-8", said("{where} ends in the middle of a character: was it cut off?"))
    parts = {name: frequent_part(data[:PROBE], name) for name in ("gb18030", "big5")}
    for name in sorted(parts, key=lambda name: -parts[name]):
        if parts[name] >= ENOUGH_FREQUENT and (text := _strict(data, name)) is not None:
            return Decoded(text, name, said("{where} is no UTF-8; read as {name}", name=name.upper()))
    text = _strict(data, "cp1252")
    if text is not None and _accents(text) <= MOST_ACCENTS and not binary(text):
        return Decoded(text, "cp1252", said("{where} is no UTF-8; read as {name}", name="Windows-1252"))
    unknown = "is neither UTF-8, UTF-16, GB18030, Big5 nor Windows-1252; where it is text, name its encoding: data.encoding=shift_jis"
    raise UnreadableError("is not text: it holds bytes that no text has" if binary(data.decode("latin-1")) else unknown)


def _strict(data: bytes, name: str) -> str | None:
    try:
        return data.decode(name)
    except UnicodeDecodeError:
        return None


def _cut_off(data: bytes) -> str | None:
    """UTF-8 of which only the last character is not whole."""
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(data, final=False)
    except UnicodeDecodeError:
        return None


def _utf16(data: bytes) -> Decoded:
    """Zero bytes at even places alone, or at odd ones alone, are the upper halves of Latin letters; Chinese has its frequent characters."""
    zero = np.frombuffer(data[: min(PROBE, len(data)) & ~1], np.uint8) == 0
    parts = {"utf-16-le": zero[1::2].mean() - 10 * zero[0::2].mean(), "utf-16-be": zero[0::2].mean() - 10 * zero[1::2].mean()}
    name = max(parts, key=lambda name: max(float(parts[name]), frequent_part(data[:PROBE], name)))
    text = _strict(data, name)
    if text is None or binary(text) or max(float(parts[name]), frequent_part(data[:PROBE], name)) < ENOUGH_FREQUENT:
        raise UnreadableError("is not text: it holds bytes that no text has")
    return Decoded(text, name, said("{where} has no byte order mark; read as {name}", name=name.upper()))


def frequent_part(data: bytes, name: str) -> float:
    """Of the characters beyond ASCII that `data` has in an encoding, punctuation aside: the part that is frequent in Chinese."""
    letters = [letter for letter in data.decode(name, "replace") if letter == REPLACEMENT or (letter >= "\x80" and letter.isalpha())]
    if name == "big5" and not any(byte < 0x80 for byte in "".join(letters).encode(name, "ignore")):
        return 0.0  # A third of Big5's second bytes are small; in EUC-JP, whose kana look like frequent characters, none is.
    return sum(letter in FREQUENT for letter in letters) / max(1, len(letters))


def _accents(text: str) -> float:
    letters = sum(letter.isalpha() for letter in text)
    return sum(letter >= "\x80" for letter in text) / max(1, letters)

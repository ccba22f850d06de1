"""Alphabets spell what they read; encodings are told or refused, never guessed wrong."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from written import CHINESE, ENGLISH, TRADITIONAL

from fenshen.errors import DataError, UnreadableError
from fenshen.media.encodings import decode
from fenshen.media.text import END, UNKNOWN, Alphabet, chunks, learn_bytes, learn_characters, tag_text

TAGS = ("<label:verse>", "<speaker:Anna>")
PIECES = learn_bytes([ENGLISH, CHINESE], 400, TAGS)


@given(st.text())
def test_characters_spell_what_they_have_counted(text: str) -> None:
    alphabet = learn_characters([text], TAGS)
    assert alphabet.decode(alphabet.encode(text)) == text and alphabet.size == 4 + len(set(text))


@given(st.text() | st.sampled_from([ENGLISH, CHINESE, "a<label:verse>b<speaker:Anna>", "<label:other>"]))
@settings(max_examples=200)
def test_byte_pieces_spell_everything(text: str) -> None:
    ids = PIECES.encode(text)
    assert ids.dtype == np.int64 and PIECES.decode(ids) == text and (not len(ids) or ids.max() < PIECES.size)


@given(st.text(alphabet=st.sampled_from("abc\n"), max_size=200))
def test_chunks_are_the_text(text: str) -> None:
    long = text * 300
    parts = list(chunks(long))
    assert "".join(parts) == long and all(0 < len(part) <= 1 << 14 for part in parts)


def test_byte_pieces_shorten() -> None:
    assert len(PIECES.encode(ENGLISH)) < 0.75 * len(ENGLISH.encode()) and PIECES.size <= 404


def test_what_is_unknown_is_one_token_and_seen() -> None:
    alphabet = learn_characters(["abcab"], most=2)
    assert alphabet.characters == "ab" and alphabet.encode("acb").tolist() == [2, UNKNOWN, 3]
    assert alphabet.decode([END, 2, UNKNOWN, 3]) == "a\ufffdb"


@pytest.mark.parametrize("alphabet", [PIECES, learn_characters([ENGLISH], TAGS)])
def test_states_are_json(alphabet: Alphabet) -> None:
    again = Alphabet.from_state(json.loads(json.dumps(alphabet.state())))
    assert again == alphabet and np.array_equal(again.encode(ENGLISH), alphabet.encode(ENGLISH))


def test_tags_are_one_token_each() -> None:
    assert PIECES.encode("<speaker:Anna>").tolist() == [PIECES.tag("Anna")] == [PIECES.tag("<speaker:Anna>")] == [PIECES.tag("speaker:Anna")]
    assert tag_text("speaker", " An<na>\n B ") == "<speaker:An na B>"
    with pytest.raises(DataError, match=r"no tag Bob; known are <label:verse>, <speaker:Anna>"):
        PIECES.tag("Bob")


@pytest.mark.parametrize(("text", "name", "found"), [
    (CHINESE, "gb18030", "gb18030"), (CHINESE, "utf-8", "utf-8"), (CHINESE, "utf-16", "utf-16-le"), (CHINESE, "utf-8-sig", "utf-8"),
    (CHINESE, "utf-16-be", "utf-16-be"), (TRADITIONAL, "big5", "big5"), (TRADITIONAL, "gb18030", "gb18030"), (ENGLISH, "utf-16-le", "utf-16-le"),
    (ENGLISH, "utf-32", "utf-32-le"), ("Schöne Grüße aus Köln, und einen Kuß.", "cp1252", "cp1252"),
])  # fmt: skip
def test_encodings_are_told(text: str, name: str, found: str) -> None:
    read = decode(text.replace("\n", "\r\n").encode(name))
    assert read.text == text and read.encoding == found and (read.note is None) == (found == "utf-8" or name in ("utf-16", "utf-32"))


@pytest.mark.parametrize("name", ["shift_jis", "euc_jp", "cp1251", "koi8-r", "euc_kr"])
def test_what_cannot_be_told_is_refused_and_can_be_named(name: str) -> None:
    text = {"s": "これは日本語の文章です。漢字とかなが混ざっています。", "e": "あいうえおかきくけこさしすせそ"}.get(name[0], "Привет, как твои дела?")
    text = ("안녕하세요 한국어 문장입니다" if name == "euc_kr" else text) * 10
    with pytest.raises(UnreadableError, match=r"data\.encoding=shift_jis"):
        decode(text.encode(name))
    assert decode(text.encode(name), name).text == text


@pytest.mark.parametrize(("data", "wanted", "said"), [
    (b"", None, "is empty"), (b" \n\t", None, "is empty"), (b"\xef\xbb\xbf", None, "is empty"),
    (random.Random(0).randbytes(5000), None, "is not text"), (b"\x7fELF\2\1\1" + bytes(100), None, "is not text"),
    (b"a\0b" * 50, "utf-8", "is not text"),
    (CHINESE.encode("gb18030"), "utf-8", r"is not in utf-8.*byte 0x\w\w at \d+.*leave data.encoding out"),
    (b"x", "klingon", "there is no encoding klingon"),
])  # fmt: skip
def test_what_is_not_text_is_refused(data: bytes, wanted: str | None, said: str) -> None:
    with pytest.raises(UnreadableError, match=said):
        decode(data, wanted)


def test_utf8_that_is_cut_off_is_read_and_noted() -> None:
    for cut in (1, 2):
        read = decode(CHINESE.encode()[:-cut])
        assert read.text == CHINESE[:-1] and read.encoding == "utf-8" and read.note is not None and "cut off" in read.note.text
    with pytest.raises(UnreadableError, match="neither UTF-8"):
        decode(CHINESE.encode()[:20] + b"\xff" + CHINESE.encode()[20:])


def test_an_encoding_that_is_named_wrongly_but_fits_is_noted() -> None:
    read = decode(CHINESE.encode(), "latin-1")
    assert read.text != CHINESE and read.note is not None and "looks like UTF-8" in read.note.text
    assert decode(b"plain", "latin-1").note is None

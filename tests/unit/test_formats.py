"""Files of other programs: what they say is read, what is locked, damaged or hostile is refused with a reason."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from written import CHINESE, ENGLISH, docx, epub, packed, pdf

from fenshen.data.documents import Page, read_file
from fenshen.data.formats import html_text
from fenshen.errors import UnreadableError
from fenshen.recipe import Data

BOMB = '<!DOCTYPE b [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
LOCKED = '<encryption><EncryptedData><CipherReference URI="OEBPS/text/c%200.xhtml"/></EncryptedData></encryption>'
CHAT = [{"speaker": "Anna", "text": "Hello"}, {"speaker": "Bo", "text": "Hi,\nwho is it?"}, {"speaker": "Anna", "text": " "}]
TALK = "<speaker:Anna>Hello\n<speaker:Bo>Hi,\nwho is it?"


def page(name: str, content: bytes | str, **options: object) -> Page:
    return read_file(name, content.encode() if isinstance(content, str) else content, Data.model_validate(options))


def texts(name: str, content: bytes | str, **options: object) -> list[str]:
    return [document.text for document in page(name, content, **options).documents]


def test_word_files() -> None:
    assert texts("a.docx", docx(ENGLISH + "\n\n" + CHINESE)) == [ENGLISH + "\n\n" + CHINESE + "\n"]
    more = "<w:p><w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:br/><w:delText>gone</w:delText><w:instrText>PAGE</w:instrText><w:t>c</w:t></w:r></w:p>"
    doubled = "<w:p><w:Choice><w:t>one</w:t></w:Choice><w:Fallback><w:p><w:t>one</w:t></w:p></w:Fallback></w:p>"
    assert texts("a.docx", docx("x", extra=more + doubled)) == ["x\na\tb\nc\none\n"]


def test_books() -> None:
    read = page("a.epub", epub([ENGLISH, "Tom & Jerry <3", CHINESE]))
    assert [document.name for document in read.documents] == [f"a.epub/OEBPS/text/c {number}.xhtml" for number in range(3)]
    assert [document.text for document in read.documents] == [ENGLISH.replace("\n", "\n\n"), "Tom & Jerry <3", CHINESE.replace("\n", "\n\n")]


def test_printed_pages() -> None:
    found = texts("a.pdf", pdf([ENGLISH, "Second page."]))[0]
    assert "".join(found.split()) == "".join((ENGLISH + "Second page.").split()) and found.count("\n") >= 3
    assert texts("a.pdf", pdf([ENGLISH], password="")) == texts("a.pdf", pdf([ENGLISH]))


def test_web_pages() -> None:
    markup = """<html><head><title>no</title><script>if (a < b) no()</script></head><body><h1>A &amp; B</h1><p>one  <b>two</b>
      three<br>four</p><pre>x
  y</pre><ruby>漢<rt>kan</rt></ruby></body>"""
    assert html_text(markup) == "A & B\n\none two three\n\nfour\n\nx\n\ny\n\n漢"


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc",)), max_size=200))
@settings(max_examples=60)
def test_whatever_is_written_is_read(text: str) -> None:
    assert texts("a.docx", docx(text)) == [text + "\n"] and texts("a.jsonl", json.dumps({"text": text})) == [text]


@pytest.mark.parametrize(("name", "content", "said"), [
    ("a.docx", b"", "is empty"), ("a.docx", b"PK\3\4 cut off", "damaged or cut off"), ("a.docx", docx(ENGLISH)[:-40], "damaged or cut off"),
    ("a.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500), "protected by a password"), ("a.docx", packed({"x": "y"}), "is no Word file"),
    ("a.docx", docx("x", head=BOMB), "declares an XML entity"), ("a.docx", packed({"word/document.xml": "<a><b></a>"}), "damaged or cut off"),
    ("a.docx", packed({"word/document.xml": b"<a>" + bytes(30 << 20)}), "decompression bomb"),
    ("a.epub", packed({"x": "y"}), "is no EPUB"), ("a.epub", b"no zip", "damaged or cut off"),
    ("a.epub", epub([ENGLISH], {"META-INF/encryption.xml": LOCKED}), "protected against copying"),
    ("a.epub", packed({"META-INF/container.xml": f"{BOMB}<a>&b;</a>"}), "declares an XML entity"),
    ("a.epub", packed({"META-INF/container.xml": '<a><rootfile full-path="../../etc/passwd"/></a>'}), "damaged or cut off"),
    ("a.pdf", pdf([ENGLISH], password="secret"), "protected by a password"), ("a.pdf", b"%PDF-1.4 nothing", "damaged or cut off"),
    ("a.pdf", pdf([""]), "its pages are pictures"), ("a.pdf", ENGLISH.encode(), "damaged or cut off"),
    ("a.json", "[1, 2", "is no JSON"), ("a.json", "[" * 100_000, "is no JSON"), ("a.json", "3", "has no rows"), ("a.json", "[]", "has no rows"),
    ("a.jsonl", "nothing\nhere", "is no JSON"), ("a.json", '[{"n": 1}]', "has no column of text"), ("a.csv", b"\0\1\2\3" * 99, "is not text"),
])  # fmt: skip
def test_what_is_refused(name: str, content: bytes | str, said: str) -> None:
    with pytest.raises(UnreadableError, match=said):
        page(name, content)


def test_tables() -> None:
    assert texts("a.json", '["one", "two"]') == texts("a.json", '{"poems": [{"text": "one"}, {"text": "two"}], "n": 3}') == ["one", "two"]
    assert texts("a.csv", 'id,Text\n1,"one, ""two"""\n2,three') == ['one, "two"', "three"]
    assert texts("a.csv", "id;text\n1;one, two\n") == ["one, two"]
    assert texts("a.tsv", 'one "quote\t1\ntwo\t2', text_column="1") == ['one "quote', "two"]
    assert texts("a.json", '[{"paragraphs": ["a,", "b."]}]') == ["a,\nb."]
    assert texts("a.jsonl", '{"text": "a\\ud800b"}', kind="words") == ["a\ud800b"]  # Mended where documents are collected.


def test_labels_and_splits_in_tables() -> None:
    rows = page("a.csv", "genre,text,split\nverse,one,train\n,two,test\n").documents
    assert [(row.label, row.split, row.name) for row in rows] == [("verse", "train", "a.csv:1"), (None, "held_out", "a.csv:2")]
    assert page("a.csv", "genre,text\nverse,one", label_column="none").documents[0].label is None
    assert page("a.csv", "genre,author,text\nverse,Li,one", label_column="author").documents[0].label == "Li"


def test_columns_are_found_or_named() -> None:
    read = page("a.tsv", "Li\ta long line of text\nDu\tanother line of text")
    assert [document.text for document in read.documents] == ["a long line of text", "another line of text"]
    assert [note.values["column"] for note in read.notes] == ["2"]
    with pytest.raises(UnreadableError, match="has no column poem; found are 1, 2"):
        page("a.tsv", "Li\ta long line of text", text_column="poem")


def test_bad_lines_are_counted() -> None:
    read = page("a.jsonl", '{"text": "one"}\n{"text": \n\n{"text": "two"}')
    assert [document.text for document in read.documents] == ["one", "two"] and read.notes[0].values["line"] == 2


@pytest.mark.parametrize(("name", "content"), [
    ("a.json", json.dumps(CHAT)), ("a.json", json.dumps([CHAT])), ("a.json", json.dumps({"messages": CHAT})),
    ("a.jsonl", json.dumps({"conversations": [{"from": turn["speaker"], "value": turn["text"]} for turn in CHAT]})),
    ("a.jsonl", "\n".join(json.dumps({"role": turn["speaker"], "content": [{"type": "text", "text": turn["text"]}]}) for turn in CHAT)),
    ("a.csv", 'time,speaker,text\n9:00,Anna,Hello\n9:01,Bo,"Hi,\nwho is it?"\n'),
])  # fmt: skip
def test_chats(name: str, content: str) -> None:
    read = page(name, content)
    assert [document.text for document in read.documents] == [TALK] and read.tags == ("<speaker:Anna>", "<speaker:Bo>")


def test_conversations_are_documents_of_their_own() -> None:
    read = page("a.csv", "conversation,speaker,text\nx,A,one\ny,B,two\nx,B,three\n")
    assert [(row.name, row.text) for row in read.documents] == [("a.csv:x", "<speaker:A>one\n<speaker:B>three"), ("a.csv:y", "<speaker:B>two")]

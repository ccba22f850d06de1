"""Makers of test words: sentences and files of every kind, from numbers alone."""

from __future__ import annotations

import io
import random
import re
import zipfile
from collections.abc import Mapping, Sequence
from html import escape

CHINESE = """清晨的时候，我在河边走了很久，看着水里的云慢慢地过去。
有一个老人坐在桥上，他说这里从前没有路，只有风和山。
后来人多了，大家开始在这里生活，学会了种地，也学会了说自己的故事。
我想，一个地方要有人记得，才会有它的时间。"""
TRADITIONAL = """清晨的時候，我在河邊走了很久，看著水裡的雲慢慢地過去。
有一個老人坐在橋上，他說這裡從前沒有路，只有風和山。
後來人多了，大家開始在這裡生活，學會了種地，也學會了說自己的故事。"""
ENGLISH = """In the morning I walked along the river for a long time and watched the clouds in the water.
An old man sat on the bridge. He said that there had been no road here, only the wind and the hills.
Later more people came, and they began to live here, to work the fields and to tell stories of their own."""
WORDS = sorted(set(re.findall("[a-z]+", ENGLISH.lower())))


def sentence(seed: int, words: int = 12) -> str:
    """A line of words that means nothing; different seeds make different ones."""
    chosen = random.Random(seed).choices(WORDS, k=words)
    return " ".join(chosen).capitalize() + "."


def story(seed: int, sentences: int = 8) -> str:
    """A paragraph, as long as `sentences` lines."""
    return " ".join(sentence(1000 * seed + number) for number in range(sentences))


def verse(seed: int) -> str:
    """A line of four times seven characters out of a few hundred."""
    letters = random.Random(seed).choices([chr(0x4E00 + 7 * number) for number in range(300)], k=28)
    parts = ["".join(letters[at : at + 7]) for at in range(0, 28, 7)]
    return f"{parts[0]}，{parts[1]}。{parts[2]}，{parts[3]}。"


def packed(members: Mapping[str, str | bytes]) -> bytes:
    """A zip of these files."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def docx(text: str, head: str = "", extra: str = "") -> bytes:
    """A Word file with a paragraph for each line. `head` goes before the document, `extra` behind its last paragraph."""
    paragraphs = "".join(f"<w:p><w:r><w:t>{escape(line)}</w:t></w:r></w:p>" for line in text.split("\n"))
    space = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    body = f'<?xml version="1.0"?>{head}<w:document xmlns:w="{space}"><w:body>{paragraphs}{extra}</w:body></w:document>'
    return packed({"[Content_Types].xml": "<Types/>", "word/document.xml": body})


def epub(chapters: Sequence[str], extra: Mapping[str, str] | None = None) -> bytes:
    """An e-book; its chapters are packed in reverse, and the table of contents is no chapter."""
    items = "".join(f'<item id="c{n}" href="text/c%20{n}.xhtml" media-type="application/xhtml+xml"/>' for n in range(len(chapters)))
    spine = "".join(f'<itemref idref="c{n}"/>' for n in range(len(chapters)))
    nav = '<item id="nav" properties="nav" href="nav.xhtml" media-type="application/xhtml+xml"/>'
    package = f'<package xmlns="http://www.idpf.org/2007/opf"><manifest>{items}{nav}</manifest><spine><itemref idref="nav"/>{spine}</spine></package>'
    pages = {
        f"OEBPS/text/c {n}.xhtml": "<?xml version='1.0'?><!DOCTYPE html><html><head><title>no</title><style>p{}</style></head><body>"
        + "".join(f"<p>{escape(line)}</p>" for line in text.split("\n")) + "</body></html>"
        for n, text in reversed(list(enumerate(chapters)))
    }  # fmt: skip
    container = '<container><rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'
    return packed({"META-INF/container.xml": container, "OEBPS/book.opf": package, "OEBPS/nav.xhtml": "<p>Contents</p>", **pages, **(extra or {})})


def pdf(pages: Sequence[str], password: str | None = None) -> bytes:
    """A PDF with these pages, a line for each line; ASCII only."""
    from pypdf import PdfWriter
    from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

    writer = PdfWriter()
    font = {"/Type": "/Font", "/Subtype": "/Type1", "/BaseFont": "/Helvetica"}
    fonts = DictionaryObject({NameObject("/F"): DictionaryObject({NameObject(key): NameObject(value) for key, value in font.items()})})
    for text in pages:
        page = writer.add_blank_page(600, 800)
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
        stream = DecodedStreamObject()
        lines = " ".join(f"({line}) Tj T*" for line in text.replace("(", "").replace(")", "").split("\n"))
        stream.set_data(f"BT /F 12 Tf 14 TL 50 750 Td {lines} ET".encode() if text else b"")
        page[NameObject("/Contents")] = writer._add_object(stream)
    if password is not None:
        writer.encrypt(password, algorithm="RC4-128")
    file = io.BytesIO()
    writer.write(file)
    return file.getvalue()

"""Text in documents of other programs: DOCX, EPUB, PDF, HTML. Files may be hostile: entities, bombs and scripts are never followed."""

from __future__ import annotations

import io
import logging
import posixpath
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from urllib.parse import unquote
from xml.parsers import expat

from fenshen.data.items import RATIO_LIMIT, TEXT_LIMIT, read_limited
from fenshen.errors import UnreadableError
from fenshen.media.encodings import decode

OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # What Word's older files, and its encrypted ones, begin with.
BOMB_FROM = 8 << 20  # Bytes from which on a member may not be more than RATIO_LIMIT times as large as in its archive.
MOST_PAGES = 20_000
LEAST_READABLE = 0.8  # Part of a PDF's letters that are letters; the rest stands in fonts that do not say which ones they show.
BLOCKS = {
    "address", "article", "aside", "blockquote", "body", "br", "dd", "div", "dl", "dt", "figcaption", "figure", "footer", "h1", "h2", "h3", "h4",
    "h5", "h6", "header", "hr", "li", "main", "nav", "ol", "p", "pre", "section", "table", "tr", "ul",
}  # fmt: skip
HIDDEN = {"script", "style", "head", "template", "rt", "rp"}  # Among them how to read a character (rt), beside it.


@contextmanager
def _blamed() -> Iterator[None]:
    """Any error of an archive or XML reader says that the file is damaged."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, KeyError, ValueError, expat.ExpatError) as error:
        raise UnreadableError("is damaged or cut off ({problem})", problem=str(error) or type(error).__name__) from None


def docx_text(data: bytes) -> str:
    """The paragraphs of a Word file, a line each; deleted text, notes and headers are left out. Raises UnreadableError."""
    if data.startswith(OLD_OFFICE):
        raise UnreadableError("is protected by a password, or a Word file of the old kind: save it as .docx without one")
    word = _Word()
    with _blamed(), zipfile.ZipFile(io.BytesIO(data)) as archive:
        if "word/document.xml" not in archive.namelist():
            raise UnreadableError("is no Word file: it has no word/document.xml")
        walk(member(archive, "word/document.xml"), word.start, word.end, word.text)
    return "".join(word.parts)


class _Word:
    """Collects the text of a Word document as its elements pass by."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.reading = False
        self.fallback = 0  # Inside of what old programs show in place of something that stands there too.

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.fallback += name == "Fallback"
        self.reading = name == "t" and not self.fallback
        if not self.fallback:
            self.parts += {"tab": ["\t"], "br": ["\n"], "cr": ["\n"]}.get(name, [])

    def end(self, name: str) -> None:
        self.fallback -= name == "Fallback"
        self.reading = False
        if name == "p" and not self.fallback:
            self.parts.append("\n")

    def text(self, text: str) -> None:
        if self.reading:
            self.parts.append(text)


def epub_chapters(data: bytes) -> list[tuple[str, str]]:
    """(file, text) of each chapter of an e-book in the order of reading. Raises UnreadableError, also for protected books."""
    with _blamed(), zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = set(archive.namelist())
        if "META-INF/container.xml" not in names:
            raise UnreadableError("is no EPUB: it has no META-INF/container.xml")
        book = next((at["full-path"] for name, at in tags(member(archive, "META-INF/container.xml")) if name == "rootfile"), "")
        chapters = [name for name in _spine(member(archive, book), posixpath.dirname(book)) if name in names]
        if "META-INF/encryption.xml" in names:
            locked = {unquote(at["URI"]) for name, at in tags(member(archive, "META-INF/encryption.xml")) if name == "CipherReference"}
            if locked & set(chapters):
                raise UnreadableError("is protected against copying (DRM): its text cannot be read")
        pages = [(name, member(archive, name)) for name in chapters]
    return [(name, html_text(decode(page).text)) for name, page in pages if page.strip()]


def _spine(package: bytes, folder: str) -> Iterator[str]:
    """Names of the chapters' files in the order of reading, without the table of contents."""
    files: dict[str, str] = {}
    for name, at in tags(package):
        if name == "item" and "html" in at.get("media-type", "") and "nav" not in at.get("properties", "").split():
            files[at["id"]] = posixpath.normpath(posixpath.join(folder, unquote(at["href"])))
        elif name == "itemref" and at.get("linear") != "no" and at["idref"] in files:
            yield files[at["idref"]]


def member(archive: zipfile.ZipFile, name: str) -> bytes:
    """One file of an archive in memory. Raises UnreadableError for what is encrypted, or a bomb."""
    info = archive.getinfo(name)
    if info.flag_bits & 1:
        raise UnreadableError("is protected by a password: save it without one")
    if info.file_size > max(BOMB_FROM, RATIO_LIMIT * info.compress_size):
        text = "is refused: {name} in it unpacks to {size} MB from {packed} KB (a decompression bomb?)"
        raise UnreadableError(text, name=name, size=info.file_size >> 20, packed=info.compress_size >> 10)
    with archive.open(info) as file:
        return read_limited(file, info.file_size, TEXT_LIMIT)


def walk(data: bytes, start: Callable[[str, dict[str, str]], None], end: Callable[[str], None], text: Callable[[str], None]) -> None:
    """Tells of every element, by its name without a namespace, and of the text. Entities of the file's own are refused (XML bombs)."""

    def refuse(name: str, *_: object) -> None:
        raise UnreadableError("is refused: it declares an XML entity ({name}), which could make it endlessly long", name=name)

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.EntityDeclHandler, parser.buffer_text = refuse, True
    parser.StartElementHandler = lambda name, at: start(name.rpartition(" ")[2], {key.rpartition(" ")[2]: value for key, value in at.items()})
    parser.EndElementHandler = lambda name: end(name.rpartition(" ")[2])
    parser.CharacterDataHandler = text
    parser.Parse(data, True)


def tags(data: bytes) -> list[tuple[str, dict[str, str]]]:
    """(name, attributes) of every element of a small XML file."""
    found: list[tuple[str, dict[str, str]]] = []
    walk(data, lambda name, at: found.append((name, at)), lambda name: None, lambda text: None)
    return found


class _Page(HTMLParser):
    """Collects what a reader of a page sees; white space as a browser shows it."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.hidden = self.verbatim = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.hidden += tag in HIDDEN
        self.verbatim += tag == "pre"
        self.parts += ["\n"] if tag in BLOCKS else []

    def handle_endtag(self, tag: str) -> None:
        self.hidden -= tag in HIDDEN and self.hidden > 0
        self.verbatim -= tag == "pre" and self.verbatim > 0
        self.parts += ["\n"] if tag in BLOCKS else []

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        self.parts += ["\n"] if tag in BLOCKS else []

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            spaced = " " * data[:1].isspace() + " ".join(data.split()) + " " * data[-1:].isspace()
            self.parts.append(data if self.verbatim else spaced if data.strip() else " ")


def html_text(markup: str) -> str:
    """What a page shows: paragraphs parted by a blank line, no scripts, styles or head."""
    page = _Page()
    page.feed(markup)
    page.close()
    lines = [line.strip() for line in "".join(page.parts).split("\n")]
    return "\n\n".join(line for line in lines if line)


def pdf_text(data: bytes) -> str:
    """The text of all pages, as far as it is text. Raises UnreadableError for scans, passwords, and files that are damaged."""
    from pypdf import PdfReader

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    try:
        reader = PdfReader(io.BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise UnreadableError("is protected by a password: save it without one")
        text = "\n".join(page.extract_text() for page, _ in zip(reader.pages, range(MOST_PAGES), strict=False))
    except UnreadableError:
        raise
    except Exception as error:  # A damaged file makes the reader stumble in any way.
        problem = (str(error) or type(error).__name__).splitlines()[0][:200]
        text = "is protected: save it without a password" if "cryptography" in problem else "is damaged or cut off ({problem})"
        raise UnreadableError(text, problem=problem) from None
    if not text.strip():
        raise UnreadableError("holds no text: its pages are pictures; let a program recognize the text (OCR) first")
    strange = sum(letter == "\ufffd" or "\ue000" <= letter <= "\uf8ff" or letter < "\t" for letter in text)
    if strange > (1 - LEAST_READABLE) * len(text.strip()):
        raise UnreadableError("has fonts that do not say which letters they show; let a program recognize the text (OCR) first")
    return text.replace("\0", "")

"""What `look` found, as a part of the page: a few samples, what there is of what, and what is wrong with it."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Iterator, Sequence

from fenshen.api import Glanced, Report, WordsReport
from fenshen.evaluate.charts import Markup, element, joined
from fenshen.lang import tr
from fenshen.media.image import flattened, to_image

MOST_LABELS, MOST_FILES = 24, 12
CRISP = 48  # Pixels; a smaller picture is shown in squares.


def looked(title: str, report: Report | WordsReport, samples: Sequence[Glanced] = ()) -> Markup:
    """The whole answer. `samples`: pictures, where the report is about pictures."""
    words = isinstance(report, WordsReport)
    shown = excerpts(report.samples) if isinstance(report, WordsReport) else thumbnails(samples)
    count = tr("{count} documents", count=f"{report.count:,}") if words else tr("{count} pictures", count=f"{report.count:,}")
    head = element("h2", f"{title} ", element("span", count, class_="fs-badge"))
    facts = text_facts(report) if isinstance(report, WordsReport) else picture_facts(report)
    return element("section", head, shown, definitions(facts), *labels(report.labels), *troubles(report), class_="fs-card fs-data")


def thumbnails(samples: Sequence[Glanced]) -> Markup:
    names = [sample.name if sample.label is None else f"{sample.name} · {sample.label}" for sample in samples]
    shown = [element("li", _thumbnail(sample), title=name) for sample, name in zip(samples, names, strict=True)]
    return element("ul", *shown, class_="fs-thumbnails", aria_label=tr("some of the pictures"))


def _thumbnail(sample: Glanced) -> Markup:
    pixels = flattened(sample.pixels[None])[0] if sample.pixels.shape[2] == 4 else sample.pixels
    crisp, file = max(pixels.shape[:2]) <= CRISP, io.BytesIO()
    to_image(pixels).save(file, "PNG" if crisp else "WEBP", quality=82)
    source = f"data:image/{'png' if crisp else 'webp'};base64,{base64.b64encode(file.getvalue()).decode()}"
    return element("img", src=source, alt=sample.label or sample.name, class_="fs-pixels" if crisp else None, loading="lazy")


def excerpts(samples: Sequence[str]) -> Markup:
    return element("div", *(element("blockquote", text) for text in samples), class_="fs-excerpts")


def definitions(facts: Iterable[tuple[str, str]]) -> Markup:
    return element("dl", *(element("div", element("dt", name), element("dd", value)) for name, value in facts), class_="fs-told")


def picture_facts(report: Report) -> Iterator[tuple[str, str]]:
    yield tr("sizes"), _sizes(report)
    yield tr("formats"), ", ".join(report.formats)
    yield tr("trained on"), f"{report.train:,}"
    yield tr("held out to measure with"), f"{report.held_out:,}"
    if report.resolution:
        yield tr("would be trained at"), report.resolution_reason
    yield tr("colors"), report.channels_reason
    yield from _copies(report)


def _sizes(report: Report) -> str:
    (width, _, widest), (height, _, highest) = report.widths, report.heights
    if (width, height) == (widest, highest):
        return tr("all {width} × {height} pixels", width=width, height=height)
    return tr("{width} × {height} to {widest} × {highest} pixels", width=width, height=height, widest=widest, highest=highest)


def text_facts(report: WordsReport) -> Iterator[tuple[str, str]]:
    yield tr("characters"), f"{report.characters:,}"
    yield tr("encodings"), ", ".join(report.encodings) or "UTF-8"
    yield tr("documents"), report.unit_reason
    yield tr("would be read as"), report.tokens
    yield tr("trained on"), f"{report.train:,}"
    yield tr("held out to measure with"), f"{report.held_out:,}"
    if report.speakers:
        yield tr("speakers"), ", ".join(report.speakers[:MOST_LABELS])
    yield from _copies(report)


def _copies(report: Report | WordsReport) -> Iterator[tuple[str, str]]:
    if report.duplicates:
        yield tr("exact copies"), f"{report.duplicates:,}"
    if report.near_duplicates > report.duplicates:
        yield tr("copies, near ones too"), f"{report.near_duplicates:,}"
    if report.ignored:
        yield tr("other files, ignored"), f"{report.ignored:,} ({', '.join(report.ignored_examples)})"


def labels(counts: dict[str, int]) -> Iterator[Markup]:
    """The most frequent ones with their counts."""
    if counts:
        most = sorted(counts.items(), key=lambda entry: -entry[1])[:MOST_LABELS] if len(counts) > MOST_LABELS else list(counts.items())
        chips = [element("span", f"{name} ", element("b", f"{count:,}"), class_="fs-badge") for name, count in most]
        rest = [element("span", tr("{count} labels in all", count=len(counts)), class_="fs-soft")] if len(counts) > MOST_LABELS else []
        yield element("p", element("span", tr("Labels"), class_="fs-soft"), " ", joined(_spaced([*chips, *rest])), class_="fs-chips")


def _spaced(parts: Iterable[str]) -> Iterator[str]:
    for part in parts:
        yield part
        yield " "


def troubles(report: Report | WordsReport) -> Iterator[Markup]:
    """Warnings in words; what cannot be read, with reasons; what looks alike."""
    for warning in report.warnings:
        yield element("p", warning, class_="fs-warning")
    for note in report.notes:
        yield element("p", note, class_="fs-soft")
    if report.unreadable:
        lines = [element("li", element("b", name), f" {reason}") for name, reason in report.unreadable[:MOST_FILES]]
        rest = len(report.unreadable) - len(lines)
        lines += [element("li", tr("and {count} more", count=rest))] if rest else []
        yield _folded(tr("Cannot be read, and would be left out: {count}", count=len(report.unreadable)), lines, "bad")
    if report.near_duplicate_examples:
        lines = [element("li", ", ".join(names)) for names in report.near_duplicate_examples]
        yield _folded(tr("Look alike, for example"), lines)


def _folded(title: str, lines: Sequence[Markup], kind: str = "") -> Markup:
    return element("details", element("summary", title), element("ul", *lines), class_=f"fs-folded {kind}".strip())

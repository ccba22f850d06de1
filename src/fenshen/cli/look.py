"""`fenshen look`: what is in a source, what is broken, what would be trained and how long it takes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fenshen.cli.console import Speaker
from fenshen.cli.options import Json, Set
from fenshen.errors import DataError
from fenshen.lang import tr
from fenshen.phrases import duration, number

if TYPE_CHECKING:
    from fenshen.api import Glanced, Plan, Report, WordsReport

HELP = tr("See what is in DATA, what is broken in it, what would be trained, and how long that takes here.")
MOST_LABELS, MOST_FILES = 12, 10
MINUTES = 10


def look(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA", show_default=False,
            help=tr("a file, folder, zip or tar of pictures or words, .npz, .parquet, hf://NAME; built in: digits, topics"),
        ),
    ],
    changes: Set = None,
    sheet: Annotated[
        Path | None,
        typer.Option("--sheet", metavar="FILE", help=tr("also write some of the pictures, small, into a .png or .webp"), show_default=False),
    ] = None,
    time: Annotated[bool, typer.Option("--time/--no-time", help=tr("also time a few training steps (about 15 seconds)"))] = True,
    json: Json = False,
) -> None:
    from fenshen import api
    from fenshen.recipe import set_from_text

    speaker = Speaker(json)
    recipe = api.describe_recipe(data, changes=set_from_text(changes or []))
    report = api.look(None, recipe)
    if isinstance(report, api.WordsReport):
        if sheet is not None:
            raise DataError("--sheet shows pictures, and {data} holds words: leave it out", data=data)
        if not json:
            show_words(speaker, report)
        plan = api.plan(data, recipe) if time else None
        if plan and not json:
            speaker.table(tr("Time on this machine"), timing_words(plan))
        if not json:
            speaker.say(tr("Train on it with: fenshen train {data}", data=data), "bold")
        return speaker.answer(report.to_dict() | ({} if plan is None else {"plan": plan_values(plan)}))
    if not json:
        show(speaker, report)
    if sheet is not None:
        speaker.say(tr("Some of them: {path}", path=write_sheet(api.glance(data), sheet)))
    plan = api.plan(data, recipe) if time and report.resolution else None
    if plan and not json:
        speaker.table(tr("Time on this machine"), timing(plan))
    if report.resolution and not json:
        speaker.say(tr("Train on it with: fenshen train {data}", data=data), "bold")
    speaker.answer(report.to_dict() | ({} if plan is None else {"plan": plan_values(plan)}))


def write_sheet(samples: list[Glanced], path: Path) -> Path:
    """Pictures side by side, each in the middle of a square of its own."""
    import numpy as np
    from PIL import Image, ImageOps

    from fenshen.media.image import grid, save_picture, to_image

    side = max(max(sample.pixels.shape[:2]) for sample in samples)
    squares = [ImageOps.pad(to_image(sample.pixels).convert("RGB"), (side, side), Image.Resampling.NEAREST, "white") for sample in samples]
    return save_picture(grid(np.stack([np.asarray(square) for square in squares])), path)


def show(speaker: Speaker, report: Report) -> None:
    """The report on pictures in tables and sentences."""
    speaker.table(report.source, pictures(report))
    show_rest(speaker, report)


def show_words(speaker: Speaker, report: WordsReport) -> None:
    """The report on words in tables and sentences."""
    speaker.table(report.source, words(report))
    show_rest(speaker, report)


def show_rest(speaker: Speaker, report: Report | WordsReport) -> None:
    """What is said of every kind of data alike."""
    if report.labels:
        speaker.table(tr("Labels"), labels(report))
    if report.unreadable:
        speaker.table(tr("Cannot be read, and would be left out: {count}", count=len(report.unreadable)), listed(report.unreadable))
    if report.near_duplicate_examples:
        speaker.table(tr("Look alike, for example"), ([", ".join(names)] for names in report.near_duplicate_examples))
    for note in report.notes:
        speaker.say(tr("Note: {text}", text=note))
    for warning in report.warnings:
        speaker.say(tr("Mind: {text}", text=warning), "yellow")


def pictures(report: Report) -> Iterable[tuple[str, str]]:
    """Name and value of every line about the pictures as a whole."""
    sizes = tr("width {widths}, height {heights} pixels (least, middle, most)", widths=_three(report.widths), heights=_three(report.heights))
    yield tr("pictures"), f"{report.count:,}"
    yield tr("formats"), _counted(report.formats)
    yield tr("modes"), _counted(report.modes)
    yield tr("sizes"), sizes
    yield tr("captions"), f"{report.captions:,}"
    yield tr("exact copies"), f"{report.duplicates:,}"
    yield tr("copies, near ones too"), f"{report.near_duplicates:,}"
    yield tr("unreadable files"), f"{len(report.unreadable):,}"
    yield tr("other files, ignored"), f"{report.ignored:,}" + (f" ({', '.join(report.ignored_examples)})" if report.ignored else "")
    if report.resolution:
        yield tr("would be trained at"), report.resolution_reason
    yield tr("colors"), f"{report.channels}: {report.channels_reason}"
    yield tr("trained on"), f"{report.train:,}"
    yield tr("held out to measure with"), f"{report.held_out:,}"


def words(report: WordsReport) -> Iterable[tuple[str, str]]:
    """Name and value of every line about the words as a whole."""
    yield tr("files"), f"{report.files:,}"
    yield tr("encodings"), _counted(report.encodings) or "-"
    yield tr("documents"), f"{report.count:,}: {report.unit_reason}"
    lengths = tr("{count}, {lengths} in a document (least, middle, most)", count=f"{report.characters:,}", lengths=_three(report.lengths))
    held_out = tr("{count}, with {characters} characters", count=f"{report.held_out:,}", characters=f"{report.held_out_characters:,}")
    yield tr("characters"), lengths
    yield tr("begins"), report.excerpt
    if report.speakers:
        yield tr("speakers"), ", ".join(report.speakers[:MOST_LABELS]) + ("…" if len(report.speakers) > MOST_LABELS else "")
    yield tr("exact copies"), f"{report.duplicates:,}"
    yield tr("copies, near ones too"), f"{report.near_duplicates:,}"
    yield tr("unreadable files"), f"{len(report.unreadable):,}"
    yield tr("other files, ignored"), f"{report.ignored:,}" + (f" ({', '.join(report.ignored_examples)})" if report.ignored else "")
    yield tr("would be read as"), report.tokens
    yield tr("trained on"), f"{report.train:,}"
    yield tr("held out to measure with"), held_out


def _three(values: tuple[int, int, int]) -> str:
    return "/".join(map(str, values))


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def labels(report: Report | WordsReport) -> Iterable[tuple[str, str]]:
    """Label and count, the most frequent ones."""
    ordered = sorted(report.labels.items(), key=lambda entry: -entry[1])
    shown = ordered[:MOST_LABELS] if len(ordered) > MOST_LABELS else report.labels.items()
    yield from ((name, f"{count:,}") for name, count in shown)
    if len(ordered) > MOST_LABELS:
        yield "…", tr("{count} labels in all", count=len(ordered))


def listed(files: list[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    """The first files with their reasons."""
    yield from files[:MOST_FILES]
    if len(files) > MOST_FILES:
        yield "…", tr("and {count} more; --json lists all", count=len(files) - MOST_FILES)


def timing(plan: Plan) -> Iterable[tuple[str, str]]:
    """What a thousand pictures cost and what ten minutes give."""
    per_second = plan.probed.pictures_per_second
    yield tr("speed"), tr("{rate} pictures a second, {seconds} s for a thousand", rate=number(per_second), seconds=number(plan.seconds_per_kimg))
    yield tr("settings"), (plan.probed.tried and min(plan.probed.tried, key=lambda entry: entry[1])[0]) or ""
    shown, times = per_second * 60 * MINUTES, times_a_minute(plan) * MINUTES
    text = tr("{kimg} thousand pictures shown, each of them {times} times", kimg=number(shown / 1000), times=number(times))
    yield tr("{minutes} minutes give", minutes=MINUTES), text
    yield tr("{count} pictures shown take", count=f"{200_000:,}"), duration(200 * plan.seconds_per_kimg)


def timing_words(plan: Plan) -> Iterable[tuple[str, str]]:
    """How fast its tokens are read, and how often in ten minutes."""
    from fenshen.data import Texts
    from fenshen.training.wording import tokens_per_row

    assert isinstance(plan.dataset, Texts)
    per_second = plan.probed.pictures_per_second * tokens_per_row(plan.recipe, plan.dataset)
    yield tr("speed"), tr("{rate} tokens/s", rate=f"{per_second:,.0f}")
    yield tr("settings"), (plan.probed.tried and min(plan.probed.tried, key=lambda entry: entry[1])[0]) or ""
    yield tr("{minutes} minutes give", minutes=MINUTES), tr("all of the text {times} times", times=number(times_a_minute(plan) * MINUTES))


def times_a_minute(plan: Plan) -> float:
    """How often all that is trained on is shown in a minute."""
    from fenshen.data import Texts
    from fenshen.training.wording import tokens_per_row

    rows, data = plan.probed.pictures_per_second * 60, plan.dataset
    if isinstance(data, Texts):
        return rows * tokens_per_row(plan.recipe, data) / int(data.lengths[data.train].sum())
    return rows / len(data.train)


def plan_values(plan: Plan) -> dict[str, Any]:
    """A plan as plain values for JSON."""
    return {
        "recipe": plan.recipe.model_dump(exclude_none=True), "device": str(plan.device), "parameters": plan.parameters,
        "memory_bytes": plan.memory_bytes, "seconds_per_kimg": plan.seconds_per_kimg, "pictures_per_second": plan.probed.pictures_per_second,
        "seconds": plan.seconds, "times_a_minute": times_a_minute(plan),
        "train": len(plan.dataset.train), "held_out": len(plan.dataset.held_out), "classes": list(plan.made.classes),
        "skipped": len(plan.dataset.skipped), "tried": [{"settings": name, "seconds_per_step": seconds} for name, seconds in plan.probed.tried],
    }  # fmt: skip

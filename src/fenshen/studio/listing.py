"""All runs as a list to choose from: a look at each, what it is, how far it came, what it takes on the disk. Nothing of gradio."""

from __future__ import annotations

import base64
import io
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fenshen.errors import FenshenError, RunFolderError
from fenshen.evaluate.charts import Markup, element, joined
from fenshen.lang import tr
from fenshen.phrases import bytes_in_words, duration
from fenshen.studio.desk import MEASURING, OVER, Desk
from fenshen.studio.shelf import found

if TYPE_CHECKING:
    from fenshen.api import Run

MANY = 6  # Runs, from which on they can be searched and sorted.
CELL = 48  # Pixels that one picture of a sheet of samples has at least, and the gap beside it.
GAP = 2
SHOWN_SIDE = 112
FIRST_WORDS = 80


def find(name: str) -> Run:
    """A run by its name among the runs, never by a path. RunFolderError where there is none."""
    from fenshen import api

    return api.Run(found(name))


def rows(desk: Desk) -> list[dict[str, Any]]:
    """What `fenshen runs` says of each, newest first, and a `look` at it; `state` is "training" or "waiting" where the desk has it in hand."""
    from fenshen import api

    states = _at_desk(desk)
    return [_told(run, states) for run in api.runs()]


def row(desk: Desk, name: str) -> dict[str, Any] | None:
    """The same of one run; None where there is none of that name."""
    try:
        return _told(find(name), _at_desk(desk))
    except RunFolderError:
        return None


def _at_desk(desk: Desk) -> dict[str, str]:
    return {job.run: job.state for job in desk.jobs() if job.state not in (*OVER, "paused") and job.verb not in MEASURING}


def _told(run: Run, states: dict[str, str]) -> dict[str, Any]:
    told = run.summary()
    return told | {"look": look(run.path), "state": states.get(told["name"], told["state"])}


def chosen_from(found: list[dict[str, Any]], query: str, order: str) -> list[dict[str, Any]]:
    """Those with the words of `query` in their name, data or network; by `order`: when, name or bytes."""
    words = query.casefold().split()
    kept = [row for row in found if all(word in f"{row['name']} {row['data']} {row['network']} {row['family']}".casefold() for word in words)]
    return sorted(kept, key=lambda row: row[order].casefold() if order == "name" else row[order], reverse=order != "name")


def look(path: Path) -> Markup:
    """The corner of the newest sheet of samples, or the first words of the newest text; empty where there is neither."""
    samples = sorted([*path.glob("samples/[0-9]*.png"), *path.glob("samples/[0-9]*.txt")])
    if not samples:
        return Markup()
    newest = samples[-1]
    try:
        return _corner(newest, newest.stat().st_mtime_ns, path) if newest.suffix == ".png" else _words(newest)
    except (OSError, FenshenError):
        return Markup()


@lru_cache(maxsize=256)
def _corner(sheet: Path, changed: int, run: Path) -> Markup:
    """Two by two of its pictures, as a data URI."""
    from fenshen.media.image import over_white, read_picture
    from fenshen.run import RunFolder

    side = RunFolder(run).read_json("data.json").get("resolution")
    cell = (side * max(1, -(-CELL // side)) if isinstance(side, int) and side > 0 else CELL) + GAP
    picture = over_white(read_picture(sheet))
    begin, end = GAP // 2, 2 * cell + GAP // 2
    picture = picture.crop((begin, begin, min(end, picture.width), min(end, picture.height)))
    picture.thumbnail((SHOWN_SIDE, SHOWN_SIDE))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return element("img", src=f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}", alt="", class_="fs-look")


def _words(text: Path) -> Markup:
    with open(text, encoding="utf-8", errors="replace") as file:
        return element("span", " ".join(file.read(4 * FIRST_WORDS).split())[:FIRST_WORDS], class_="fs-look", aria_hidden="true")


def state_badge(state: str) -> Markup:
    from fenshen.keeping.runs import state_in_words

    match state:
        case "training" | "waiting":
            said = tr("training") if state == "training" else tr("waiting")
        case _:
            said = state_in_words(state)
    kind = {"training": " on", "damaged": " bad"}.get(state, "")
    return element("span", said, class_=f"fs-badge{kind}")


def kind_in_words(kind: str) -> str:
    return {"pictures": tr("pictures"), "words": tr("words"), "restoring": tr("restores pictures"), "": ""}[kind]


def markup(found: list[dict[str, Any]], chosen: str) -> Markup:
    """The list, each run a button; `chosen` is pressed."""
    if not found:
        return element("p", tr("No run has these words in its name, data or network."), class_="fs-soft")
    return element("ul", joined(element("li", _row(row, row["name"] == chosen)) for row in found), class_="fs-runs")


def _row(row: dict[str, Any], pressed: bool) -> Markup:
    facts = [kind_in_words(row["kind"]), row["network"], shown_source(row["data"])]
    return element(
        "button",
        element("span", row["look"], class_="fs-looked"),
        element("span", element("strong", row["name"]), element("small", " · ".join(filter(None, facts))), class_="fs-what"),
        element("span", state_badge(row["state"]), element("small", bytes_in_words(row["bytes"]), class_="fs-figure"), class_="fs-far"),
        type="button", data_run=row["name"], aria_pressed="true" if pressed else "false",
    )  # fmt: skip


def shown_source(source: str) -> str:
    """The last part of a path is what people know their data by."""
    return source if source.startswith("hf://") else Path(source).name or source


def total(found: list[dict[str, Any]]) -> str:
    """What all runs and the cache take on the disk, in a sentence."""
    from fenshen.data import cache
    from fenshen.keeping.runs import size_of

    runs, prepared = bytes_in_words(sum(row["bytes"] for row in found)), bytes_in_words(size_of(cache.root()))
    return tr("On the disk: {count} runs with {runs}, prepared copies of data with {prepared}.", count=len(found), runs=runs, prepared=prepared)


def facts(row: dict[str, Any]) -> Markup:
    """What is known of one run, as pairs."""
    pairs = {
        tr("data"): shown_source(row["data"]), tr("network"): row["network"], tr("trained"): _trained(row),
        tr("began"): row["when"], tr("on the disk"): bytes_in_words(row["bytes"]),
    }  # fmt: skip
    return element("dl", joined(element("div", element("dt", name), element("dd", said)) for name, said in pairs.items() if said), class_="fs-facts")


def _trained(row: dict[str, Any]) -> str:
    if not row["kimg"]:
        return ""
    return tr("{kimg} kimg in {time}", kimg=f"{row['kimg']:.1f}", time=duration(row["minutes"] * 60))

"""What the page Judge shows, as markup: a report in a frame, two runs side by side, made pictures to be liked. Nothing of gradio.

Shapes: N pictures, H height, W width, C channels.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fenshen.errors import FenshenError, RecipeError
from fenshen.evaluate.charts import Markup, element, joined
from fenshen.lang import language, tr
from fenshen.studio.desk import Job

if TYPE_CHECKING:
    from fenshen.api import Run

BESIDE = 24  # Pictures of each run in a comparison.
TEXTS, CHARACTERS = 3, 300
WITHIN = """main { max-width: none; padding: 0; } header { padding: 0; } main > section:only-child { margin: 0; border: 0; }
footer, h1, .kicker { display: none; }"""
AFRESH = 1_000_003  # A seed that nobody has judged: what was taught shows on new pictures.


@dataclass(frozen=True)
class Taught:
    """The new run, and what was said while it was made."""

    run: Run
    said: tuple[str, ...]


def frame(page: str, title: str) -> Markup:
    """A report inside the page: it may run nothing and lead nowhere, whatever it holds; the page gives it height and colors."""
    page = page.replace("</head>", f"<style>{WITHIN}</style></head>", 1)
    return element("iframe", srcdoc=page, title=title, sandbox="allow-same-origin", class_="fs-report", loading="lazy")


def report_page(run: Run, section: str | None = None) -> str:
    """report.html, or one section of it; "" where there is none."""
    from fenshen.evaluate.page import only

    path = run.path / "report.html"
    if not path.exists():
        return ""
    text = path.read_text("utf-8", "replace")
    return text if section is None else only(text, section)


def in_another_language(page: str) -> bool:
    """Whether a report was written in the other language than that of the page."""
    return ('<html lang="zh' in page[:60]) != (language() == "zh")


def job_note(job: Job | None) -> Markup:
    """How a measurement is going, in a sentence; empty where none is under way and none failed."""
    if job is None:
        return Markup()
    what = {"evaluate": tr("measuring"), "audit": tr("looking for leaks")}[job.verb]
    match job.state:
        case "waiting":
            said = tr("It waits until what trains now has ended, then it begins.")
        case "training":
            said = (job.said() or [tr("reading the run and its data")])[-1]
        case "failed":
            return element("p", element("strong", tr("This did not work"), ": "), job.error, class_="fs-warning", role="alert")
        case _:
            return Markup()
    line = element("p", element("span", class_="fs-pulse", aria_hidden="true"), element("strong", what), " · ", said)
    return element("div", line, class_="fs-note fs-going", role="status", aria_live="polite")


def sheet(images_NHWC: np.ndarray, told: str, columns: int | None = None) -> Markup:
    """Pictures in a grid as one picture that says that a model made it."""
    from fenshen.evaluate.page import encoded
    from fenshen.media.image import grid, to_image

    side = max(images_NHWC.shape[1:3])
    source = encoded(to_image(grid(images_NHWC, columns, zoom=max(1, -(-48 // side)))), made=True)
    return element("img", src=source, alt=told, class_="fs-sheet fs-pixels" if side <= 64 else "fs-sheet")


def samples(run: Run, seed: int) -> Markup:
    """What a run makes from this seed: the same for the same seed. Its last look, where it makes nothing from nothing."""
    from fenshen.recipe import Restoring, Wording

    model = run.recipe.model
    if isinstance(model, Wording):
        texts = run.write(TEXTS, seed=seed, max_chars=CHARACTERS).texts
        return joined(element("blockquote", text, class_="fs-paper") for text in texts)
    if isinstance(model, Restoring):
        from fenshen.studio.listing import look

        return look(run.path)
    told = tr("{count} pictures by {run} from seed {seed}", count=BESIDE, run=run.path.name, seed=seed)
    return sheet(run.generate(BESIDE, seed).images, told, 6)


def others(run: Run) -> list[str]:
    """All other runs: first those that were trained on the same data, newest first."""
    from fenshen import api
    from fenshen.keeping.runs import record

    mine = record(run.folder, "data.json").get("fingerprint")
    rest = [other.folder for other in api.runs() if other.path.name != run.path.name]
    return [other.path.name for other in sorted(rest, key=lambda other: record(other, "data.json").get("fingerprint") != mine)]


def beside(first: Run, second: Run, seed: int) -> Markup:
    """Samples of both from the same seed."""
    return element("div", joined(_made_by(run, seed) for run in (first, second)), class_="fs-beside")


def _made_by(run: Run, seed: int) -> Markup:
    try:
        made = samples(run, seed)
    except FenshenError as error:
        made = element("p", str(error), class_="fs-warning")
    return element("figure", element("figcaption", element("strong", run.path.name)), made)


def compared(first: Run, second: Run) -> Markup:
    """Scores, recipes and ends of two runs, in tables."""
    from fenshen import api
    from fenshen.evaluate.comparison import rows

    found, names = api.compare(first.path, second.path), [first.path.name, second.path.name]
    parts = [element("h2", tr("Scores"))]
    if scores := found.scores():
        parts += [element("p", tr("A star stands where one is clearly better."), class_="fs-soft"), table(scores, names)]
    if None in found.reports:
        said = tr("Not both of them are measured: measure them on the first tab, then their scores stand here.")
        parts.append(element("p", said, class_="fs-note"))
    elif remark := found.remark():
        parts.append(element("p", remark, class_="fs-note"))
    if found.recipe:
        parts.append(folded(tr("Recipes differ in"), table(rows(found.recipe), names), len(found.recipe)))
    else:
        parts.append(element("p", tr("Both have the same recipe.")))
    parts.append(folded(tr("Last line of the log"), table(rows(found.last), names), len(found.last)))
    return joined(parts)


def folded(title: str, inside: Markup, count: int) -> Markup:
    """Many lines under their title, shown when asked for."""
    return element("details", element("summary", element("h2", title), element("span", str(count), class_="fs-badge")), inside, class_="fs-folded")


def table(lines: Any, names: list[str]) -> Markup:
    """A value of each of two runs in a line."""
    head = element("tr", element("td"), *(element("th", name, scope="col") for name in names))
    body = (element("tr", element("th", cells[0], scope="row"), *(element("td", cell) for cell in cells[1:])) for cells in lines)
    return element("div", element("table", element("thead", head), element("tbody", *body)), class_="fs-scroll fs-figure", tabindex="0")


def leaks(run: Run) -> Markup:
    """What the audit says, each sentence by itself; empty before there was one."""
    if not (run.path / "audit.json").exists():
        return Markup()
    said = run.folder.read_json("audit.json")
    sentences = [str(sentence) for sentence in said.get("verdict", [])]
    return element("div", element("ul", *(element("li", text) for text in sentences), class_="fs-findings"), class_="fs-card")


def can_be_taught(run: Run) -> bool:
    """Whether likes mean something to it: it makes pictures from latents."""
    from fenshen.recipe import OverCodes, Restoring, Wording

    return run.folder.weights.exists() and not isinstance(run.recipe.model, Restoring | Wording | OverCodes)


def tiles(images_NHWC: np.ndarray, marks: Mapping[int, bool]) -> Markup:
    """Pictures as buttons: liked, disliked, neither. What each state is called stands beside, for the script that turns them."""
    from fenshen.evaluate.page import encoded
    from fenshen.media.image import enlarged, to_image

    said = {"like": tr("liked"), "dislike": tr("disliked"), "none": tr("no opinion")}
    pixels = "fs-pixels" if max(images_NHWC.shape[1:3]) <= 64 else None
    buttons = []
    for index, picture in enumerate(images_NHWC):
        mark = "none" if index not in marks else "like" if marks[index] else "dislike"
        name = tr("picture {number}", number=index)
        shown = element("img", src=encoded(to_image(enlarged(picture, 48)), made=True), alt="", class_=pixels)
        buttons.append(element("button", shown, type="button", data_index=index, data_mark=mark, data_name=name, aria_label=f"{name}: {said[mark]}"))
    return element("div", joined(buttons), class_="fs-likes", data_like=said["like"], data_dislike=said["dislike"], data_none=said["none"])


def counted(marks: Mapping[tuple[int, int], bool]) -> Markup:
    """How many of each, and what is still missing."""
    likes = sum(marks.values())
    said = tr("{likes} liked, {dislikes} disliked", likes=likes, dislikes=len(marks) - likes)
    hint = "" if likes and likes < len(marks) else tr("It takes at least one of each; with ten of each it learns well.")
    return element("p", element("strong", said), " " if hint else "", hint, class_="fs-soft", role="status")


def teach(run: Run, marks: Mapping[tuple[int, int], bool], strength: float) -> Taught:
    """A new run that has learnt these wishes, by (seed, index). RecipeError where there is not at least one of each."""
    from fenshen import api

    if len(set(marks.values())) < 2:
        raise RecipeError("choose at least one picture that you like and one that you do not: click a picture once, or twice")
    said: list[str] = []

    class Heard(api.Watcher):
        def said(self, text: str) -> None:
            said.append(text)

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "wishes.txt"
        file.write_text("".join(f"{seed}:{index} {'like' if liked else 'dislike'}\n" for (seed, index), liked in marks.items()))
        taught = run.adapt(wishes=file, strength=strength, watcher=Heard())
    return Taught(taught, tuple(said))


def before_and_after(run: Run, taught: Taught) -> Markup:
    """What was learnt in words, and the same new seeds before it and after."""
    figures = [
        element("figure", element("figcaption", element("strong", when), f" · {one.path.name}"), samples(one, AFRESH))
        for when, one in ((tr("before"), run), (tr("after"), taught.run))
    ]
    return joined([*(element("p", text, class_="fs-note", role="status") for text in taught.said), element("div", *figures, class_="fs-beside")])

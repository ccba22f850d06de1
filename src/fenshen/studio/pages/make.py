"""The page Make: choose a run, and do with it what it can. One file each for pictures, for pictures to restore, and for words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gradio as gr

from fenshen.errors import FenshenError
from fenshen.evaluate.charts import Markup, element, joined
from fenshen.lang import tr
from fenshen.studio.face import Face, asked
from fenshen.studio.pages import make_pictures, make_restored, make_words

if TYPE_CHECKING:
    from fenshen.run import RunFolder
    from fenshen.studio.opened import Opened


def build(face: Face) -> None:
    gr.HTML(element("h1", tr("Make")))
    empty = gr.HTML(visible=False)
    chosen = gr.Dropdown(label=tr("Run"), choices=[], interactive=True, visible=False, elem_id="make-run", elem_classes="fs-plain")

    @face.answer
    def opened(request: gr.Request) -> tuple[gr.HTML, gr.Dropdown]:
        names = choices()
        if not names:
            return gr.HTML(nothing(face), visible=True), gr.Dropdown(visible=False)
        wanted = asked(request, "run")
        known = [name for _, name in names]
        missing = gr.HTML(element("p", tr("There is no run {name} to make something with.", name=wanted), class_="fs-warning"), visible=True)
        shown = gr.HTML(visible=False) if not wanted or wanted in known else missing
        return shown, gr.Dropdown(choices=names, value=wanted if wanted in known else known[0], visible=True)

    gr.on(None, opened, None, [empty, chosen], show_progress="hidden", api_visibility="private")

    @gr.render(inputs=chosen, triggers=[chosen.change], show_progress="minimal")
    @face.answer
    def tools(name: str | None) -> None:
        if name is None:
            return
        try:
            run = face.shelf.open(name)
            gr.HTML(about(face, run))
            bench = make_words if run.writes else make_restored if run.task else make_pictures
            bench.build(face, run)
        except FenshenError as error:
            gr.HTML(element("p", str(error), class_="fs-warning", role="alert"))


def choices() -> list[tuple[str, str]]:
    """(what is read, name) of all runs that have saved something, newest first."""
    from fenshen.run import list_runs

    return [(f"{run.path.name} · {kind(run)}", run.path.name) for run in list_runs() if run.weights.exists()]


def kind(run: RunFolder) -> str:
    """What a run makes, in a word; from its recipe alone."""
    from fenshen.recipe import Restoring, Wording

    try:
        model = run.recipe().model
    except FenshenError:
        return tr("damaged")
    if isinstance(model, Wording):
        return tr("words")
    if isinstance(model, Restoring):
        return tr("enlarges pictures") if model.task == "upscale" else tr("repairs pictures")
    return tr("pictures")


def nothing(face: Face) -> Markup:
    return element(
        "div", element("p", tr("Nothing is trained yet. What a run has learnt can be tried here, even while it is still learning.")),
        element("a", tr("Train the first one"), href=face.address("start"), class_="fs-button"), class_="fs-empty",
    )  # fmt: skip


def about(face: Face, run: Opened) -> Markup:
    """What the run makes, in badges; and that it still trains."""
    badges = [element("span", said, class_="fs-badge") for said in facts(run)]
    parts = [element("p", joined(badges), class_="fs-badges")]
    if face.desk.busy_with(run.path.name):
        link = element("a", tr("how far it is"), href=face.address("train", run=run.path.name))
        said = tr("It is still training: this is what it knew when it was last saved.")
        parts.append(element("p", said, " ", link, class_="fs-note"))
    return joined(parts)


def facts(run: Opened) -> list[str]:
    """A few words each: what, how large, which labels, which family."""
    from fenshen.run import Written

    made, family = run.made, tr("family {name}", name=run.recipe.model.family)
    if isinstance(made, Written):
        units = {"document": tr("documents"), "line": tr("lines"), "poem": tr("poems")}
        return [units.get(made.unit, made.unit), tr("reads {count} tokens back", count=made.context), family]
    colors = {1: tr("gray"), 3: tr("in color"), 4: tr("in color, transparent")}[made.channels]
    if run.task:
        what = tr("{factor} times as large", factor=run.factor) if run.task == "upscale" else tr("fills in what is missing")
        return [what, colors, family]
    text = "{count} groups" if made.grouped else "{count} labels"
    labels = [tr(text, count=len(made.classes))] if made.classes else []
    return [" × ".join(map(str, made.size)), colors, *labels, family]

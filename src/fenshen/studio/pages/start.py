"""The page Start: what you have, what is in it, what would be trained on it, and one button."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from fenshen.errors import FenshenError
from fenshen.evaluate.charts import Markup, element
from fenshen.lang import tr
from fenshen.recipe import Recipe, load_recipe, ready_recipes
from fenshen.studio.choices import LONGEST_MINUTES, choices, counts_only, explained, sensible_minutes
from fenshen.studio.estimate import estimated, timed
from fenshen.studio.estimate import stop as stop_timing
from fenshen.studio.face import Face
from fenshen.studio.form import changed, checked, form
from fenshen.uploads import LARGEST_FILE, Parcel

DROP, FORM = (Path(__file__).parents[1].joinpath(name).read_text("utf-8") for name in ("drop.js", "form.js"))
CHOOSE = """for (const card of element.querySelectorAll("button")) card.addEventListener("click", () => trigger("select", { name: card.name }));"""
GO = "(to) => { if (to) window.location.assign(to); return []; }"
BUILT_IN = ("digits", "topics")
QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


def build(face: Face) -> None:
    gr.HTML(element("h1", tr("What shall it learn from?")) + element("p", tr("Pictures or words. They stay on this computer."), class_="fs-lead"))
    source, words, plan = gr.State(""), gr.State(False), gr.State()
    with gr.Row(equal_height=True):
        with gr.Column(scale=3, min_width=320):
            drop = gr.HTML(html_template=drop_zone(face.language), js_on_load=DROP, elem_classes="fs-fill")
        with gr.Column(scale=2, min_width=280):
            cards = gr.HTML(html_template=built_in(), js_on_load=CHOOSE)
            if face.home:
                label = tr("Or a file or a folder on this computer")
                path = gr.Textbox(label=label, placeholder="/home/me/pictures", elem_id="path", submit_btn=tr("Look"))
    found = gr.HTML(elem_id="found")
    with gr.Column(visible=False, elem_id="wishes") as wishes:
        gr.HTML(element("h2", tr("What to train")))
        recipe = gr.Radio(label=tr("Recipe"), elem_classes="fs-recipes")
        hint = tr("Longer is better. It can be paused, and goes on when this page is closed.")
        minutes = gr.Slider(1, LONGEST_MINUTES, step=1, label=tr("Minutes"), info=hint)
        settings = gr.HTML("{}", html_template="${form}", form="", js_on_load=FORM, elem_id="settings")
        told = gr.HTML(elem_id="told")
        estimate = gr.HTML(elem_id="estimate")
        train = gr.Button(tr("Train"), variant="primary", elem_id="train")
    go = gr.Textbox(visible="hidden")

    def show(given: str) -> Iterator[dict[Any, Any]]:
        yield {source: "", found: waiting(tr("Looking at it …")), wishes: gr.Column(visible=False)}
        try:
            markup, is_words, usable = examined(given)
        except FenshenError as error:
            yield {found: element("p", str(error), class_="fs-warning", role="alert")}
            return
        names = choices(is_words)
        yield {source: given, words: is_words, plan: None, found: markup, wishes: gr.Column(visible=usable), estimate: "",
               recipe: gr.Radio([(explained(name), name) for name in names], value=names[0]), minutes: sensible_minutes(given, is_words),
               **blank(names[0])}  # fmt: skip

    def blank(name: str) -> dict[Any, Any]:
        """The form of another recipe, with nothing changed."""
        return {settings: gr.HTML("{}", form=form(ready(name), face.home)), told: ""}

    def check(given: str, name: str, changes: str) -> Markup:
        from fenshen import api

        wanted = changed(ready(name), changes, face.home)
        try:
            api.describe_recipe(given or None, name, changes=wanted)
        except FenshenError as error:
            return checked(wanted, str(error))
        return checked(wanted)

    def sent(event: gr.EventData) -> Iterator[dict[Any, Any]]:
        yield from show(str(Parcel.find(str(event.token)).source()))

    def picked(event: gr.EventData) -> Iterator[dict[Any, Any]]:
        yield from show(event.name if event.name in BUILT_IN else "digits")

    def typed(place: str) -> Iterator[dict[Any, Any]]:
        yield from show(place.strip())

    def time(given: str, name: str, wanted: float, changes: str, is_words: bool) -> Iterator[tuple[Any, Any]]:
        if not given or not name or counts_only(name):
            yield None, element("p", tr("It only counts: a few seconds."), class_="fs-note") if name and counts_only(name) else ""
            return
        if any(job.state == "training" for job in face.desk.jobs()):
            yield None, element("p", tr("Something is being trained, so no time can be measured now. Yours waits for its turn."), class_="fs-note")
            return
        yield None, waiting(tr("Timing a few steps, about 15 seconds …"))
        try:
            made = timed(given, name, wanted, changed(ready(name), changes, face.home))
            yield made, estimated(made, wanted, is_words)
        except FenshenError as error:
            yield None, element("p", str(error), class_="fs-warning")

    def say(made: dict[str, Any] | None, wanted: float, is_words: bool) -> Any:
        return gr.skip() if made is None else estimated(made, wanted, is_words)

    def start(given: str, name: str, wanted: float, changes: str) -> str:
        from fenshen import api

        if not given:
            raise FenshenError("nothing is chosen yet: drop files, or take the digits")
        wishes: dict[str, Any] = {"recipe": name, "minutes": wanted, "changes": changed(ready(name), changes, face.home)}
        api.describe_recipe(given, **wishes)
        stop_timing()
        return face.address("train", job=face.desk.add("train", source=given, **wishes).id)

    parts = [source, words, plan, found, wishes, recipe, minutes, settings, told, estimate]
    answers = [drop.upload(face.answer(sent), None, parts, **QUIET)]
    answers.append(cards.select(face.answer(picked), None, parts, **QUIET))
    if face.home:
        answers.append(path.submit(face.answer(typed), path, parts, **QUIET))
    wanted = [source, recipe, minutes, settings, words]
    for answer in answers:
        answer.then(face.answer(time), wanted, [plan, estimate], concurrency_id="timing", **QUIET)
    other = recipe.input(face.answer(blank), recipe, [settings, told], **QUIET)
    settings.input(face.answer(check), [source, recipe, settings], told, trigger_mode="always_last", **QUIET)
    other.then(face.answer(time), wanted, [plan, estimate], concurrency_id="timing", **QUIET)
    minutes.release(face.answer(say), [plan, minutes, words], estimate, **QUIET)
    drop.clear(lambda: ("", "", gr.Column(visible=False)), None, [source, found, wishes], **QUIET)
    train.click(face.answer(start), [source, recipe, minutes, settings], go, **QUIET).then(None, go, None, js=GO)


def ready(name: str) -> Recipe:
    """A ready recipe; no file of that name, whoever asks."""
    if name not in ready_recipes():
        raise FenshenError("there is no ready recipe {name}", name=name)
    return load_recipe(name)


def examined(given: str) -> tuple[Markup, bool, bool]:
    """What is in there; whether it is words; whether something can be trained on it."""
    from fenshen import api
    from fenshen.studio.looking import looked

    report, title = api.look(given), Path(given).name
    if isinstance(report, api.WordsReport):
        return looked(title, report), True, True
    return looked(title, report, api.glance(given)), False, report.resolution is not None


def built_in() -> Markup:
    """Cards of the two that come along."""
    said = {
        "digits": ("307", tr("Nothing at hand? Handwritten digits"), tr("1,797 little pictures; good after 3 minutes")),
        "topics": ("Aa", tr("Or English help texts"), tr("half a million letters; readable after 5 minutes")),
    }
    cards = [element("button", element("span", glyph, class_="glyph", aria_hidden="true"), element("b", title), element("span", text),
                     type="button", name=name, id=f"built-in-{name}", class_="fs-choice") for name, (glyph, title, text) in said.items()]  # fmt: skip
    return element("div", *cards, class_="fs-choices")


def waiting(text: str) -> Markup:
    return element("p", text, class_="fs-waiting", aria_live="polite")


def drop_zone(language: str) -> Markup:
    """Where files are dropped; drop.js makes it work, with these words."""
    text = "{name} is too large: at most {limit} MB a file; give the path of a folder on this computer instead"
    large = tr(text, name="{name}", limit=LARGEST_FILE >> 20)
    words = {
        "data_language": language, "data_largest": LARGEST_FILE, "data_large": large, "data_reading": tr("Reading the folder …"),
        "data_sending": tr("{done} of {all} files", done="{done}", all="{all}"), "data_sent": tr("{count} files are here.", count="{count}"),
        "data_nothing": tr("Nothing of it can be used."), "data_more": tr("and {count} more", count="{count}"),
        "data_broken": tr("The studio does not answer: see whether it still runs, then try again."),
    }  # fmt: skip
    inputs = (element("input", type="file", name="files", multiple="", hidden="", tabindex="-1", aria_hidden="true"),
              element("input", type="file", name="folder", webkitdirectory="", hidden="", tabindex="-1", aria_hidden="true"))  # fmt: skip
    buttons = (element("button", tr("Choose files"), type="button", data_for="files", class_="fs-button"),
               element("button", tr("Choose a folder"), type="button", data_for="folder", class_="fs-button soft"))  # fmt: skip
    bar = element("div", element("div", style="width:0"), class_="fs-progress", hidden="")
    remove = element("button", tr("Remove them again"), type="button", class_="fs-drop-remove fs-link", hidden="")
    said = element("p", element("span", class_="fs-drop-said", aria_live="polite"), " ", remove)
    title = element("p", tr("Drop files or a folder here"), class_="fs-drop-title")
    kinds = element("p", tr("Pictures, texts, .zip, .tar, .npz, .parquet. Folders within a folder become labels."), class_="fs-soft")
    refused = element("ul", class_="fs-drop-refused", aria_live="polite")
    return element("div", title, kinds, element("p", *buttons), *inputs, bar, said, refused, class_="fs-drop", **words)

"""The page Manage: all runs, what they take on the disk, and what can be done with one of them as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from fenshen.errors import RunFolderError
from fenshen.evaluate.charts import Markup, element, joined
from fenshen.lang import tr
from fenshen.phrases import bytes_in_words
from fenshen.studio import listing, parcel
from fenshen.studio.desk import OVER
from fenshen.studio.face import Face, asked

if TYPE_CHECKING:
    from fenshen.exporting.export import Exported, Part

CHOOSE = """
element.addEventListener('click', (event) => {
  const row = event.target.closest('[data-run]');
  if (!row) return;
  element.querySelectorAll('[aria-pressed]').forEach((other) => other.setAttribute('aria-pressed', other === row));
  trigger('select', { run: row.dataset.run });
});
"""
SHOW = """() => {
  const bench = document.querySelector("#manage-bench");
  if (bench && bench.getBoundingClientRect().top > innerHeight - 160) bench.scrollIntoView({ behavior: "smooth" });
}"""
FETCH = "() => document.querySelector('#manage-file a, a#manage-file, button#manage-file')?.click()"  # What was asked for is ready now.
LIVE: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
WORK: dict[str, Any] = {"show_progress": "minimal", "api_visibility": "private"}


def build(face: Face) -> None:
    gr.HTML(element("h1", tr("Manage")))
    manage = Manage(face)
    manage.lay_out()
    manage.listen()


class Manage:
    """The parts of the page, and what happens when they are used."""

    def __init__(self, face: Face):
        self.face = face
        self.chosen = gr.State("")

    def lay_out(self) -> None:
        self.total = gr.HTML(visible=False)
        with gr.Row(elem_classes="fs-table"):
            with gr.Column(scale=3, min_width=300):
                with gr.Row(visible=False) as self.finder:
                    self.query = gr.Textbox(label=tr("Search"), placeholder=tr("name, data or network"), elem_id="manage-query")
                    orders = [(tr("newest first"), "when"), (tr("by name"), "name"), (tr("largest first"), "bytes")]
                    self.order = gr.Dropdown(orders, value="when", label=tr("Order"), elem_id="manage-order")
                self.list = gr.HTML(js_on_load=CHOOSE, elem_id="manage-list")
                self.bring_in()
                self.clear = gr.Button(visible=False, size="sm", elem_id="manage-clear", elem_classes="fs-do")
            with gr.Column(scale=2, min_width=300, visible=False, elem_classes="fs-card fs-inhand", elem_id="manage-bench") as self.bench:
                self.lay_bench()
        self.file = gr.DownloadButton(visible="hidden", elem_id="manage-file")

    def bring_in(self) -> None:
        with gr.Accordion(tr("Bring in a run from another machine"), open=False):
            gr.HTML(element("p", tr("A .zip that was packed here, or by fenshen runs pack. It is read through before it appears among your runs; "
                                    "nothing in it is executed."), class_="fs-soft"))  # fmt: skip
            self.newcomer = gr.Textbox(label=tr("Name"), info=tr("empty: as it was called before"), elem_id="manage-newcomer")
            self.upload = gr.UploadButton(tr("Choose a .zip"), file_types=[".zip"], elem_id="manage-upload", elem_classes="fs-do")

    def lay_bench(self) -> None:
        self.about = gr.HTML()
        self.name = gr.Textbox(label=tr("Name"), max_lines=1, elem_id="manage-name")
        self.rename = gr.Button(tr("Rename"), elem_id="manage-rename", elem_classes="fs-do")
        gr.HTML(element("h3", tr("For others")))
        parts = [(tr("model.onnx, which runs without fenshen"), "onnx"), (tr("weights and recipe"), "safetensors"), (tr("model card"), "card")]
        self.parts = gr.CheckboxGroup(parts, value=[*parcel.ALL], label=tr("What they get"), elem_id="manage-parts")
        self.export = gr.Button(tr("Export"), elem_id="manage-export", elem_classes="fs-do")
        self.exported = gr.HTML(visible=False)
        gr.HTML(joined([element("h3", tr("For another machine of yours")),
                        element("p", tr("The whole run in one .zip, with all that it knows of its training data."), class_="fs-soft")]))  # fmt: skip
        self.pack = gr.Button(tr("Pack and download"), elem_id="manage-pack", elem_classes="fs-do")
        gr.HTML(element("h3", tr("No longer needed")))
        self.delete = gr.Button(tr("Delete …"), elem_id="manage-delete", elem_classes="fs-do")
        with gr.Column(visible=False, elem_classes="fs-asking", elem_id="manage-asking") as self.asking:
            self.question = gr.HTML()
            with gr.Row(elem_classes="fs-actions"):
                self.really = gr.Button(tr("Delete for good"), variant="stop", elem_id="manage-really")
                self.keep = gr.Button(tr("Keep it"), elem_id="manage-keep")

    def listen(self) -> None:
        answer, shown, bench = self.face.answer, [self.total, self.finder, self.list, self.clear], [self.chosen, *self._of_bench()]
        seen = [self.query, self.order, self.chosen]
        gr.on(None, answer(self.arrive), None, [*bench, *shown], **LIVE)
        gr.on([self.query.change, self.order.change], answer(self.listed), seen, self.list, **LIVE)
        self.list.select(answer(self.choose), None, bench, **LIVE).then(None, js=SHOW, **LIVE)
        gr.on([self.rename.click, self.name.submit], answer(self.call), [self.chosen, self.name], [*bench, *shown], **WORK)
        self.export.click(answer(self.give), [self.chosen, self.parts], [self.file, self.exported], **WORK).success(None, js=FETCH, **LIVE)
        self.pack.click(answer(self.carry), self.chosen, self.file, **WORK).success(None, js=FETCH, **LIVE)
        self.delete.click(answer(self.ask), self.chosen, [self.question, self.asking], **LIVE)
        self.keep.click(lambda: gr.Column(visible=False), None, self.asking, queue=False, **LIVE)
        self.really.click(answer(self.remove), self.chosen, [*bench, *shown], **WORK)
        self.upload.upload(answer(self.bring), [self.upload, self.newcomer], [*bench, *shown, self.newcomer], **WORK)
        self.clear.click(answer(self.tidy), self.chosen, shown, **LIVE)

    def _of_bench(self) -> list[Any]:
        return [self.bench, self.about, self.name, self.exported, self.asking]

    def arrive(self, request: gr.Request) -> tuple[Any, ...]:
        return self.all(asked(request, "run"))

    def all(self, name: str) -> tuple[Any, ...]:
        """The bench of this run, and the list anew."""
        return (*self.about_run(name), *self.overview(name))

    def overview(self, name: str) -> tuple[Any, ...]:
        """Total, search, list, and the ended trainings of the desk."""
        found, ended = listing.rows(self.face.desk), len(self._ended())
        if not found:
            return gr.HTML(visible=False), gr.Row(visible=False), self.nothing(), gr.Button(visible=False)
        clear = gr.Button(tr("Clear jobs that have ended ({count}); the runs stay", count=ended), visible=ended > 0)
        total = gr.HTML(element("p", listing.total(found), class_="fs-lead"), visible=True)
        return total, gr.Row(visible=len(found) >= listing.MANY), listing.markup(found, name), clear

    def nothing(self) -> Markup:
        link = element("a", tr("Train the first one"), href=self.face.address("start"), class_="fs-button")
        said = element("p", tr("There are no runs yet. What you train is kept here, and only on this machine."))
        return element("div", said, link, class_="fs-empty")

    def listed(self, query: str, order: str, name: str) -> Markup:
        return listing.markup(listing.chosen_from(listing.rows(self.face.desk), query, order), name)

    def choose(self, event: gr.EventData) -> tuple[Any, ...]:
        return self.about_run(event.run)

    def about_run(self, name: str) -> tuple[Any, ...]:
        """The name, and the bench of the run of that name; none where there is no such run."""
        row = listing.row(self.face.desk, name)
        hidden = gr.HTML(visible=False), gr.Column(visible=False)
        if row is None:
            return "", gr.Column(visible=False), "", "", *hidden
        links = ((tr("Make"), "make"), (tr("Judge"), "judge"), (tr("Train"), "train"))
        ways = [element("a", said, href=self.face.address(page, run=name)) for said, page in links]
        head = [element("h2", name), element("p", listing.state_badge(row["state"]), class_="fs-badges"), listing.facts(row)]
        return name, gr.Column(visible=True), joined([*head, element("p", *ways, class_="fs-ways")]), name, *hidden

    def call(self, name: str, new: str) -> tuple[Any, ...]:
        run = listing.find(name)
        self._idle(name)
        if new.strip() == name:
            return self.all(name)
        renamed = run.rename(new.strip()).path.name
        self.face.desk.renamed(name, renamed)
        self.face.shelf.free(name)
        return self.all(renamed)

    def give(self, name: str, parts: list[Part]) -> tuple[str, gr.HTML]:
        run = listing.find(name)
        if not parts:
            raise RunFolderError("nothing was chosen: choose what is to be exported")
        path, done = parcel.exported(run, parts, self.file.GRADIO_CACHE)
        return str(path), gr.HTML(found_by_check(done, path.stat().st_size), visible=True)

    def carry(self, name: str) -> str:
        return str(parcel.packed(listing.find(name), self.file.GRADIO_CACHE))

    def ask(self, name: str) -> tuple[Markup, gr.Column]:
        run = listing.find(name)
        self._idle(name)
        run.check_deletable()
        size = bytes_in_words(run.summary()["bytes"])
        text = tr("{run} is deleted for good: recipe, weights, samples, report and all else in its folder, {size}. The prepared copy of its data "
                  "goes too, unless another run uses it. Your own files are never touched.", run=name, size=size)  # fmt: skip
        return element("p", text, class_="fs-warning", role="alert"), gr.Column(visible=True)

    def remove(self, name: str) -> tuple[Any, ...]:
        run = listing.find(name)
        self._idle(name)
        gone = run.delete()
        self.face.desk.forget_run(name)
        self.face.shelf.free(name)
        gr.Info(tr("Deleted {run}: {size} are free again.", run=name, size=bytes_in_words(gone.bytes + gone.prepared_bytes)), title=tr("Done"))
        return self.all("")

    def bring(self, file: str, name: str) -> tuple[Any, ...]:
        from fenshen import api

        try:
            run = api.unpack(file, name.strip() or None)
        finally:
            Path(file).unlink(missing_ok=True)
        return (*self.all(run.path.name), "")

    def tidy(self, name: str) -> tuple[Any, ...]:
        for job in self._ended():
            self.face.desk.forget(job)
        return self.overview(name)

    def _ended(self) -> list[Any]:
        return [job for job in self.face.desk.jobs() if job.state in OVER]

    def _idle(self, name: str) -> None:
        if self.face.desk.busy_with(name):
            raise RunFolderError("{run} is being trained or measured, or waits for it: stop that first", run=name)


def found_by_check(done: Exported, size: int) -> Markup:
    """What was written, and how near the ONNX file is to the run."""
    said = [tr("Exported: {files} ({size}).", files=", ".join(done.files), size=bytes_in_words(size))]
    if done.difference is not None:
        said.append(tr("model.onnx makes what the run makes; the largest difference of a value is {difference}", difference=f"{done.difference:.1g}"))
    return element("p", " ".join(said), class_="fs-note", role="status")

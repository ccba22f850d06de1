"""The page Train: how a training goes, what it makes by now, and what waits. It looks again every second and a half."""

from __future__ import annotations

import hashlib
from typing import Any

import gradio as gr

from fenshen.evaluate.charts import element
from fenshen.lang import tr
from fenshen.studio.face import Face, asked

LOOK_SECONDS = 1.5
DROP = """element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-job]");
  if (button) trigger("select", { job: button.dataset.job });
});"""
QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


def build(face: Face) -> None:
    gr.HTML(element("h1", tr("Train")))
    about = gr.State({})  # {"run": …, "job": …}: what the page is about.
    shown = gr.State({})  # Part -> digest of what the browser has of it, so that nothing is sent twice.
    empty = gr.HTML(visible=False)
    with gr.Column(visible=False, elem_classes="fs-watch") as everything:
        with gr.Column(elem_classes="fs-card"):
            head = gr.HTML(elem_id="head")
            with gr.Row(elem_classes="fs-actions"):
                buttons = {
                    "pause": gr.Button(tr("Pause"), visible=False, elem_id="pause"),
                    "go_on": gr.Button(tr("Go on"), visible=False, variant="primary", elem_id="go-on"),
                    "keep": gr.Button(tr("Stop and keep"), visible=False, elem_id="keep"),
                    "withdraw": gr.Button(tr("Take it out of the line"), visible=False, elem_id="withdraw"),
                }
        verdict = gr.HTML()
        with gr.Row(elem_classes="fs-live"):
            with gr.Column(scale=3, min_width=320):
                gr.HTML(element("h2", tr("What it makes")))
                sample = gr.HTML(elem_id="sample")
                moment = gr.Slider(1, 2, value=1, step=1, label=tr("Moment"), visible=False, elem_id="moment")
            with gr.Column(scale=2, min_width=280):
                gr.HTML(element("h2", tr("What happens")))
                said = gr.HTML(elem_id="said")
        queue = gr.HTML(elem_id="queue", js_on_load=DROP)
        gr.HTML(element("h2", tr("Curves")))
        curves = gr.HTML(elem_id="curves")
    timer = gr.Timer(LOOK_SECONDS)
    parts = [about, shown, empty, everything, head, *buttons.values(), verdict, sample, moment, said, curves, queue]

    def look(wanted: dict[str, str], had: dict[str, str], at: float) -> Any:
        from fenshen.studio import watching

        watched, has, changed = watching.find(face.desk, wanted.get("run", ""), wanted.get("job", "")), dict(had), {}

        def put(part: Any, name: str, content: str, made: Any = None) -> None:
            """Sends a part, unless the browser has it already."""
            digest = hashlib.sha256(content.encode("utf-8", "replace")).hexdigest()
            if had.get(name) != digest:
                has[name], changed[part] = digest, content if made is None else made

        put(empty, "empty", nothing := "" if watched else watching.nothing(face), gr.HTML(nothing, visible=not watched))
        put(everything, "everything", str(bool(watched)), gr.Column(visible=bool(watched)))
        if watched is None:
            return changed | {shown: has} if changed else [gr.skip()] * len(parts)
        put(head, "head", watching.head(watched, face))
        for name, visible in watching.can(watched).items():
            put(buttons[name], name, str(visible), gr.Button(visible=visible))
        put(verdict, "verdict", watching.verdict(watched, face))
        put(said, "said", watching.sentences(watched))
        put(curves, "curves", watching.curves(watched.run))
        put(queue, "queue", watching.queue(face.desk, face, watched))
        files = watching.samples(watched.run)
        newest = at >= int(had.get("files", 1))  # Who looks at the newest goes on looking at the newest.
        where = len(files) if newest else min(int(at), len(files))
        has["files"] = str(len(files))
        put(moment, "moment", has["files"], gr.Slider(maximum=max(2, len(files)), value=max(1, where), visible=len(files) > 1))
        put(sample, "sample", str(files[where - 1]) if files else "", watching.sample(files[where - 1]) if files else watching.no_sample(watched))
        changed[about] = {"run": watched.run.path.name if watched.run else "", "job": watched.job.id if watched.job else ""}
        return changed | {shown: has} if has != had or changed[about] != wanted else [gr.skip()] * len(parts)

    def arrive(request: gr.Request) -> Any:
        return look({"run": asked(request, "run"), "job": asked(request, "job")}, {}, 1)

    def act(name: str) -> Any:
        def acted(wanted: dict[str, str], had: dict[str, str], at: float) -> Any:
            from fenshen.studio import watching

            watching.act(face.desk, name, wanted.get("run", ""), wanted.get("job", ""))
            return look(wanted, had, at)

        return acted

    def drop(wanted: dict[str, str], had: dict[str, str], at: float, event: gr.EventData) -> Any:
        job = face.desk.find(str(event.job))
        if job is not None and job.state == "waiting":
            face.desk.pause(job)
        return look(wanted, had, at)

    seen = [about, shown, moment]
    gr.on(None, face.answer(arrive), None, parts, **QUIET)
    timer.tick(face.answer(look), seen, parts, concurrency_limit=8, **QUIET)
    moment.input(face.answer(look), seen, parts, concurrency_limit=8, trigger_mode="always_last", **QUIET)
    queue.select(face.answer(drop), seen, parts, **QUIET)
    for name, button in buttons.items():
        button.click(face.answer(act(name)), seen, parts, **QUIET)

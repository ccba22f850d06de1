"""Pictures to restore on the page Make: what was brought, beside what a run made of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from fenshen.errors import DataError
from fenshen.evaluate.charts import element
from fenshen.lang import tr
from fenshen.studio import parcel
from fenshen.studio.face import Face

if TYPE_CHECKING:
    from fenshen.studio.opened import Opened

WORK: dict[str, Any] = {"show_progress": "minimal", "api_visibility": "private"}


def build(face: Face, run: Opened) -> None:
    """All parts for a run that enlarges or repairs."""
    with gr.Column(elem_classes="fs-card"):
        source, mask = _painting() if run.task == "inpaint" else _dropping(run.factor)
        restore = gr.Button(tr("Enlarge") if run.task == "upscale" else tr("Repair"), variant="primary", elem_id="make", elem_classes="fs-do")
    shown = gr.HTML(elem_id="make-restored", visible=False)
    save = gr.DownloadButton(tr("Save the picture"), visible=False, size="sm", elem_id="make-file", elem_classes="fs-do")

    @face.answer
    def restored(source: str | dict[str, Any] | None, mask: str | None) -> tuple[gr.HTML, gr.DownloadButton]:
        from fenshen.studio import easel, hanging

        folder = parcel.fresh(save.GRADIO_CACHE)
        picture, mask = (source, None) if isinstance(source, str) else easel.painted(source, mask, folder)
        if picture is None:
            raise DataError("there is no picture yet: drop one first")
        before, after, file = easel.restore(face.shelf.open(run.path.name), Path(picture), None if mask is None else Path(mask), folder)
        return gr.HTML(hanging.before_after(before, after), visible=True), gr.DownloadButton(value=str(file), visible=True)

    restore.click(restored, [source, mask], [shown, save], **WORK)


def _dropping(factor: int) -> tuple[Any, Any]:
    gr.HTML(element("p", tr("Drop a picture of any size; it comes back {factor} times as large.", factor=factor), class_="fs-soft"))
    return gr.File(label=tr("Picture"), file_types=["image"], type="filepath", height=160, interactive=True, elem_id="make-source"), gr.State(None)


def _painting() -> tuple[Any, Any]:
    gr.HTML(element("p", tr("Drop a picture, and paint over what is to be filled in."), class_="fs-soft"))
    source = gr.ImageEditor(
        label=tr("Picture"), type="pil", image_mode="RGBA", layers=False, transforms=(), sources=("upload", "clipboard"), interactive=True,
        placeholder=tr("Drop a picture here"), elem_id="make-source", brush=gr.Brush(default_size="auto", colors=["#ff4d4d"], color_mode="fixed"),
        eraser=gr.Eraser(default_size="auto"),
    )  # fmt: skip
    with gr.Accordion(tr("A mask from a file"), open=False):
        said = tr("White is filled in; of the size of the picture")
        mask = gr.File(label=said, file_types=["image"], type="filepath", height=120, interactive=True)
    return source, mask

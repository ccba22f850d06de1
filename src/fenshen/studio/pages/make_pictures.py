"""Pictures on the page Make: a sheet of new ones, one of them in hand with all its knobs, others put aside for paths and mixtures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gradio as gr

from fenshen.evaluate.charts import Markup, element
from fenshen.lang import tr
from fenshen.studio import parcel
from fenshen.studio.face import Face
from fenshen.studio.pages.make_bench import CHOOSE, FETCH, LIVE, SHOWN, WORK, Bench, label_name

if TYPE_CHECKING:
    from fenshen.studio.easel import Sheet
    from fenshen.studio.opened import Opened

MOST = 144


def build(face: Face, run: Opened) -> None:
    """All parts for one run of pictures."""
    sheet = gr.State(None)
    with gr.Column(elem_classes="fs-card"):
        wishes = wishes_for(run)
        with gr.Row(elem_classes="fs-actions"):
            make = gr.Button(tr("Make"), variant="primary", elem_id="make", elem_classes="fs-do")
            others = gr.Button(tr("Others"), elem_id="make-others", elem_classes="fs-do")
    file = gr.DownloadButton(visible="hidden", elem_id="make-file")
    with gr.Row(elem_classes="fs-table"):
        with gr.Column(scale=3, min_width=300):
            tiles = gr.HTML(element("p", tr("What you make appears here."), class_="fs-empty"), js_on_load=CHOOSE, elem_id="make-tiles")
            with gr.Row(visible=False, elem_classes="fs-actions") as saving:
                packings = {"png": tr("Save as one picture"), "zip": tr("Each one (.zip)"), "npz": tr("Arrays (.npz)")}
                buttons = {packing: gr.Button(text, size="sm") for packing, text in packings.items()}
            if run.steerable:
                bench = Bench(face, run, sheet, tiles, saving, file)
                bench.put_beside()
        if run.steerable:
            with gr.Column(scale=2, min_width=300, elem_classes="fs-card fs-inhand", elem_id="make-bench"):
                bench.put_in_hand(run)
    if run.steerable:
        bench.listen()

    @face.answer
    def drawn(*values: Any) -> tuple[Sheet, Markup, gr.Row]:
        from fenshen.studio import easel, hanging

        made = easel.draw(face.shelf.open(run.path.name), **read(dict(zip(wishes, values, strict=True))))
        return made, hanging.tiles(made), gr.Row(visible=True)

    def saved(packing: str) -> Any:
        @face.answer
        def packed(made: Sheet) -> str:
            from fenshen.studio import easel

            return str(easel.packed(made, packing, run, parcel.fresh(file.GRADIO_CACHE)))  # type: ignore[arg-type]

        return packed

    made = [sheet, tiles, saving]
    make.click(drawn, list(wishes.values()), made, **WORK)
    others.click(next_seed, wishes["seed"], wishes["seed"], **LIVE).then(drawn, list(wishes.values()), made, **WORK)
    for packing, button in buttons.items():
        button.click(saved(packing), sheet, file, **WORK).success(None, js=FETCH, **LIVE)


def wishes_for(run: Opened) -> dict[str, Any]:
    """Parts for what may be wished, by the name of the argument of `Run.draw`."""
    made, codes = run.made, run.codes
    with gr.Row():
        wishes: dict[str, Any] = {
            "count": gr.Slider(1, MOST, value=SHOWN, step=1, label=tr("How many")),
            "seed": gr.Number(0, precision=0, minimum=0, maximum=2**53, label=tr("Seed"), info=tr("another seed, other pictures")),
        }
        if made.classes:
            wishes["label"] = gr.Dropdown([(tr("all"), ""), *((name, name) for name in made.classes)], value="", label=label_name(run))
    with gr.Accordion(tr("More wishes"), open=False):
        wishes["truncation"] = gr.Slider(0, 1.5, value=1, step=0.05, label=tr("Truncation"), info=tr("below 1: more typical, less various"))
        if made.classes:
            wishes["by_class"] = gr.Checkbox(label=tr("one label after the other"))
        if run.judged:
            wishes["keep"] = gr.Slider(0.1, 1, value=1, step=0.05, label=tr("Part that is kept"),
                                       info=tr("below 1: more are drawn, and those kept that the critic finds most real"))  # fmt: skip
        if codes:
            named = [(tr("none"), ""), *((name, name) for name in codes)]
            wishes["by_code"] = gr.Dropdown(named, value="", label=tr("Information code"), info=tr("one value of it after the other, all else alike"))
        if run.priors:
            priors = {"mixture": tr("what the training pictures fill"), "normal": tr("the whole space, N(0, I)")}
            wishes["prior"] = gr.Radio([(priors[name], name) for name in run.priors], value=run.priors[0], label=tr("Latents are drawn from"))
    for part in wishes.values():
        part.interactive = True
    return wishes


def next_seed(seed: float | None) -> int:
    return int(seed or 0) + 1


def read(values: dict[str, Any]) -> dict[str, Any]:
    """What the parts say, as `Run.draw` takes it."""
    whole = {name: int(values[name] or 0) for name in ("count", "seed")}
    return values | whole | {name: values[name] or None for name in ("label", "by_code") if name in values}

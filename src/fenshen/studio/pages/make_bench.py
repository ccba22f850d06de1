"""The picture in hand on the page Make: its knobs, what is put aside, and what comes of them."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from fenshen.evaluate.charts import Markup, element
from fenshen.lang import tr
from fenshen.studio import parcel
from fenshen.studio.errand import Errand
from fenshen.studio.face import Face

if TYPE_CHECKING:
    from fenshen.studio.easel import Held, Sheet
    from fenshen.studio.hanging import Far
    from fenshen.studio.opened import Opened

SHOWN = 24
SLIDERS = 16  # Knobs that fit on the page; `fenshen.studio.opened` gives no more.
CHOOSE = """
element.addEventListener('click', (event) => {
  const tile = event.target.closest('[data-index]');
  if (!tile) return;
  element.querySelectorAll('[aria-pressed]').forEach((other) => other.setAttribute('aria-pressed', other === tile));
  trigger('select', { index: Number(tile.dataset.index) });
  const bench = document.querySelector('#make-bench');
  if (bench && bench.getBoundingClientRect().top > innerHeight - 120) bench.scrollIntoView({ behavior: 'smooth' });
});
"""
FETCH = "() => document.querySelector('#make-file a, a#make-file, button#make-file')?.click()"  # What was asked for is ready now.
LIVE: dict[str, Any] = {"show_progress": "hidden", "queue": False, "api_visibility": "private"}  # Answers before anybody could wait.
WORK: dict[str, Any] = {"show_progress": "minimal", "api_visibility": "private"}


class Bench:
    """The picture in hand and its knobs, what is put aside, and what comes of them."""

    def __init__(self, face: Face, run: Opened, sheet: gr.State, tiles: gr.HTML, saving: gr.Row, file: gr.DownloadButton):
        self.face, self.name, self.sheet, self.tiles, self.saving, self.file = face, run.path.name, sheet, tiles, saving, file
        self.held, self.picks, self.turning = gr.State(None), gr.State([]), gr.State([])

    def put_in_hand(self, run: Opened) -> None:
        """The parts about the picture in hand."""
        gr.HTML(element("h2", tr("In hand")))
        hint = tr("Click a picture to take it in hand, to turn, vary and keep it; or bring one of your own.")
        self.hint = gr.HTML(element("p", hint, class_="fs-soft"))
        self.figure = gr.HTML(elem_id="make-held", visible=False)
        with gr.Row(elem_classes="fs-actions"):
            self.put = gr.Button(tr("Put aside"), size="sm", visible=False, elem_id="make-aside")
            self.back = gr.Button(tr("Turn back"), size="sm", visible=False)
            self.upload = gr.UploadButton(tr("Bring your own"), file_types=["image"], size="sm", elem_id="make-upload")
        with gr.Column(visible=False, elem_classes="fs-knobs") as self.knobs:
            self._knobs(run)

    def _knobs(self, run: Opened) -> None:
        classes = run.made.classes
        with run.lent():
            more = not any(knob.kind == "principal component" for knob in run.knobs)
        self.label = gr.Dropdown(list(classes), label=label_name(run), visible=bool(classes), elem_id="make-label", interactive=True)
        self.sliders = [gr.Slider(-3, 3, value=0, visible=False, interactive=True, elem_id=f"make-knob-{number}") for number in range(SLIDERS)]
        self.truncation = gr.Slider(0, 1.5, value=1, step=0.05, label=tr("Truncation"), interactive=True, elem_id="make-truncation")
        self.more = gr.Button(tr("Find more directions"), size="sm", visible=more, elem_classes="fs-do")
        with gr.Accordion(tr("Vary it"), open=False):
            info = tr("0: the picture itself, 1: any other")
            self.far = gr.Slider(0, 1, value=0.3, step=0.05, label=tr("How far around it"), info=info, interactive=True)
            self.vary = gr.Button(tr("Vary"), size="sm", elem_id="make-vary", elem_classes="fs-do")

    def put_beside(self) -> None:
        """The parts about what is put aside."""
        with gr.Column(visible=False, elem_classes="fs-card") as self.together:
            gr.HTML(element("h2", tr("Put aside")))
            self.aside = gr.HTML(js_on_load=CHOOSE, elem_id="make-picks")
            with gr.Row(elem_classes="fs-actions"):
                self.mix = gr.Button(tr("Mix the last two"), size="sm", elem_id="make-mix")
                self.path = gr.Button(tr("A path through all"), size="sm", elem_id="make-path")
                self.keep = gr.Button(tr("Save them (.zip)"), size="sm", elem_id="make-keep")
                self.clear = gr.Button(tr("Clear"), size="sm")
            with gr.Accordion(tr("How the path is shown"), open=False):
                with gr.Row():
                    self.seconds = gr.Slider(1, 20, value=4, step=1, label=tr("Seconds"), interactive=True)
                    formats = ["webp", "gif", *(["mp4"] if importlib.util.find_spec("av") else [])]
                    self.format = gr.Radio(formats, value="webp", label=tr("Format"), interactive=True)
                self.loop = gr.Checkbox(label=tr("back to the first picture"), interactive=True)
            self.film = gr.HTML(visible=False, elem_id="make-film")
            self.save = gr.DownloadButton(tr("Save the animation"), visible=False, size="sm", elem_classes="fs-do")

    @property
    def turns(self) -> list[Any]:
        """What says how the picture in hand is turned."""
        return [self.held, self.turning, self.label, self.truncation, *self.sliders]

    @property
    def hand_parts(self) -> list[Any]:
        """What changes when another picture is taken in hand."""
        return [self.held, self.turning, self.figure, self.hint, self.put, self.back, self.knobs, self.label, self.truncation, *self.sliders]

    def listen(self) -> None:
        """Ties the parts together."""
        answer = self.face.answer
        self.tiles.select(answer(self.taken), self.sheet, self.hand_parts, **LIVE)
        self.aside.select(answer(self.taken_again), self.picks, self.hand_parts, **LIVE)
        self.back.click(answer(self.turned_back), self.held, self.hand_parts, **LIVE)
        for part in (self.truncation, *self.sliders):
            part.input(answer(self.turned), self.turns, self.figure, trigger_mode="always_last", **LIVE)
        self.label.input(answer(self.turned), self.turns, self.figure, **LIVE)
        self.put.click(answer(self.put_aside), [self.picks, *self.turns], [self.picks, self.aside, self.together], **LIVE)
        self.clear.click(answer(self.cleared), None, [self.picks, self.aside, self.together, self.film, self.save], **LIVE)
        laid = [self.sheet, self.tiles, self.saving]
        self.vary.click(answer(self.varied), [self.far, *self.turns], laid, **WORK)
        self.mix.click(answer(self.mixed), [self.picks, *self.turns], laid, **WORK)
        self.keep.click(answer(self.saved), self.picks, self.file, **WORK).success(None, js=FETCH, **LIVE)
        self.path.click(answer(self.walked), [self.picks, self.seconds, self.loop, self.format], [self.film, self.save], **WORK)
        long: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        self.upload.upload(answer(self.found), self.upload, self.hand_parts, **long)
        self.more.click(answer(self.searched), self.held, [*self.hand_parts, self.more], **long)

    def run(self) -> Opened:
        return self.face.shelf.open(self.name)

    def taken(self, sheet: Any, event: gr.EventData) -> tuple[Any, ...]:
        from fenshen.studio.easel import Held

        assert sheet.places is not None
        return self.in_hand(Held(sheet.places[[event.index]], sheet.names[event.index]))

    def taken_again(self, picks: Any, event: gr.EventData) -> tuple[Any, ...]:
        return self.in_hand(picks[event.index][0])

    def turned_back(self, held: Held) -> tuple[Any, ...]:
        return self.in_hand(held)

    def in_hand(self, held: Held, hint: Markup | None = None) -> tuple[Any, ...]:
        """Everything for a picture that is taken in hand, its knobs where they stand."""
        from fenshen.studio import hanging

        run = self.run()
        with run.lent() as hand:
            knobs, picture = run.knobs, hand.pictures(held.place)[0]
            sliders = [hanging.slider(knob, held.place) for knob in knobs] + [{"visible": False}] * (SLIDERS - len(knobs))
        label = None if held.place.label_BK is None else run.made.classes[int(held.place.label_BK[0].argmax())]
        figure = gr.HTML(hanging.figure(picture, held.name, self.name), visible=True)
        parts = gr.HTML(hint, visible=hint is not None), gr.Button(visible=True), gr.Button(visible=True), gr.Column(visible=True)
        return held, [knob.name for knob in knobs], figure, *parts, label, 1.0, *(gr.Slider(**slider) for slider in sliders)

    def _place(self, run: Opened, hand: Any, held: Held, names: list[str], label: str | None, truncation: float, *amounts: float) -> Any:
        from fenshen.studio import easel

        return easel.turned(hand, held, run.knobs, dict(zip(names, amounts, strict=False)), label, truncation)

    def turned(self, held: Held, *turns: Any) -> Markup:
        from fenshen.studio import hanging

        run = self.run()
        with run.lent() as hand:
            picture = hand.pictures(self._place(run, hand, held, *turns))[0]
        return hanging.figure(picture, held.name, self.name)

    def put_aside(self, picks: list[tuple[Held, Any]], held: Held, *turns: Any) -> tuple[Any, ...]:
        from fenshen.studio import easel, hanging

        run = self.run()
        with run.lent() as hand:
            place = self._place(run, hand, held, *turns)
            picks = [*picks, (easel.Held(place, held.name), hand.pictures(place)[0])]
        return picks, hanging.aside(picks), gr.Column(visible=True)

    def cleared(self) -> tuple[Any, ...]:
        from fenshen.studio import hanging

        return [], hanging.aside([]), gr.Column(visible=False), gr.HTML(visible=False), gr.DownloadButton(visible=False)

    def varied(self, far: float, held: Held, *turns: Any) -> tuple[Any, ...]:
        from fenshen.studio import easel

        run = self.run()
        with run.lent() as hand:
            held = easel.Held(self._place(run, hand, held, *turns), held.name)
            return shown(easel.vary(hand, held, SHOWN - 1, far, seed=0))

    def mixed(self, picks: list[tuple[Held, Any]], held: Held, *turns: Any) -> tuple[Any, ...]:
        from fenshen.studio import easel

        run = self.run()
        with run.lent() as hand:
            held = easel.Held(self._place(run, hand, held, *turns), held.name)
            return shown(easel.mix(hand, [pick for pick, _ in picks], held))

    def saved(self, picks: list[tuple[Held, Any]]) -> str:
        from fenshen.studio import easel

        return str(easel.packed(easel.gathered(picks), "zip", self.run(), parcel.fresh(self.file.GRADIO_CACHE)))

    def walked(self, picks: list[tuple[Held, Any]], seconds: float, loop: bool, format: str) -> tuple[gr.HTML, gr.DownloadButton]:
        from fenshen.studio import easel, hanging

        with self.run().lent() as hand:
            file = easel.path(hand, [pick for pick, _ in picks], seconds, loop, format, parcel.fresh(self.file.GRADIO_CACHE))  # type: ignore[arg-type]
        return gr.HTML(hanging.moving(file), visible=True), gr.DownloadButton(value=str(file), visible=True)

    def found(self, file: str) -> Iterator[tuple[Any, ...]]:
        from fenshen.studio import easel, hanging

        run, far = self.run(), hanging.Far(tr("looking for it among what this run can make"))

        def work() -> tuple[Any, ...]:
            with run.lent(far.say) as hand:
                return easel.find(hand, Path(file), far.step)

        try:
            yield from self._waiting(far, errand := Errand(work))
        finally:
            Path(file).unlink(missing_ok=True)  # It is nobody else's business.
        original, held, near = errand.result
        yield self.in_hand(held, hanging.beside(original, near))

    def searched(self, held: Held) -> Iterator[tuple[Any, ...]]:
        from fenshen.studio import hanging

        run, far = self.run(), hanging.Far(tr("looking for directions, and measuring what they change"))

        def work() -> None:
            with run.lent(far.say):
                run.directions()

        yield from ((*parts, gr.skip()) for parts in self._waiting(far, Errand(work)))
        yield *self.in_hand(held), gr.Button(visible=False)

    def _waiting(self, far: Far, errand: Errand) -> Iterator[tuple[Any, ...]]:
        """How far it is, in the place of the hint; all else stays."""
        place = self.hand_parts.index(self.hint)
        for _ in errand.looks():
            parts: list[Any] = [gr.skip()] * len(self.hand_parts)
            parts[place] = gr.HTML(far.markup(), visible=True)
            yield tuple(parts)


def label_name(run: Opened) -> str:
    return tr("Group") if run.grouped else tr("Label")


def shown(sheet: Sheet) -> tuple[Any, ...]:
    """A sheet in place of the one before."""
    from fenshen.studio import hanging

    return sheet, hanging.tiles(sheet), gr.Row(visible=True)

"""How pictures and knobs are shown on the page Make: markup, and nothing of gradio. Shapes: N pictures, H height, W width, C channels."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fenshen.control.hand import Places
from fenshen.control.knobs import Knob
from fenshen.evaluate.charts import Markup, element
from fenshen.lang import tr
from fenshen.media.image import flattened, png
from fenshen.studio.easel import Held, Sheet, gathered
from fenshen.writing import stamp_of


@dataclass
class Far:
    """How far something is that takes long: a sentence, and a part of 1, None where nobody can say."""

    text: str
    part: float | None = None

    def say(self, text: str) -> None:
        self.text = text

    def step(self, step: int, steps: int) -> None:
        self.part = step / max(1, steps)

    def markup(self) -> Markup:
        percent = None if self.part is None else round(100 * self.part)
        class_ = "fs-progress busy" if percent is None else "fs-progress"
        bar = element("div", element("div", "", style=f"width: {100 if percent is None else percent}%"), class_=class_, role="progressbar",
                      aria_valuenow=percent, aria_valuemin=0, aria_valuemax=100, aria_label=self.text)  # fmt: skip
        return element("div", element("p", self.text, class_="fs-soft"), bar, aria_live="polite")


def tiles(sheet: Sheet, pressed: int | None = None) -> Markup:
    """All pictures; where they can be taken in hand, each is a button."""
    inside = []
    for index, (picture, name) in enumerate(zip(sheet.images, sheet.names, strict=True)):
        shown = image(picture, name)
        if sheet.places is None:
            inside.append(element("span", shown, class_="fs-tile"))
        else:
            chosen = "true" if index == pressed else "false"
            inside.append(element("button", shown, type="button", class_="fs-tile", data_index=index, aria_pressed=chosen, title=name))
    columns = None if sheet.columns is None else f"grid-template-columns: repeat({sheet.columns}, minmax(0, 1fr))"
    return element("div", *inside, class_="fs-tiles fs-pixels", style=columns)


def image(picture_HWC: np.ndarray, name: str, class_: str | None = None) -> Markup:
    return element("img", src=data_address(png(visible(picture_HWC))), alt=name, class_=class_)


def visible(picture_HWC: np.ndarray) -> np.ndarray:
    """Transparency over a light checkerboard."""
    return flattened(picture_HWC[None], max(2, picture_HWC.shape[0] // 8))[0] if picture_HWC.shape[-1] == 4 else picture_HWC


def data_address(content: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def figure(picture_HWC: np.ndarray, name: str, run: str) -> Markup:
    """The picture in hand, large, with a link that keeps it: stamped, at its own size."""
    stamp = stamp_of(run, Picture=name)
    link = element("a", tr("Download"), href=data_address(png(picture_HWC, stamp)), download=f"{run}.png", class_="fs-link")
    caption = element("figcaption", element("span", name), link)
    return element("figure", image(picture_HWC, name, "fs-pixels"), caption, class_="fs-held", aria_live="polite")


def beside(original_HWC: np.ndarray, near: float) -> Markup:
    """A person's own picture as the run sees it, and how near what was found comes to it."""
    text = "Your picture as this run sees it; the nearest that it can make is in hand, {near} dB from it (30 is hard to tell apart)."
    said = tr(text, near=f"{near:.1f}")
    return element("figure", image(original_HWC, tr("your picture"), "fs-pixels"), element("figcaption", said), class_="fs-own")


def moving(file: Path) -> Markup:
    """An animation that plays where it stands."""
    content, kind, said = file.read_bytes(), file.suffix[1:], tr("a path through the pictures that were put aside")
    if kind == "mp4":
        return element("video", src=data_address(content, "video/mp4"), controls="", autoplay="", loop="", muted="", playsinline="",
                       aria_label=said, class_="fs-film")  # fmt: skip
    return element("img", src=data_address(content, f"image/{kind}"), alt=said, class_="fs-film")


def slider(knob: Knob, place: Places) -> dict[str, Any]:
    """How a knob looks on the page: what `gradio.Slider` takes."""
    low, high = knob.around()
    whole = knob.name.startswith("categorical") and knob.codes is not None
    step = 1 if whole else 0.1 if high - low > 3 else 0.05
    return {"label": knob_name(knob), "minimum": low, "maximum": high, "step": step, "value": round(knob.stands(place), 2), "visible": True}


def knob_name(knob: Knob) -> str:
    number = knob.name.rpartition("-")[2]
    match knob.kind:
        case "closed form":
            return tr("Direction {number}", number=number)
        case "principal component":
            return tr("Main variation {number}", number=number)
        case "code":
            return tr("Code {name}", name=knob.name)
    return knob.name


def aside(picks: Sequence[tuple[Held, np.ndarray]]) -> Markup:
    """What was put aside, in order; a click takes it in hand again."""
    if not picks:
        return element("p", tr("Nothing is put aside yet."), class_="fs-soft")
    return tiles(gathered(picks))


def before_after(before_HWC: np.ndarray, after_HWC: np.ndarray) -> Markup:
    """Both, beside each other and shown in the same size."""
    both = ((tr("before"), before_HWC), (tr("after"), after_HWC))
    figures = []
    for said, picture in both:
        size = tr("{said}, {width} × {height}", said=said, width=picture.shape[1], height=picture.shape[0])
        figures.append(element("figure", image(picture, said), element("figcaption", size)))
    return element("div", *figures, class_="fs-beside")

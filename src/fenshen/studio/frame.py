"""What every page has around it: the way to the others, the other language, light or dark."""

from __future__ import annotations

import gradio as gr

from fenshen.evaluate.charts import Markup, element, joined
from fenshen.lang import speaking, tr
from fenshen.studio.face import PAGES, Face
from fenshen.studio.pages import judge, make, manage, start, train

BUILDERS = {"start": start.build, "train": train.build, "make": make.build, "judge": judge.build, "manage": manage.build}
OTHER = {"en": ("zh", "中文"), "zh": ("en", "English")}


def studio(face: Face) -> gr.Blocks:
    """All pages of one language, each at an address of its own."""
    with speaking(face.language):
        with gr.Blocks(title="fenshen", analytics_enabled=False, fill_width=True) as pages:
            gr.Navbar(visible=False)
            _page(face, PAGES[0])
        for name in PAGES[1:]:
            with pages.route(title(name), f"/{name}"):
                _page(face, name)
    return pages


def _page(face: Face, name: str) -> None:
    gr.HTML(header(face, name), elem_classes="fs-frame")
    with gr.Column(elem_classes="fs-main", elem_id=f"page-{name}"):
        BUILDERS[name](face)


def title(name: str) -> str:
    return {"start": tr("Start"), "train": tr("Train"), "make": tr("Make"), "judge": tr("Judge"), "manage": tr("Manage")}[name]


def header(face: Face, here: str) -> Markup:
    """Brand, pages, language, light or dark."""
    links = (
        element("a", title(name), href=face.address(name), data_page=name, aria_current="page" if name == here else None) for name in PAGES
    )
    code, said = OTHER[face.language]
    other = face.address(here).replace(f"/{face.language}/", f"/{code}/", 1)
    theme = element("button", "◐", type="button", class_="fs-theme", aria_label=tr("light or dark"), title=tr("light or dark"))
    return element(
        "header",
        element("a", "fenshen ", element("span", "分身", lang="zh"), href=face.address("start"), class_="fs-brand"),
        element("nav", joined(links), class_="fs-nav", aria_label=tr("Pages")),
        element("div", element("a", said, href=other, class_="fs-language", hreflang=code, lang=code), theme, class_="fs-tools"),
        class_="fs-header",
    )

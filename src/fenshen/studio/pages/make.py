"""The page Make."""

from __future__ import annotations

import gradio as gr

from fenshen.lang import tr
from fenshen.studio.face import Face


def build(face: Face) -> None:
    gr.HTML(f"<h1>{tr('Make')}</h1>")

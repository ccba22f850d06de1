"""Flags that several verbs share, with their help."""

from __future__ import annotations

from typing import Annotated

import typer

from fenshen.lang import tr

Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help=tr("change one key of the recipe, for example train.lr=0.001 or data.resolution=32; may be given often")
    ),
]
Json = Annotated[bool, typer.Option("--json", help=tr("answer in JSON on stdout, for programs"))]
RunName = Annotated[str, typer.Argument(metavar="RUN", help=tr("a run folder, or its name under runs/"), show_default=False)]
Device = Annotated[str | None, typer.Option("--device", metavar="NAME", help=tr("auto, cpu, cuda, cuda:N or mps"), show_default=False)]
Seed = Annotated[
    int | None, typer.Option("--seed", metavar="N", min=0, max=2**31 - 1, help=tr("everything random follows from it"), show_default=False)
]

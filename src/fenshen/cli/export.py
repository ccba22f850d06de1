"""`fenshen export`: what others need to run a trained model, in one folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fenshen.cli.console import Speaker
from fenshen.cli.evaluate import saying
from fenshen.cli.options import Json, RunName
from fenshen.lang import tr

HELP = tr("Write RUN for others: as ONNX, which runs without fenshen, its weights, and a card that says what it is.")


def export(
    run: RunName,
    out: Annotated[
        str | None, typer.Option("--out", metavar="DIR", help=tr("the folder to write; without it RUN/export"), show_default=False)
    ] = None,
    to: Annotated[
        list[str] | None,
        typer.Option("--to", metavar="onnx|safetensors|card", help=tr("one part only; may be given often"), show_default=False),
    ] = None,
    measure: Annotated[bool, typer.Option("--measure", help=tr("also say how fast the ONNX file is, and how fast PyTorch"))] = False,
    json: Json = False,
) -> None:
    from fenshen import api

    speaker = Speaker(json)
    done = api.load(run).export(None if out is None else Path(out).expanduser(), to, measure=measure, watcher=saying(speaker))  # type: ignore[arg-type]
    if done.difference is not None:
        speaker.say(tr("model.onnx makes what the run makes; the largest difference of a value is {difference}", difference=f"{done.difference:.1g}"))
    if done.speed is not None:
        speed, onnx, torch = done.speed, f"{done.speed.onnx_ms:.1f}", f"{done.speed.torch_ms:.1f}"
        text = "{count} samples at once take {onnx} ms by ONNX Runtime, {torch} ms by PyTorch ({threads} threads)"
        speaker.say(tr(text, count=speed.count, onnx=onnx, torch=torch, threads=speed.threads))
    speaker.say(tr("Written: {path}", path=f"{done.path} ({', '.join(done.files)})"))
    speaker.answer(done.json())

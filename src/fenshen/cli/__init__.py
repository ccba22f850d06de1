"""The command line: one file per verb. Nothing here imports torch before a verb needs it, so that help is there at once."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import fenshen
from fenshen.cli import adapt, control, evaluate, export, generate, look, runs, studio, train, tune
from fenshen.cli.console import complain
from fenshen.errors import FenshenError
from fenshen.lang import language, tr

ABOUT = tr("Train generative models from scratch, on your own files, on your own machine.")
FIRST_STEPS = tr("""First steps:

\b
  fenshen train                       try it on handwritten digits: 3 minutes
  fenshen look photos/                what is in a folder
  fenshen train photos/ --minutes 30  train on it; prints the run's name
  fenshen generate RUN --grid         new pictures, all in one
  fenshen evaluate RUN                how good it is, and whether it copies

A run is a folder. RUN is its path, or its name under runs/. Nothing is sent anywhere.""")


class Verbs(TyperGroup):
    """Turns a person's mistake into one or two lines and exit code 2, and an interruption into 130; bugs keep their traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except FenshenError as error:
            complain(str(error))
            raise SystemExit(2) from None
        except KeyboardInterrupt:
            complain(tr("stopped"))
            raise SystemExit(130) from None


app = typer.Typer(cls=Verbs, help=f"{ABOUT}\n\n{FIRST_STEPS}", add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich",
                  no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]})  # fmt: skip
app.command("look", help=look.HELP)(look.look)
app.command("train", help=train.HELP)(train.train)
app.command("generate", help=generate.HELP)(generate.generate)
app.command("evaluate", help=evaluate.HELP)(evaluate.evaluate)
app.command("audit", help=evaluate.AUDIT_HELP)(evaluate.audit)
app.command("adapt", help=adapt.HELP)(adapt.adapt)
app.command("tune", help=tune.HELP)(tune.tune)
app.command("export", help=export.HELP)(export.export)
app.command("studio", help=studio.HELP)(studio.studio)
app.add_typer(control.app, name="control", help=control.HELP)
app.add_typer(runs.app, name="runs", help=runs.HELP)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fenshen {fenshen.__version__}")
        raise typer.Exit


@app.callback()
def top(version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help=tr("say the version and stop"))] = False) -> None:
    """Options before the verb."""


def _terminated(number: int, frame: FrameType | None) -> None:
    """SIGTERM while nothing is being trained: clean up on the way out."""
    raise SystemExit(128 + number)


def _translate_frames() -> None:
    """The frames that typer draws around help and mistakes."""
    from typer import rich_utils

    rich_utils.ARGUMENTS_PANEL_TITLE, rich_utils.OPTIONS_PANEL_TITLE = tr("Arguments"), tr("Options")
    rich_utils.COMMANDS_PANEL_TITLE, rich_utils.ERRORS_PANEL_TITLE = tr("Commands"), tr("Error")


def main() -> None:
    """The program `fenshen`."""
    if language() != "en":
        _translate_frames()
    signal.signal(signal.SIGTERM, _terminated)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # A terminal without UTF-8 shows question marks instead of failing.
            stream.reconfigure(errors="replace")
    app(prog_name="fenshen")

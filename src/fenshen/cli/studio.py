"""`fenshen studio`: all of it in the browser."""

from __future__ import annotations

import sys
import webbrowser
from typing import Annotated

import typer

from fenshen.cli.console import Speaker
from fenshen.lang import tr

HELP = tr("Everything in the browser: train, make, judge and manage, in English and Chinese. Only this machine can reach it.")


def studio(
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help=tr("where to listen; any other address demands a password"))] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option("--port", metavar="N", help=tr("the port; without it the first free one from 7860"), show_default=False)
    ] = None,
    password: Annotated[
        str | None,
        typer.Option("--password", metavar="TEXT", envvar="FENSHEN_PASSWORD", show_envvar=False, show_default=False,
                     help=tr("asked of whoever comes; better as the environment variable FENSHEN_PASSWORD, which nobody sees")),
    ] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help=tr("do not open a browser window"))] = False,
) -> None:
    from fenshen.places import runs_root
    from fenshen.studio.server import loopback, serve

    speaker = Speaker(False)

    def ready(address: str) -> None:
        speaker.say(tr("The studio: {address}", address=address), "bold")
        if not loopback(host):
            speaker.say(tr("Others can reach it, with the password. Nothing is encrypted on its way: use it only in a network you trust."))
        speaker.say(tr("Ctrl-C ends it; a training that is under way is saved first, and goes on the next time."))
        if not no_browser and loopback(host) and sys.stdout.isatty():
            webbrowser.open(address)

    speaker.say(tr("Starting …"))
    serve(host, port, password, runs_root(), ready)

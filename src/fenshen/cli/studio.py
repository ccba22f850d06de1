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
    from fenshen.studio.door import address_of, alone, listening, loopback

    speaker, home = Speaker(False), loopback(host)
    with listening(host, port, password) as listener, alone(runs_root() / ".studio", address_of(host, listener)):
        speaker.say(tr("Starting …"))
        from fenshen.studio.desk import Desk
        from fenshen.studio.server import serve

        def ready() -> None:
            speaker.say(tr("The studio: {address}", address=address_of(host, listener)), "bold")
            if not home:
                speaker.say(tr("Others can reach it, with the password. Nothing is encrypted on its way: use it only in a network you trust."))
            speaker.say(tr("Ctrl-C ends it; a training that is under way is saved first, and goes on the next time."))
            if not no_browser and home and sys.stdout.isatty():
                webbrowser.open(address_of(host, listener))

        names = frozenset({"127.0.0.1", "localhost", "::1", host}) if home else None
        serve(Desk(runs_root() / ".studio" / "jobs"), listener, names, password, ready)

"""`fenshen adapt`: teaches a trained run new pictures or new wishes, as a new run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from fenshen.cli.console import Speaker, complain, stop
from fenshen.cli.options import Device, Json, RunName, Seed, Set
from fenshen.errors import RecipeError
from fenshen.lang import tr
from fenshen.recipe import set_from_text

if TYPE_CHECKING:
    from fenshen.api import Run

HELP = tr("Teach RUN new pictures (DATA), or what you like (--wishes). RUN stays as it is; a new run begins with its weights.")


def adapt(
    run: RunName,
    data: Annotated[
        str | None, typer.Argument(metavar="DATA", help=tr("new pictures: folder, zip, tar, .npz, .parquet or hf://NAME"), show_default=False)
    ] = None,
    wishes: Annotated[
        str | None,
        typer.Option("--wishes", metavar="FILE", help=tr("a text file: 17 like, 23 dislike, 1:17 like (seed 1), a line each"), show_default=False),
    ] = None,
    strength: Annotated[float, typer.Option("--strength", help=tr("how much the wishes count; 1: just as they say, more: sharper"))] = 3.0,
    replay: Annotated[
        float | None, typer.Option("--replay", metavar="PART", help=tr("part of each batch that are old pictures, against forgetting: 0.5"),
                                   show_default=False)
    ] = None,
    minutes: Annotated[float | None, typer.Option("--minutes", help=tr("train this long"), show_default=False)] = None,
    kimg: Annotated[
        float | None, typer.Option("--kimg", help=tr("train until so many thousand real pictures were shown"), show_default=False)
    ] = None,
    changes: Set = None,
    device: Device = None,
    seed: Seed = None,
    out: Annotated[
        str | None, typer.Option("--out", metavar="DIR", help=tr("the run folder; a new one under runs/ otherwise"), show_default=False)
    ] = None,
    json: Json = False,
) -> None:  # fmt: skip
    training = {"--replay": replay, "--minutes": minutes, "--kimg": kimg, "--set": changes, "--device": device, "--seed": seed}
    speaker, more = Speaker(json), set_from_text(changes or []) | ({} if replay is None else {"adapt.replay": replay})
    if wishes is not None:
        given = [flag for flag, value in training.items() if value is not None]
        if given:
            raise RecipeError("--wishes trains nothing: leave {flags} out", flags=", ".join(given))
        _teach(speaker, run, data, wishes, strength, out)
    else:
        _train(speaker, run, data, out, {"minutes": minutes, "kimg": kimg, "device": device, "seed": seed, "changes": more})


def _teach(speaker: Speaker, run: str, data: str | None, wishes: str, strength: float, out: str | None) -> None:
    from fenshen import api
    from fenshen.cli.watching import Showing

    made = api.adapt(run, data, wishes=wishes, strength=strength, out=out, watcher=Showing(speaker))
    speaker.say(tr("Run: {path}", path=made.path), "bold")
    speaker.answer({"run": str(made.path), **made.folder.read_json("adapt.json")})
    speaker.say(tr("Make more: fenshen generate {run} --grid", run=made.path), "bold")


def _train(speaker: Speaker, run: str, data: str | None, out: str | None, wishes: dict[str, Any]) -> None:
    from fenshen import api
    from fenshen.cli.train import interrupted
    from fenshen.cli.watching import Showing

    showing, stopping = Showing(speaker), api.Stop()
    try:
        made = api.adapt(run, data, out=out, watcher=showing, stop=stopping, **wishes)
    except KeyboardInterrupt:
        interrupted(showing.run.path if showing.run else None)
    finally:
        showing.close()
    _ended(speaker, made, stopping.signal)


def _ended(speaker: Speaker, run: Run, signal: int) -> None:
    """The distances as a table, and what can be done next."""
    from fenshen.evaluate.adapted import Distances, columns, table
    from fenshen.training.session import going_on

    found = Distances.read(run.folder)
    if found is not None and not speaker.to_json:
        speaker.table(tr("How far the pictures are"), table(found), columns())
    values = {} if found is None else found.json()
    speaker.answer(values | {"run": str(run.path), "parent": run.recipe.adapt.parent, "finished": not signal, "last": (run.log() or [{}])[-1]})
    if signal:
        complain(going_on(run.folder))
        stop(128 + signal)
    speaker.say(tr("Make more: fenshen generate {run} --grid", run=run.path), "bold")

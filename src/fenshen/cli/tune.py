"""`fenshen tune`: searches a better recipe for DATA, or goes on with a search that was stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from fenshen.cli.console import Speaker, complain, stop
from fenshen.cli.options import Device, Json, Seed, Set
from fenshen.errors import RecipeError
from fenshen.lang import tr
from fenshen.recipe import Size, set_from_text

if TYPE_CHECKING:
    from fenshen.api import Tuned

HELP = tr("Search a better recipe for DATA: many short trainings, of which the best go on. Needs the extra fenshen[tune]. Ctrl-C stops and saves.")
MINUTES = 30.0


def tune(
    data: Annotated[
        str | None, typer.Argument(metavar="DATA", help=tr("folder, zip, tar, .npz, .parquet, hf://NAME, or digits (built in)"), show_default=False)
    ] = None,
    minutes: Annotated[float | None, typer.Option("--minutes", help=tr("search this long; 30 if not given"), show_default=False)] = None,
    recipe: Annotated[
        str | None, typer.Option("--recipe", metavar="NAME|FILE", help=tr("what to search around: a ready recipe or a TOML file"), show_default=False)
    ] = None,
    changes: Set = None,
    size: Annotated[
        Size | None, typer.Option("--size", help=tr("how large the networks are; searched where there is time for it otherwise"), show_default=False)
    ] = None,
    trials: Annotated[
        int | None, typer.Option("--trials", metavar="N", min=2, help=tr("recipes to try; as many as the time allows otherwise"), show_default=False)
    ] = None,
    device: Device = None,
    seed: Seed = None,
    out: Annotated[
        str | None,
        typer.Option("--out", metavar="DIR", help=tr("the folder of the search, which goes on if it is there; a new one under runs/ otherwise"),
                     show_default=False),
    ] = None,
    resume: Annotated[str | None, typer.Option("--resume", metavar="DIR", help=tr("go on with a stopped search"), show_default=False)] = None,
    json: Json = False,
) -> None:  # fmt: skip
    from fenshen import api
    from fenshen.cli.evaluate import saying

    flags = {"DATA": data, "--minutes": minutes, "--recipe": recipe, "--set": changes, "--size": size, "--trials": trials, "--device": device,
             "--seed": seed, "--out": out}  # fmt: skip
    if resume is not None and (given := [flag for flag, value in flags.items() if value is not None]):
        text = "--resume goes on with the data and the recipe that the search began with: leave {flags} out, or begin a new search without --resume"
        raise RecipeError(text, flags=", ".join(given))
    speaker, stopping = Speaker(json), api.Stop()
    watcher = saying(speaker)
    speaker.say(tr("Reading the data and timing a few steps, about 15 seconds …"))
    try:
        if resume is not None:
            found = api.tune(resume=resume, watcher=watcher, stop=stopping)
        else:
            found = api.tune(data, recipe, minutes=MINUTES if minutes is None else minutes, trials=trials, out=out, size=size, seed=seed,
                             device=device, changes=set_from_text(changes or []), watcher=watcher, stop=stopping)  # fmt: skip
    except KeyboardInterrupt:
        complain(tr("stopped at once; if trials had begun, they go on with: fenshen tune --resume DIR"))
        stop(130)
    _ended(speaker, found, stopping.signal)


def _ended(speaker: Speaker, found: Tuned, signal: int) -> None:
    from fenshen.tuning.halving import standings
    from fenshen.tuning.words import columns, row

    if not speaker.to_json:
        speaker.table(tr("Trials, the best first"), (row(trial, found.dials) for trial in standings(found.trials)), columns(found.dials))
    speaker.answer(found.json())
    if signal:
        complain(tr("stopped and saved; go on with: fenshen tune --resume {path}", path=found.path))
        stop(128 + signal)
    speaker.say(str(found), "bold")
    if found.best is None:
        return
    speaker.say(tr("Report: {path}", path=found.path / "report.html"))
    text = "Train with it: fenshen train {data} --recipe {recipe} --minutes 30"
    speaker.say(tr(text, data=found.recipe.data.source, recipe=found.path / "best.toml"))

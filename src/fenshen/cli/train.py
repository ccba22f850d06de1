"""`fenshen train`: trains a new run, goes on with a stopped one, or shows the whole plan."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fenshen.cli.console import Speaker, complain, stop
from fenshen.cli.look import plan_values
from fenshen.cli.options import Device, Json, Seed, Set
from fenshen.errors import RecipeError
from fenshen.lang import tr
from fenshen.phrases import bytes_in_words, duration, number
from fenshen.recipe import Size, Wording, set_from_text

if TYPE_CHECKING:
    from fenshen.api import Plan, Run

HELP = tr("Train a generator of pictures or words on DATA; without DATA, on handwritten digits that come along. Ctrl-C stops and saves.")


def train(
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="DATA", help=tr("a file, folder, zip, tar, .npz, .parquet, hf://NAME, or built in: digits, topics"), show_default=False
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            "--recipe", metavar="NAME|FILE", show_default=False,
            help=tr("a ready recipe (gan, vae, vaegan, restoregan, article; transformer, lstm) or a TOML file"),
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option("--task", metavar="upscale=N|inpaint", help=tr("learn to enlarge pictures or to repair them, instead of making new ones"),
                     show_default=False),
    ] = None,
    changes: Set = None,
    size: Annotated[
        Size | None, typer.Option("--size", help=tr("how large the networks are; chosen for the machine otherwise"), show_default=False)
    ] = None,
    minutes: Annotated[float | None, typer.Option("--minutes", help=tr("train this long"), show_default=False)] = None,
    kimg: Annotated[
        float | None, typer.Option("--kimg", help=tr("train until so many thousand real pictures, or rows of words, were shown"), show_default=False)
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            "--until",
            metavar="Nx",
            help=tr("stop when the distance to new pictures is N times that of real ones, for example 5x"),
            show_default=False,
        ),
    ] = None,
    device: Device = None,
    seed: Seed = None,
    out: Annotated[
        str | None, typer.Option("--out", metavar="DIR", help=tr("the run folder; a new one under runs/ otherwise"), show_default=False)
    ] = None,
    resume: Annotated[str | None, typer.Option("--resume", metavar="RUN", help=tr("go on with a stopped run, exactly"), show_default=False)] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help=tr("show the whole plan and do nothing"))] = False,
    json: Json = False,
) -> None:
    flags = {"DATA": data, "--recipe": recipe, "--task": task,
             "--set": changes, "--size": size, "--minutes": minutes, "--kimg": kimg, "--until": until,
             "--device": device, "--seed": seed, "--out": out, "--dry-run": dry_run or None}  # fmt: skip
    wishes = {"recipe": recipe, "minutes": minutes, "kimg": kimg, "size": size, "seed": seed, "device": device, "task": task,
              "changes": set_from_text(changes or []) | goal(until)}  # fmt: skip
    speaker = Speaker(json)
    if resume is not None:
        _refuse([flag for flag, value in flags.items() if value])
        _go_on(speaker, resume)
    elif dry_run:
        _dry_run(speaker, data, out, wishes)
    else:
        _start(speaker, data, out, wishes)


def goal(until: str | None) -> dict[str, Any]:
    """`5x` or `5` -> the recipe's key. RecipeError for anything else."""
    if until is None:
        return {}
    try:
        return {"autopilot.until": float(until.removesuffix("x"))}
    except ValueError:
        raise RecipeError("--until {until}: write a multiple of the distance between real pictures, for example 5x", until=until) from None


def _refuse(flags: list[str]) -> None:
    if flags:
        text = "--resume goes on with the recipe and the data that the run began with: leave {flags} out, or train a new run without --resume"
        raise RecipeError(text, flags=", ".join(flags))


def _dry_run(speaker: Speaker, data: str | None, out: str | None, wishes: dict[str, Any]) -> None:
    from fenshen import api
    from fenshen.cli.watching import Showing, introduction

    speaker.say(tr("Reading the data and timing a few steps, about 15 seconds …"))
    plan = api.plan(data, watcher=Showing(speaker), **wishes)
    if not speaker.to_json:
        speaker.say(plan.recipe.toml())
        for line in introduction(plan):
            speaker.say(line)
        speaker.table(tr("Plan"), _plan_rows(plan))
        speaker.table(tr("Timed, seconds per step"), ((name, f"{seconds:.4f}") for name, seconds in plan.probed.tried))
        speaker.say(tr("Nothing was trained or written; leave --dry-run out to begin."), "bold")
    speaker.answer(plan_values(plan))


def _plan_rows(plan: Plan) -> list[tuple[str, str]]:
    rows = [(tr("parameters of the {player}", player=tr(name)), f"{count:,}") for name, count in plan.parameters.items()]
    end = datetime.now() + timedelta(seconds=plan.seconds)
    return [
        *rows,
        (tr("memory, about"), bytes_in_words(plan.memory_bytes)),
        (tr("seconds per kimg"), number(plan.seconds_per_kimg)),
        (tr("kimg"), f"{plan.recipe.train.kimg:,}"),
        (tr("takes"), duration(plan.seconds)),
        (tr("would end"), f"{end:%Y-%m-%d %H:%M}"),
    ]


def _start(speaker: Speaker, data: str | None, out: str | None, wishes: dict[str, Any]) -> None:
    from fenshen import api
    from fenshen.cli.watching import Showing

    showing, stopping = Showing(speaker), api.Stop()
    try:
        speaker.say(tr("Reading the data and timing a few steps, about 15 seconds …"))
        run = api.train(data, out=out, watcher=showing, stop=stopping, **wishes)
    except KeyboardInterrupt:
        interrupted(showing.run.path if showing.run else None)
    finally:
        showing.close()
    _ended(speaker, run, stopping.signal)


def _go_on(speaker: Speaker, name: str) -> None:
    from fenshen import api
    from fenshen.cli.watching import Showing
    from fenshen.errors import RunFolderError
    from fenshen.keeping.runs import finished

    run = api.load(name)
    if finished(run.folder):
        text = "{run} has finished: there is nothing to go on with; for more, train a new run with larger --minutes or --kimg"
        raise RunFolderError(text, run=run.path)
    showing, stopping = Showing(speaker), api.Stop()
    try:
        run = api.resume(name, watcher=showing, stop=stopping)
    except KeyboardInterrupt:
        interrupted(run.path)
    finally:
        showing.close()
    _ended(speaker, run, stopping.signal)


def interrupted(path: object) -> None:
    """Ctrl-C before the first step, or a second one that would not wait."""
    if path is None:
        complain(tr("stopped before training began; there is no run"))
    else:
        complain(tr("stopped at once; what was saved last still stands: fenshen train --resume {run}", run=path))
    stop(130)


def _ended(speaker: Speaker, run: Run, signal: int) -> None:
    log = run.log()
    last = log[-1] if log else {}
    speaker.answer({"run": str(run.path), "finished": not signal, "samples": str(run.folder.samples), "last": last})
    if signal:
        from fenshen.training.session import going_on

        complain(going_on(run.folder))
        stop(128 + signal)
    words = isinstance(run.recipe.model, Wording)
    grids = sorted(run.folder.samples.glob("[0-9]*.txt" if words else "[0-9]*.png"))
    if grids:
        speaker.say(tr("Samples: {path}", path=grids[-1]))
    if (animation := run.folder.samples / "animation.webp").exists():
        speaker.say(tr("How they came to be: {path}", path=animation))
    for sentence in (run.report() or {}).get("verdict", ()):
        speaker.say(sentence)
    if words:
        speaker.say(tr("Write more: fenshen generate {run} --prompt TEXT", run=run.path), "bold")
    elif run.recipe.model.family.startswith("restore"):
        speaker.say(tr("Restore pictures: fenshen generate {run} --input PICTURE", run=run.path), "bold")
    else:
        speaker.say(tr("Make more: fenshen generate {run} --grid", run=run.path), "bold")

"""`fenshen runs`: lists, compares, renames and deletes runs; packs them, and brings packed ones in."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from fenshen.cli.console import Speaker
from fenshen.cli.options import Json, RunName
from fenshen.errors import FenshenError
from fenshen.lang import tr
from fenshen.phrases import bytes_in_words

HELP = tr("List all runs; compare two of them; rename, delete or pack one; bring a packed one in.")
app = typer.Typer(help=HELP, rich_markup_mode="rich")


@app.callback(invoke_without_command=True)
def runs(context: typer.Context, json: Json = False) -> None:
    if context.invoked_subcommand is not None:
        return
    from fenshen import api
    from fenshen.places import runs_root

    speaker = Speaker(json)
    rows = [run.summary() for run in api.runs()]
    speaker.answer(rows)
    if json:
        return
    if not rows:
        speaker.say(tr("No runs under {root} yet; make one with: fenshen train", root=runs_root()))
        return
    columns = [tr("name"), tr("state"), tr("kimg"), tr("minutes"), tr("data"), tr("network"), tr("when"), tr("size")]
    speaker.table(tr("Runs under {root}", root=runs_root()), (_cells(row) for row in rows), columns)


def _cells(row: dict[str, Any]) -> list[str]:
    from fenshen.keeping.runs import state_in_words

    said = state_in_words(row["state"])
    return [row["name"], said, f"{row['kimg']:.1f}", f"{row['minutes']:.1f}", row["data"], row["network"], row["when"], bytes_in_words(row["bytes"])]


@app.command("compare", help=tr("What differs between two recipes, and how the two runs ended, side by side."))
def compare(
    first: Annotated[str, typer.Argument(metavar="A", help=tr("a run"), show_default=False)],
    second: Annotated[str, typer.Argument(metavar="B", help=tr("another run"), show_default=False)],
    json: Json = False,
) -> None:
    from fenshen import api
    from fenshen.evaluate.comparison import rows

    speaker = Speaker(json)
    found = api.compare(first, second)
    speaker.answer(found.json())
    if json:
        return
    columns = ["", *(Path(path).name for path in found.runs)]
    if not found.recipe:
        speaker.say(tr("Both have the same recipe."), "bold")
    else:
        speaker.table(tr("Recipes differ in"), rows(found.recipe), columns)
    speaker.table(tr("Last line of the log"), rows(found.last), columns)
    if scores := found.scores():
        speaker.table(tr("Scores; * clearly better"), scores, columns)
    if remark := found.remark():
        speaker.say(remark)


@app.command("rename", help=tr("Give RUN another name. Its report and the runs adapted from it are told."))
def rename(
    run: RunName,
    name: Annotated[str, typer.Argument(metavar="NAME", help=tr("the new name, without any path"), show_default=False)],
    json: Json = False,
) -> None:
    from fenshen import api

    speaker, found = Speaker(json), api.load(run)
    renamed = found.rename(name)
    speaker.say(tr("{old} is now {new}", old=found.path.name, new=renamed.path))
    speaker.answer({"before": str(found.path), "run": str(renamed.path)})


@app.command("pack", help=tr("Pack RUN whole into one .zip, for `fenshen runs import` on another machine. For strangers there is `fenshen export`."))
def pack(
    run: RunName,
    out: Annotated[str | None, typer.Option("--out", metavar="FILE", help=tr("a .zip; NAME.zip otherwise"), show_default=False)] = None,
    json: Json = False,
) -> None:
    from fenshen import api

    speaker = Speaker(json)
    path = api.load(run).pack(None if out is None else Path(out).expanduser())
    size = path.stat().st_size
    speaker.say(tr("Packed: {path} ({size}). It holds all that the run knows of its training data.", path=path, size=bytes_in_words(size)))
    speaker.answer({"file": str(path), "bytes": size})


@app.command("import", help=tr("Bring a packed run in: SOURCE is its .zip or its folder. It is read through first; nothing in it is executed."))
def bring(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help=tr("the .zip of a run, or the folder of one"), show_default=False)],
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help=tr("what to call it; as before otherwise"), show_default=False)] = None,
    json: Json = False,
) -> None:
    from fenshen import api

    speaker = Speaker(json)
    run = api.unpack(Path(source).expanduser(), name)
    speaker.say(tr("Run: {path}", path=run.path), "bold")
    speaker.answer(run.summary())


@app.command("delete", help=tr("Delete RUN, and the prepared copy of its pictures unless another run uses it. Your own files are never touched."))
def delete(
    run: RunName,
    yes: Annotated[bool, typer.Option("--yes", help=tr("do not ask"))] = False,
    json: Json = False,
) -> None:
    from fenshen import api

    speaker, found = Speaker(json), api.load(run)
    found.check_deletable()
    if not yes:
        _ask(tr("Delete {run} ({size})?", run=found.path, size=bytes_in_words(found.summary()["bytes"])))
    gone = found.delete()
    sizes = {"size": bytes_in_words(gone.bytes), "freed": bytes_in_words(gone.prepared_bytes)}
    speaker.say(tr("Deleted {run} ({size}) and {freed} of prepared pictures.", run=gone.path, **sizes))
    speaker.answer({"deleted": str(gone.path), "bytes": gone.bytes, "prepared_bytes": gone.prepared_bytes})


def _ask(question: str) -> None:
    if not sys.stdin.isatty():
        raise FenshenError("nobody can be asked here: give --yes to delete")
    if not typer.confirm(question):
        raise FenshenError("nothing was deleted")

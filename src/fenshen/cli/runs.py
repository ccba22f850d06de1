"""`fenshen runs`: lists, compares and deletes runs."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fenshen.cli.console import Speaker
from fenshen.cli.options import Json, RunName
from fenshen.errors import FenshenError, RunFolderError
from fenshen.lang import tr
from fenshen.phrases import bytes_in_words
from fenshen.recipe import AnyModel, Autoregressive, Ngram, OverCodes, Pretrained, TextGan, TextVae

if TYPE_CHECKING:
    from fenshen.api import Run

HELP = tr("List all runs; compare two of them; delete one.")
PARTS = {"recipe.toml", "weights.safetensors", "state", "data.json", "log.jsonl", "samples", "tensorboard", "generated", "autopilot.jsonl",
         "report.html", "report.json", "audit.json", "adapt.json", "preference.safetensors", "control", "directions.safetensors",
         "directions.json", "export"}  # fmt: skip
app = typer.Typer(help=HELP, rich_markup_mode="rich")


@app.callback(invoke_without_command=True)
def runs(context: typer.Context, json: Json = False) -> None:
    if context.invoked_subcommand is not None:
        return
    from fenshen import api
    from fenshen.places import runs_root

    speaker = Speaker(json)
    rows = [summary(run) for run in api.runs()]
    speaker.answer(rows)
    if json:
        return
    if not rows:
        speaker.say(tr("No runs under {root} yet; make one with: fenshen train", root=runs_root()))
        return
    columns = [tr("name"), tr("state"), tr("kimg"), tr("minutes"), tr("data"), tr("network"), tr("when"), tr("size")]
    speaker.table(tr("Runs under {root}", root=runs_root()), (_cells(row) for row in rows), columns)


def _cells(row: dict[str, Any]) -> list[str]:
    state = {"finished": tr("finished"), "stopped": tr("stopped"), "empty": tr("nothing saved"), "damaged": tr("damaged")}[row["state"]]
    return [row["name"], state, f"{row['kimg']:.1f}", f"{row['minutes']:.1f}", row["data"], row["network"], row["when"], bytes_in_words(row["bytes"])]


def summary(run: Run) -> dict[str, Any]:
    """One run in a line; a damaged one is listed too."""
    when = datetime.fromtimestamp((run.path / "recipe.toml").stat().st_mtime).isoformat(" ", "minutes")
    size = sum(path.stat().st_size for path in run.path.rglob("*") if path.is_file())
    values = {"name": run.path.name, "path": str(run.path), "when": when, "bytes": size, "kimg": 0.0, "minutes": 0.0, "data": "", "network": ""}
    try:
        recipe, log = run.recipe, run.log()
    except FenshenError:
        return values | {"state": "damaged"}
    values |= {"data": recipe.data.source, "network": f"{network_of(recipe.model)} {recipe.model.size or ''}".strip()}
    if not log:
        return values | {"state": "empty"}
    state = "finished" if finished(run) else "stopped"
    return values | {"state": state, "kimg": log[-1]["kimg"], "minutes": round(log[-1]["seconds"] / 60, 2)}


def network_of(model: AnyModel) -> str:
    """What its networks are made of, in a word."""
    match model:
        case Ngram():
            return f"{model.order}-gram"
        case Autoregressive() | TextGan():
            return model.net
        case Pretrained():
            return Path(model.start).name
        case TextVae():
            return "lstm"
        case OverCodes():
            return "transformer"
    return model.network or ""


def finished(run: Run) -> bool:
    """Whether the run has shown all pictures of its plan, or used all of its time."""
    log, train = run.log(), run.recipe.train
    if not log:
        return False
    in_time = train.minutes is not None and log[-1]["seconds"] >= train.minutes * 60
    return in_time or (train.kimg is not None and log[-1]["kimg"] >= train.kimg)


@app.command("compare", help=tr("What differs between two recipes, and how the two runs ended, side by side."))
def compare(
    first: Annotated[str, typer.Argument(metavar="A", help=tr("a run"), show_default=False)],
    second: Annotated[str, typer.Argument(metavar="B", help=tr("another run"), show_default=False)],
    json: Json = False,
) -> None:
    from fenshen import api

    speaker = Speaker(json)
    pair = [api.load(first), api.load(second)]
    recipes = [_flat(run.recipe.model_dump()) for run in pair]
    lasts = [(run.log() or [{}])[-1] for run in pair]
    differences = {key: [recipe.get(key) for recipe in recipes] for key in recipes[0] | recipes[1] if recipes[0].get(key) != recipes[1].get(key)}
    endings = {key: [last.get(key) for last in lasts] for key in lasts[0] | lasts[1]}
    reports = [run.report() for run in pair]
    speaker.answer({"runs": [str(run.path) for run in pair], "recipe": differences, "last": endings, "reports": reports})
    if not json:
        columns = ["", *(run.path.name for run in pair)]
        if not differences:
            speaker.say(tr("Both have the same recipe."), "bold")
        else:
            speaker.table(tr("Recipes differ in"), _rows(differences), columns)
        speaker.table(tr("Last line of the log"), _rows(endings), columns)
        _show_scores(speaker, reports, columns)


def _show_scores(speaker: Speaker, reports: list[dict[str, Any] | None], columns: list[str]) -> None:
    """Side by side where they can be compared; a star where the intervals do not overlap."""
    from fenshen.evaluate.report import comparable, compared

    first, second = reports
    if first is None or second is None:
        speaker.say(tr("Scores: not both runs are measured; measure with: fenshen evaluate RUN"))
    elif not comparable(first, second):
        speaker.say(tr("Scores: measured on different pictures or by different encoders; such numbers cannot be compared."))
    else:
        speaker.table(tr("Scores; * clearly better"), compared(first, second), columns)
        counts = [report["scores"][0]["samples"] for report in (first, second)]
        if counts[0] != counts[1]:
            text = "Measured with {first} and with {second} made pictures: nothing is called better; measure both with the same --count."
            speaker.say(tr(text, first=counts[0], second=counts[1]))


def _flat(values: dict[str, Any], before: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{before}{key}.") if isinstance(value, dict) else {before + key: value}
    return flat


def _rows(values: dict[str, list[Any]]) -> list[list[str]]:
    return [[key, *(_short(value) for value in pair)] for key, pair in values.items()]


def _short(value: object) -> str:
    return "–" if value is None else f"{value:.5g}" if isinstance(value, float) else str(value)


@app.command("delete", help=tr("Delete RUN, and the prepared copy of its pictures unless another run uses it. Your own files are never touched."))
def delete(
    run: RunName,
    yes: Annotated[bool, typer.Option("--yes", help=tr("do not ask"))] = False,
    json: Json = False,
) -> None:
    from fenshen import api
    from fenshen.data import cache

    speaker = Speaker(json)
    found = api.load(run)
    _check_ours(found.path)
    size = summary(found)["bytes"]
    if not yes:
        _ask(tr("Delete {run} ({size})?", run=found.path, size=bytes_in_words(size)))
    fingerprint = _fingerprint(found)
    used = fingerprint in {_fingerprint(other) for other in api.runs() if other.path.resolve() != found.path.resolve()}
    found.folder.delete()
    freed = 0 if used or fingerprint is None else cache.delete(fingerprint)
    speaker.say(
        tr("Deleted {run} ({size}) and {freed} of prepared pictures.", run=found.path, size=bytes_in_words(size), freed=bytes_in_words(freed))
    )
    speaker.answer({"deleted": str(found.path), "bytes": size, "prepared_bytes": freed})


def _check_ours(path: Path) -> None:
    """Nothing that a run did not write is ever deleted."""
    strange = sorted(entry.name for entry in path.iterdir() if entry.name not in PARTS)
    if strange:
        text = "{path} also holds what is not of a run ({names}): nothing was deleted; move that first"
        raise RunFolderError(text, path=path, names=", ".join(strange[:3]))


def _ask(question: str) -> None:
    if not sys.stdin.isatty():
        raise FenshenError("nobody can be asked here: give --yes to delete")
    if not typer.confirm(question):
        raise FenshenError("nothing was deleted")


def _fingerprint(run: Run) -> str | None:
    try:
        return run.folder.read_json("data.json").get("fingerprint")
    except FenshenError:
        return None

"""`fenshen control`: a hand on the latent space of a run. One function per verb, all of them thin."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fenshen.cli.console import Speaker
from fenshen.cli.evaluate import saying
from fenshen.cli.options import Device, Json, RunName
from fenshen.errors import RecipeError
from fenshen.lang import tr
from fenshen.phrases import number

if TYPE_CHECKING:
    from fenshen.api import Answer

HELP = tr("Steer what RUN makes: paths between pictures, single knobs, named directions, changes of your own pictures.")
PICTURE = tr("a picture's file, or the number of a picture that the run makes: 17, or 1:17 of seed 1")
app = typer.Typer(help=HELP, rich_markup_mode="rich", no_args_is_help=True)

Start = Annotated[str, typer.Argument(metavar="[PICTURE]", help=PICTURE)]
Stops = Annotated[list[str], typer.Argument(metavar="PICTURE...", help=PICTURE, show_default=False)]
Out = Annotated[str | None, typer.Option("--out", metavar="DIR", help=tr("a folder; RUN/control/… otherwise"), show_default=False)]
LabelName = Annotated[str | None, typer.Option("--label", metavar="NAME", help=tr("of this label"), show_default=False)]
Truncation = Annotated[float, typer.Option("--truncation", help=tr("below 1: more typical, less various"))]
Knobs = Annotated[
    list[str] | None,
    typer.Option("--knob", metavar="NAME", help=tr("a direction, z0, z1, … or a label; may be given often; else those with the largest effect"),
                 show_default=False),
]  # fmt: skip
Number = Annotated[int, typer.Option("--seed", metavar="N", min=0, max=2**31 - 1, help=tr("everything random follows from it"))]
SearchSteps = Annotated[int, typer.Option("--search-steps", metavar="N", help=tr("how long a picture is looked for"))]
SearchStarts = Annotated[int, typer.Option("--starts", metavar="N", help=tr("from how many places at once; the best end is kept"))]
Features = Annotated[float, typer.Option("--features", metavar="WEIGHT", help=tr("how much the measuring network's view counts; 0: pixels alone"))]


@app.command("interpolate", help=tr("Go from picture to picture: a strip and an animation."))
def interpolate(
    run: RunName, stops: Stops,
    frames: Annotated[int, typer.Option("--frames", metavar="N", help=tr("pictures on the whole path"))] = 60,
    seconds: Annotated[float, typer.Option("--seconds", help=tr("how long the animation lasts"))] = 4.0,
    path: Annotated[Literal["slerp", "lerp"], typer.Option("--path", help=tr("along a circle, or straight"))] = "slerp",
    loop: Annotated[bool, typer.Option("--loop", help=tr("back to the first picture"))] = False,
    format: Annotated[Literal["webp", "gif", "mp4"], typer.Option("--format", help=tr("of the animation; mp4 needs PyAV"))] = "webp",
    label: LabelName = None, truncation: Truncation = 1.0, out: Out = None, device: Device = None, json: Json = False,
) -> None:  # fmt: skip
    from fenshen import api

    speaker = Speaker(json)
    _told(speaker, api.load(run).interpolate(
        *stops, frames=frames, seconds=seconds, path=path, loop=loop, format=format, label=label, truncation=truncation, out=out,
        device=device or "auto", watcher=saying(speaker),
    ))  # fmt: skip


@app.command("traverse", help=tr("Turn one knob at a time: a labelled sheet, a row per knob."))
def traverse(
    run: RunName, start: Start = "0", knobs: Knobs = None,
    low: Annotated[float | None, typer.Option("--from", help=tr("where a knob begins; -3, or 0 for a label"), show_default=False)] = None,
    high: Annotated[float | None, typer.Option("--to", help=tr("where it ends; 3, or 1 for a label"), show_default=False)] = None,
    steps: Annotated[int, typer.Option("--steps", metavar="N", help=tr("pictures in a row"))] = 7,
    label: LabelName = None, truncation: Truncation = 1.0, out: Out = None, device: Device = None, json: Json = False,
) -> None:  # fmt: skip
    from fenshen import api

    speaker = Speaker(json)
    _told(speaker, api.load(run).traverse(
        start, knobs=knobs or (), low=low, high=high, steps=steps, label=label, truncation=truncation, out=out, device=device or "auto",
        watcher=saying(speaker),
    ))  # fmt: skip


@app.command("mix", help=tr("The strongest directions of one picture, the others of a second one."))
def mix(
    run: RunName,
    coarse: Annotated[str, typer.Argument(metavar="STRONG", help=PICTURE, show_default=False)],
    fine: Annotated[str, typer.Argument(metavar="FINE", help=PICTURE, show_default=False)],
    steps: Annotated[int, typer.Option("--steps", metavar="N", help=tr("pictures in a row"))] = 7,
    label: LabelName = None, truncation: Truncation = 1.0, out: Out = None, device: Device = None, json: Json = False,
) -> None:  # fmt: skip
    from fenshen import api

    speaker = Speaker(json)
    answer = api.load(run).mix(coarse, fine, steps=steps, label=label, truncation=truncation, out=out, device=device or "auto",
                               watcher=saying(speaker))  # fmt: skip
    speaker.say(tr("This network reads its latent in one place only: what is mixed are directions of the latent, the strongest first."))
    _told(speaker, answer)


@app.command("directions", help=tr("Find directions and keep them with RUN: those that the network suggests, or with --name one that you mean."))
def directions(
    run: RunName,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help=tr("what to call a direction of your own"), show_default=False)] = None,
    examples: Annotated[
        str | None, typer.Option("--examples", metavar="FILE", show_default=False,
                                 help=tr("pictures with and without it: a folder with the folders `with` and `without`, a .csv or a .toml"))
    ] = None,
    of: Annotated[
        str | None, typer.Option("--of", metavar="LABEL", help=tr("a label of the training pictures, in place of examples"), show_default=False)
    ] = None,
    method: Annotated[
        Literal["probe", "mean", "seen"],
        typer.Option("--method", help=tr("of examples: by a probe of their latents, by mean latents, or by what the measuring network sees")),
    ] = "probe",
    count: Annotated[int, typer.Option("--count", metavar="N", help=tr("how many of each kind, without --name"))] = 6,
    seed: Number = 0, out: Out = None, device: Device = None, json: Json = False,
) -> None:  # fmt: skip
    from fenshen import api

    speaker, found = Speaker(json), api.load(run)
    where, watcher = device or "auto", saying(speaker)
    if name is None:
        if examples is not None or of is not None:
            raise RecipeError("--examples and --of need a --name for what they show")
        answer = found.directions(count=count, seed=seed, out=out, device=where, watcher=watcher)
    else:
        answer = found.directions(name, examples=examples, label=of, method=method, seed=seed, out=out, device=where, watcher=watcher)
    _told(speaker, answer, _ranks(answer.numbers["found"]), [tr("direction"), tr("how found"), tr("features"), tr("pixels"), tr("foreseen")])


@app.command("invert", help=tr("Find the latent of a picture, or of all pictures in a folder: original beside what was found."))
def invert(
    run: RunName,
    picture: Annotated[str, typer.Argument(metavar="PICTURE", help=tr("a picture's file, a folder, an archive or an .npz"), show_default=False)],
    steps: SearchSteps = 200, starts: SearchStarts = 4, features: Features = 0.05, label: LabelName = None, seed: Number = 0, out: Out = None,
    device: Device = None, json: Json = False,
) -> None:  # fmt: skip
    from fenshen import api

    speaker = Speaker(json)
    search = api.Search(steps=steps, starts=starts, features=features, seed=seed)
    answer = api.load(run).invert(picture, search=search, label=label, out=out, device=device or "auto", watcher=saying(speaker))
    before, after = (f"{answer.numbers[key]:.1f}" for key in ("psnr_before", "psnr"))
    speaker.say(tr("PSNR {before} dB at the start, {after} dB when found ({count} pictures)", before=before, after=after,
                   count=len(answer.numbers["pictures"])))  # fmt: skip
    _told(speaker, answer)


@app.command("vary", help=tr("Show other pictures around one: nearly the same, or only of the same kind."))
def vary(
    run: RunName, start: Start = "0",
    count: Annotated[int, typer.Option("--count", metavar="N", help=tr("how many others"))] = 15,
    far: Annotated[float, typer.Option("--far", help=tr("how far around it, from 0 (the picture itself) to 1 (any other)"))] = 0.3,
    seed: Number = 0, label: LabelName = None, truncation: Truncation = 1.0, out: Out = None, device: Device = None, json: Json = False,
) -> None:  # fmt: skip
    from fenshen import api

    speaker = Speaker(json)
    _told(speaker, api.load(run).vary(start, count=count, far=far, seed=seed, label=label, truncation=truncation, out=out, device=device or "auto",
                                      watcher=saying(speaker)))  # fmt: skip


@app.command("edit", help=tr("Change a picture: find its latent, turn directions, show before and after."))
def edit(
    run: RunName,
    picture: Annotated[str, typer.Argument(metavar="PICTURE", help=PICTURE, show_default=False)],
    direction: Annotated[
        list[str], typer.Option("--direction", metavar="NAME=AMOUNT", show_default=False,
                                help=tr("turn this knob so far, for example smiling=1.5; may be given often"))
    ],
    steps: Annotated[int, typer.Option("--steps", metavar="N", help=tr("pictures in a row"))] = 7,
    search_steps: SearchSteps = 200, starts: SearchStarts = 4, features: Features = 0.05, label: LabelName = None, truncation: Truncation = 1.0,
    out: Out = None, device: Device = None, json: Json = False,
) -> None:  # fmt: skip
    turns = dict(_turn(pair) for pair in direction)
    from fenshen import api

    speaker = Speaker(json)
    search = api.Search(steps=search_steps, starts=starts, features=features)
    _told(speaker, api.load(run).edit(picture, turns, steps=steps, search=search, label=label, truncation=truncation, out=out,
                                      device=device or "auto", watcher=saying(speaker)))  # fmt: skip


@app.command("explain", help=tr("Show which knob changes which pixels, and measure how disentangled the latent is."))
def explain(
    run: RunName, start: Start = "0", knobs: Knobs = None,
    scores: Annotated[bool, typer.Option("--scores/--no-scores", help=tr("measure disentanglement"))] = True,
    seed: Number = 0, label: LabelName = None, truncation: Truncation = 1.0, out: Out = None, device: Device = None, json: Json = False,
) -> None:  # fmt: skip
    from fenshen import api

    speaker = Speaker(json)
    answer = api.load(run).explain(start, knobs=knobs or (), scores=scores, seed=seed, label=label, truncation=truncation, out=out,
                                   device=device or "auto", watcher=saying(speaker))  # fmt: skip
    found = answer.numbers["disentanglement"]
    if found is not None:
        rows = [(name, number(each["mig"]), number(each["informativeness"]), each["entry"]) for name, each in found["factors"].items()]
        speaker.table(tr("What the latent knows of"), rows, [tr("factor"), "MIG", tr("informativeness"), tr("entry")])
        speaker.say(tr("MIG {mig}, disentanglement {d}, completeness {c}, informativeness {i} (0 to 1)", mig=number(found["mig"]),
                       d=number(found["disentanglement"]), c=number(found["completeness"]), i=number(found["informativeness"])))  # fmt: skip
    _told(speaker, answer)


def _turn(pair: str) -> tuple[str, float]:
    name, _, amount = pair.rpartition("=")
    try:
        value = float(amount)
    except ValueError:
        value = float("nan")
    if not name or not -100 <= value <= 100:
        raise RecipeError("--direction {pair}: write NAME=AMOUNT, for example smiling=1.5", pair=pair)
    return name, value


def _ranks(found: Iterable[dict]) -> list[tuple[str, ...]]:
    kinds = {"closed form": tr("closed form"), "principal component": tr("principal component"), "named": tr("named"), "label": tr("label"),
             "code": tr("information code")}  # fmt: skip
    rows: list[tuple[str, ...]] = []
    for knob in found:
        features, foreseen = knob["effect"]["features"], knob.get("foreseen")
        rows.append((knob["name"], kinds[knob["kind"]], "" if features is None else number(features), f"{100 * knob['effect']['pixels']:.1f} %",
                     "" if foreseen is None else f"{100 * foreseen:.0f} %"))  # fmt: skip
    return rows


def _told(speaker: Speaker, answer: Answer, rows: Sequence[Sequence[str]] = (), columns: Sequence[str] = ()) -> None:
    if rows:
        speaker.table(tr("Change per unit"), rows, columns)
    for path in answer.pictures[:3]:
        speaker.say(str(path))
    speaker.say(tr("Written: {path}", path=answer.folder), "bold")
    speaker.answer(answer.json())

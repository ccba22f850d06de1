"""A model card (Mitchell et al. 2019): what was trained on what, how good it is, what it may give away; counts and classes, no names of files.

All of it comes from the run's own records; what they do not say is left to the person, or said to be unknown.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tomli_w

from fenshen import __version__
from fenshen.evaluate.page import meaning
from fenshen.evaluate.report import columns, quality
from fenshen.lang import tr
from fenshen.recipe import Pretrained, Recipe
from fenshen.run import Made, RunFolder, Written

MOST_CLASSES = 100  # Listed; of more only the number.
HEAD = "---\nlibrary_name: fenshen\nlicense: \n---\n"


def card(run: RunFolder, made: Made | Written, header: dict[str, Any], parameters: int) -> str:
    """The whole card as Markdown, in the reader's language; `header`: of the run's weights."""
    recipe, record = run.recipe(), run.read_json("data.json")
    sections = {
        tr("What it is"): _nature(recipe, made, parameters),
        tr("What it was trained on"): _material(record, made),
        tr("How it was trained"): _training(run, recipe, header),
        tr("How good it is"): _scores(run, made),
        tr("What it may give away"): _privacy(run, made),
        tr("Limits"): _limits(made),
        tr("How to use it"): _use(made),
        tr("License"): [tr("Not chosen yet. Who publishes this model chooses one, writes it here and in the field `license` at the top, and makes "
                           "sure that the training data may be used that way.")],
    }  # fmt: skip
    title = tr("A model that writes") if isinstance(made, Written) else tr("A model that makes pictures")
    parts = [f"## {name}\n\n" + "\n\n".join(paragraphs) for name, paragraphs in sections.items()]
    return "\n".join([HEAD, f"# {title}\n", "\n\n".join(parts), ""])


def public(recipe: Recipe) -> Recipe:
    """The recipe without what it says of files: where the data is, what it began with, whose features it was judged by."""
    return Recipe(model=recipe.model, train=recipe.train.model_copy(update={"start_from": None}), autopilot=recipe.autopilot)


def _nature(recipe: Recipe, made: Made | Written, parameters: int) -> Iterator[str]:
    network = recipe.model.family
    if isinstance(recipe.model, Pretrained) and isinstance(made, Written):
        yield tr("A language model that somebody else trained, {name} (SHA-256 {sha256}), taught further: {parameters} weights were learnt. Where "
                 "model.rank is above 0, its own are not in here. It writes token by token; a token is one of {vocabulary}.",
                 name=Path(recipe.model.start).name, sha256=recipe.model.sha256[:16], parameters=f"{parameters:,}",
                 vocabulary=f"{made.vocab:,}")  # fmt: skip
        return
    if isinstance(made, Written):
        yield tr("A language model ({family}, {parameters} parameters), trained from scratch. It writes token by token; a token is one of "
                 "{vocabulary}, and it was trained on {context} at a time.",
                 family=network, parameters=f"{parameters:,}", vocabulary=f"{made.vocab:,}", context=made.context)  # fmt: skip
        return
    yield tr("A model of family {family} ({parameters} parameters), trained from scratch. What it makes measures {shape} (channels × pixels).",
             family=network, parameters=f"{parameters:,}", shape=" × ".join(map(str, (made.channels, *made.size))))  # fmt: skip
    if made.classes and not made.grouped:
        yield tr("It can be told what to make: one of {count} classes.", count=len(made.classes))


def _material(record: dict[str, Any], made: Made | Written) -> Iterator[str]:
    values = {"train": f"{record['train']:,}", "held_out": f"{record['held_out']:,}", "skipped": f"{len(record['skipped']):,}"}
    if isinstance(made, Written):
        yield tr("{train} texts ({size} MB with the held-out ones); {held_out} more were held out and never trained on. {skipped} files could not be "
                 "read.", size=f"{record['bytes'] / 1e6:.3g}", **values)  # fmt: skip
        return
    yield tr("{train} pictures; {held_out} more were held out and never trained on. {skipped} files could not be read.", **values)
    if made.classes and not made.grouped and len(made.classes) <= MOST_CLASSES:
        total = sum(made.shares) or 1
        rows = [f"| {name.replace('|', ' ')} | {100 * share / total:.1f} % |" for name, share in zip(made.classes, made.shares, strict=True)]
        yield "\n".join([f"| {tr('class')} | {tr('share')} |", "|---|---|", *rows])


def _training(run: RunFolder, recipe: Recipe, header: dict[str, Any]) -> Iterator[str]:
    log = run.log()
    minutes = f"{log[-1]['seconds'] / 60:.1f}" if log else "?"
    yield tr("By fenshen {version}, in {minutes} minutes, {kimg} thousand samples shown, with this recipe:",
             version=__version__, minutes=minutes, kimg=f"{header['kimg']:.1f}")  # fmt: skip
    values = public(recipe).model_dump(exclude_none=True, include={"model", "train"})
    yield f"```toml\n{tomli_w.dumps(values)}```"
    if changes := len(run.events()):
        yield tr("The autopilot stepped in {count} times on the way.", count=changes)


def _scores(run: RunFolder, made: Made | Written) -> Iterator[str]:
    report = run.read_json("report.json") if (run.path / "report.json").exists() else {}
    last, words = run.log()[-1] if run.log() else {}, isinstance(made, Written)
    if words and "held_out/bits_per_byte" in last:
        yield tr("On texts that it was not trained on it needs {bits} bits per byte ({nats} nats per token).",
                 bits=f"{last['held_out/bits_per_byte']:.3f}", nats=f"{last['held_out/nats']:.3f}")  # fmt: skip
    if report and not words:
        yield quality(report["times_floor"])
    measured = [score for score in report.get("scores", []) if score["value"] is not None]
    if measured:
        names = [*columns()[:3], tr("real texts") if words else columns()[3], columns()[4]]
        rows = [[meaning(score["name"])[0], *map(_cell, (score["value"], score["floor"], score["ceiling"]))] for score in measured]
        lines = ["| " + " | ".join(row) + " |" for row in [[names[0], names[1], names[3], names[4]], ["---"] * 4, *rows]]
        yield "\n".join(lines)
        yield tr("Beside each value stand that of real ones, the best that can be had, and that of noise.")
    else:
        yield tr("Not measured: fenshen evaluate says it.")


def _cell(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _privacy(run: RunFolder, made: Made | Written) -> Iterator[str]:
    report = run.read_json("report.json") if (run.path / "report.json").exists() else {}
    audit = run.read_json("audit.json") if (run.path / "audit.json").exists() else {}
    copied = (audit.get("copying") or report.get("copying") or {}).get("copied")
    if run.recipe().model.family == "ngram":
        yield tr("It is made of pieces of its training text, word for word: who has it can read them.")
    if copied is not None:
        yield (tr("It copies: what it makes lies nearer to its training data than new data would. Do not publish it.") if copied
               else tr("No sign of copying: what it makes is no nearer to its training data than held-out data are."))  # fmt: skip
    found = [f"{attack['auc']['value']:.2f}" for attack in audit.get("attacks", [])]  # First what the model says itself, then what it makes.
    if found:
        yield tr("Whether something was in the training data can be told from the model with an AUC of {inside}; 0.5 is guessing.", inside=found[0])
    if len(found) > 1:
        yield tr("From what it makes it can be told with an AUC of {outside}.", outside=found[1])
    if copied is None and not audit:
        yield tr("Nobody has looked: fenshen evaluate looks for copies, fenshen audit for more. Until then, treat it like the training data itself.")
    yield tr("It was not trained with differential privacy: nothing here is a proof.")


def _limits(made: Made | Written) -> Iterator[str]:
    if isinstance(made, Written):
        yield tr("It continues text in the manner of its training data. It knows no facts, follows no instructions, and says false things fluently.")
    else:
        yield tr("It makes things like its training pictures and nothing else; what it makes never happened and is evidence of nothing.")
    yield tr("Whatever was lopsided in the training data is so in the model.")


def _use(made: Made | Written) -> Iterator[str]:
    generate = "fenshen generate FOLDER --prompt …" if isinstance(made, Written) else "fenshen generate FOLDER --count 64 --grid"
    yield tr("With fenshen, where FOLDER is the folder of this card and holds the weights:") + f"\n\n    {generate}"
    yield tr("`model.onnx`, where it is there, runs without fenshen and PyTorch; its metadata, under `fenshen`, say what goes in and comes out.")

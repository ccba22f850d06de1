"""`fenshen evaluate`: measures a run, says in words how good it is, and writes report.html and report.json into it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from fenshen import __version__
from fenshen.evaluate.borrowing import borrowed
from fenshen.evaluate.copying import Copying, contact_sheet, copying, sentences
from fenshen.evaluate.critic import gate, judge, load_family
from fenshen.evaluate.latents import Latents, latents
from fenshen.evaluate.page import Page, Score, meaning, write
from fenshen.evaluate.scores import class_shares, distances, of_classes
from fenshen.evaluate.subject import Say, Subject
from fenshen.families.adversarial import Adversarial
from fenshen.generate import Judge, Order, generate
from fenshen.lang import tr
from fenshen.media.image import grid
from fenshen.recipe import Evaluate
from fenshen.run import RunFolder
from fenshen.training.autopilot import Event

GRID, COLUMNS = 64, 8
CURVES = ("critic/", "generator/", "autoencoder/", "augmentation", "lr", "kid", "diversity")
EXCELLENT, GOOD, FAIR = 2.0, 6.0, 25.0  # Times the floor.
GATED = ("frechet", "precision", "recall", "vendi")  # Distance and diversity, before and after.


@dataclass(frozen=True)
class Evaluation:
    """All that was measured; `encoder`: digest of what saw the pictures. Only scores of the same data and encoder can be compared."""

    run: str
    fingerprint: str
    encoder: str
    scores: tuple[Score, ...]
    copying: dict[str, Any]
    critic: dict[str, float]
    verdict: tuple[str, ...]
    path: Path
    latents: dict[str, Any] = field(default_factory=dict)
    words: dict[str, Any] = field(default_factory=dict)  # Of a run of words: how likely held-out text is, also by counting.

    @property
    def times_floor(self) -> float | None:
        """The Fréchet distance as a multiple of that of real pictures; None where there are too few of them."""
        score = next((score for score in self.scores if score.name == "frechet"), None)
        return score.value / score.floor if score is not None and score.value is not None and score.floor else None

    def json(self) -> dict[str, Any]:
        return {
            "run": self.run, "version": __version__, "fingerprint": self.fingerprint, "encoder": self.encoder, "times_floor": self.times_floor,
            "scores": [asdict(score) for score in self.scores], "copying": self.copying,
            "critic": self.critic, "latents": self.latents, "words": self.words, "verdict": list(self.verdict),
        }  # fmt: skip

    def __str__(self) -> str:
        return "\n".join(self.verdict)


def evaluate(
    run: RunFolder, device: str, count: int | None, seed: int, say: Say, keep: float = 1.0, wanted: Evaluate | None = None
) -> Evaluation:  # fmt: skip
    """Measures `run` with `count` made pictures (by default as many as it was trained on, at most 10,000) and writes the report.

    `keep` below 1: beside the scores stand those of what the critic's gate lets through. `wanted`: whose features are compared, by
    default as the run's recipe says; classes and copies are always seen by the run's own encoder.
    """
    other = borrowed(wanted or run.recipe().evaluate, device, say)
    subject = Subject.open(run, device, count, seed, say)
    say(tr("measuring {count} made pictures against {reals} held-out ones", count=subject.count, reals=len(subject.held_out_indices)))
    seen = subject if other is None else subject.seen_by(other)
    scores, found = [*distances(seen), *of_classes(subject)], copying(subject)
    family = load_family(run, subject.recipe, subject.made, device)
    gated = _gated(seen, keep, gate(run, subject.recipe, subject.made, device)) if keep < 1 else []
    critic = {
        name: judge(subject, family, indices)
        for name, indices in (("held_out", subject.held_out_indices), ("training", subject.training_indices[: len(subject.held_out_indices)]))
        if isinstance(family, Adversarial)
    }
    evaluation = Evaluation(
        run.path.resolve().name, subject.dataset.fingerprint, seen.encoder.digest, tuple(scores), found.numbers(),
        {f"{name}_{key}": value for name, report in critic.items() for key, value in asdict(report).items()}, (), run.path / "report.html",
    )  # fmt: skip
    through = latents(subject)
    warned = [through.warning] if through and through.warning else []
    said = [*verdict(evaluation, found, subject.count), *warned, *_gate_in_words(scores, gated, keep)]
    kept = (*scores, *(replace(s, name=_kept(s.name, keep)) for s in gated))
    evaluation = replace(evaluation, verdict=tuple(said), latents=through.numbers if through else {}, scores=kept)
    write(_page(subject, seen, evaluation, found, through), run.path / "report.html")
    run.write_json("report.json", evaluation.json())
    return evaluation


def _gated(subject: Subject, keep: float, judge: Judge) -> list[Score]:
    """The scores that the gate is about, of as many pictures that passed it."""
    order = Order(subject.count, subject.seed, keep=keep)
    pictures = [made for made, _ in generate(subject.sampler, subject.made, order, subject.device, judge)]
    scores = distances(subject, subject.encoder.read(np.concatenate(pictures)), GATED)
    return [score for score in scores if score.name in GATED]


def _kept(name: str, keep: float) -> str:
    return tr("{measure}, best {percent} %", measure=meaning(name)[0], percent=f"{100 * keep:.0f}")


def _gate_in_words(scores: Iterable[Score], gated: list[Score], keep: float) -> list[str]:
    before = {score.name: score.value for score in scores}
    changes = [
        f"{meaning(score.name)[0]} {before[score.name]:.3g} → {score.value:.3g}"
        for score in gated if score.value is not None and before[score.name] is not None
    ]  # fmt: skip
    return [tr("Keeping the best {percent} % only: {changes}.", percent=f"{100 * keep:.0f}", changes=", ".join(changes))] if changes else []


def verdict(evaluation: Evaluation, found: Copying, count: int) -> list[str]:
    """Quality, variety, copying and the critic's memory, each in a sentence; copies come first, because they are praised by the other scores."""
    said = [quality(evaluation.times_floor)]
    said += _variety(evaluation.scores)
    copies = sentences(found, count)
    return [*([*copies, *said] if found.copied else [*said, *copies]), *_memory(evaluation.critic)]


def quality(times: float | None) -> str:
    """How good pictures are that are so many times as far from real ones as other real pictures; None: nobody knows."""
    if times is None:
        return tr("Too few pictures to say how good the result is in numbers: look at the samples.")
    text = "Far from real pictures: {times} times the distance that real pictures have from each other."
    if times <= EXCELLENT:
        text = "Nearly as good as new real pictures: {times} times the distance that real pictures have from each other."
    elif times <= GOOD:
        text = "Good: {times} times the distance that real pictures have from each other."
    elif times <= FAIR:
        text = "On the way: {times} times the distance that real pictures have from each other; more time would help."
    return tr(text, times=f"{times:.1f}")


def _variety(scores: Iterable[Score]) -> list[str]:
    by_name = {score.name: score for score in scores}
    recall, precision = by_name["recall"], by_name["precision"]
    if recall.value is None or precision.value is None or not recall.floor or not precision.floor:
        return []
    said = []
    if recall.value < 0.6 * recall.floor:
        text = "Variety is missing: {percent} % of the real pictures have their like among the made ones; with new real pictures {floor} %."
        said.append(tr(text, percent=f"{100 * recall.value:.0f}", floor=f"{100 * recall.floor:.0f}"))
    if precision.value < 0.6 * precision.floor:
        said.append(tr("Many made pictures are like no real one: {percent} % are; of new real pictures {floor} %.",
                       percent=f"{100 * precision.value:.0f}", floor=f"{100 * precision.floor:.0f}"))  # fmt: skip
    return said


def _memory(critic: dict[str, float]) -> list[str]:
    if not critic:
        return []
    gap = critic["training_accuracy"] - critic["held_out_accuracy"]
    if gap < 0.15:
        return []
    text = "The critic knows its training pictures by heart: right on {train} % of them, on {held_out} % of new ones; more augmentation would help."
    return [tr(text, train=f"{100 * critic['training_accuracy']:.0f}", held_out=f"{100 * critic['held_out_accuracy']:.0f}")]


def _page(subject: Subject, seen: Subject, evaluation: Evaluation, found: Copying, through: Latents | None) -> Page:
    log = subject.run.log()
    curves = {
        name: [(line["kimg"], line[name]) for line in log if isinstance(line.get(name), (int, float))]
        for name in dict.fromkeys(name for line in log for name in line) if name.startswith(CURVES)
    }  # fmt: skip
    events = [Event.read(line) for line in subject.run.events()]
    return Page(
        title=evaluation.run, verdict=evaluation.verdict, scores=evaluation.scores, classes=class_shares(subject),
        grid=grid(subject.pictures[:GRID], COLUMNS, flatten=True), neighbours=contact_sheet(subject, found),
        copying=sentences(found, subject.count), curves=curves, events=[(event.kimg, str(event)) for event in events],
        facts=_facts(seen, evaluation, log), recipe=subject.recipe.toml(),
        reconstructions=through.sheet if through else None, latents=through.sentences if through else (),
    )  # fmt: skip


def _facts(subject: Subject, evaluation: Evaluation, log: list[dict[str, Any]]) -> dict[str, object]:
    dataset, encoder, last = subject.dataset, subject.encoder, log[-1] if log else {}
    facts: dict[str, object] = {
        tr("Data"): subject.recipe.data.source,
        tr("Training pictures"): f"{len(dataset.train):,}",
        tr("Held-out pictures"): f"{len(dataset.held_out):,}",
        tr("Resolution"): f"{dataset.resolution}",
        tr("Trained"): tr("{kimg} kimg in {minutes} minutes", kimg=f"{last.get('kimg', 0):.1f}", minutes=f"{last.get('seconds', 0) / 60:.1f}"),
    }  # fmt: skip
    return facts | critic_in_words(evaluation.critic) | {
        tr("Encoder"): f"{encoder.kind}, {encoder.features} features, {encoder.digest[:16]}",
        tr("Measured"): f"{datetime.now():%Y-%m-%d %H:%M}",
        "fenshen": __version__,
    }  # fmt: skip


def critic_in_words(critic: dict[str, float]) -> dict[str, str]:
    """What the critic makes of pictures it has not seen, and of those it has; empty for a run without one."""

    def told(what: str) -> str:
        percent, loss = f"{100 * critic[f'{what}_accuracy']:.1f}", f"{critic[f'{what}_loss']:.3f}"
        return tr("{percent} % of pairs right, loss {loss}", percent=percent, loss=loss)

    return {tr("Critic on held-out pictures"): told("held_out"), tr("Critic on training pictures"): told("training")} if critic else {}


def table(evaluation: Evaluation) -> list[tuple[str, ...]]:
    """Name, value, interval, floor, ceiling, the mean picture: for a terminal."""
    rows: list[tuple[str, ...]] = []
    for score in evaluation.scores:
        name, _ = meaning(score.name)
        if score.value is None:
            rows.append((name, "–", score.note, "", "", ""))
            continue
        spread = "" if score.low is None or score.high is None else f"{score.low:.4g} … {score.high:.4g}"
        rows.append((name, f"{score.value:.4g}", spread, *("" if v is None else f"{v:.4g}" for v in (score.floor, score.ceiling, score.mean))))
    return rows


def columns() -> list[str]:
    return [tr("measure"), tr("value"), tr("95 % interval"), tr("real pictures"), tr("noise"), tr("mean picture")]


def comparable(first: dict[str, Any], second: dict[str, Any]) -> bool:
    """Whether two report.json may stand side by side: same pictures, same encoder."""
    return all(first[key] == second[key] for key in ("fingerprint", "encoder"))


def clearly_better(first: dict[str, Any], second: dict[str, Any]) -> bool | None:
    """Whether the first of two comparable scores is better, and their intervals do not overlap; None where nobody can tell.

    Nobody can of different numbers of pictures: most scores hang on them.
    """
    if any(first.get(side) != second.get(side) for side in ("samples", "reals")):
        return None
    spreads = [(score["low"], score["high"]) for score in (first, second)]
    if any(value is None for spread in spreads for value in spread) or first["better"] == "close":
        return None
    (low, high), (other_low, other_high) = spreads
    if high < other_low or other_high < low:
        return bool((high < other_low) == (first["better"] == "lower"))
    return None


def compared(first: dict[str, Any], second: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Name and both values of every score that both have from the same encoder, a star behind the clearly better one."""
    others, rows = {score["name"]: score for score in second["scores"]}, []
    for score in first["scores"]:
        other = others.get(score["name"])
        if other is not None and score.get("encoder") == other.get("encoder"):
            better = clearly_better(score, other)
            rows.append((meaning(score["name"])[0], _cell(score, better is True), _cell(other, better is False)))
    return rows


def _cell(score: dict[str, Any], star: bool) -> str:
    if score["value"] is None:
        return "–"
    spread = "" if score["low"] is None else f" ({score['low']:.4g} … {score['high']:.4g})"
    return f"{score['value']:.4g}{spread}{' *' if star else ''}"

"""`fenshen evaluate` of a run of words: measures it, says in words how good it is, and writes report.html and report.json into it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from fenshen import __version__
from fenshen.errors import DataError
from fenshen.evaluate.page import Page, Score, write
from fenshen.evaluate.report import Evaluation
from fenshen.evaluate.subject import Say
from fenshen.evaluate.text_copying import TextCopying, copies_in_words, marked, text_copying
from fenshen.evaluate.text_page import Parts
from fenshen.evaluate.text_scores import Likelihood, all_scores, frontiers, likelihood, of_likelihood
from fenshen.evaluate.text_subject import TextSubject
from fenshen.lang import tr
from fenshen.recipe import Ngram
from fenshen.run import RunFolder
from fenshen.training.autopilot import Event

SHOWN = 12
CURVES = ("writer/", "critic/", "generator/", "autoencoder/", "held_out/", "lr")
CLEAR = 0.1  # Relative difference of self-BLEU, and of BLEU, that is told of.


def evaluate_words(run: RunFolder, device: str, count: int | None, seed: int, say: Say) -> Evaluation:
    """Measures `run` with `count` texts that it writes (by default as many as are held out, at most 400, less if they are long)."""
    subject = TextSubject.open(run, device, count, seed, say)
    say(tr("measuring {count} made texts against {reals} held-out ones", count=subject.count, reals=len(subject.held_out)))
    likely = likelihood(subject)
    scores, found = (*of_likelihood(likely), *all_scores(subject)), text_copying(subject)
    try:
        digest = subject.encoder.digest
    except DataError:
        digest = ""
    evaluation = Evaluation(
        run.path.resolve().name, subject.texts.fingerprint, digest, scores, found.numbers(), {}, (), run.path / "report.html", words=likely.numbers()
    )  # fmt: skip
    evaluation = replace(evaluation, verdict=tuple(verdict(likely, scores, found, isinstance(subject.recipe.model, Ngram))))
    write(_page(subject, evaluation, found), evaluation.path)
    run.write_json("report.json", evaluation.json())
    return evaluation


def verdict(likely: Likelihood, scores: Iterable[Score], found: TextCopying, counts: bool = False) -> list[str]:
    """Likelihood, variety, distance and copying, each in a sentence; copies come first, because they are praised by the other scores."""
    values = {"bits": f"{likely.found.bits_per_byte:.3f}", "counted": f"{likely.counted.bits_per_byte:.3f}", "order": likely.order}
    text = "Not better than counting: {bits} bits per byte of new text, where a {order}-gram needs {counted}. More time or more text would help."
    if counts:
        text = "A model that counts: {bits} bits per byte of new text. A network has to be better than that."
    elif likely.better:
        text = "Better than counting: {bits} bits per byte of new text, where a {order}-gram needs {counted}."
    said, copied = [tr(text, **values), *_variety({score.name: score for score in scores})], copies_in_words(found)
    return [*copied, *said] if found.copied else [*said, *copied]


def _variety(scores: dict[str, Score]) -> list[str]:
    """Too much of the same, too much at random, and how far from real texts it all is."""
    said, usual, alike, frechet = [], scores.get("bleu_4"), scores.get("self_bleu_4"), scores.get("frechet")
    if usual is not None and (off := _off(usual)):
        text = "It writes less like real text than real text is like itself: BLEU-4 {made}, of real text {real}."
        if off > 0:
            text = "It writes more usual things than real text does: BLEU-4 {made}, of real text {real}."
        said.append(tr(text, made=f"{usual.value:.3f}", real=f"{usual.floor:.3f}"))
    if alike is not None and (off := _off(alike)):
        text = "What it writes is more various than real text: self-BLEU-4 {made}, of real text {real}."
        if off > 0:
            text = "What it writes is less various than real text: self-BLEU-4 {made}, of real text {real}."
        said.append(tr(text, made=f"{alike.value:.3f}", real=f"{alike.floor:.3f}"))
    if not said:
        said.append(tr("It is as usual and as various as real text is."))
    if frechet is not None and frechet.value is not None and frechet.floor:
        times = frechet.value / frechet.floor
        text = "In its sequences of letters it is {times} times as far from new text as real text is."
        if times <= 1 + CLEAR:
            text = "In its sequences of letters it is as near to new text as real text is."
        said.append(tr(text, times=f"{times:.1f}"))
    return said


def _off(score: Score) -> float:
    """By how much of the floor it is missed; 0 for little."""
    off = score.value / score.floor - 1 if score.value is not None and score.floor else 0.0
    return off if abs(off) > CLEAR else 0.0


def _page(subject: TextSubject, evaluation: Evaluation, found: TextCopying) -> Page:
    log = subject.run.log()
    names = [name for name in dict.fromkeys(name for line in log for name in line) if name.startswith(CURVES)]
    events = [Event.read(line) for line in subject.run.events()]
    return Page(
        title=evaluation.run, verdict=evaluation.verdict, scores=evaluation.scores, texts=_samples(subject, found.usual),
        frontiers=frontiers(subject), copying=copies_in_words(found), copies=found.pairs, facts=_facts(subject, evaluation, log),
        recipe=subject.recipe.toml(),
        curves={name: [(line["kimg"], line[name]) for line in log if isinstance(line.get(name), (int, float))] for name in names},
        events=[(event.kimg, str(event)) for event in events],
    )  # fmt: skip


def _samples(subject: TextSubject, usual: int) -> list[Parts]:
    """The first texts that were written, with longer runs of the training text than are usual marked."""
    return [marked(text, subject.corpus.runs(text, usual + 1)) for text in subject.made[:SHOWN]]


def _facts(subject: TextSubject, evaluation: Evaluation, log: list[dict[str, Any]]) -> dict[str, object]:
    texts, last = subject.texts, log[-1] if log else {}
    return {
        tr("Data"): subject.recipe.data.source,
        tr("Training texts"): f"{len(texts.train):,}",
        tr("Held-out texts"): f"{len(texts.held_out):,}",
        tr("Tokens"): f"{len(texts.tokens):,}, {texts.reason}",
        tr("Held-out text"): tr("{bytes} bytes, {tokens} tokens", bytes=f"{evaluation.words['bytes']:,}", tokens=f"{evaluation.words['tokens']:,}"),
        tr("Trained"): tr("{kimg} kimg in {minutes} minutes", kimg=f"{last.get('kimg', 0):.1f}", minutes=f"{last.get('seconds', 0) / 60:.1f}"),
        tr("Measured"): f"{datetime.now():%Y-%m-%d %H:%M}",
        "fenshen": __version__,
    }  # fmt: skip

"""Every score of a run of words between its floor, real training texts against held-out ones, and its ceiling, letters in any order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fenshen.errors import DataError
from fenshen.evaluate.page import Score
from fenshen.evaluate.scores import FEW, Measure, measures
from fenshen.evaluate.text_subject import TextSubject
from fenshen.families.counting import Counted
from fenshen.lang import tr
from fenshen.measure.bleu import LONGEST, bleu, distinct, self_bleu, words
from fenshen.measure.encoders import Read
from fenshen.measure.frontier import frontier
from fenshen.measure.intervals import interval
from fenshen.media.verse import shares
from fenshen.training.counting import surprise_of
from fenshen.training.heldout import Surprise, read_through

SEEN = ("frechet", "precision", "recall")  # Of the measures of pictures, those that hold for any features.
VERSE = 0.9  # Part of the training texts that are quatrains of one length, from which on what is written is held to it.
ROUNDS = 10


@dataclass(frozen=True)
class Likelihood:
    """How likely all held-out text is, and how likely it is to a model that counts n-grams of that order."""

    found: Surprise
    counted: Surprise
    order: int

    @property
    def better(self) -> bool:
        """Whether it was worth training a network."""
        return self.found.per_token < self.counted.per_token

    def numbers(self) -> dict[str, Any]:
        """For report.json."""
        sides = {"": self.found, "counting_": self.counted}
        values = {f"{side}{name}": getattr(one, name) for side, one in sides.items() for name in ("bits_per_byte", "per_token")}
        return values | {"counting_order": self.order, "tokens": self.found.tokens, "bytes": self.found.bytes}


def likelihood(subject: TextSubject) -> Likelihood:
    """Of all held-out text. A run that counts is its own other side."""
    texts, counting = subject.texts, subject.counting
    counted = surprise_of(counting, texts, texts.held_out)
    if isinstance(subject.writer, Counted):
        return Likelihood(counted, counted, counting.order)
    return Likelihood(read_through(subject.writer, texts, texts.held_out, subject.device), counted, counting.order)


def of_likelihood(likely: Likelihood) -> Iterator[Score]:
    """Bits per byte and nats per token, beside those of counting."""
    for name, field in (("bits_per_byte", "bits_per_byte"), ("nats_per_token", "per_token")):
        counted = getattr(likely.counted, field)
        note = tr("counting, a {order}-gram: {value}", order=likely.order, value=f"{counted:.3f}")
        yield Score(name, getattr(likely.found, field), note=note)


def all_scores(subject: TextSubject) -> list[Score]:
    """How usual and how various what the run writes is, how it lies among real texts, and whether verse is verse."""
    return [*of_words(subject), *of_features(subject), *of_verse(subject)]


def of_words(subject: TextSubject) -> Iterator[Score]:
    """BLEU against held-out pieces, self-BLEU, and the share of pairs of words that are different; to be as of real ones, not the most.

    Self-BLEU and shares hang on the number of pieces, so as many real ones stand beside them.
    """
    count = len(subject.made)
    made, held_out, real, noise = ([words(text) for text in part] for part in (subject.made, subject.held_out, subject.training, subject.noise))
    blank = Score("", better="close", samples=count, reals=len(held_out))
    against = [bleu(part, held_out) for part in (made, real, noise)]
    for n in range(2, LONGEST + 1):
        yield replace(blank, name=f"bleu_{n}", value=against[0][n], floor=against[1][n], ceiling=against[2][n])
    among = [self_bleu(part) for part in (made, real[:count], noise[:count])]
    for n in range(2, LONGEST + 1):
        yield replace(blank, name=f"self_bleu_{n}", value=among[0][n], floor=among[1][n], ceiling=1.0)
    yield replace(blank, name="distinct_2", value=distinct(made, 2), floor=distinct(real[:count], 2), ceiling=0.0)


def of_features(subject: TextSubject) -> Iterator[Score]:
    """Fréchet distance, precision and recall, and MAUVE, in features of the training texts."""
    try:
        encoder = subject.encoder
    except DataError as error:
        yield Score("frechet", note=str(error))
        return
    reads = [Read(encoder.read(part), None) for part in (subject.made, subject.training, subject.noise, subject.held_out)]
    for measure in measures():
        if {*measure.names} & {*SEEN}:
            yield from _placed(measure, reads, encoder.digest)
    made, real, noise, held_out = (read.features for read in reads)
    blank = Score("mauve", better="higher", samples=len(made), reals=len(held_out), encoder=encoder.digest)
    try:
        spread = interval(lambda a, b: frontier(a, b, subject.seed).area, made, held_out, rounds=ROUNDS, least=0, most=1)
        floor, ceiling = (frontier(x, held_out, subject.seed).area for x in (real, noise))
        yield replace(blank, value=spread.value, low=spread.low, high=spread.high, floor=floor, ceiling=ceiling, note=_rough(len(held_out)))
    except DataError as error:
        yield replace(blank, note=str(error))


def _placed(measure: Measure, reads: Sequence[Read], digest: str) -> Iterator[Score]:
    made, real, noise, held_out = reads
    blank = Score("", better=measure.better, samples=len(made.features), reals=len(held_out.features), encoder=digest)
    names = [name for name in measure.names if name in SEEN]
    try:
        values, floors, ceilings = measure.of(made, held_out), measure.plain(real, held_out), measure.plain(noise, held_out)
    except DataError as error:
        yield from (replace(blank, name=name, note=str(error)) for name in names)
        return
    for name in names:
        low, high = (value if np.isfinite(value) else None for value in (values[name].low, values[name].high))
        yield replace(blank, name=name, value=values[name].value, low=low, high=high, floor=floors[name], ceiling=ceilings[name],
                      note=_rough(blank.reals))  # fmt: skip


def frontiers(subject: TextSubject) -> dict[str, list[tuple[float, float]]]:
    """The lines that MAUVE is the area of, for what is written and for real texts; none where there are too few."""
    try:
        read = subject.encoder.read
        against = read(subject.held_out)
        found = {name: frontier(read(part), against, subject.seed) for name, part in ((tr("made"), subject.made), (tr("real"), subject.training))}
    except DataError:
        return {}
    return {name: list(zip(one.made, one.real, strict=True)) for name, one in found.items()}


def _rough(held_out: int) -> str:
    return tr("rough: only {count} held-out pieces", count=held_out) if held_out < FEW else ""


def verse_length(texts: Sequence[str]) -> int | None:
    """5 or 7 where nearly all texts are quatrains with lines of so many characters."""
    return next((length for length in (5, 7) if shares(list(texts), length).form >= VERSE), None)


def of_verse(subject: TextSubject) -> Iterator[Score]:
    """For Chinese quatrains: how many have the form, and how many rhyme, beside the real ones."""
    length = verse_length(subject.training[:200])
    if length is None:
        return
    made, real = shares(subject.made, length), shares(subject.held_out, length)
    blank = Score("", better="close", samples=len(subject.made), reals=len(subject.held_out), ceiling=0.0)
    for name in ("form", "rhyme", "tones"):
        yield replace(blank, name=f"verse_{name}", value=getattr(made, name), floor=getattr(real, name))

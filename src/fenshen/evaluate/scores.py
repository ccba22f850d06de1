"""Every score of a run between its floor, real training pictures against held-out ones, and its ceiling, noise against them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import numpy as np

from fenshen.errors import DataError
from fenshen.evaluate.page import Score
from fenshen.evaluate.subject import Subject
from fenshen.lang import tr
from fenshen.measure.distances import frechet_distance, frechet_infinity, kid, mind
from fenshen.measure.diversity import class_balance, class_consistency, inception_score, vendi_score
from fenshen.measure.encoders import Read
from fenshen.measure.intervals import Interval, interval, intervals
from fenshen.measure.neighbours import precision_recall

ROUNDS = 10
DIRECTIONS = 100  # Of MIND in the rounds of its interval.
FEW = 50  # Held-out pictures below which every number is said to be rough.


@dataclass(frozen=True)
class Measure:
    """One or more scores of a set against the held-out one: `of(made, reference)` -> name -> interval."""

    names: tuple[str, ...]
    of: Callable[[Read, Read], dict[str, Interval]]
    plain: Callable[[Read, Read], dict[str, float]]
    better: str = "lower"


def measures() -> list[Measure]:
    """All that need nothing but features."""

    def frechet(a: Read, b: Read) -> dict[str, Interval]:
        return {"frechet": interval(frechet_distance, a.features, b.features, rounds=ROUNDS, least=0)}

    def kernel(a: Read, b: Read) -> dict[str, Interval]:
        value, error = kid(a.features, b.features)
        return {"kid": Interval(value, value - 1.96 * error, value + 1.96 * error)}

    def sliced(a: Read, b: Read) -> dict[str, Interval]:
        spread = interval(lambda x, y: mind(x, y, DIRECTIONS), a.features, b.features, rounds=ROUNDS, least=0)
        value = mind(a.features, b.features)
        return {"mind": Interval(value, max(0.0, value + spread.low - spread.value), value + spread.high - spread.value)}

    def neighbours(a: Read, b: Read) -> dict[str, Interval]:
        return intervals(lambda x, y: asdict(precision_recall(x, y)), a.features, b.features, rounds=ROUNDS, share=0.25, least=0)

    def variety(a: Read, b: Read) -> dict[str, Interval]:
        return {"vendi": interval(lambda x, _: vendi_score(x), a.features, b.features, rounds=ROUNDS, least=1)}

    return [
        Measure(("frechet",), frechet, lambda a, b: {"frechet": frechet_distance(a.features, b.features)}),
        Measure(("frechet_infinity",), lambda a, b: {"frechet_infinity": _alone(frechet_infinity(a.features, b.features))},
                lambda a, b: {"frechet_infinity": frechet_infinity(a.features, b.features)}),
        Measure(("kid",), kernel, lambda a, b: {"kid": kid(a.features, b.features).value}),
        Measure(("mind",), sliced, lambda a, b: {"mind": mind(a.features, b.features)}),
        Measure(("precision", "recall", "density", "coverage"), neighbours, lambda a, b: asdict(precision_recall(a.features, b.features)), "higher"),
        Measure(("vendi",), variety, lambda a, b: {"vendi": vendi_score(a.features)}, "close"),
    ]  # fmt: skip


def _alone(value: float) -> Interval:
    """A number whose spread is not known."""
    return Interval(value, float("nan"), float("nan"))


def all_scores(subject: Subject, made: Read | None = None) -> list[Score]:
    """Of `made`, by default what the run makes; too few samples give a note in place of a number."""
    read = made or subject.read
    scores = [score for measure in measures() for score in _scored(measure, subject, read)]
    return [*scores, *_of_classes(subject, read)]


def _scored(measure: Measure, subject: Subject, made: Read) -> Iterator[Score]:
    samples, reals = len(made.features), len(subject.held_out.features)
    try:
        values = measure.of(made, subject.held_out)
        floors = measure.plain(subject.training, subject.held_out)
        ceilings = measure.plain(subject.noise, subject.held_out)
    except DataError as error:
        for name in measure.names:
            yield Score(name, samples=samples, reals=reals, note=str(error))
        return
    note = tr("rough: only {count} held-out pictures", count=reals) if reals < FEW else ""
    for name in measure.names:
        found = values[name]
        low, high = (value if np.isfinite(value) else None for value in (found.low, found.high))
        yield Score(name, found.value, low, high, floors[name], ceilings[name], measure.better, samples, reals, note)  # type: ignore[arg-type]


def _of_classes(subject: Subject, made: Read) -> Iterator[Score]:
    """What a classifier says: only where the pictures have labels."""
    dataset, held_out = subject.dataset, subject.held_out
    if made.probabilities is None or held_out.probabilities is None or dataset.labels is None:
        return
    samples, reals = len(made.features), len(held_out.features)
    noise, training = subject.noise.probabilities, subject.training.probabilities
    assert noise is not None and training is not None
    found = interval(lambda p, _: inception_score(p), made.probabilities, held_out.probabilities, rounds=ROUNDS, least=1)
    yield Score("inception", found.value, found.low, found.high, inception_score(training), inception_score(noise), "higher", samples, reals)
    wanted = np.bincount(dataset.labels[dataset.train], minlength=len(dataset.classes))
    said, truth = made.probabilities.argmax(1), dataset.labels[subject.held_out_indices]
    balance = class_balance(said, wanted)
    worst = class_balance(noise.argmax(1), wanted).total_variation
    yield Score("balance", balance.total_variation, None, None, balance.expected_total_variation, worst, "lower", samples, reals)
    asked = subject.labels
    if asked is not None and len(asked) == samples:
        floor = float((held_out.probabilities.argmax(1) == truth).mean())
        yield Score("labels", float((said == asked).mean()), None, None, floor, 1 / len(dataset.classes), "higher", samples, reals)
    try:
        consistency = class_consistency(made.features, said, held_out.features, truth)
    except DataError as error:
        yield Score("consistency", samples=samples, reals=reals, note=str(error))
        return
    made_spread, real_spread = float(np.mean(consistency.made)), float(np.mean(consistency.real))
    yield Score("consistency", made_spread, None, None, real_spread, 0.0, "close", samples, reals)


def class_shares(subject: Subject) -> list[tuple[str, float, float]]:
    """Name, percent wanted, percent made, by the encoder's own classifier."""
    dataset, probabilities = subject.dataset, subject.read.probabilities
    if probabilities is None or dataset.labels is None:
        return []
    wanted = np.bincount(dataset.labels[dataset.train], minlength=len(dataset.classes)) / len(dataset.train)
    made = np.bincount(probabilities.argmax(1), minlength=len(dataset.classes)) / len(probabilities)
    return [(name, 100 * float(w), 100 * float(m)) for name, w, m in zip(dataset.classes, wanted, made, strict=True)]

"""Every score of a run between its floor, real training pictures against held-out ones, and its ceilings: noise, and the mean picture."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Literal

import numpy as np

from fenshen.errors import DataError
from fenshen.evaluate.critic import told_labels
from fenshen.evaluate.page import Score
from fenshen.evaluate.subject import Subject
from fenshen.lang import tr
from fenshen.measure.distances import Array, frechet_distance, frechet_infinity, kid, mind
from fenshen.measure.diversity import class_balance, class_consistency, inception_score, vendi_score
from fenshen.measure.encoders import Read
from fenshen.measure.intervals import Interval, interval, intervals
from fenshen.measure.neighbours import precision_recall

ROUNDS = 10
DIRECTIONS = 100  # Of MIND in the rounds of its interval.
FEW = 50  # Held-out pictures below which every number is said to be rough.
MEANINGLESS = ("precision", "density")  # Of the mean picture: a single picture is like a real one, or it is not.

Values = dict[str, float]


@dataclass(frozen=True)
class Measure:
    """One or more scores of a set against the held-out one: `of(made, reference)` -> name -> interval; `plain` without intervals."""

    names: tuple[str, ...]
    of: Callable[[Read, Read], dict[str, Interval]]
    plain: Callable[[Read, Read], Values]
    better: Literal["lower", "higher", "close"] = "lower"


def measures() -> list[Measure]:
    """All that need nothing but what an encoder reads."""

    def frechet(a: Read, b: Read) -> dict[str, Interval]:
        return {"frechet": _spread(frechet_distance, a.features, b.features, least=0)}

    def kernel(a: Read, b: Read) -> dict[str, Interval]:
        value, error = kid(a.features, b.features)
        return {"kid": Interval(value, value - 1.96 * error, value + 1.96 * error)}

    def sliced(a: Read, b: Read) -> dict[str, Interval]:
        spread = interval(lambda x, y: mind(x, y, DIRECTIONS), a.features, b.features, rounds=ROUNDS, least=0)
        value = mind(a.features, b.features)
        return {"mind": Interval(value, max(0.0, value + spread.low - spread.value), value + spread.high - spread.value)}

    def neighbours(a: Read, b: Read) -> dict[str, Interval]:
        found = intervals(lambda x, y: asdict(precision_recall(x, y)), a.features, b.features, rounds=ROUNDS, share=0.25, least=0)
        return {name: one if name == "density" else replace(one, high=min(one.high, 1.0)) for name, one in found.items()}

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


def naming() -> Measure:
    """The Inception Score, with the encoder's own classifier."""

    def of(a: Read, b: Read) -> dict[str, Interval]:
        assert a.probabilities is not None and b.probabilities is not None
        return {"inception": interval(lambda p, _: inception_score(p), a.probabilities, b.probabilities, rounds=ROUNDS, least=1)}

    return Measure(("inception",), of, lambda a, b: {"inception": inception_score(a.probabilities)}, "higher")  # type: ignore[arg-type]


def _alone(value: float) -> Interval:
    """A number whose spread is not known."""
    return Interval(value, float("nan"), float("nan"))


def _spread(metric: Callable[[Array, Array], float], a: Array, b: Array, least: float) -> Interval:
    """With an interval from halves of both sets, where halves are large enough for the metric."""
    value = metric(a, b)
    try:
        return interval(metric, a, b, rounds=ROUNDS, least=least)
    except DataError:
        return _alone(value)


def all_scores(subject: Subject, made: Read | None = None) -> list[Score]:
    """Of `made`, by default what the run makes; too few samples give a note in place of a number. The subject is seen by its own encoder."""
    return [*distances(subject, made), *of_classes(subject, made)]


def distances(subject: Subject, made: Read | None = None, only: Collection[str] = ()) -> list[Score]:
    """All that any encoder can tell; `only` some of them."""
    read = made or subject.read
    chosen = [*measures(), *([naming()] if read.probabilities is not None else [])]
    return [score for measure in chosen if not only or {*measure.names} & {*only} for score in _scored(measure, subject, read)]


def _scored(measure: Measure, subject: Subject, made: Read) -> Iterator[Score]:
    held_out = subject.held_out
    blank = Score("", better=measure.better, samples=len(made.features), reals=len(held_out.features), encoder=subject.encoder.digest)
    try:
        values, floors = measure.of(made, held_out), measure.plain(subject.training, held_out)
    except DataError as error:
        for name in measure.names:
            yield replace(blank, name=name, note=str(error))
        return
    noise, mean = (_bound(measure, read, held_out) for read in (subject.noise, subject.mean))
    note = tr("rough: only {count} held-out pictures", count=blank.reals) if blank.reals < FEW else ""
    for name in measure.names:
        found = values[name]
        low, high = (value if np.isfinite(value) else None for value in (found.low, found.high))
        of_mean = None if name in MEANINGLESS else mean.get(name)
        yield replace(blank, name=name, value=found.value, low=low, high=high, floor=floors[name], ceiling=noise.get(name), mean=of_mean, note=note)


def _bound(measure: Measure, read: Read, held_out: Read) -> Values:
    """What a set that is as bad as can be scores; nothing where it is too small for the measure."""
    try:
        return measure.plain(read, held_out)
    except DataError:
        return {}


def of_classes(subject: Subject, made: Read | None = None) -> Iterator[Score]:
    """Whether every class gets its share, what was asked for is made, and how alike the pictures of a class or group are.

    The first two need our own encoder's classifier, hence labels.
    """
    read = made or subject.read
    dataset, held_out = subject.dataset, subject.held_out
    blank = Score("", samples=len(read.features), reals=len(held_out.features), encoder=subject.encoder.digest)
    told = subject.told if subject.told is not None and len(subject.told) == blank.samples else None
    said, truth = told, None if told is None else told_labels(subject, subject.held_out_indices)
    if read.probabilities is not None and held_out.probabilities is not None and dataset.labels is not None:
        noise, mean = subject.noise.probabilities, subject.mean.probabilities
        assert noise is not None and mean is not None
        said, truth = read.probabilities.argmax(1), dataset.labels[subject.held_out_indices]
        wanted = np.bincount(dataset.labels[dataset.train], minlength=len(dataset.classes))
        balance = class_balance(said, wanted)
        noisy, single = (class_balance(p.argmax(1), wanted).total_variation for p in (noise, mean))
        yield replace(blank, name="balance", value=balance.total_variation, floor=balance.expected_total_variation, ceiling=noisy, mean=single)
        if told is not None and not subject.made.grouped:
            right = float((held_out.probabilities.argmax(1) == truth).mean())
            chance = 1 / len(dataset.classes)
            yield replace(blank, name="labels", value=float((said == told).mean()), floor=right, ceiling=chance, mean=chance, better="higher")
    if said is None or truth is None:
        return
    try:
        consistency = class_consistency(read.features, said, held_out.features, truth)
    except DataError as error:
        yield replace(blank, name="consistency", better="close", note=str(error))
        return
    made_spread, real_spread = float(np.mean(consistency.made)), float(np.mean(consistency.real))
    one = np.zeros(len(subject.noise.features), int)
    noisy = class_consistency(subject.noise.features, one, subject.noise.features, one).made[0]
    yield replace(blank, name="consistency", value=made_spread, floor=real_spread, ceiling=noisy, mean=0.0, better="close")


def class_shares(subject: Subject) -> list[tuple[str, float, float]]:
    """Name, percent wanted, percent made, by the encoder's own classifier."""
    dataset, probabilities = subject.dataset, subject.read.probabilities
    if probabilities is None or dataset.labels is None:
        return []
    wanted = np.bincount(dataset.labels[dataset.train], minlength=len(dataset.classes)) / len(dataset.train)
    made = np.bincount(probabilities.argmax(1), minlength=len(dataset.classes)) / len(probabilities)
    return [(name, 100 * float(w), 100 * float(m)) for name, w, m in zip(dataset.classes, wanted, made, strict=True)]

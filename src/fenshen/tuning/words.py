"""A search in words: names, lines of the table, the verdict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fenshen.evaluate.charts import number
from fenshen.evaluate.page import meaning
from fenshen.lang import tr
from fenshen.tuning.dials import Dial, Value, Values
from fenshen.tuning.halving import Ladder, Trial, best


def name_of(dial: str) -> str:
    """What is searched."""
    match dial:
        case "lr":
            return tr("learning rate")
        case "critic":
            return tr("critic's ×")
        case "gamma":
            return "γ"
        case "batch":
            return tr("batch")
    return tr("size")


def failure(trial: Trial) -> str:
    """Why a trial went no further."""
    return tr("diverged") if trial.failed == "diverged" else tr("out of memory")


def columns(dials: Iterable[Dial]) -> list[str]:
    return [tr("trial"), tr("rung"), tr("kimg"), tr("score"), *(name_of(dial.name) for dial in dials)]


def row(trial: Trial, dials: Iterable[Dial]) -> tuple[str, ...]:
    """One line of the table, as `columns`."""
    name = tr("{number}, the default", number=0) if trial.number == 0 else str(trial.number)
    last = trial.points[-1] if trial.points else None
    score = failure(trial) if trial.failed else number(last.score) if last else "—"
    return name, str(len(trial.points)), f"{last.kimg:.1f}" if last else "—", score, *(_short(trial.values[dial.name]) for dial in dials)


def _short(value: Value) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def in_words(values: Values) -> str:
    """`learning rate 0.001, γ 0.5, batch 64`."""
    return ", ".join(f"{name_of(name)} {_short(value)}" for name, value in values.items())


def plan_in_words(shape: Ladder) -> str:
    """How the time is shared out."""
    text = "{trials} trials of {first} s each; the best {some} and the default go on to {second} s, the best {few} and the default to {last} s"
    first, second, last = (f"{seconds:.3g}" for seconds in shape.seconds)
    return tr(text, trials=shape.entrants[0], some=shape.entrants[1], few=shape.entrants[2], first=first, second=second, last=last)


def verdict(trials: Sequence[Trial], measure: str) -> str:
    """The best against the default, in a sentence."""
    found = best(trials)
    if found is None:
        return tr("No trial has been measured.")
    rung = len(found.points) - 1
    default, values = trials[0].at(rung), {"measure": meaning(measure)[0], "score": number(found.points[rung].score), "count": len(trials)}
    if found.number == 0:
        return tr("The default recipe is the best of {count} that were tried: {measure} {score}.", **values)
    if default is None:
        return tr("Trial {number} is the best of {count}: {measure} {score}; the default recipe failed.", number=found.number, **values)
    text = "Trial {number} is the best of {count}: {measure} {score}; the default recipe has {default} after as much time."
    return tr(text, number=found.number, default=number(default), **values)

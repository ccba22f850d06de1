"""Successive halving (Jamieson & Talwalkar 2016), as functions of what was measured so far: who trains next, and who is best.

Every trial trains to the first rung, the best third of them goes on to the second, and so on, none from the start again. The
default recipe (trial 0) goes to every rung, so that whatever wins has been compared with it at equal length.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from fenshen.tuning.dials import Values

ETA = 3
RUNGS = 3
TRIALS = (27, 18, 12, 9, 6, 4)  # As many as leave each FIRST seconds on the first rung.
FIRST = 12.0
LEAST = 2  # The default and one other.


@dataclass(frozen=True)
class Point:
    """A trial measured at one rung, after so many thousand pictures and so many seconds of its own training."""

    kimg: float
    score: float
    seconds: float


@dataclass
class Trial:
    """One recipe that is tried, and its score at each rung it reached; `failed` says why it goes no further."""

    number: int
    values: Values
    points: list[Point] = field(default_factory=list)
    failed: str = ""

    def at(self, rung: int) -> float | None:
        """Its score there, None where it has not been."""
        return self.points[rung].score if rung < len(self.points) else None


@dataclass(frozen=True)
class Ladder:
    """`seconds`: what a trial has trained when it reaches each rung; `entrants`: how many climb to it, besides the default."""

    seconds: tuple[float, ...]
    entrants: tuple[int, ...]

    def cost(self, rung: int) -> float:
        """Seconds that all training up to and including this rung takes."""
        each = [after - before for before, after in zip((0.0, *self.seconds), self.seconds, strict=False)]
        return sum(count * seconds for count, seconds in zip(counts(self.entrants), each[: rung + 1], strict=False))


def counts(entrants: Sequence[int]) -> list[int]:
    """How many train to each rung, with the default, which is one of the first rung's."""
    return [entrants[0], *(count + 1 for count in entrants[1:])]


def ladder(seconds: float, trials: int | None = None) -> Ladder:
    """Shares out `seconds` of training; each rung is three times as long as the one below it."""
    for count in (trials,) if trials else TRIALS:
        entrants = [max(LEAST, count)]
        while len(entrants) < RUNGS:
            entrants.append(max(1, round(entrants[-1] / ETA)))
        shape = Ladder(tuple(ETA ** (rung + 1.0 - RUNGS) for rung in range(RUNGS)), tuple(entrants))
        last = seconds / shape.cost(RUNGS - 1)
        if last * shape.seconds[0] >= FIRST:
            break
    return Ladder(tuple(last * part for part in shape.seconds), shape.entrants)


def next_job(trials: Sequence[Trial], shape: Ladder, late: Callable[[int], bool]) -> tuple[int, int] | None:
    """(number of the trial, rung) to train next; a number that is not there yet is a new trial. None: the search is over.

    `late(rung)`: whether the time for that rung is up. Then no more begin it, but for the default and the best.
    """
    for trial in trials:
        if trial.at(0) is None and not trial.failed:
            return trial.number, 0
    if len(trials) < shape.entrants[0] and (len(trials) < LEAST or not late(0)):
        return len(trials), 0
    for rung in range(1, len(shape.seconds)):
        for place, trial in enumerate(climbers(trials, rung, shape.entrants[rung])):
            if trial.at(rung) is None and not trial.failed and (place < LEAST or not late(rung)):
                return trial.number, rung
    return None


def climbers(trials: Sequence[Trial], rung: int, count: int) -> list[Trial]:
    """The default, then the `count` best others of the rung below, the best first."""
    below = ranked([trial for trial in trials if trial.number and trial.at(rung - 1) is not None], rung - 1)
    return [trial for trial in trials if trial.number == 0 and trial.at(rung - 1) is not None] + below[:count]


def ranked(trials: Sequence[Trial], rung: int) -> list[Trial]:
    """Those that were measured at this rung, the best first; of equals the earlier one."""
    return sorted((trial for trial in trials if trial.at(rung) is not None), key=lambda trial: (trial.at(rung), trial.number))


def best(trials: Sequence[Trial]) -> Trial | None:
    """The best of those that came highest: never worse there than the default, which comes as high as any unless it fails."""
    highest = max((len(trial.points) for trial in trials), default=0)
    return ranked(trials, highest - 1)[0] if highest else None


def standings(trials: Sequence[Trial]) -> list[Trial]:
    """All, the best first: who came higher, then who scored better there; failures last."""
    return sorted(trials, key=lambda trial: (-len(trial.points), trial.points[-1].score if trial.points else 0.0, trial.number))

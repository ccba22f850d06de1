"""`fenshen tune`: the search as a folder, which goes on wherever it was stopped.

trials.json   everything that was decided and measured; no more is needed to go on, but the states of trials still in the race
best.toml     the best recipe so far, for `fenshen train DATA --recipe best.toml`
report.html   the trials as a table and as charts
trials/N/     the exact state of training of trial N, while it may go on
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fenshen import __version__
from fenshen.errors import OutOfMemoryError, RecipeError, RunFolderError
from fenshen.evaluate.charts import number
from fenshen.evaluate.page import meaning
from fenshen.lang import tr
from fenshen.recipe import Recipe, parse
from fenshen.run import RunFolder, write_atomically
from fenshen.training.session import Stop, Watcher
from fenshen.tuning.bench import Bench, attempt
from fenshen.tuning.dials import KEYS, SIZES, Dial, changes, defaults, dials, library, propose
from fenshen.tuning.halving import Ladder, Point, Trial, best, climbers, ladder, next_job, standings
from fenshen.tuning.page import Summary, write
from fenshen.tuning.words import columns, failure, in_words, plan_in_words, row, verdict

FILE = "trials.json"
FORMAT = 1
USABLE = 0.9  # Of the time that is left after the preparation; measuring takes the rest.
LATE = 1.1  # A rung is late when so many times its share of the time is gone.
LEAST_KIMG = 20.0  # A larger network is tried where it sees that much by the last rung.


@dataclass(frozen=True)
class Tuned:
    """A search and what it found: `recipe` is the best so far, `best` and `default` are trials; `dials` what was searched.

    Scores are distances to training pictures that no trial was trained on, at `measure`: "frechet" or "kid"; `floor` that of real ones.
    """

    path: Path
    recipe: Recipe
    trials: tuple[Trial, ...]
    dials: tuple[Dial, ...]
    measure: str
    floor: float
    finished: bool

    @property
    def best(self) -> Trial | None:
        return best(self.trials)

    @property
    def default(self) -> Trial:
        return self.trials[0]

    def json(self) -> dict[str, Any]:
        found = self.best
        return {
            "folder": str(self.path), "recipe": str(self.path / "best.toml"), "finished": self.finished, "measure": self.measure, "floor": self.floor,
            "best": None if found is None else found.number, "trials": [asdict(trial) for trial in self.trials],
        }  # fmt: skip

    def __str__(self) -> str:
        return verdict(self.trials, self.measure)


@dataclass
class Search:
    """A search in its folder: `record` is trials.json without the trials."""

    folder: RunFolder
    bench: Bench
    record: dict[str, Any]
    trials: list[Trial]
    dials: list[Dial]
    ladder: Ladder
    watcher: Watcher

    def run(self, stop: Stop) -> Tuned:
        """Trains and measures until all is done, or somebody stops it."""
        with stop.listening():
            while (job := next_job(self.trials, self.ladder, self._late)) and not stop.signal:
                self._work(*job, stop)
        finished = job is None
        if finished:
            shutil.rmtree(self.folder.path / "trials", ignore_errors=True)
        return Tuned(self.folder.path, self._best(), tuple(self.trials), tuple(self.dials), self.bench.measure, self.bench.floor, finished)

    def _work(self, index: int, rung: int, stop: Stop) -> None:
        began = time.monotonic()
        if index == len(self.trials):
            tried = [(trial.values, trial.at(0)) for trial in self.trials]
            self.trials.append(Trial(index, propose(self.bench.recipe.train.seed, index, self.dials, tried)))
        trial = self.trials[index]
        outcome: float | str | None
        try:
            kimg = [self.bench.kimg(trial.values, seconds) for seconds in self.ladder.seconds]
            outcome = attempt(self.bench, trial.values, kimg[rung], kimg[-1], self._state(index), stop)
        except OutOfMemoryError:
            outcome, kimg = "memory", [0.0]
        took = time.monotonic() - began
        if isinstance(outcome, str):
            trial.failed = outcome
        elif outcome is not None:
            trial.points.append(Point(kimg[rung], outcome, round(took, 1)))
        self.record["elapsed"] += took
        self._tidy()
        self.save()
        if outcome is not None:
            self.watcher.said(self._told(trial, rung))

    def _told(self, trial: Trial, rung: int) -> str:
        places = {"number": trial.number, "rung": rung + 1, "rungs": len(self.ladder.seconds), "minutes": f"{self.record['elapsed'] / 60:.1f}",
                  "all": f"{self.record['minutes']:g}", "values": in_words(trial.values)}  # fmt: skip
        if trial.failed:
            return tr("{minutes} of {all} min, trial {number}, rung {rung} of {rungs}: {failed}; {values}", failed=failure(trial), **places)
        point, name = trial.points[-1], meaning(self.bench.measure)[0]
        text = "{minutes} of {all} min, trial {number}, rung {rung} of {rungs}: {measure} {score} after {kimg} kimg; {values}"
        return tr(text, measure=name, score=number(point.score), kimg=f"{point.kimg:.1f}", **places)

    def _state(self, index: int) -> Path:
        return RunFolder(self.folder.path / "trials" / str(index)).state

    def _tidy(self) -> None:
        """States of trials that will not go on are of no use: who is not among the best of a rung now will not be later."""
        for trial in self.trials:
            reached = len(trial.points)
            top = reached == len(self.ladder.seconds)
            if trial.failed or top or (reached and trial not in climbers(self.trials, reached, self.ladder.entrants[reached])):
                shutil.rmtree(self._state(trial.number).parent.parent, ignore_errors=True)

    def _late(self, rung: int) -> bool:
        return self.record["elapsed"] > self.record["prepared"] + LATE * self.ladder.cost(rung) / USABLE

    def _best(self) -> Recipe:
        found = best(self.trials)
        return best_recipe(self.bench.wanted, changes(found.values if found else defaults(self.dials), self.bench.recipe))

    def save(self) -> None:
        """trials.json first; the rest follows from it."""
        write_json = self.folder.write_json
        write_json(FILE, self.record | {"rates": self.bench.rates, "trials": [asdict(trial) for trial in self.trials]})
        if best(self.trials):
            write_atomically(self.folder.path / "best.toml", self._best().toml().encode())
            lines = [row(trial, self.dials) for trial in standings(self.trials)]
            title = self.folder.path.resolve().name
            said, recipe = verdict(self.trials, self.bench.measure), self._best().toml()
            summary = Summary(title, said, self.trials, self.dials, self.bench.measure, columns(self.dials), lines, recipe)
            write(summary, self.folder.path / "report.html")


def best_recipe(wanted: Recipe, found: dict[str, Any]) -> Recipe:
    """The person's recipe with what was found; how long it trains is said when it is used."""
    return wanted.set(found | {"train.kimg": None, "train.minutes": None})


def begin(
    wanted: Recipe, fixed: Collection[str], minutes: float, trials: int | None, out: Path | None, watcher: Watcher, stop: Stop
) -> Tuned:
    """Searches around `wanted`; `fixed`: dotted keys that are not searched. Where `out` holds the same search already, it goes on."""
    library()
    if minutes <= 0:
        raise RecipeError("--minutes {minutes}: more than 0", minutes=minutes)
    if wanted.adapt.parent is not None:
        raise RecipeError("adapt.parent={parent}: only a training from scratch can be tuned; leave it out", parent=wanted.adapt.parent)
    if out is not None and (out / FILE).exists():
        return _same(RunFolder(out), wanted, minutes, trials, watcher, stop)
    if out is not None:
        RunFolder.check_free(out)
    began = time.monotonic()
    with stop.preparing():
        bench = Bench(wanted, minutes, {}, {}, watcher)
        shape = ladder(USABLE * max(60 * minutes - (time.monotonic() - began), 30 * minutes), trials)
        around = dials(bench.recipe, fixed, len(bench.dataset.train), _sizes(bench, fixed, shape))
    folder = RunFolder.create(out, f"tune-{Path(wanted.data.source.removeprefix('hf://')).stem or 'run'}")
    spent = time.monotonic() - began
    record = {
        "format": FORMAT, "version": __version__, "fingerprint": bench.fingerprint, "minutes": minutes, "elapsed": spent, "prepared": spent,
        "wanted_trials": trials, "measure": bench.measure, "floor": bench.floor, "recipe": wanted.model_dump(mode="json", exclude_none=True),
        "machine": bench.machine, "ladder": asdict(shape), "dials": [asdict(dial) for dial in around],
    }  # fmt: skip
    search = Search(folder, bench, record, [], around, shape, watcher)
    search.save()
    watcher.said(tr("Search: {path}", path=folder.path))
    watcher.said(plan_in_words(shape))
    return search.run(stop)


def _sizes(bench: Bench, fixed: Collection[str], shape: Ladder) -> list[str]:
    """The default size, the next smaller, and the next larger where there is time for it."""
    here = SIZES.index(str(bench.recipe.model.size))
    if KEYS["size"] in fixed:
        return [SIZES[here]]
    larger = [size for size in SIZES[here + 1 : here + 2] if bench.fits(size, shape.seconds[-1], LEAST_KIMG)]
    return [*SIZES[max(0, here - 1) : here + 1], *larger]


def _same(folder: RunFolder, wanted: Recipe, minutes: float, trials: int | None, watcher: Watcher, stop: Stop) -> Tuned:
    """Goes on in `folder`. RunFolderError where another search is in it."""
    record = folder.read_json(FILE)
    before = record.get("recipe"), record.get("minutes"), record.get("wanted_trials")
    if before != (wanted.model_dump(mode="json", exclude_none=True), minutes, trials):
        text = "{path} holds a search that was begun in another way: name another folder with --out, or go on with it by --resume {path} alone"
        raise RunFolderError(text, path=folder.path)
    return go_on(folder.path, watcher, stop)


def go_on(path: Path, watcher: Watcher, stop: Stop) -> Tuned:
    """Goes on with a stopped search. RunFolderError where there is none, or where the data has changed."""
    library()
    folder = RunFolder(path)
    if not (path / FILE).exists():
        raise RunFolderError("{path} holds no search: there is no trials.json in it", path=path)
    record = folder.read_json(FILE)
    if record.get("format", FORMAT) > FORMAT:
        text = "{path} was written by a newer fenshen ({version}); this one is {mine}: install the newer one"
        raise RunFolderError(text, path=path / FILE, version=record["version"], mine=__version__)
    try:
        wanted = parse(record["recipe"], str(path / FILE))
        trials = [Trial(t["number"], t["values"], [Point(**point) for point in t["points"]], t["failed"]) for t in record.pop("trials")]
        around = [Dial(**(dial | {"choices": tuple(dial["choices"])})) for dial in record["dials"]]
        shape = Ladder(tuple(record["ladder"]["seconds"]), tuple(record["ladder"]["entrants"]))
        minutes, machine, rates, fingerprint = record["minutes"], record["machine"], record["rates"], record["fingerprint"]
    except (KeyError, TypeError) as error:
        raise RunFolderError("{path} cannot be read: {problem}", path=path / FILE, problem=repr(error)) from None
    with stop.preparing():
        bench = Bench(wanted, minutes, machine, rates, watcher)
    if bench.fingerprint != fingerprint:
        text = "the pictures in {source} have changed since this search began: bring the old ones back, or begin a new search"
        raise RunFolderError(text, source=wanted.data.source)
    return Search(folder, bench, record, trials, around, shape, watcher).run(stop)



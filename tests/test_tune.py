"""The search: who climbs, what is proposed, that it goes on where it stopped, and that the best recipe is one."""

from __future__ import annotations

import builtins
import json
import signal
import tomllib
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import fenshen
from fenshen.data import prepare
from fenshen.errors import FenshenError, RecipeError, RunFolderError
from fenshen.recipe import Data, Recipe, load_recipe
from fenshen.training.plan import complete
from fenshen.training.session import Stop, Watcher
from fenshen.tuning import bench as benches
from fenshen.tuning import search
from fenshen.tuning.bench import Bench, set_aside
from fenshen.tuning.dials import Dial, changes, defaults, dials, neighbors, propose
from fenshen.tuning.halving import Ladder, Point, Trial, best, climbers, ladder, next_job, standings
from fenshen.tuning.words import verdict

FAST = {"train.threads": 1, "train.precision": "fp32", "train.batch": 16}
HERE = torch.device("cpu")
TINY = Ladder((0.05, 0.1, 0.2), (3, 1, 1))  # Seconds at a rate that tests set: 640 pictures a second, so 32, 64 and 128 pictures.


# Who climbs


def simulate(shape: Ladder, score: Callable[[int, int], float | None], late: Callable[[int], bool] = lambda rung: False) -> list[Trial]:
    """The search with a made-up score of (trial, rung); None: it fails."""
    trials: list[Trial] = []
    while job := next_job(trials, shape, late):
        number, rung = job
        if number == len(trials):
            trials.append(Trial(number, {"lr": float(number)}))
        value = score(number, rung)
        if value is None:
            trials[number].failed = "diverged"
        else:
            trials[number].points.append(Point(shape.seconds[rung], value, 1.0))
    return trials


def test_the_best_third_climbs_and_the_default_with_it() -> None:
    trials = simulate(ladder(1000.0, 9), lambda number, rung: abs(number - 6) + 0.1)
    assert [len(trial.points) for trial in trials] == [3, 1, 1, 1, 1, 2, 3, 2, 1]
    assert best(trials) is trials[6] and [trial.number for trial in standings(trials)[:4]] == [6, 0, 5, 7]


def test_the_best_is_never_worse_than_the_default() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        table = rng.random((9, 3))
        trials = simulate(ladder(100.0, 9), lambda number, rung, table=table: float(table[number, rung]))
        found = best(trials)
        assert found is not None and found.at(2) <= trials[0].at(2)


def test_who_diverges_goes_no_further() -> None:
    trials = simulate(ladder(100.0, 9), lambda number, rung: None if number in (0, 3) or (number == 4 and rung == 1) else float(number))
    assert not trials[0].points and trials[0].failed and [len(trial.points) for trial in trials] == [0, 3, 2, 0, 1, 1, 1, 1, 1]
    assert best(trials) is trials[1] and "the default recipe failed" in verdict(trials, "kid")
    assert best(simulate(ladder(100.0, 4), lambda number, rung: None)) is None


def test_when_time_is_up_the_default_and_the_best_still_climb() -> None:
    trials = simulate(ladder(100.0, 27), lambda number, rung: -float(number), late=lambda rung: True)
    assert [len(trial.points) for trial in trials] == [3, 3]
    half = simulate(ladder(100.0, 27), lambda number, rung: -float(number), late=lambda rung: rung > 0)
    assert sorted(len(trial.points) for trial in half) == [1] * 25 + [3, 3]


def test_the_time_is_shared_out_and_the_last_rung_has_a_real_part() -> None:
    for minutes in (0.1, 3, 10, 30, 120):
        shape = ladder(60.0 * minutes)
        assert shape.cost(2) == pytest.approx(60 * minutes) and shape.seconds[2] == pytest.approx(9 * shape.seconds[0])
        assert shape.cost(2) - shape.cost(1) > 0.25 * 60 * minutes
    assert ladder(1800.0).entrants == (27, 9, 3) and ladder(60.0).entrants[0] == 4
    assert climbers([Trial(0, {}, [Point(1, 5, 1)]), Trial(1, {}, [Point(1, 6, 1)]), Trial(2, {}, [Point(1, 4, 1)])], 1, 1)[1].number == 2


# What is proposed

AROUND = [Dial("lr", 1e-3, 1.25e-4, 4e-3), Dial("gamma", 0.5, 0.03, 8.0), Dial("batch", 64, choices=(32, 64, 128))]


def test_proposals_follow_from_seed_and_history_alone() -> None:
    tried: list[tuple[dict, float | None]] = []
    for number in range(8):
        values = propose(3, number, AROUND, tried)
        assert values == propose(3, number, AROUND, tried)
        assert number == 0 or (1.25e-4 <= values["lr"] <= 4e-3 and 0.03 <= values["gamma"] <= 8 and values["batch"] in (32, 64, 128))
        tried.append((values, None if number == 4 else abs(np.log(values["lr"] / 5e-4))))
    assert tried[0][0] == defaults(AROUND) and propose(4, 7, AROUND, tried[:7]) != tried[7][0]


def test_the_first_proposals_turn_one_dial_each() -> None:
    turned = neighbors(AROUND)
    changed = [[name for name, value in values.items() if value != defaults(AROUND)[name]] for values in turned]
    assert changed == [["lr"], ["gamma"], ["batch"]] * 2
    assert [values["lr"] for values in turned if values["lr"] != 1e-3] == [2e-3, 3.54e-4] and {values["batch"] for values in turned} == {32, 64, 128}


def test_tpe_learns() -> None:
    tried: list[tuple[dict, float | None]] = []
    for number in range(24):
        values = propose(0, number, AROUND, tried)
        tried.append((values, abs(float(np.log(values["lr"] / 3e-4)))))
    assert np.mean([score for _, score in tried[14:]]) < 0.7 * np.mean([score for _, score in tried[1:6]])


def test_dials_turn_around_the_default_and_leave_alone_what_is_fixed() -> None:
    recipe = complete(Recipe(), prepare(Data()), HERE)
    around = {dial.name: dial for dial in dials(recipe, (), 1000, ["nano", "small"])}
    assert set(around) == {"lr", "critic", "gamma", "batch", "size"} and around["batch"].choices == (32, 64, 128)
    assert around["lr"].low < recipe.train.lr == around["lr"].default < around["lr"].high
    assert recipe.set(changes(defaults(around.values()), recipe)) == recipe
    assert changes({"lr": 2e-3, "critic": 0.5}, recipe) == {"train.lr": 2e-3, "train.lr_critic": 1e-3}
    assert {dial.name for dial in dials(recipe, {"train.lr", "model.size"}, 100, ["nano"])} == {"critic", "gamma", "batch"}
    assert "gamma" not in {dial.name for dial in dials(recipe.set({"model.penalty.gamma": 0.0}), (), 1000, ["nano"])}
    with pytest.raises(RecipeError, match="nothing left to search"):
        dials(recipe, {"train.lr", "train.lr_critic", "model.penalty.gamma", "train.batch"}, 1000, ["nano"])


def test_optuna_is_asked_for_where_it_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    original = builtins.__import__

    def without(name: str, *arguments: Any, **more: Any) -> Any:
        if name.split(".")[0] == "optuna":
            raise ImportError(name)
        return original(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(FenshenError, match=r"pip install 'fenshen\[tune\]'"):
        fenshen.tune(minutes=1, out=tmp_path / "tune")
    assert not (tmp_path / "tune").exists()


# The whole search, tiny


@pytest.fixture(scope="module", autouse=True)
def tiny() -> Iterator[None]:
    """No timing: every trial shows as many pictures, however fast the machine is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "ladder", lambda seconds, trials: TINY)
        patch.setattr(Bench, "rate", lambda self, values: 640.0)
        patch.setattr(benches, "COUNT", 100)
        patch.setattr(search.Search, "_late", lambda self, rung: False)
        yield


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> search.Tuned:
    return fenshen.tune(minutes=60, changes=FAST, out=tmp_path_factory.mktemp("tuned") / "tune")


def scores(path: Path) -> list[Any]:
    trials = json.loads((path / "trials.json").read_text())["trials"]
    return [(trial["values"], trial["failed"], [(point["kimg"], point["score"]) for point in trial["points"]]) for trial in trials]


def test_the_default_comes_first_and_the_best_is_not_worse(done: search.Tuned) -> None:
    assert done.finished and done.default.values == defaults(done.dials) and len(done.trials) == 3
    assert done.best.points[2].score <= done.default.points[2].score
    assert done.measure == "frechet" and 0 < done.floor < done.best.points[2].score
    assert sorted(len(trial.points) for trial in done.trials)[-2:] == [3, 3]
    assert [point.kimg for point in done.default.points] == [0.032, 0.064, 0.128]
    assert not (done.path / "trials").exists(), "states are of no use any more"


def test_the_best_recipe_is_complete_and_can_be_trained(done: search.Tuned, tmp_path: Path) -> None:
    recipe = load_recipe(done.path / "best.toml")
    assert recipe == done.recipe and recipe.train.minutes is None and recipe.train.kimg is None and recipe.autopilot.on
    values = complete(recipe, prepare(recipe.data), HERE)
    assert values.train.lr == done.best.values["lr"] and values.train.batch == 16 and "batch" not in done.best.values
    assert tomllib.loads((done.path / "best.toml").read_text())["model"]["penalty"]["gamma"] == done.best.values["gamma"]
    run = fenshen.train("digits", done.path / "best.toml", kimg=0.032, changes={"autopilot": "off", "evaluate.report": False}, out=tmp_path / "run")
    assert run.log()[-1]["kimg"] >= 0.032


def test_the_report_is_one_file(done: search.Tuned) -> None:
    text = (done.path / "report.html").read_text("utf-8")
    HTMLParser().feed(text)
    assert "http://" not in text and "https://" not in text and text.count("<svg") == 1 + sum(1 for dial in done.dials if dial.low)
    assert str(done) in text and "0, the default" in text


def test_a_search_stopped_in_mid_trial_goes_on_exactly(done: search.Tuned, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop, original = Stop(), benches.Trainer.step

    def step(self: Any) -> Any:
        report = original(self)
        if self.recipe.train.kimg < 1 and self.shown == 96:  # Between the second rung and the third.
            stop.signal = signal.SIGINT
        return report

    with monkeypatch.context() as patch:
        patch.setattr(benches.Trainer, "step", step)
        first = fenshen.tune(minutes=60, changes=FAST, out=tmp_path / "tune", stop=stop)
    assert not first.finished and len(first.default.points) == 2 and (tmp_path / "tune" / "trials" / "0" / "state" / "last.safetensors").exists()
    assert (tmp_path / "tune" / "best.toml").exists()
    again = fenshen.tune(minutes=60, changes=FAST, out=tmp_path / "tune")  # As good as resume=.
    assert again.finished and scores(tmp_path / "tune") == scores(done.path)


def test_what_cannot_go_on(done: search.Tuned, tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="holds no search"):
        fenshen.tune(resume=tmp_path)
    with pytest.raises(RunFolderError, match="begun in another way"):
        fenshen.tune(minutes=61, changes=FAST, out=done.path)
    with pytest.raises(RecipeError, match="more than 0"):
        fenshen.tune(minutes=0, out=tmp_path / "tune")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a.txt").write_text("a")
    with pytest.raises(RunFolderError, match="not empty"):
        fenshen.tune(minutes=60, out=tmp_path / "full")


def test_a_trial_that_diverges_is_noted_and_the_search_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = benches.Trainer.step

    def step(self: Any) -> Any:
        report = original(self)
        if self.recipe.train.lr != 1e-3 or self.recipe.train.lr_critic:
            with torch.no_grad():
                next(self.averaged.parameters()).fill_(float("nan"))
        return report

    monkeypatch.setattr(benches.Trainer, "step", step)
    found = fenshen.tune(minutes=60, changes=FAST, out=tmp_path / "tune")
    assert [trial.failed for trial in found.trials] == ["", "diverged", "diverged"] and found.best.number == 0
    assert "The default recipe is the best of 3" in str(found) and "diverged" in (tmp_path / "tune" / "report.html").read_text()


def test_what_is_measured_with_is_never_trained_on_nor_held_out(done: search.Tuned) -> None:
    dataset = prepare(Data())
    train, measured = set_aside(dataset.train, 0)
    assert not set(train) & set(measured) and set(train) | set(measured) == set(dataset.train) and not set(measured) & set(dataset.held_out)
    assert len(measured) == round(0.1 * len(dataset.train)) and [len(part) for part in set_aside(np.arange(40), 0)] == [30, 10]
    bench = Bench(Recipe().set(FAST), 1.0, {}, {}, Watcher())
    assert np.array_equal(bench.dataset.train, train)


def test_the_command_line(done: search.Tuned, capfd: pytest.CaptureFixture[str]) -> None:
    from fenshen.cli import app

    def call(*words: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            app(list(map(str, words)), prog_name="fenshen")
        told = capfd.readouterr()
        return int(ended.value.code or 0), told.out, told.err

    code, out, _ = call("tune", "--resume", done.path)
    assert code == 0 and "0, the default" in out and "best.toml" in out and str(done) in out
    code, out, _ = call("tune", "--resume", done.path, "--json")
    assert code == 0 and json.loads(out)["finished"] is True and len(json.loads(out)["trials"]) == 3
    code, _, err = call("tune", "digits", "--resume", done.path)
    assert code == 2 and "leave DATA out" in err

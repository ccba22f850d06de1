"""The autopilot: what it sees, what it does, and that it goes on exactly; whether it rescues real trainings is for benchmarks/zoo.py."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import fenshen
from fenshen.data import prepare
from fenshen.errors import DivergedError
from fenshen.recipe import Recipe
from fenshen.run import read_tensors
from fenshen.schedules import annealed
from fenshen.training import session
from fenshen.training.autopilot import HEARD, Autopilot, Event
from fenshen.training.diagnosis import EVERYONE, Chart, advice, diagnose, differences, named, remedies
from fenshen.training.examine import COUNT, Examiner, Look, missing
from fenshen.training.loop import Report, Trainer
from fenshen.training.plan import complete, describe, told_data
from fenshen.training.session import Stop

HERE = torch.device("cpu")
FAST = {"train.ticks": 2, "train.threads": 1, "train.precision": "fp32", "train.batch": 16, "evaluate.report": False}


def recipe_of(**changes: object) -> Recipe:
    recipe = Recipe().set({"train.kimg": 1.0, "train.ema_half_life_kimg": 0.1, "train.batch": 16, "train.precision": "fp32", "train.threads": 1})
    return complete(recipe.set({key.replace("__", "."): value for key, value in changes.items()}), prepare(recipe.data), HERE)


def look(kimg: float, kid: float, diversity: float = 0.9, never: int = 0) -> Look:
    """Of ten kinds of pictures that are all as frequent, `never` are not made."""
    return Look(kimg, kid, 0.01, diversity, [0] * never + [COUNT // (10 - never)] * (10 - never), [COUNT / 10] * 10)


def chart(
    kids: list[float], right: float = 0.7, gap: float = 1.0, diversity: float = 0.9, step: float = 0.01, never: int = 0, by_heart: float = 0.1
) -> Chart:
    looks = [look(float(i), kid, diversity, never) for i, kid in enumerate(kids)]
    return Chart({"critic": [1.0] * 50}, [right] * 20, [gap] * 20, {"critic": step}, looks, [by_heart] * len(kids))


FALLING = [10.0, 8.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0, 0.8, 0.6]
NOISE = [0.31, 0.29, 0.3, 0.32, 0.28] * 4
STUCK = [10.0, 9.8, 10.1, 9.9, 10.0, 9.7, 10.2, 9.9, 10.0, 9.9]


@pytest.mark.parametrize(("found", "what"), [
    (chart(FALLING), None),
    (chart(STUCK), "nothing is learned"),
    (chart(STUCK, right=0.99, gap=40.0), "the critic wins"),
    (chart(STUCK, right=0.5, gap=0.0), "the critic loses"),
    (chart(FALLING, step=0.5), "steps too large"),
    (chart([*FALLING[:4], 3.0, 3.1, 3.0, 3.1, 3.0, 3.1, 3.0, 3.1], diversity=0.2), "mode collapse"),
    (chart([kid / 2 for kid in FALLING], never=2), "kinds are missing"),
    (chart([kid / 2 for kid in FALLING]), None),
    (chart(FALLING, by_heart=0.9), "overfitting"),
    (chart([*FALLING, *NOISE]), "plateau"),
    (chart([*(kid / 10 for kid in FALLING), *(0.1 + 0.02 * i for i in range(10))]), "getting worse"),
    (chart([*FALLING, *(0.1 + value / 50 for value in reversed(range(20)))]), None),
    (Chart(), None),
])  # fmt: skip
def test_diagnoses(found: Chart, what: str | None) -> None:
    assert diagnose(found, 0.4, recipe_of(train__augmentation="off")) == what


def test_a_model_that_only_begins_is_left_alone() -> None:
    assert diagnose(chart(STUCK[:3]), 0.02, recipe_of()) is None


def test_an_explosion_is_several_steps_far_above_the_median() -> None:
    seen = Chart()
    for _ in range(60):
        seen.add({"critic": 1.0})
    seen.add({"critic": 100.0})
    assert not seen.exploding()
    for _ in range(2):
        seen.add({"critic": 100.0})
    assert seen.exploding()


def test_one_step_beyond_all_bounds_is_an_explosion_too() -> None:
    seen = Chart()
    for _ in range(60):
        seen.add({"critic": 1.0})
    seen.add({"critic": 1e4})
    assert seen.exploding()


DIAGNOSES = ["broken", "exploded", "steps too large", "mode collapse", "kinds are missing", "the critic wins", "the critic loses",
             "nothing is learned", "getting worse"]  # fmt: skip


@pytest.mark.parametrize("what", DIAGNOSES)
def test_every_diagnosis_has_a_name_a_ladder_and_a_last_word(what: str) -> None:
    strange = recipe_of(model__objective="minimax", train__lr=0.03, model__penalty__kind="none")
    safe = recipe_of()
    ladder = remedies(what, strange, safe, chart(STUCK, step=0.5), 0.3)
    assert ladder and ladder[-1].renew == EVERYONE and str(named(what)) and str(advice(what)).startswith("nothing is left")
    assert not differences(strange.set(ladder[-1].changes), safe), "the last remedy is the default recipe"
    late = remedies(what, strange, safe, chart(STUCK, step=0.5), 0.9)
    assert not any(remedy.changes == ladder[-1].changes for remedy in late), "too late to begin anew"
    for remedy in ladder:
        strange.set(remedy.changes)  # Every change is one that a recipe takes.


def test_missing_kinds_bring_the_default_objective_where_there_is_another() -> None:
    strange, safe = recipe_of(model__objective="minimax"), recipe_of()
    (late,) = remedies("kinds are missing", strange, safe, chart(FALLING), 0.9)
    assert late.changes["model.objective"] == "relativistic" and late.renew == ("critic",)
    assert remedies("kinds are missing", strange, safe, chart(FALLING), 0.2)[0].renew == EVERYONE, "there is little to lose yet"
    assert not remedies("kinds are missing", safe, safe, chart(FALLING), 0.2), "nothing is better than the default"
    thin = chart([kid / 2 for kid in FALLING], never=2)
    assert diagnose(thin, 0.4, safe) == "kinds are missing" and diagnose(thin, 0.6, safe) is None, "when the learning rate falls, kinds come back"


def test_what_begins_anew_has_the_rest_of_the_plan_for_its_learning_rate() -> None:
    changes = remedies("nothing is learned", recipe_of(model__objective="minimax"), recipe_of(), chart(STUCK), 0.4)[-1].changes
    assert changes["train.anneal_from"] == pytest.approx(0.7)
    assert annealed(0.69, changes["train.anneal_from"], 0.1) == 1 and annealed(1.0, changes["train.anneal_from"], 0.1) == pytest.approx(0.1)


def test_what_gets_worse_under_the_default_recipe_is_left_alone_and_the_best_is_kept() -> None:
    safe, said = recipe_of(), list[Event]()
    pilot = Autopilot(Trainer(safe, describe(safe, prepare(safe.data)), prepare(safe.data), HERE), None, safe, said.append)
    pilot._act("getting worse")
    assert not said and not pilot.resigned
    pilot._act("nothing is learned")
    assert len(said) == 1 and pilot.resigned


def test_only_who_steps_too_far_is_slowed_down() -> None:
    recipe = recipe_of(train__lr=1e-4, train__lr_critic=3e-3)
    seen = chart(FALLING)
    seen.step = {"critic": 0.5, "generator": 0.001}
    changes = remedies("steps too large", recipe, recipe_of(), seen, 0.1)[0].changes
    assert changes["train.lr"] == 1e-4 and changes["train.lr_critic"] == pytest.approx(3e-3 * 0.01 / 0.5)


def test_where_a_remedy_was_tried_and_time_runs_out_the_last_one_comes_first() -> None:
    strange, safe = recipe_of(model__objective="minimax"), recipe_of()
    early, late = (remedies("the critic wins", strange, safe, chart(STUCK), fraction, True) for fraction in (0.2, 0.4))
    assert not early[0].renew and all(remedy.renew == EVERYONE and remedy.said == early[-1].said for remedy in late)
    assert not remedies("the critic wins", strange, safe, chart(STUCK), 0.4)[0].renew


def test_overfitting_is_met_with_augmentation_and_only_where_there_is_none() -> None:
    bare = recipe_of(train__augmentation="off")
    assert diagnose(chart(FALLING, by_heart=0.9), 0.4, bare) == "overfitting"
    (remedy,) = remedies("overfitting", bare, recipe_of(), chart(FALLING), 0.4)
    assert diagnose(chart(FALLING, by_heart=0.9), 0.4, bare.set(remedy.changes)) is None


def test_a_plateau_brings_the_learning_rate_down_and_the_end_nearer() -> None:
    recipe = recipe_of(train__kimg=100.0)
    (remedy,) = remedies("plateau", recipe, recipe_of(), chart(NOISE), 0.3)
    shorter = recipe.set(remedy.changes).train
    assert 30 < shorter.kimg < 50 and annealed(30 / shorter.kimg, shorter.anneal_from, shorter.lr_end) < 0.6
    assert diagnose(chart([*FALLING, *NOISE]), 30 / shorter.kimg, recipe) is None, "once is enough"


class Told:
    """What an autopilot says."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)


def pilot(recipe: Recipe) -> tuple[Autopilot, Trainer, Told]:
    dataset = told_data(recipe, prepare(recipe.data))
    trainer, told = Trainer(recipe, describe(recipe, dataset), dataset, HERE), Told()
    examiner = Examiner(lambda pictures: pictures.reshape(len(pictures), -1) / 127.5 - 1, dataset, 0)
    return Autopilot(trainer, examiner, recipe_of(), told), trainer, told


def steps(who: Autopilot, trainer: Trainer, count: int) -> list[bool]:
    sound = []
    for _ in range(count):
        who.before_step()
        sound.append(who.after_step(trainer.step()))
    return sound


def test_not_a_number_is_undone() -> None:
    who, trainer, told = pilot(recipe_of())
    assert all(steps(who, trainer, 3))
    healthy = {name: value.clone() for name, value in trainer.family.state_dict().items()}
    before = trainer.steps, trainer.shown, trainer.drawn
    with torch.no_grad():
        next(trainer.family.critic.parameters()).fill_(math.nan)
    assert steps(who, trainer, 1) == [False]
    assert all(torch.isfinite(value).all() for value in trainer.family.state_dict().values())
    assert trainer.recipe.train.lr == pytest.approx(0.5e-3) and trainer.recipe.train.clip_norm > 0 and len(told.events) == 1
    assert (trainer.steps, trainer.shown, trainer.drawn) > before, "time does not go back, and the same batch is not drawn again"
    assert healthy.keys() == trainer.family.state_dict().keys()
    assert "not a number" in str(told.events[0]) and "learning rate down to 0.0005" in str(told.events[0])
    assert all(steps(who, trainer, 3))


def test_a_training_that_cannot_be_saved_says_so() -> None:
    who, trainer, told = pilot(recipe_of())
    with pytest.raises(DivergedError, match="learning rate ten times smaller"):
        for _ in range(10):
            with torch.no_grad():
                next(trainer.family.critic.parameters()).fill_(math.nan)
            steps(who, trainer, 1)
    assert 1 <= len(told.events) <= 6


def test_far_too_large_steps_are_seen_and_mended() -> None:
    who, trainer, told = pilot(recipe_of(train__lr=0.1))
    steps(who, trainer, 40)
    assert "too much" in str(told.events[0])
    assert trainer.recipe.train.lr < 0.01


def test_going_back_leaves_the_kept_state_untouched() -> None:
    """What is kept to go back to is a copy, however often it is used."""
    who, trainer, _ = pilot(recipe_of())
    steps(who, trainer, 2)
    assert who.healthy is not None
    kept = {name: value.clone() for name, value in who.healthy[0].items()}
    trainer.load(who.healthy[0], who.healthy[1] | {"changes": {}})
    for _ in range(3):
        trainer.step()
    assert all(torch.equal(kept[name], value) for name, value in who.healthy[0].items())


def test_new_networks_are_new_and_reach_every_part() -> None:
    recipe = recipe_of(train__parts=2, train__threads=2)
    _, trainer, _ = pilot(recipe)
    for _ in range(3):
        trainer.step()
    old = {name: value.clone() for name, value in trainer.family.state_dict().items()}
    trainer.renew(("critic", "generator"))
    moved = [name for name, value in trainer.family.named_parameters() if not torch.equal(value, old[name])]
    assert len(moved) >= len(list(trainer.family.parameters())) // 2
    assert all(torch.equal(a, b) for a, b in zip(trainer.parts.copies[1].parameters(), trainer.family.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(trainer.averaged.parameters(), trainer.family.sampler.parameters(), strict=True))


def test_the_best_is_offered_when_the_last_is_worse() -> None:
    who, trainer, told = pilot(recipe_of())
    steps(who, trainer, 2)
    assert who.best_look is not None and who.best
    who.best_look = look(0.0, -100.0)
    best = who.finish()
    assert best is who.best and "kept the generator" in str(told.events[-1])
    who.best_look = look(0.0, 1e9)
    assert who.finish() is None


def test_diversity_tells_one_picture_from_all() -> None:
    dataset = prepare(Recipe().data)
    examiner = Examiner(lambda pictures: pictures.reshape(len(pictures), -1) / 127.5 - 1, dataset, 0)
    some = np.random.default_rng(1).choice(dataset.train, COUNT)
    real, one = dataset.pictures[some], np.repeat(dataset.pictures[dataset.train[:1]], COUNT, 0)
    assert examiner.look(0.0, real).diversity > 0.9 and examiner.look(0.0, one).diversity < 0.1
    assert examiner.look(0.0, real).kid < 0.1 < examiner.look(0.0, one).kid
    assert missing([examiner.look(0.0, real)]) < 0.05 and missing([examiner.look(0.0, one)]) > 0.9


def test_alike_is_alike_also_far_from_real_pictures() -> None:
    dataset = prepare(Recipe().data)
    examiner = Examiner(lambda pictures: pictures.reshape(len(pictures), -1) / 127.5 - 1, dataset, 0)
    noise = np.random.default_rng(0).integers(0, 256, (COUNT, *dataset.pictures.shape[1:]), np.uint8)
    gray = np.clip(128 + noise // 64, 0, 255).astype(np.uint8)
    assert examiner.look(0.0, noise).diversity > 0.5 and examiner.look(0.0, gray).diversity < 0.05


def test_a_critic_that_knows_its_pictures_by_heart_is_heard() -> None:
    """Trained on a few pictures for long, it tells them from held-out ones; at the start it does not."""
    recipe = recipe_of(train__kimg=4.0, train__augmentation="off")
    _, trainer, _ = pilot(recipe)
    few = replace(trainer.data.dataset, train=trainer.data.dataset.train[:16])  # type: ignore[union-attr]
    trainer.data = trainer._draws(few, few.train)
    began = trainer.ahead_of_held_out(HEARD)
    for _ in range(60):
        report = trainer.step()
    gap = float((report.signals["critic/real"] - report.signals["critic/fake"]).mean())
    learnt = trainer.ahead_of_held_out(HEARD)
    assert began is not None and learnt is not None and began < 0.1 and learnt > max(0.5, 0.3 * gap)


class StopAfter(session.Watcher):
    def __init__(self, stop: Stop):
        self.stop = stop

    def ticked(self, entry: dict) -> None:
        self.stop.signal = 2


@pytest.mark.slow
def test_with_autopilot_five_and_five_steps_are_ten(tmp_path: Path) -> None:
    """Its memory, what it changed, and the state it would go back to are part of the save. The learning rate is too large: it acts."""
    changes = FAST | {"train.lr": 0.1}
    whole = fenshen.train(kimg=1.92, changes=changes, out=tmp_path / "whole")
    stop = Stop()
    part = fenshen.train(kimg=1.92, changes=changes, out=tmp_path / "part", stop=stop, watcher=StopAfter(stop))
    assert part.log()[-1]["shown"] < 1920
    fenshen.resume(part.path)
    (one, header), (other, other_header) = (read_tensors(run.folder.state) for run in (whole, part))
    assert header["changes"] == other_header["changes"] and header["changes"]["train.lr"] < 0.1
    assert header["autopilot"] == other_header["autopilot"]
    assert set(one) == set(other) and all(torch.equal(one[name], other[name]) for name in one)
    assert whole.folder.events() == part.folder.events() and whole.folder.events()
    board = EventAccumulator(str(whole.path / "tensorboard")).Reload()
    told = [tensor.tensor_proto.string_val[0].decode() for tensor in board.Tensors("autopilot/text_summary")]
    assert told == [str(Event.read(event)) for event in whole.folder.events()]
    assert {"look/kid", "look/diversity", "look/missing", "look/by_heart"} <= set(whole.log()[-1]) & set(board.Tags()["scalars"])


def test_the_goal_ends_a_run(tmp_path: Path) -> None:
    run = fenshen.train(kimg=50.0, changes=FAST | {"autopilot.until": 1e6}, out=tmp_path / "run")
    assert run.log()[-1]["kimg"] < 5 and "the goal is met" in str(Event.read(run.folder.events()[-1]))
    assert run.generate(2).images.shape == (2, 8, 8, 1)


def test_off_is_off(tmp_path: Path) -> None:
    run = fenshen.train(kimg=0.1, changes=FAST | {"autopilot": "off", "train.lr": 0.1}, out=tmp_path / "run")
    assert not run.folder.events() and "autopilot" not in read_tensors(run.folder.state)[1]


def test_reports_carry_gradient_norms() -> None:
    _, trainer, _ = pilot(recipe_of())
    report: Report = trainer.step()
    assert set(report.norms) == {"critic", "generator"} and all(value > 0 for value in report.norms.values())

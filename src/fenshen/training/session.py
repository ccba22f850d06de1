"""One training session from recipe to finished run: plan, loop, ticks, saves, and a clean stop."""

from __future__ import annotations

import contextlib
import math
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from fenshen.data import Dataset, Texts
from fenshen.errors import OutOfMemoryError, OutOfSpaceError, RunFolderError
from fenshen.families.textgan import TextGAN
from fenshen.lang import tr
from fenshen.recipe import OverCodes, Pretrained, Recipe, Restoring, Wording
from fenshen.run import Made, RunFolder, Written, read_tensors, write_atomically, write_tensors
from fenshen.training.adapting import Origin, begin
from fenshen.training.autopilot import Autopilot, Event
from fenshen.training.codecs import with_codes
from fenshen.training.examine import Examiner, encoder_of
from fenshen.training.heldout import HeldOut, beginning
from fenshen.training.journal import Journal
from fenshen.training.judging import train_judge
from fenshen.training.loop import Report, Trainer
from fenshen.training.material import Material, data_record, material
from fenshen.training.plan import complete, describe, enough_kimg, pick_device, told_data
from fenshen.training.probe import Probed, check_memory, probe
from fenshen.training.transfer import start_from, take_weights

HURRY_FROM = 0.75
# What the model is and is for; the rest is how it learns.
SAFE = ("network", "size", "latent", "codes", "condition", "groups", "likelihood", "sigma", "prior", "task", "factor", "depth", "distance")

LOOK_EVERY = 16
TICK_SECONDS = 5.0
SAVE_SECONDS = 120.0
MARGIN = 1.15
CHECKED_AT, WORTHWHILE = 0.15, 1.1  # Part of the minutes after which the plan is looked at again; how much longer it would have to be.


@dataclass(frozen=True)
class Plan:
    """Everything known before the first step."""

    recipe: Recipe
    made: Made | Written
    dataset: Material
    device: torch.device
    probed: Probed
    memory_bytes: int
    parameters: dict[str, int]
    origin: Origin | None = None
    by_clock: bool = False  # Only the minutes were wished for; the kimg follow from them.

    @property
    def seconds(self) -> float:
        """How long training will take."""
        assert self.recipe.train.kimg
        clock = self.recipe.train.kimg * 1000 / self.probed.pictures_per_second
        return min(clock, self.recipe.train.minutes * 60) if self.recipe.train.minutes else clock

    @property
    def seconds_per_kimg(self) -> float:
        return 1000 / self.probed.pictures_per_second


@dataclass
class Watcher:
    """Is told what happens while a run trains; this one is silent. The command line shows a progress bar."""

    def said(self, text: str) -> None:
        """One sentence worth telling."""

    def started(self, plan: Plan, run: RunFolder) -> None:
        """Training begins (or goes on)."""

    def stepped(self, kimg: float, plan_kimg: float, per_second: float, seconds_left: float, losses: dict[str, float]) -> None:
        """Some steps are done; losses are of the last one."""

    def ticked(self, entry: dict[str, Any]) -> None:
        """A tick is written: the line that log.jsonl got."""


@dataclass
class Stop:
    """Set by Ctrl-C or SIGTERM; `signal` says which."""

    signal: int = 0

    @contextlib.contextmanager
    def listening(self) -> Iterator[Stop]:
        """Takes over SIGINT and SIGTERM while training; a second Ctrl-C interrupts at once."""

        def heard(number: int, frame: object) -> None:
            if self.signal:
                raise KeyboardInterrupt
            self.signal = number

        with self._handling(heard, signal.SIGINT, signal.SIGTERM):
            yield self

    @contextlib.contextmanager
    def preparing(self) -> Iterator[Stop]:
        """Ctrl-C interrupts at once; where it hits a library that swallows the interrupt, when the preparation is over."""

        def heard(number: int, frame: object) -> None:
            self.signal = number
            raise KeyboardInterrupt

        with self._handling(heard, signal.SIGINT):
            yield self
        if self.signal == signal.SIGINT:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def _handling(self, heard: Any, *numbers: int) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        handlers = {number: signal.signal(number, heard) for number in numbers}
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)


def make_plan(recipe: Recipe, watcher: Watcher) -> Plan:
    """Prepares the data, fills in the recipe, times real steps. Nothing is written but the data's cache."""
    device = pick_device(recipe.train.device)
    recipe, dataset, origin = begin(recipe, watcher.said)
    recipe = complete(recipe, dataset, device)
    if recipe.model.groups:
        watcher.said(tr("finding {count} groups in the unlabelled pictures, to tell the model which it makes", count=recipe.model.groups))
    dataset = dataset if isinstance(dataset, Texts) else with_codes(recipe, told_data(recipe, dataset), None, device, watcher.said)
    made = describe(recipe, dataset)
    memory = check_memory(recipe, made, device)
    with enough_memory(recipe):
        probed = probe(recipe, made, dataset, device)
    by_clock, wished = recipe.train.kimg is None, recipe.train.ema_half_life_kimg
    recipe = probed.recipe if recipe.train.kimg else probed.recipe.set({"train.kimg": _affordable(recipe, dataset, probed, watcher)})
    recipe = recipe.set({"train.ema_half_life_kimg": default_half_life(recipe) if wished is None else wished})
    recipe = recipe.set({"train.ticks": recipe.train.ticks or default_ticks(recipe, probed)})
    trainer = Trainer(recipe, made, dataset, torch.device("cpu"))
    parameters = {name: sum(p.numel() for p in player.parameters()) for name, player in trainer.players.items()}
    return Plan(recipe, made, dataset, device, probed, memory, parameters, origin, by_clock)


def planned_kimg(recipe: Recipe, probed: Probed) -> float:
    """What fits into the minutes, and a little more: if that is too much, the clock anneals the end and stops the run."""
    assert recipe.train.minutes
    return round(max(0.064, MARGIN * recipe.train.minutes * 60 * probed.pictures_per_second / 1000), 3)


def _affordable(recipe: Recipe, dataset: Material, probed: Probed, watcher: Watcher) -> float:
    """The kimg of a plan in minutes: no more than make sense."""
    fitting, enough = planned_kimg(recipe, probed), enough_kimg(recipe, dataset)
    if fitting <= enough:
        return fitting
    text = "{kimg} kimg are enough for this much text and a network of this size, and take less than the time there is; --kimg N wants more"
    watcher.said(tr(text, kimg=f"{enough:.1f}"))
    return round(enough, 3)


def default_ticks(recipe: Recipe, probed: Probed) -> int:
    """Twenty, but at least some seconds apart; four in any case."""
    assert recipe.train.kimg
    seconds = min(1000 * recipe.train.kimg / probed.pictures_per_second, 60 * recipe.train.minutes if recipe.train.minutes else math.inf)
    return max(4, min(20, round(seconds / TICK_SECONDS)))


def default_half_life(recipe: Recipe) -> float:
    """Of the averaged weights, in kimg: a twentieth of the plan; of words, which move less from step to step, a fiftieth."""
    kimg = recipe.train.kimg or 0.0
    return 0.02 * kimg if isinstance(recipe.model, Wording) else max(1.0, 0.05 * kimg)


@contextlib.contextmanager
def enough_memory(recipe: Recipe) -> Iterator[None]:
    """Turns a failed allocation into an error that says what to do."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not isinstance(error, torch.OutOfMemoryError) and "allocate memory" not in str(error):
            raise
        raise OutOfMemoryError("out of memory: try --set train.batch={batch}, a smaller --size or data.resolution",
                               batch=max(1, (recipe.train.batch or 1) // 4)) from None  # fmt: skip


def start(recipe: Recipe, out: Path | None, watcher: Watcher, stop: Stop) -> RunFolder:
    """Trains a new run and returns its folder."""
    if out is not None:
        RunFolder.check_free(out)
    before = RunFolder.find(recipe.train.start_from) if recipe.train.start_from else None
    with stop.preparing():
        plan = make_plan(recipe, watcher)
    run = RunFolder.create(out, Path(recipe.data.source.removeprefix("hf://")).stem or "run")
    try:
        _write_beginnings(run, plan)
    except OutOfSpaceError:
        run.delete()
        raise
    trainer = Trainer(plan.recipe, plan.made, plan.dataset, plan.device, plan.origin)
    take_weights(trainer)
    if before is not None:
        watcher.said(start_from(trainer, before))
    if isinstance(plan.recipe.model, Pretrained) and len(plan.dataset.held_out):
        watcher.said(tr("before training, held-out text surprises the model in {folder} by {nats} nats per token",
                        folder=plan.recipe.model.start, nats=f"{beginning(trainer).per_token:.3f}"))  # fmt: skip
    with run.held():
        return Session(plan, run, trainer, watcher, stop, 0.0, autopilot(plan, run, trainer, watcher)).train()


def autopilot(plan: Plan, run: RunFolder, trainer: Trainer, watcher: Watcher) -> Autopilot | HeldOut | None:
    """Who watches the training, unless the recipe goes without."""
    if not plan.recipe.autopilot.on:
        return None

    def say(event: Event) -> None:
        run.add_event(event.json())
        watcher.said(tr("autopilot, {kimg} kimg: {what}", kimg=f"{event.kimg:.1f}", what=event))

    if isinstance(plan.dataset, Texts):
        return HeldOut(trainer, say) if len(plan.dataset.held_out) else None
    if plan.dataset.codes is not None and len(plan.dataset.held_out) and plan.recipe.autopilot.until is None:
        return HeldOut(trainer, say)
    if isinstance(plan.recipe.model, Restoring):
        return Autopilot(trainer, None, safe_recipe(plan), say)
    seen = replace(plan.dataset, labels=None, classes=()) if grouped(plan.made) else plan.dataset  # As `fenshen evaluate` will see it.
    encoder = encoder_of(seen, plan.device, watcher.said)
    examiner = Examiner(lambda pictures: encoder.read(pictures).features, plan.dataset, plan.recipe.train.seed)
    return Autopilot(trainer, examiner, safe_recipe(plan), say)


def grouped(made: Made | Written) -> bool:
    """Whether its classes were found by the machine."""
    return isinstance(made, Made) and made.grouped


def safe_recipe(plan: Plan) -> Recipe:
    """What would be trained here if nobody had wished anything; same data, networks and length. An adaptation begins as its parent ended."""
    recipe = plan.recipe
    if plan.origin is not None or isinstance(recipe.model, OverCodes):  # A model over codes has one way to learn.
        return recipe
    model = {f"model.{key}": getattr(recipe.model, key) for key in ("family", *SAFE) if key in type(recipe.model).model_fields}
    train = {f"train.{key}": getattr(recipe.train, key) for key in ("seed", "kimg", "minutes", "device")}
    safe = complete(Recipe(data=recipe.data).set({k: v for k, v in (model | train).items() if v is not None}), plan.dataset, plan.device)
    return safe.set({"train.ema_half_life_kimg": default_half_life(recipe)})


def _write_beginnings(run: RunFolder, plan: Plan) -> None:
    write_atomically(run.path / "recipe.toml", plan.recipe.toml().encode())
    run.write_json("data.json", data_record(plan.dataset))
    if plan.origin is not None:
        plan.origin.write(run)
    if (grouped(plan.made) or plan.origin is not None) and plan.dataset.labels is not None:
        write_tensors(run.groups, {"groups": torch.from_numpy(plan.dataset.labels)}, {"classes": plan.dataset.classes})


def resume(run: RunFolder, watcher: Watcher, stop: Stop) -> RunFolder:
    """Goes on exactly where the last save stands. RunFolderError where the data has changed."""
    recipe = run.recipe()
    device = pick_device(recipe.train.device)
    torch.set_num_threads(recipe.train.threads or torch.get_num_threads())
    dataset = material(recipe, watcher.said)
    if dataset.fingerprint != run.read_json("data.json")["fingerprint"]:
        raise RunFolderError(
            "what is in {source} has changed since this run began: bring the old ones back, or train a new run", source=recipe.data.source
        )
    if run.groups.exists():
        groups, found = read_tensors(run.groups)
        assert isinstance(dataset, Dataset)
        dataset = replace(dataset, labels=groups["groups"].numpy(), classes=tuple(found["classes"]))
    else:
        dataset = dataset if isinstance(dataset, Texts) else told_data(recipe, dataset)
    dataset = dataset if isinstance(dataset, Texts) else with_codes(recipe, dataset, run, device, watcher.said)
    made = describe(recipe, dataset)
    tensors, header = read_tensors(run.state)
    origin = Origin.read(run)
    trainer = Trainer(recipe, made, dataset, device, origin)
    trainer.load(tensors, header)
    rate = float(header["per_second"])
    probed = Probed(recipe, ((0.0, recipe.pictures_per_step / max(rate, 1e-9)),), ())
    plan = Plan(recipe, made, dataset, device, probed, 0, {}, origin)
    pilot = autopilot(plan, run, trainer, watcher)
    if pilot is not None:
        pilot.load(tensors, header["autopilot"])
        run.keep_events([event.json() for event in pilot.events])
    with run.held():
        return Session(plan, run, trainer, watcher, stop, float(header["seconds"]), pilot).train()


@dataclass
class Session:
    """The loop with its clock: steps until the plan is done, the time is up, or somebody stops it."""

    plan: Plan
    run: RunFolder
    trainer: Trainer
    watcher: Watcher
    stop: Stop
    seconds: float
    autopilot: Autopilot | HeldOut | None

    def train(self) -> RunFolder:
        recipe, trainer = self.plan.recipe, self.trainer
        assert recipe.train.kimg and recipe.train.ticks
        journal, self.judge = Journal(self.run, trainer), dict[str, float]()
        self.began, self.seconds_before, self.saved = time.monotonic(), self.seconds, time.monotonic()
        self.watcher.started(self.plan, self.run)
        tick_kimg = recipe.train.kimg / recipe.train.ticks
        next_tick = (int(trainer.shown / 1000 / tick_kimg) + 1) * tick_kimg
        shown_before = trainer.shown
        with self.stop.listening(), enough_memory(recipe):
            while not (trainer.finished or self.time_is_up or self.stop.signal or (self.autopilot and self.autopilot.goal_met)):
                trainer.hurry = self.clock_fraction if self.clock_fraction > HURRY_FROM else 0.0
                if self.plan.by_clock and self.clock_fraction > CHECKED_AT:
                    self._lengthen()
                report = self._step()
                if report is None:
                    continue
                journal.add(report)
                if trainer.steps % LOOK_EVERY == 1:
                    self._show(report, shown_before)
                if trainer.shown / 1000 >= next_tick and not trainer.finished:
                    next_tick += tick_kimg
                    self._tick(journal, shown_before)
                elif time.monotonic() - self.saved > SAVE_SECONDS:
                    self.save(shown_before)
            if self.autopilot and not self.stop.signal:
                self._choose(self.autopilot)
            judged = not self.stop.signal and self._judge()
            measured = isinstance(self.autopilot, HeldOut) and not self.stop.signal  # On all held-out text: that is worth a line.
            if journal.since_tick or measured or judged or not self.run.state.exists():
                self._settle()
                self._tick(journal, shown_before)
            elif trainer.shown > shown_before:
                self._settle()
                self.save(shown_before)
            if not self.stop.signal:
                journal.finish()
        return self.run

    def _lengthen(self) -> None:
        """Once: a plan that would end long before the minutes do (the probe met a busy machine) gets what they can hold."""
        recipe, probed = self.plan.recipe, self.plan.probed
        assert recipe.train.kimg and recipe.train.minutes
        done = probed.seconds_of(self.trainer.shown / 1000 / recipe.train.kimg) / probed.seconds_per_step  # Of the plan, in time.
        fitting = MARGIN * recipe.train.minutes * 60 * done * recipe.train.kimg / (time.monotonic() - self.began)
        fitting = round(min(fitting, enough_kimg(recipe, self.plan.dataset)), 3)
        if fitting > WORTHWHILE * recipe.train.kimg:
            recipe = recipe.set({"train.kimg": fitting})
            write_atomically(self.run.path / "recipe.toml", recipe.toml().encode())
            self.trainer.adopt({"train.kimg": fitting})
        self.plan = replace(self.plan, recipe=recipe, by_clock=False)

    def _step(self) -> Report | None:
        """One step, watched by the autopilot; None where it was bad and taken back."""
        if self.autopilot is None:
            return self.trainer.step()
        self.autopilot.before_step()
        report = self.trainer.step()
        return report if self.autopilot.after_step(report) else None

    @property
    def clock_fraction(self) -> float:
        minutes = self.plan.recipe.train.minutes
        return self.elapsed / (minutes * 60) if minutes else 0.0

    @property
    def elapsed(self) -> float:
        """Seconds of training, earlier sessions included."""
        return self.seconds_before + time.monotonic() - self.began

    @property
    def time_is_up(self) -> bool:
        return self.clock_fraction >= 1

    def _rate(self, shown_before: int) -> float:
        return (self.trainer.shown - shown_before) / max(1e-9, time.monotonic() - self.began)

    def _show(self, report: Report, shown_before: int) -> None:
        losses = {name: float(value) for name, value in report.losses.items()}
        self.trainer.check(losses)
        rate, kimg, plan_kimg = self._rate(shown_before), self.trainer.shown / 1000, self.trainer.recipe.train.kimg or 0.0
        left = (plan_kimg - kimg) * 1000 / max(rate, 1e-9)
        if self.plan.recipe.train.minutes:
            left = min(left, self.plan.recipe.train.minutes * 60 - self.elapsed)
        self.watcher.stepped(kimg, plan_kimg, rate, max(0.0, left), losses)

    def _choose(self, autopilot: Autopilot | HeldOut) -> None:
        """Keeps the best weights there were. What comes after training is not counted as such."""
        before = time.monotonic()
        if best := autopilot.finish():
            self.trainer.averaged.load_state_dict(best)
        self.began += time.monotonic() - before

    def _judge(self) -> bool:
        """Once the writer of a run of words stands, its critic learns to judge what it writes. Neither is this."""
        family, before = self.trainer.family, time.monotonic()
        if not isinstance(family, TextGAN) or family.judged:
            return False
        self.watcher.said(tr("the critic learns to judge what the finished run writes"))
        accuracy = train_judge(self.trainer, lambda: self.stop.signal)
        self.began += time.monotonic() - before
        if accuracy is not None and math.isfinite(accuracy):
            self.judge = {"judge/accuracy": accuracy}
            text = "the critic tells {percent} % of pairs of a held-out text and a written one apart; half of them is guessing"
            self.watcher.said(tr(text, percent=round(100 * accuracy)))
        return accuracy is not None

    def _settle(self) -> None:
        """Neither is this."""
        before = time.monotonic()
        self.trainer.settle()
        self.began += time.monotonic() - before

    def _tick(self, journal: Journal, shown_before: int) -> None:
        rate = self._rate(shown_before)
        entry = journal.entry(self.elapsed, rate, rate / (self.plan.recipe.train.batch or 1))
        losses = {name: value for name, value in entry.items() if name.partition("/")[0] in self.trainer.players}
        self.trainer.check(losses)
        if remark := self.trainer.family.remark(losses, self.trainer.at):
            self.watcher.said(str(remark))
        self.save(shown_before)
        if self.autopilot is not None:
            entry |= self.autopilot.numbers()
        entry |= self.judge
        journal.write(entry, self.autopilot.events if self.autopilot else [])
        self.watcher.ticked(entry)

    def save(self, shown_before: int) -> None:
        """State first, then the weights made from it; each file is whole or absent."""
        tensors, counters = self.trainer.state()
        if self.autopilot is not None:
            kept, memory = self.autopilot.state()
            tensors, counters = tensors | kept, counters | {"autopilot": memory}
        write_tensors(self.run.state, tensors, {**counters, "seconds": self.elapsed, "per_second": self._rate(shown_before)})
        self.run.save_weights(self.trainer.averaged, self.plan.recipe, self.plan.made, self.trainer.shown / 1000)
        self.saved = time.monotonic()


def going_on(run: RunFolder) -> str:
    """How to go on with a stopped run, in words."""
    return tr("stopped and saved; go on with: fenshen train --resume {run}", run=run.path)

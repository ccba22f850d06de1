"""What `fenshen train` shows while it trains: a progress bar on a terminal, one plain line per tick elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.progress import BarColumn, Progress, TaskID, TextColumn

from fenshen.cli.console import Speaker
from fenshen.data import Dataset, Texts
from fenshen.lang import tr
from fenshen.phrases import duration
from fenshen.recipe import Pretrained, Writing
from fenshen.run import Made, RunFolder
from fenshen.training.session import Plan, Watcher
from fenshen.training.wording import tokens_per_row


class Showing(Watcher):
    """Says where the run is and how fast; `run` is None until its folder exists."""

    def __init__(self, speaker: Speaker):
        self.speaker = speaker
        self.run: RunFolder | None = None
        self.progress: Progress | None = None
        self.task: TaskID | None = None
        self.plan: Plan | None = None

    def said(self, text: str) -> None:
        self.speaker.say(text)

    def started(self, plan: Plan, run: RunFolder) -> None:
        self.plan, self.run = plan, run
        self.speaker.say(tr("Run: {path}", path=run.path), "bold")
        for line in introduction(plan):
            self.speaker.say(line)
        if self.speaker.console.is_terminal:
            columns = (BarColumn(), TextColumn("{task.percentage:3.0f}%"), TextColumn("{task.description}"))
            self.progress = Progress(*columns, console=self.speaker.console)
            self.task = self.progress.add_task("", total=plan.seconds or 1.0)
            self.progress.start()

    def stepped(self, kimg: float, plan_kimg: float, per_second: float, seconds_left: float, losses: dict[str, float]) -> None:
        if self.progress is None or self.task is None or self.plan is None:
            return
        done = min(1.0, kimg / plan_kimg)
        told = game(losses)
        text = tr("{speed}, {left} left; {losses}", speed=speed(self.plan, per_second), left=duration(seconds_left), losses=told)
        total = 1.0 if done >= 1 else self._elapsed() + seconds_left
        self.progress.update(self.task, description=text, total=total, completed=total if done >= 1 else self._elapsed())

    def _elapsed(self) -> float:
        assert self.progress is not None
        return self.progress.tasks[0].elapsed or 0.0

    def ticked(self, entry: dict[str, Any]) -> None:
        if self.progress is not None:
            return
        told = game(entry)
        assert self.plan is not None
        text = "{kimg} kimg, {time}, {speed}, {losses}"
        rate = speed(self.plan, entry["per_second"])
        self.speaker.say(tr(text, kimg=f"{entry['kimg']:.1f}", time=duration(entry["seconds"]), speed=rate, losses=told))

    def close(self) -> None:
        """Leaves the terminal as it was."""
        if self.progress is not None:
            self.progress.stop()


def speed(plan: Plan, per_second: float) -> str:
    """How fast training goes: pictures, or tokens, per second."""
    if isinstance(plan.dataset, Texts):
        return tr("{rate} tokens/s", rate=f"{per_second * tokens_per_row(plan.recipe, plan.dataset):,.0f}")
    return tr("{rate} pictures/s", rate=f"{per_second:.0f}")


def game(values: dict[str, Any]) -> str:
    """The players' main losses: `critic 0.512, generator 0.903`; of words, the nats per token: `trained on 1.512, held out 1.603`."""
    names = {name: name.split("/")[0] for name in values if name.endswith("/adversarial")}
    told = [f"{tr(player)} {values[name]:.3f}" for name, player in names.items()]
    if "writer/nats" in values:
        told.append(tr("trained on {nats}", nats=f"{values['writer/nats']:.3f}"))
    if "held_out/nats" in values:
        told.append(tr("held out {nats} nats per token", nats=f"{values['held_out/nats']:.3f}"))
    return ", ".join(told)


def introduction(plan: Plan) -> list[str]:
    """What is trained on what, what the probe chose, how long it takes, what was left out."""
    data, train = plan.dataset, plan.recipe.train
    lines = [words_in_words(plan, data) if isinstance(data, Texts) else pictures_in_words(plan, data)]
    text = "{device}, {precision}, {threads} threads, {speed}; about {time}"
    told = speed(plan, plan.probed.pictures_per_second)
    lines.append(tr(text, device=plan.device, precision=train.precision, threads=train.threads, speed=told, time=duration(plan.seconds)))
    if data.skipped:
        text = "{count} files cannot be read and are left out (listed in data.json); the first is {name}: {reason}"
        lines.append(tr(text, count=len(data.skipped), name=data.skipped[0][0], reason=data.skipped[0][1]))
    return lines


def pictures_in_words(plan: Plan, data: Dataset) -> str:
    """How many pictures, of what size, with how many labels or groups."""
    text = "{train} pictures at {resolution} pixels, {held_out} more held out; {classes} labels"
    if isinstance(plan.made, Made) and plan.made.grouped:
        text = "{train} pictures at {resolution} pixels, {held_out} more held out; no labels, {classes} groups found"
    return tr(text, train=f"{len(data.train):,}", resolution=data.resolution, held_out=f"{len(data.held_out):,}", classes=len(plan.made.classes))


def words_in_words(plan: Plan, data: Texts) -> str:
    """How much text, and what a network of what kind reads of it."""
    train, held_out = (int(data.lengths[part].sum()) for part in (data.train, data.held_out))
    text = "{train} tokens of {vocabulary} kinds, {held_out} more held out; {family}, {size}: {parameters} weights, reads {context} tokens at most"
    model = plan.recipe.model
    assert isinstance(model, Writing)
    family: str = model.family
    if isinstance(model, Pretrained):
        family = Path(model.start).name
        text = "{train} tokens of {vocabulary} kinds, {held_out} more held out; goes on from {family}, {parameters} weights are learnt, reads " \
               "{context} tokens at most"  # fmt: skip
    return tr(text, train=f"{train:,}", vocabulary=f"{data.alphabet.size:,}", held_out=f"{held_out:,}", family=family, size=model.size,
              parameters=f"{sum(plan.parameters.values()):,}", context=model.context)  # fmt: skip

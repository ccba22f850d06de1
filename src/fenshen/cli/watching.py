"""What `fenshen train` shows while it trains: a progress bar on a terminal, one plain line per tick elsewhere."""

from __future__ import annotations

from typing import Any

from rich.progress import BarColumn, Progress, TaskID, TextColumn

from fenshen.cli.console import Speaker, duration
from fenshen.lang import tr
from fenshen.run import RunFolder
from fenshen.training.session import Plan, Watcher


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
        if self.progress is None or self.task is None:
            return
        done = min(1.0, kimg / plan_kimg)
        told = game(losses)
        text = tr("{rate} pictures/s, {left} left; {losses}", rate=f"{per_second:.0f}", left=duration(seconds_left), losses=told)
        total = 1.0 if done >= 1 else self._elapsed() + seconds_left
        self.progress.update(self.task, description=text, total=total, completed=total if done >= 1 else self._elapsed())

    def _elapsed(self) -> float:
        assert self.progress is not None
        return self.progress.tasks[0].elapsed or 0.0

    def ticked(self, entry: dict[str, Any]) -> None:
        if self.progress is not None:
            return
        told = game(entry)
        text = "{kimg} kimg, {time}, {rate} pictures/s, {losses}"
        self.speaker.say(tr(text, kimg=f"{entry['kimg']:.1f}", time=duration(entry["seconds"]), rate=f"{entry['per_second']:.0f}", losses=told))

    def close(self) -> None:
        """Leaves the terminal as it was."""
        if self.progress is not None:
            self.progress.stop()


def game(values: dict[str, Any]) -> str:
    """The players' main losses: `critic 0.512, generator 0.903`."""
    names = {name: name.split("/")[0] for name in values if name.endswith("/adversarial")}
    return ", ".join(f"{tr(player)} {values[name]:.3f}" for name, player in names.items())


def introduction(plan: Plan) -> list[str]:
    """What is trained on what, what the probe chose, how long it takes, what was left out."""
    recipe, data = plan.recipe, plan.dataset
    train = recipe.train
    text = "{train} pictures at {resolution} pixels, {held_out} more held out; {classes} labels"
    if plan.made.grouped:
        text = "{train} pictures at {resolution} pixels, {held_out} more held out; no labels, {classes} groups found"
    lines = [tr(text, train=f"{len(data.train):,}", resolution=data.resolution, held_out=f"{len(data.held_out):,}", classes=len(plan.made.classes))]
    text = "{device}, {precision}, {threads} threads, {rate} pictures/s; about {time}"
    time = duration(plan.seconds)
    lines.append(
        tr(text, device=plan.device, precision=train.precision, threads=train.threads, rate=f"{plan.probed.pictures_per_second:.0f}", time=time)
    )
    if data.skipped:
        text = "{count} files cannot be read and are left out (listed in data.json); the first is {name}: {reason}"
        lines.append(tr(text, count=len(data.skipped), name=data.skipped[0][0], reason=data.skipped[0][1]))
    return lines

"""The autopilot: watches a training as a person would, says what goes wrong, and changes the recipe or goes back.

It sees what any adversarial training shows: losses, logits, gradient norms, how far a step moves the weights, and how far the
samples are from real pictures and how various they are (`training.examine`). A diagnosis is a name for a pattern of these
numbers (`training.diagnosis`); each has remedies from mild to strong, and the last of all is the default recipe with new
networks. Nothing here knows which setting is at fault.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from fenshen.errors import DivergedError
from fenshen.generate import Order
from fenshen.lang import Said, said
from fenshen.recipe import Recipe
from fenshen.run import Tensors
from fenshen.training.diagnosis import STRETCH, Chart, Remedy, advice, diagnose, named, remedies
from fenshen.training.examine import COST, COUNT, Examiner, Goal, Look, missing
from fenshen.training.loop import Report, Trainer

LOOKS = 50  # Looks in a run, at most.
LOOK_SEED = 2**40  # Latents that nobody else draws.
RESCUES = 6
SYNC_EVERY = 8  # Steps between two looks at numbers that are on another device.
PATIENCE = 4  # Looks that a remedy is given.
HEARD = 128  # Training pictures, and held-out ones, that the critic is asked about at every look.


class Event(NamedTuple):
    """What was found at a moment of the plan, and what was done about it."""

    kimg: float
    found: Said | None
    done: Said

    def json(self) -> dict[str, Any]:
        """As a line of autopilot.jsonl."""
        return {"kimg": self.kimg, "found": self.found, "done": self.done}

    @classmethod
    def read(cls, line: dict[str, Any]) -> Event:
        return cls(line["kimg"], line["found"] and Said(*line["found"]), Said(*line["done"]))

    def __str__(self) -> str:
        return str(self.done) if self.found is None else f"{self.found}: {self.done}"


class Autopilot:
    """Hears of every step of `trainer`; `say` gets each action as a sentence. `examiner` None: no samples are looked at."""

    def __init__(self, trainer: Trainer, examiner: Examiner | None, safe: Recipe, say: Callable[[Event], None]):
        assert trainer.recipe.train.kimg
        self.trainer, self.examiner, self.safe, self.say = trainer, examiner, safe, say
        self.every = max(trainer.recipe.train.kimg / LOOKS, COUNT / COST / 1000 if examiner else 0.0)
        self.chart, self.tried, self.rescues = Chart(), dict[str, int](), 0
        self.events: list[Event] = []
        self.next_look, self.wait_until, self.resigned = 0.0, 0.0, False
        self.healthy: tuple[Tensors, dict[str, Any]] | None = None
        self.best: Tensors = {}
        self.best_look: Look | None = None
        self.before: dict[str, list[Tensor]] = {}
        self.goal = Goal(examiner) if examiner and trainer.recipe.autopilot.until else None
        self.goal_met = False

    def before_step(self) -> None:
        """Remembers the weights when the coming step's length is to be measured."""
        if self._kimg + self.trainer.recipe.pictures_per_step / 1000 >= self.next_look:
            self.before = {name: [p.detach().clone() for p in player.parameters()] for name, player in self.trainer.players.items()}

    def after_step(self, report: Report) -> bool:
        """Takes note; acts at once on what is broken, on the rest at the next look. Whether the step was sound."""
        if self.trainer.device.type != "cpu" and self.trainer.steps % SYNC_EVERY:
            return True
        norms = {name: float(value) for name, value in report.norms.items()}
        if not all(math.isfinite(value) for value in (*norms.values(), *map(float, report.losses.values()))):
            self._act("broken")
            return False
        self.chart.add(norms)
        if "critic/real" in report.signals:
            real, fake = report.signals["critic/real"].float(), report.signals["critic/fake"].float()
            self.chart.judge(float((real > fake).float().mean()), float((real - fake).mean()))
        if self.chart.exploding():
            self._act("exploded")
            return False
        if self._kimg >= self.next_look:
            self.next_look = self._kimg + self.every
            self._look()
        return True

    @property
    def _kimg(self) -> float:
        return self.trainer.shown / 1000

    def _look(self) -> None:
        self.chart.step = {name: _moved(old, self.trainer.players[name].parameters()) for name, old in self.before.items()}
        self.before = {}
        if self.examiner is not None:
            self._overhear()
            self.chart.looks.append(self.examiner.look(self._kimg, self.pictures(COUNT)))
            self._check_goal()
        found = diagnose(self.chart, self.trainer.at.fraction, self.trainer.recipe)
        if found is None:
            self._remember()
        elif self._kimg >= self.wait_until:
            self._act(found)

    def _overhear(self) -> None:
        """How much the critic knows its training pictures by heart: what it says of them and of held-out ones, beside made ones."""
        gap = fmean(self.chart.gap) if self.chart.gap else 0.0
        ahead = self.trainer.ahead_of_held_out(HEARD)
        if ahead is not None and gap > 0:
            self.chart.by_heart.append(ahead / gap)

    def _check_goal(self) -> None:
        until = self.trainer.recipe.autopilot.until
        if self.goal and until and (reached := self.goal.times_floor(self.pictures(self.goal.count))) <= until:
            self.goal_met = True
            self._note(None, said("the goal is met: {reached} times the Fréchet distance of real pictures", reached=f"{reached:.2f}"))

    def pictures(self, count: int) -> np.ndarray:
        """What the averaged generator makes of latents that are always the same; uint8 (N, H, W, C)."""
        return self.trainer.pictures(Order(count, seed=LOOK_SEED + self.trainer.recipe.train.seed))

    def _remember(self) -> None:
        """The state to go back to, and the best samples so far."""
        self.healthy = self.trainer.state()
        if self.chart.looks and (self.best_look is None or self.chart.looks[-1].kid < self.best_look.kid):
            self.best_look = self.chart.looks[-1]
            self.best = {name: value.clone() for name, value in self.trainer.averaged.state_dict().items()}

    def _act(self, what: str) -> None:
        ladder = remedies(what, self.trainer.recipe, self.safe, self.chart, self.trainer.at.fraction, self.rescues > 0)
        step = self.tried.get(what, 0)
        if step >= len(ladder) or self.rescues >= RESCUES:
            return self._resign(what)
        remedy = ladder[step]
        self.tried[what], self.rescues = step + 1, self.rescues + 1
        self._note(named(what), remedy.said)
        self._apply(remedy)
        self.chart = Chart()  # What was seen before says nothing of what comes now.
        self.wait_until = self._kimg + PATIENCE * self.every

    def _apply(self, remedy: Remedy) -> None:
        trainer = self.trainer
        if remedy.back and self.healthy is not None:
            tensors, counters = self.healthy
            trainer.load(tensors, counters | {key: getattr(trainer, key) for key in ("steps", "drawn", "shown")} | {"changes": trainer.changes})
        trainer.adopt(remedy.changes)
        renew = tuple(trainer.players) if remedy.back and self.healthy is None else remedy.renew
        if renew:
            trainer.renew(renew)

    def _resign(self, what: str) -> None:
        if what in ("broken", "exploded"):
            raise DivergedError("training diverged at {kimg} kimg; {advice}",
                                kimg=f"{self._kimg:.1f}", advice=advice(what))  # fmt: skip
        if what == "getting worse":
            return  # Nothing is better than the default; the best generator is kept in any case.
        if not self.resigned:
            self._note(named(what), advice(what))
        self.resigned = True

    def _note(self, found: Said | None, done: Said) -> None:
        self.events.append(Event(self._kimg, found, done))
        self.say(self.events[-1])

    def numbers(self) -> dict[str, float]:
        """What the last look saw, for the log and its curves."""
        chart, seen = self.chart, dict[str, float]()
        if chart.looks:
            seen = {"look/kid": chart.looks[-1].kid, "look/diversity": chart.looks[-1].diversity, "look/missing": missing(chart.looks[-STRETCH:])}
        return seen | ({"look/by_heart": chart.by_heart[-1]} if chart.by_heart else {})

    def finish(self) -> Tensors | None:
        """The best averaged generator, where the last one is clearly worse."""
        if self.examiner is None or self.best_look is None:
            return None
        last = self.examiner.look(self._kimg, self.pictures(COUNT))
        best = self.best_look
        if last.kid <= best.kid + 2 * math.hypot(last.error, best.error):
            return None
        self._note(None, said("kept the generator of {kimg} kimg: the last one makes worse pictures", kimg=f"{best.kimg:.1f}"))
        return self.best

    def state(self) -> tuple[Tensors, dict[str, Any]]:
        """All that is needed to go on exactly."""
        tensors = {f"best.{name}": value for name, value in self.best.items()}
        tensors |= {f"healthy.{name}": value for name, value in (self.healthy[0] if self.healthy else {}).items()}
        memory = {
            "chart": asdict(self.chart), "tried": self.tried, "rescues": self.rescues, "every": self.every, "next_look": self.next_look,
            "wait_until": self.wait_until, "resigned": self.resigned, "best": self.best_look and asdict(self.best_look),
            "events": [event.json() for event in self.events],
            "healthy": self.healthy[1] if self.healthy else None,
        }  # fmt: skip
        return tensors, memory

    def load(self, tensors: Tensors, memory: dict[str, Any]) -> None:
        """Takes up what `state` gave."""
        chart = memory["chart"]
        self.chart = Chart(**chart | {"looks": [Look(**look) for look in chart["looks"]]})
        self.tried, self.rescues, self.resigned = memory["tried"], memory["rescues"], memory["resigned"]
        self.every, self.next_look, self.wait_until = (memory[key] for key in ("every", "next_look", "wait_until"))
        self.events = [Event.read(line) for line in memory["events"]]
        self.best_look = memory["best"] and Look(**memory["best"])
        self.best = {name.removeprefix("best."): value for name, value in tensors.items() if name.startswith("best.")}
        healthy = {name.removeprefix("healthy."): value for name, value in tensors.items() if name.startswith("healthy.")}
        self.healthy = (healthy, memory["healthy"]) if healthy else None


def _moved(old: list[Tensor], new: list[torch.nn.Parameter]) -> float:
    """‖Δw‖ / ‖w‖ of all weights together."""
    change = sum(float((b.detach() - a).square().sum()) for a, b in zip(old, new, strict=True))
    return math.sqrt(change / max(1e-12, sum(float(a.square().sum()) for a in old)))

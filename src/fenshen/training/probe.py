"""Times a few real steps under candidate settings and takes the fastest that is numerically sound; guesses the memory before."""

from __future__ import annotations

import itertools
import math
import os
import time
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor, nn

from fenshen.data.batches import free_bytes
from fenshen.errors import OutOfMemoryError, RecipeError
from fenshen.families.build import build
from fenshen.recipe import Adversary, Penalty, Recipe, Writing
from fenshen.run import Made, Written
from fenshen.training.loop import Trainer
from fenshen.training.material import Material
from fenshen.training.plan import backward_twice, enough_kimg

SECONDS = 10.0
LATER = 3  # Steps that are timed of a later stage.
COMPILED_FROM = 300.0  # Seconds of training from which on compiling, which takes about half a minute, is tried.
MOST_PARTS = 4  # More of them wait for each other in the interpreter.
Choice = dict[str, object]


@dataclass(frozen=True)
class Probed:
    """What the probe found: the recipe with its choices filled in, and every candidate's seconds per step.

    `stages`: from which part of the plan on a step takes how many seconds.
    """

    recipe: Recipe
    stages: tuple[tuple[float, float], ...]
    tried: tuple[tuple[str, float], ...]

    def seconds_of(self, fraction: float) -> float:
        """Of a plan of one step, what its first part takes."""
        ends = [*(begin for begin, _ in self.stages[1:]), 1.0]
        return sum(max(0.0, min(end, fraction) - begin) * seconds for (begin, seconds), end in zip(self.stages, ends, strict=True))

    @property
    def seconds_per_step(self) -> float:
        """In the mean over the plan."""
        return self.seconds_of(1.0)

    @property
    def pictures_per_second(self) -> float:
        """In the mean over the plan."""
        return self.recipe.pictures_per_step / self.seconds_per_step


def cores() -> int:
    """CPU cores this process may use; $OMP_NUM_THREADS is obeyed."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(allowed, int(os.environ.get("OMP_NUM_THREADS") or allowed))


def candidates(recipe: Recipe, device: torch.device, separable: bool) -> list[Choice]:
    """The settings worth timing, the likeliest first; what the recipe fixes is not varied."""
    train = recipe.train
    precisions = ["bf16", "fp32"] if train.precision == "auto" and device.type != "mps" else ["fp32"]
    precisions = precisions if train.precision == "auto" else [train.precision]
    threads = train.threads or cores()
    parts = [1] if device.type != "cpu" or not separable else sorted({min(threads, train.batch or 1, MOST_PARTS), 1}, reverse=True)
    parts = [train.parts] if train.parts else parts

    def layout(precision: str) -> bool:
        return precision == "bf16" and not isinstance(recipe.model, Writing) if train.channels_last is None else train.channels_last

    return [
        {"train.precision": p, "train.threads": threads, "train.parts": n, "train.compile": train.compile or False, "train.channels_last": layout(p)}
        for p, n in itertools.product(precisions, parts)
    ]  # fmt: skip


def probe(recipe: Recipe, made: Made | Written, dataset: Material, device: torch.device, seconds: float = SECONDS) -> Probed:
    """Steps of every candidate in turn until the time is up. Training itself is untouched: it seeds every step anew."""
    wished, recipe = recipe, recipe if recipe.train.kimg else recipe.set({"train.kimg": 1000.0})
    recipe = recipe.set({"train.ema_half_life_kimg": recipe.train.ema_half_life_kimg or 1.0})
    separable = build(made.space, made.told, recipe.model).separable
    if (recipe.train.parts or 1) > 1 and not separable:
        raise RecipeError("train.parts={parts}: a batch cannot be split with dropout or batch normalisation; leave it out", parts=recipe.train.parts)
    end, choices, trials = time.monotonic() + seconds, candidates(recipe, device, separable), list[_Trial]()
    for choice in choices:
        if trials and time.monotonic() > end - seconds / 2:
            break
        trial = _Trial(choice, Trainer(recipe.set(choice), made, dataset, device))
        if trial.sound or len(choices) == 1:
            trials.append(trial)
    if not trials:
        return probe(wished.set({"train.precision": "fp32"}), made, dataset, device, seconds)
    _take_turns(trials, end)
    best = min(trials, key=_Trial.median)
    if worth_compiling(wished, best.trainer, best.median()) and (other := _compiled(recipe, best, made, dataset)) is not None:
        _take_turns([best, other], time.monotonic() + seconds / 4)
        trials, best = [*trials, other], min(best, other, key=_Trial.median)
    best.settle()
    tried = tuple((_name(trial.choice), trial.median()) for trial in trials)
    return Probed(recipe.set(best.choice), best.stages(), tried)


class _Trial:
    """A candidate with a trainer of its own, warmed by one step, and the seconds that each further step took."""

    def __init__(self, choice: Choice, trainer: Trainer):
        self.choice, self.trainer, self.seconds = choice, trainer, list[float]()
        self.settle()
        self.sound = all(math.isfinite(float(value)) for value in trainer.step().losses.values())

    def settle(self) -> None:
        """Takes the threads that it wants."""
        torch.set_num_threads(int(str(self.choice["train.threads"])))

    def go(self) -> None:
        """One step, to its end."""
        self.settle()
        start = time.perf_counter()
        self.trainer.step()
        if self.trainer.device.type == "cuda":
            torch.cuda.synchronize()
        elif self.trainer.device.type == "mps":
            torch.mps.synchronize()
        self.seconds.append(time.perf_counter() - start)

    def median(self) -> float:
        """Seconds per step."""
        return median(self.seconds)

    def stages(self) -> tuple[tuple[float, float], ...]:
        """From which part of the plan on a step takes how many seconds: where it takes longer later, three are taken from there."""
        found, kimg = [(0.0, self.median())], self.trainer.recipe.train.kimg
        assert kimg
        for begin in self.trainer.family.stages[1:]:
            self.trainer.shown = math.ceil(begin * kimg * 1000)
            self.trainer.step()
            for _ in range(LATER):
                self.go()
            found.append((begin, median(self.seconds[-LATER:])))
        return tuple(found)


def _take_turns(trials: list[_Trial], end: float) -> None:
    """Until `end`, or until there is enough; once each in any case."""
    most = 20 if len(trials) > 1 else 5
    while any(not trial.seconds for trial in trials) or (time.monotonic() < end and len(trials[0].seconds) < most):
        for trial in trials:
            trial.go()


def worth_compiling(recipe: Recipe, trainer: Trainer, seconds_per_step: float) -> bool:
    """Whether a compiler may save more time of this training than it takes itself: on CUDA, and where the training is long."""
    train, rate = recipe.train, recipe.pictures_per_step / seconds_per_step
    if trainer.device.type != "cuda" or train.compile is not None or backward_twice(recipe) or not trainer.family.networks():
        return False
    kimg = train.kimg or enough_kimg(recipe, trainer.dataset)
    return min(60 * train.minutes if train.minutes else math.inf, 1000 * kimg / rate) >= COMPILED_FROM


def _compiled(recipe: Recipe, best: _Trial, made: Made | Written, dataset: Material) -> _Trial | None:
    """The same, compiled; None where this machine lacks what that needs, or the result is not sound."""
    choice = best.choice | {"train.compile": True}
    try:
        trial = _Trial(choice, Trainer(recipe.set(choice), made, dataset, best.trainer.device))
    except torch.OutOfMemoryError:
        raise
    except RuntimeError:  # No compiler for C, no Triton for this card.
        return None
    return trial if trial.sound else None


def _name(choice: Choice) -> str:
    words = [str(choice["train.precision"]), f"{choice['train.threads']} threads"]
    words += [f"{choice['train.parts']} parts"] if choice["train.parts"] != 1 else []
    words += ["channels_last"] if choice["train.channels_last"] else []
    return ", ".join([*words, "compiled"] if choice["train.compile"] else words)


def estimate_memory(recipe: Recipe, made: Made | Written) -> int:
    """Bytes that training will take, roughly: weights, their gradients, averages and moments, and the activations of a step."""
    assert recipe.train.batch
    family = build(made.space, made.told, recipe.model)
    elements: list[int] = []

    def count(module: nn.Module, inputs: object, output: Tensor | tuple[Tensor, object]) -> None:
        elements.append((output[0] if isinstance(output, tuple) else output).numel())

    for module in family.modules():
        if not list(module.children()):
            module.register_forward_hook(count)
    given = {"label": torch.zeros(2, dtype=torch.long)} if made.classes else {}
    with torch.no_grad():
        family(made.space.blank(2), given)
    weights, fixed = (sum(tensor.numel() for tensor in kind) for kind in (family.parameters(), family.buffers()))
    penalty = recipe.model.penalty if isinstance(recipe.model, Adversary) else Penalty(kind="none")
    penalised = 3 * (penalty.fraction or 1) if penalty.kind != "none" else 0
    return int(4 * (5 * weights + fixed) + 4 * 3 * recipe.train.batch * (sum(elements) / 2) * (1 + penalised))


def check_memory(recipe: Recipe, made: Made | Written, device: torch.device) -> int:
    """The estimate in bytes. OutOfMemoryError where that much is not free."""
    needed, free = estimate_memory(recipe, made), free_bytes(device)
    if needed > free:
        raise OutOfMemoryError(
            "training this needs about {needed:.1f} GB of memory and {free:.1f} GB are free: try --set train.batch={batch} or a smaller --size",
            needed=needed / 1e9, free=free / 1e9, batch=max(1, (recipe.train.batch or 1) // 4))  # fmt: skip
    return needed

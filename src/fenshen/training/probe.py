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
from fenshen.training.plan import backward_twice

SECONDS = 10.0
MOST_PARTS = 4  # More of them wait for each other in the interpreter.
Choice = dict[str, object]


@dataclass(frozen=True)
class Probed:
    """What the probe found: the recipe with its choices filled in, seconds per step, and every candidate's time."""

    recipe: Recipe
    seconds_per_step: float
    tried: tuple[tuple[str, float], ...]

    @property
    def pictures_per_second(self) -> float:
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
    compiled = [False, True] if device.type == "cuda" and not backward_twice(recipe) else [False]
    compiled = compiled if train.compile is None else [train.compile]

    def layout(precision: str) -> bool:
        return precision == "bf16" and not isinstance(recipe.model, Writing) if train.channels_last is None else train.channels_last

    return [
        {"train.precision": p, "train.threads": threads, "train.parts": n, "train.compile": c, "train.channels_last": layout(p)}
        for c, p, n in itertools.product(compiled, precisions, parts)
    ]  # fmt: skip


def probe(recipe: Recipe, made: Made | Written, dataset: Material, device: torch.device, seconds: float = SECONDS) -> Probed:
    """Steps of every candidate in turn until the time is up. Training itself is untouched: it seeds every step anew."""
    recipe = recipe if recipe.train.kimg else recipe.set({"train.kimg": 1000.0})
    recipe = recipe.set({"train.ema_half_life_kimg": recipe.train.ema_half_life_kimg or 1.0})
    separable = build(made.space, made.told, recipe.model).separable
    if (recipe.train.parts or 1) > 1 and not separable:
        raise RecipeError("train.parts={parts}: a batch cannot be split with dropout or batch normalisation; leave it out", parts=recipe.train.parts)
    end, choices = time.monotonic() + seconds, candidates(recipe, device, separable)
    trainers: list[tuple[Choice, Trainer, list[float]]] = []
    for choice in choices:
        if trainers and time.monotonic() > end - seconds / 2:
            break
        tried = recipe.set(choice)
        torch.set_num_threads(int(str(choice["train.threads"])))
        trainer = Trainer(tried, made, dataset, device)
        if _sound(trainer) or len(choices) == 1:
            trainers.append((choice, trainer, []))
    if not trainers:
        return probe(recipe.set({"train.precision": "fp32"}), made, dataset, device, seconds)
    while any(not times for _, _, times in trainers) or (time.monotonic() < end and len(trainers[0][2]) < (20 if len(trainers) > 1 else 5)):
        for choice, trainer, times in trainers:
            torch.set_num_threads(int(str(choice["train.threads"])))
            times.append(_timed(trainer))
    best, _, times = min(trainers, key=lambda entry: median(entry[2]))
    torch.set_num_threads(int(str(best["train.threads"])))
    return Probed(recipe.set(best), median(times), tuple((_name(choice), median(t)) for choice, _, t in trainers))


def _sound(trainer: Trainer) -> bool:
    """One warming step; whether every loss is a finite number."""
    return all(math.isfinite(float(value)) for value in trainer.step().losses.values())


def _timed(trainer: Trainer) -> float:
    start = time.perf_counter()
    trainer.step()
    if trainer.device.type == "cuda":
        torch.cuda.synchronize()
    elif trainer.device.type == "mps":
        torch.mps.synchronize()
    return time.perf_counter() - start


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
    weights = sum(p.numel() for p in family.parameters())
    penalty = recipe.model.penalty if isinstance(recipe.model, Adversary) else Penalty(kind="none")
    penalised = 3 * (penalty.fraction or 1) if penalty.kind != "none" else 0
    return int(4 * 5 * weights + 4 * 3 * recipe.train.batch * (sum(elements) / 2) * (1 + penalised))


def check_memory(recipe: Recipe, made: Made | Written, device: torch.device) -> int:
    """The estimate in bytes. OutOfMemoryError where that much is not free."""
    needed, free = estimate_memory(recipe, made), free_bytes(device)
    if needed > free:
        raise OutOfMemoryError(
            "training this needs about {needed:.1f} GB of memory and {free:.1f} GB are free: try --set train.batch={batch} or a smaller --size",
            needed=needed / 1e9, free=free / 1e9, batch=max(1, (recipe.train.batch or 1) // 4))  # fmt: skip
    return needed

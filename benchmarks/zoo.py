"""Trainings that are known to fail, each without and with the autopilot, same budget: how many end healthy?

    python benchmarks/zoo.py [--only digits,ring] [--kimg 40] [--seed 0]

Healthy: all weights finite; at least 90 % of the modes; and the distance above the floor at most three times that of the
default recipe on the same data. Modes are the ten digits, or the Gaussians; the distance is Fréchet's, in the features of the
encoder that `fenshen evaluate` uses (digits) or between the points themselves. Prints a line per run and the counts; appends
both to benchmarks/history.jsonl. The autopilot knows none of these settings.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from record import record

from fenshen.data import Dataset, prepare
from fenshen.errors import DivergedError
from fenshen.generate import Order, generate
from fenshen.measure.distances import frechet_distance
from fenshen.recipe import Recipe
from fenshen.run import Made
from fenshen.training.autopilot import Autopilot, Event
from fenshen.training.examine import Examiner, encoder_of
from fenshen.training.loop import Trainer
from fenshen.training.plan import complete, describe, told_data

HERE = torch.device("cpu")
SPREAD = 0.04  # Standard deviation of every Gaussian; the plane is [-1, 1]².
COUNT = 1000


@dataclass(frozen=True)
class Ground:
    """Data with a way to see it: features of pictures, and which mode each shows (-1: none)."""

    dataset: Dataset
    made: Made
    features: Callable[[np.ndarray], np.ndarray]
    modes: Callable[[np.ndarray], np.ndarray]
    count: int  # Of modes.
    base: dict[str, object]
    longer: float = 1.0  # Times the budget: points are cheap.


@dataclass(frozen=True)
class Animal:
    """A setting that fails: where, what is changed, and what happens in mid-training."""

    ground: str
    changes: dict[str, object]
    accident: Callable[[Trainer], None] | None = None


def points(centers_K2: np.ndarray, first: float | None = None, longer: float = 2.0, seed: int = 0) -> Ground:
    """A mixture of Gaussians in the plane as pictures of one pixel and two channels, 256 steps each; `first`: the first one's share."""
    rng, others = np.random.default_rng(seed), len(centers_K2) - 1
    shares = None if first is None else [first, *[(1 - first) / others] * others]
    which = rng.choice(len(centers_K2), 12_000, p=shares)
    plane = centers_K2[which] + SPREAD * rng.standard_normal((len(which), 2))
    pictures = ((plane + 1) * 127.5).round().clip(0, 255).astype(np.uint8)[:, None, None, :]
    template = prepare(Recipe().data)
    dataset = replace(template, pictures=pictures, labels=None, classes=(), train=np.arange(10_000), held_out=np.arange(10_000, 12_000))

    def features(pictures_NHWC: np.ndarray) -> np.ndarray:
        return pictures_NHWC.reshape(len(pictures_NHWC), 2) / 127.5 - 1

    def modes(pictures_NHWC: np.ndarray) -> np.ndarray:
        distance = np.linalg.norm(features(pictures_NHWC)[:, None] - centers_K2[None], axis=2)
        return np.where(distance.min(1) < 4 * SPREAD, distance.argmin(1), -1)

    base = {"model.groups": 0, "model.condition": "none", "data.resolution": 8, "model.penalty.gamma": 0.02, "train.batch": 256}
    return Ground(dataset, Made(2, (1, 1)), features, modes, len(centers_K2), base, longer)


def ring(first: float | None = None) -> Ground:
    angle = 2 * np.pi * np.arange(8) / 8
    return points(0.7 * np.stack([np.cos(angle), np.sin(angle)], 1), first, longer=4.0)


def grid() -> Ground:
    line = np.linspace(-0.8, 0.8, 5)
    return points(np.stack(np.meshgrid(line, line), -1).reshape(-1, 2))


def digits(keep: Callable[[Dataset, np.ndarray], np.ndarray] | None = None) -> Ground:
    """The built-in digits, not told which is which; `keep` chooses from the training pictures and from those held out, alike.

    Seen by an encoder of all of them.
    """
    dataset = prepare(Recipe().data)
    encoder = encoder_of(dataset, HERE, lambda text: None)
    chosen = dataset if keep is None else replace(dataset, train=keep(dataset, dataset.train), held_out=keep(dataset, dataset.held_out))

    def modes(pictures_NHWC: np.ndarray) -> np.ndarray:
        probabilities = encoder.read(pictures_NHWC).probabilities
        assert probabilities is not None
        return probabilities.argmax(1)

    base = {"model.groups": 0, "model.condition": "none"}
    recipe = complete(Recipe().set(base), chosen, HERE)
    return Ground(chosen, describe(recipe, told_data(recipe, chosen)), lambda p: encoder.read(p).features, modes, 10, base)


def sixty(dataset: Dataset, part: np.ndarray) -> np.ndarray:
    """Few to train on, all that there are to measure with."""
    return np.random.default_rng(0).choice(part, 60, replace=False) if part is dataset.train else part


@torch.no_grad()
def poison(trainer: Trainer) -> None:
    """One weight becomes not a number."""
    next(trainer.family.critic.parameters()).view(-1)[0] = math.nan


def garbage(trainer: Trainer) -> None:
    """One batch of values a hundred thousand times too large."""
    read = trainer._read
    trainer._read = lambda x: 1e5 * read(x)  # type: ignore[method-assign]
    trainer.step()
    trainer._read = read  # type: ignore[method-assign]


GROUNDS: dict[str, Callable[[], Ground]] = {
    "digits": digits, "ring": ring, "grid": grid, "lopsided ring": lambda: ring(0.95), "sixty": lambda: digits(sixty),
}  # fmt: skip
BARE = {"model.penalty.kind": "none"}
ZOO = {
    "learning rate x30": Animal("digits", {"train.lr": 0.03}),
    "no penalty": Animal("digits", BARE | {"model.objective": "nonsaturating"}),
    "minimax, 25 Gaussians": Animal("grid", BARE | {"model.objective": "minimax"}),
    "minimax, ring": Animal("ring", BARE | {"model.objective": "minimax"}),
    "critic too strong": Animal("digits", BARE | {"model.objective": "minimax", "train.lr": 1e-4, "train.lr_critic": 3e-3, "model.critic_steps": 5}),
    "critic too weak": Animal("digits", {"train.lr_critic": 1e-6}),
    "batch of 2": Animal("digits", {"train.batch": 2}),
    "not a number": Animal("digits", {}, poison),
    "one kind 95 %, minimax": Animal("lopsided ring", BARE | {"model.objective": "minimax"}),
    "60 pictures, as they are": Animal("sixty", {"train.augmentation": "off"}),
    "a batch of garbage": Animal("digits", {}, garbage),
    "WGAN without clipping": Animal("digits", BARE | {"model.objective": "wgan", "model.clip_weights": 0.0, "train.lr": 1e-3}),
    "penalty x10000": Animal("ring", {"model.penalty.gamma": 200.0}),
}


def recipe_for(ground: Ground, changes: dict[str, object], kimg: float, seed: int) -> Recipe:
    wanted = {"train.kimg": kimg, "train.seed": seed, "train.threads": 1, "train.parts": 1, "train.precision": "fp32", "train.channels_last": False,
              "train.ema_half_life_kimg": 0.02 * kimg}  # fmt: skip
    return complete(Recipe().set(ground.base | wanted | changes), ground.dataset, HERE)


def train(ground: Ground, animal: Animal, kimg: float, seed: int, autopilot: bool) -> tuple[np.ndarray | None, list[str]]:
    """Pictures made at the end, None where training broke; what the autopilot said."""
    kimg *= ground.longer
    recipe = recipe_for(ground, animal.changes, kimg, seed)
    dataset = told_data(recipe, ground.dataset)
    trainer, said = Trainer(recipe, ground.made, dataset, HERE), list[str]()

    def say(event: Event) -> None:
        said.append(f"{event.kimg:.1f} kimg: {event}")

    pilot = Autopilot(trainer, Examiner(ground.features, dataset, seed), recipe_for(ground, {}, kimg, seed), say) if autopilot else None
    accident = animal.accident
    while not trainer.finished:
        if accident and trainer.shown > 250 * kimg:
            accident(trainer)
            accident = None
        if pilot is not None:
            pilot.before_step()
        report = trainer.step()
        if pilot is None:
            if not all(math.isfinite(float(value)) for value in report.losses.values()):
                return None, said
            continue
        try:
            pilot.after_step(report)
        except DivergedError as error:
            return None, [*said, str(error)]
    if pilot is not None and (best := pilot.finish()):
        trainer.averaged.load_state_dict(best)
    return np.concatenate([made for made, _ in generate(trainer.averaged, ground.made, Order(COUNT, seed=1))]), said


def score(ground: Ground, pictures: np.ndarray | None) -> tuple[float, float]:
    """Distance above the floor, and the share of modes that have at least a tenth of what training pictures have."""
    if pictures is None:
        return math.inf, 0.0
    dataset = ground.dataset
    held_out = ground.features(dataset.pictures[dataset.held_out])
    floor = frechet_distance(ground.features(dataset.pictures[np.random.default_rng(0).choice(dataset.train, COUNT)]), held_out)
    found = ground.modes(pictures)
    counts = np.bincount(found[found >= 0], minlength=ground.count)
    real = ground.modes(dataset.pictures[dataset.train])
    due = np.bincount(real[real >= 0], minlength=ground.count) / len(real) * COUNT
    return frechet_distance(ground.features(pictures), held_out) - floor, float((counts >= 0.1 * due).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kimg", type=float, default=40.0, help="budget of every run; points get twice, rings four times as much")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="comma-separated parts of names")
    parser.add_argument("--quiet", action="store_true", help="do not append to history.jsonl")
    options = parser.parse_args()
    torch.set_num_threads(1)
    started = time.monotonic(), time.process_time()
    chosen = {name: animal for name, animal in ZOO.items() if not options.only or any(part in name for part in options.only.split(","))}
    grounds = {name: GROUNDS[name]() for name in dict.fromkeys(animal.ground for animal in chosen.values())}
    sane = {}
    for name, ground in grounds.items():
        sane[name] = score(ground, train(ground, Animal(name, {}), options.kimg, options.seed, False)[0])
        print(f"default recipe on {name}: {sane[name][0]:.4g} above the floor, {sane[name][1]:.0%} of the modes", flush=True)
    healthy = {False: 0, True: 0}
    for name, animal in chosen.items():
        ground = grounds[animal.ground]
        for autopilot in (False, True):
            began = time.monotonic()
            pictures, said = train(ground, animal, options.kimg, options.seed, autopilot)
            distance, modes = score(ground, pictures)
            well = modes >= 0.9 and distance <= 3 * max(sane[animal.ground][0], 1e-9)
            healthy[autopilot] += well
            line = {
                "benchmark": "zoo", "date": str(date.today()), "setting": name, "autopilot": autopilot, "kimg": options.kimg * ground.longer,
                "seed": options.seed,
                "healthy": bool(well), "distance": None if math.isinf(distance) else round(distance, 5), "sane": round(sane[animal.ground][0], 5),
                "modes": modes, "seconds": round(time.monotonic() - began, 1), "said": said,
            }  # fmt: skip
            record(line, options.quiet)
    total = {"benchmark": "zoo", "date": str(date.today()), "settings": len(chosen), "healthy_off": healthy[False], "healthy_on": healthy[True],
             "minutes": round((time.monotonic() - started[0]) / 60, 1), "cpu_minutes": round((time.process_time() - started[1]) / 60, 1)}  # fmt: skip
    record(total, options.quiet)


if __name__ == "__main__":
    main()

"""Pictures per second: our step against the same networks in a plain PyTorch loop, and against the first article's GAN.

    python benchmarks/throughput.py [--resolution 28] [--batch 64] [--rounds 12]

All contenders take turns in one process, so that whatever else the machine does hits them alike; medians are compared. The
plain loop is what a tutorial would write: fp32, default memory layout, Adam as it comes, one weight average per parameter.
Appends one line to benchmarks/history.jsonl.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from statistics import median

import numpy as np
import torch
from record import record
from torch.nn.functional import softplus

import fenshen  # noqa: F401  first: it sets what must be set before torch is imported
from fenshen.data import Dataset, prepare
from fenshen.families.gan import GAN
from fenshen.recipe import Data, Recipe, load_recipe
from fenshen.run import Made
from fenshen.training.loop import Trainer
from fenshen.training.plan import complete, describe, pick_device
from fenshen.training.probe import probe


def made_dataset(resolution: int) -> Dataset:
    """Random gray pictures of ten classes: speed does not depend on what they show."""
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (12_000, resolution, resolution, 1), np.uint8)
    like = prepare(Data(source="digits"))
    everything = np.arange(len(pictures))
    return replace(
        like, pictures=pictures, labels=rng.integers(0, 10, len(pictures)), train=everything, held_out=everything[:0], resolution=resolution
    )


def plain_loop(recipe: Recipe, made: Made, dataset: Dataset, device: torch.device, penalised: float) -> Callable[[], None]:
    """One step of a plain loop with the same networks and the relativistic loss; `penalised`: part of the batch under exact R1 + R2."""
    assert recipe.train.batch and recipe.model.penalty.gamma is not None
    batch, gamma = recipe.train.batch, recipe.model.penalty.gamma
    gan = GAN(made.space, made.told, recipe.model).to(device)
    average = copy.deepcopy(gan.sampler)
    judge = [*gan.critic.parameters(), *gan.judges.parameters()]
    on_critic = torch.optim.Adam(judge, 1e-3, (0.0, 0.99))
    on_generator = torch.optim.Adam(gan.sampler.parameters(), 1e-3, (0.0, 0.99))
    pictures = torch.from_numpy(dataset.pictures).permute(0, 3, 1, 2).to(device)
    labels = torch.from_numpy(dataset.labels).to(device)

    def draw() -> tuple[torch.Tensor, dict[str, torch.Tensor], torch.Tensor]:
        chosen = torch.randint(len(pictures), (batch,), device=device)
        return pictures[chosen].float() / 127.5 - 1, {"label": labels[chosen]}, torch.randn(batch, recipe.model.latent, device=device)

    def penalty(x: torch.Tensor, given: dict[str, torch.Tensor]) -> torch.Tensor:
        count = max(1, round(penalised * batch))
        x = x[:count].detach().requires_grad_()
        (gradient,) = torch.autograd.grad(gan.score(x, {k: v[:count] for k, v in given.items()}).sum(), x, create_graph=True)
        return gamma / 2 * gradient.square().flatten(1).sum(1).mean()

    def step() -> None:
        real, given, z = draw()
        fake = gan.sampler(z, given).detach()
        loss = softplus(gan.score(fake, given) - gan.score(real, given)).mean()
        if penalised:
            loss = loss + penalty(real, given) + penalty(fake, given)
        on_critic.zero_grad()
        loss.backward()
        on_critic.step()
        real, given, z = draw()
        loss = softplus(gan.score(real, given) - gan.score(gan.sampler(z, given), given)).mean()
        on_generator.zero_grad()
        loss.backward()
        on_generator.step()
        with torch.no_grad():
            for mean, value in zip(average.parameters(), gan.sampler.parameters(), strict=True):
                mean.mul_(0.998).add_(value, alpha=0.002)

    return step


def ours(recipe: Recipe, made: Made, dataset: Dataset, device: torch.device) -> Callable[[], None]:
    trainer = Trainer(recipe, made, dataset, device)
    return lambda: trainer.step() and None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resolution", type=int, default=28)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    device, dataset = pick_device(options.device), made_dataset(options.resolution)
    base = load_recipe("gan").set({"train.kimg": 1000.0, "train.batch": options.batch, "train.augmentation": "off"})
    recipe = complete(base, dataset, device)
    made = describe(recipe, dataset)
    recipe = probe(recipe, made, dataset, device).recipe
    article = complete(load_recipe("article").set({"train.kimg": 1000.0, "train.batch": options.batch}), dataset, device)
    article = article.set({"train.precision": "fp32", "train.threads": recipe.train.threads, "train.compile": False, "train.ema_half_life_kimg": 1.0})
    contenders = {
        "ours": ours(recipe, made, dataset, device),
        "plain, no penalty": plain_loop(recipe, made, dataset, device, 0.0),
        "plain, same penalty": plain_loop(recipe, made, dataset, device, recipe.model.penalty.fraction),
        "plain, exact penalties on the whole batch": plain_loop(recipe, made, dataset, device, 1.0),
        "article": ours(article, describe(article, dataset), dataset, device),
    }
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(options.rounds + 2):
        for name, step in contenders.items():
            began = time.perf_counter()
            step()
            if device.type == "cuda":
                torch.cuda.synchronize()
            times[name].append(time.perf_counter() - began)
    speeds = {name: round(options.batch / median(values[2:]), 1) for name, values in times.items()}
    line = {
        "benchmark": "throughput", "date": str(date.today()), "resolution": options.resolution, "batch": options.batch, "rounds": options.rounds,
        "device": torch.cuda.get_device_name() if device.type == "cuda" else f"cpu, {recipe.train.threads} threads",
        "precision": recipe.train.precision,
        "pictures_per_second": speeds, "ratio": {name: round(speeds["ours"] / speed, 2) for name, speed in speeds.items()},
    }  # fmt: skip
    record(line)


if __name__ == "__main__":
    main()

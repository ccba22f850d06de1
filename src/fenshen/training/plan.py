"""Fills in what a recipe leaves open, from the data and the device; refuses what cannot work before anything starts."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch

from fenshen.data import Dataset, Texts
from fenshen.data.groups import default_groups, group
from fenshen.errors import RecipeError
from fenshen.families.base import WIDTHS
from fenshen.recipe import Adversary, Autoencoding, Gan, Model, OverCodes, Recipe, Restore, Restoring, Size, Vae
from fenshen.run import Made, Written
from fenshen.training.codecs import complete_codes
from fenshen.training.material import Material
from fenshen.training.wording import complete_words, describe_words, enough_rows

CHANNELS = {"gray": 1, "colour": 3, "alpha": 4}
SMALL_SET = 10_000
SMALL_PICTURE = 32  # Pixels a side, up to which dense layers show an autoencoder three to seven times as many pictures on two cores.


def pick_device(wanted: str) -> torch.device:
    """auto: CUDA, else Apple's MPS, else the CPU. RecipeError for a device that is not there."""
    mps = torch.backends.mps.is_available()
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if mps else "cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError:
        device = None
    there = device is not None and (
        device.type == "cpu"
        or (device.type == "cuda" and (device.index or 0) < torch.cuda.device_count())
        or (device.type == "mps" and mps)
    )  # fmt: skip
    if device is None or not there:
        raise RecipeError("--device {wanted}: not on this machine; auto takes the best there is, cpu always works", wanted=wanted)
    return device


def told_data(recipe: Recipe, dataset: Dataset) -> Dataset:
    """The data with the labels that the model is told: its own, found groups, or none. `recipe` is complete."""
    if uses_labels(recipe, dataset):
        return dataset
    if recipe.model.groups:
        return group(dataset, recipe.model.groups, recipe.train.seed)
    return replace(dataset, labels=None, classes=())


def uses_labels(recipe: Recipe, dataset: Dataset) -> bool:
    """Whether the model is told the pictures' own labels. RecipeError where it should be and there are none."""
    labelled = dataset.labels is not None and len(dataset.classes) > 1
    if recipe.model.condition == "label" and not labelled:
        raise RecipeError(
            "model.condition=label, but the pictures have no labels: put each class in a folder of its own, or set model.condition=none"
        )
    return labelled and recipe.model.condition != "none"


def describe(recipe: Recipe, dataset: Material) -> Made | Written:
    """What a model trained on this data (after `told_data`) makes."""
    if isinstance(dataset, Texts):
        return describe_words(recipe, dataset)
    size, channels = (dataset.resolution, dataset.resolution), CHANNELS[dataset.channels]
    if dataset.labels is None:
        return Made(channels, size)
    counts = [int((dataset.labels[dataset.train] == i).sum()) for i in range(len(dataset.classes))]
    return Made(channels, size, dataset.classes, tuple(count / sum(counts) for count in counts), bool(recipe.model.groups))


def complete(recipe: Recipe, dataset: Material, device: torch.device) -> Recipe:
    """The recipe with everything filled in but what the probe decides: the kimg of a plan in minutes, threads, precision, layout."""
    if isinstance(dataset, Texts):
        return complete_words(recipe, dataset, device)
    model, train = recipe.model, recipe.train
    _check(recipe, dataset.resolution)
    if model.label_head and (not uses_labels(recipe, dataset) or (isinstance(model, Vae) and model.quantizer != "none")):
        raise RecipeError("model.label_head={value} needs labels, and a latent vector or a critic that can say them; leave it out",
                          value=model.label_head)  # fmt: skip
    restoring = isinstance(model, Restoring)
    adversarial, wgan = isinstance(model, Adversary), isinstance(model, Adversary) and model.objective == "wgan"
    count, size = len(dataset.train), model.size or default_size(device, dataset.resolution)
    batch = train.batch or default_batch(device, dataset.resolution, count, restoring)
    filled = {
        "data.resolution": dataset.resolution,
        "data.channels": dataset.channels,
        "model.size": size,
        "model.groups": 0 if uses_labels(recipe, dataset) else _groups(model, count),
        "train.batch": batch,
        "train.optimizer": train.optimizer or ("rmsprop" if wgan else "adam"),
        "train.lr": train.lr or default_lr(recipe, dataset.resolution, size),
        "train.weight_decay": train.weight_decay or 0.0,
        "train.beta1": (0.0 if adversarial else 0.9) if train.beta1 is None else train.beta1,
        "train.beta2": (0.99 if adversarial else 0.999) if train.beta2 is None else train.beta2,
        "train.augmentation": default_augmentation(model, count) if train.augmentation == "auto" else train.augmentation,
        "train.device": str(device),
    }
    if isinstance(model, Adversary):
        filled |= _adversary(model, dataset.resolution, batch)
    if isinstance(model, Autoencoding):
        filled["model.latent"] = model.latent or (16 if dataset.resolution <= 32 else 64)
    if isinstance(model, Vae):
        dense = device.type == "cpu" and dataset.resolution <= SMALL_PICTURE and model.quantizer == "none"
        filled["model.network"] = model.network or ("mlp" if dense else "conv")
        filled["model.halvings"] = (2 if dataset.resolution <= 64 else 3) if model.halvings is None else model.halvings
    if isinstance(model, OverCodes):
        filled |= complete_codes(recipe, model, dataset, dataset.classes if uses_labels(recipe, dataset) else (), size)
        filled |= {"train.optimizer": train.optimizer or "adamw", "train.lr": train.lr or 2e-3}
    if train.minutes is None and train.kimg is None:
        filled["train.minutes"] = 3.0 if recipe.data.source == "digits" else 10.0
    return recipe.set(filled)


def _adversary(model: Adversary, resolution: int, batch: int) -> dict[str, Any]:
    kind = model.penalty.kind or {"relativistic": "r1+r2", "wgan-gp": "gp", "hinge": "r1", "nonsaturating": "r1"}.get(model.objective, "none")
    return {
        "model.penalty.kind": kind,
        "model.penalty.gamma": default_gamma(kind, resolution) if model.penalty.gamma is None else model.penalty.gamma,
        "model.penalty.fraction": model.penalty.fraction or default_fraction(batch),
        "model.critic_steps": model.critic_steps or (5 if model.objective in ("wgan", "wgan-gp") else 1),
        "model.clip_weights": (0.01 if model.objective == "wgan" else 0.0) if model.clip_weights is None else model.clip_weights,
    }


def enough_kimg(recipe: Recipe, dataset: Material) -> float:
    """Of a complete recipe: how long a plan may be that has only a time to end at. Pictures have no such limit."""
    return enough_rows(recipe, dataset) / 1000 if isinstance(dataset, Texts) else math.inf


def backward_twice(recipe: Recipe) -> bool:
    """Whether a step differentiates a gradient, which a compiled network cannot."""
    return isinstance(recipe.model, Adversary) and recipe.model.penalty.method == "exact" and recipe.model.penalty.kind != "none"


def _check(recipe: Recipe, resolution: int) -> None:
    model, train, adapt = recipe.model, recipe.train, recipe.adapt
    if isinstance(model, Restoring):
        _check_restoring(recipe, model, resolution)
    if adapt.parent is None and (adapt.freeze or adapt.replay or adapt.anchor):
        raise RecipeError("the keys adapt.freeze, adapt.replay and adapt.anchor need a trained run to begin from: fenshen adapt RUN DATA")
    if isinstance(model, Gan) and model.codes.length >= model.latent:
        raise RecipeError("model.codes take {codes} entries of a latent of {latent}: set model.latent higher", codes=model.codes.length,
                          latent=model.latent)  # fmt: skip
    if train.compile and backward_twice(recipe):
        raise RecipeError("train.compile=true cannot go backward twice: set model.penalty.method=finite, or leave train.compile out")
    if not isinstance(model, Adversary):
        if train.augmentation in ("adaptive", "fixed") or train.lr_critic:
            text = "model.family={family} has no critic: leave train.augmentation and train.lr_critic out; data.augment changes the pictures"
            raise RecipeError(text, family=model.family)
        return
    if model.label_smoothing and model.objective not in ("minimax", "nonsaturating", "lsgan"):
        raise RecipeError("model.label_smoothing={value}: {objective} has no targets to smooth; leave it out", value=model.label_smoothing,
                          objective=model.objective)  # fmt: skip


def _check_restoring(recipe: Recipe, model: Restoring, resolution: int) -> None:
    if model.task == "upscale" and resolution % model.factor:
        raise RecipeError("pictures of {side} pixels are no multiple of model.factor={factor}: set data.resolution={fitting}", side=resolution,
                          factor=model.factor, fitting=max(8, resolution // model.factor * model.factor))  # fmt: skip
    if recipe.autopilot.until is not None:
        raise RecipeError("--until: a run that restores pictures has no distance to stop at; use --minutes or --kimg")
    if recipe.train.augmentation in ("adaptive", "fixed"):
        raise RecipeError("train.augmentation would change what the critic sees and not what it is told: leave it out; data.augment changes both")


def default_lr(recipe: Recipe, resolution: int, size: Size) -> float:
    """WGAN 5e-5 (Arjovsky 2017), WGAN-GP and the articles' networks 1e-4; repairing 3e-4, since its U-Net explodes at more; else 1e-3, and
    half of that above 32 px where there is a critic or an encoder.

    Against a critic this is for `nano`, and wider networks learn more slowly: a step of Adam changes what a layer says in proportion to its
    width (Yang et al. 2021, "Tensor programs V", table 3)."""
    model = recipe.model
    if isinstance(model, Adversary) and model.objective == "wgan":
        return 5e-5
    if isinstance(model, Adversary) and (model.objective == "wgan-gp" or model.network in ("dcgan", "mlp")):
        return 1e-4
    if isinstance(model, Restoring) and model.task == "inpaint":
        return 3e-4
    lr = 1e-3 if resolution <= 32 or isinstance(model, Restore) else 5e-4
    return lr * WIDTHS["nano"] / WIDTHS[size] if isinstance(model, Adversary) else lr


def default_size(device: torch.device, resolution: int) -> Size:
    """What two CPU cores, or a GPU, can train in minutes."""
    if device.type == "cpu":
        return "nano"
    return "base" if resolution <= 64 else "small"


def default_augmentation(model: Model, count: int) -> str:
    """Of what a critic sees, where pictures are few; but not of a picture beside what it was made of."""
    return "adaptive" if isinstance(model, Adversary) and not isinstance(model, Restoring) and count < SMALL_SET else "off"


def default_batch(device: torch.device, resolution: int, count: int, restoring: bool = False) -> int:
    """Never more than a small set holds. On a CPU, where steps are what is short, 64, above 32 px 32, above 128 px 16; for restoring,
    where every pixel teaches, 8. On a GPU 256, above 64 px 64."""
    wanted = 256 if resolution <= 64 else 64
    if device.type == "cpu":
        wanted = 8 if restoring else 64 if resolution <= 32 else 32 if resolution <= 128 else 16
    return wanted if count >= wanted else max(2, 2 ** (count.bit_length() - 1))


def default_fraction(batch: int) -> float:
    """An eighth of each batch of 64 and more, a quarter of smaller ones; penalising more is slower, and gained nothing measurable."""
    return 0.125 if batch >= 64 else 0.25


def _groups(model: Model, count: int) -> int:
    """As wished; else as many as the pictures are enough for, or none where codes or an encoder find out what there is."""
    if model.groups is not None:
        return model.groups
    return 0 if not isinstance(model, Gan) or model.codes.length else default_groups(count)


def default_gamma(kind: str, resolution: int) -> float:
    """Weight of the penalty: 10 for WGAN-GP (Gulrajani 2017); R1, R2: grows with the number of pixels (Karras 2020, auto)."""
    if kind == "gp":
        return 20.0
    return 0.0 if kind == "none" else 0.5 * (resolution / 28) ** 2

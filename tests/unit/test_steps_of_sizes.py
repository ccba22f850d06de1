"""Networks of all sizes learn at the same pace: what a derived learning rate does to a critic does not depend on how wide it is."""

from __future__ import annotations

import pytest
import torch

from fenshen.data import prepare
from fenshen.families.adversarial import Adversarial
from fenshen.recipe import Recipe
from fenshen.training.loop import Trainer
from fenshen.training.plan import complete, default_lr, describe, told_data


def first_step(size: str) -> float:
    """By how much the first step moves the critic's opinion of some pictures."""
    changes = {"model.size": size, "train.batch": 4, "train.kimg": 1.0, "train.precision": "fp32", "train.threads": 1}
    recipe, device = Recipe().set(changes | {"train.ema_half_life_kimg": 1.0, "train.augmentation": "off"}), torch.device("cpu")
    dataset = prepare(recipe.data)
    recipe = complete(recipe, dataset, device)
    dataset = told_data(recipe, dataset)
    trainer = Trainer(recipe, describe(recipe, dataset), dataset, device)
    assert isinstance(trainer.family, Adversarial)
    x_BCHW, given = trainer._draw("critic")
    before = trainer.family.score(x_BCHW, given).detach()
    trainer.parts.backward("critic", x_BCHW, given, trainer.at, trainer.noise)
    trainer.optimizers["critic"].step()
    return float((trainer.family.score(x_BCHW, given) - before).detach().abs().mean())


def test_a_first_step_is_as_long_for_a_wide_critic() -> None:
    """With the learning rate of a narrow one it is twice as long; `base`, four times as wide, diverged on a GPU (docs/LOG.md)."""
    assert first_step("small") == pytest.approx(first_step("nano"), rel=0.4)


def test_the_learning_rate_falls_with_the_width_where_there_is_a_critic() -> None:
    gan, vae = Recipe(), Recipe().set({"model.family": "vae"})
    assert [default_lr(gan, 28, size) for size in ("nano", "small", "base", "large")] == [1e-3, 5e-4, 2.5e-4, 1.25e-4]
    assert default_lr(gan, 64, "base") == 1.25e-4 and default_lr(vae, 28, "base") == 1e-3
    assert default_lr(gan.set({"model.objective": "wgan"}), 28, "base") == 5e-5

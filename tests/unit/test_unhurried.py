"""A step of training asks for no number: on a GPU each such question waits until all work so far is done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from written import story

from fenshen.data import prepare, prepare_texts
from fenshen.recipe import Recipe
from fenshen.training.loop import Trainer
from fenshen.training.plan import complete, describe, told_data

WORDS = {"model.family": "autoregressive", "model.width": 32, "model.depth": 2, "model.context": 24, "model.dropout": 0.1}
CASES: dict[str, dict[str, Any]] = {
    "gan": {"train.augmentation": "off"},
    "augmented": {"train.augmentation": "fixed", "train.augmentation_strength": 0.5, "data.augment.flip": 0.5},
    "wgan": {"model.objective": "wgan", "train.augmentation": "off"},
    "vae": {"model.family": "vae"},
    "vaegan": {"model.family": "vaegan", "train.augmentation": "off"},
    "restore": {"model.family": "restore", "data.resolution": 12},
    "transformer": WORDS | {"model.net": "transformer"},
    "lstm": WORDS | {"model.net": "lstm"},
}


class Overhears(TorchDispatchMode):
    """Counts what a GPU would have to be waited for: a value as a Python number, a shape that depends on values."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        asks = torch.Tag.data_dependent_output in func.tags or torch.Tag.dynamic_output_shape in func.tags
        if func is torch.ops.aten.index.Tensor:  # By numbers of known count, or by a mask, whose count has to be found out.
            asks = any(index is not None and index.dtype == torch.bool for index in args[1])
        if asks:
            self.asked.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("case", CASES)
def test_a_step_asks_for_nothing(case: str, tmp_path: Path) -> None:
    words = "model.width" in CASES[case]
    source = tmp_path / ("made.txt" if words else "made.npz")
    if words:
        source.write_text("\n\n".join(map(story, range(8))))
    else:
        np.savez(source, images=np.random.default_rng(0).integers(0, 256, (40, 12, 12, 3), np.uint8), labels=np.arange(40) % 4)
    recipe = Recipe().set({"data.source": str(source), "train.kimg": 1.0, "train.batch": 8, "train.precision": "fp32", "train.clip_norm": 1.0,
                           "train.clip_value": 1.0, "train.threads": 1, "train.ema_half_life_kimg": 0.1} | CASES[case])  # fmt: skip
    dataset = prepare_texts(recipe.data) if words else prepare(recipe.data)
    recipe = complete(recipe, dataset, torch.device("cpu"))
    dataset = dataset if words else told_data(recipe, dataset)
    trainer = Trainer(recipe, describe(recipe, dataset), dataset, torch.device("cpu"))
    trainer.step()
    with Overhears() as heard:
        report = trainer.step()
        assert not heard.asked, "on a GPU this step waits"
        float(next(iter(report.losses.values())))
    assert heard.asked, "what a number costs is overheard"

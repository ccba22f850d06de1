"""Ten steps on tiny made data: a refactoring must not change these losses.

New ones are accepted with `FENSHEN_GOLDEN=write pytest tests/golden`, and a line in CHANGELOG.md.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from written import story

from fenshen.data import prepare, prepare_texts
from fenshen.recipe import Recipe
from fenshen.training.loop import Trainer
from fenshen.training.plan import complete, describe, told_data

FILE = Path(__file__).with_name("losses.json")
WORDS = {"model.width": 32, "model.depth": 2, "model.context": 24, "model.dropout": 0.1}
CASES = {
    "default": {},
    "residual": {"model.network": "residual"},
    "augmented": {"train.augmentation_strength": 0.5, "data.augment.flip": 0.5, "model.instance_noise": 0.1},
    "wgan-gp": {"model.objective": "wgan-gp"},
    "transformer": {"model.family": "autoregressive", "model.net": "transformer"} | WORDS,
    "lstm": {"model.family": "autoregressive", "model.net": "lstm"} | WORDS,
    "article": {"model.network": "dcgan", "model.objective": "nonsaturating", "model.penalty.kind": "none"},
}


def first_losses(changes: dict, tmp_path: Path) -> list[dict[str, float]]:
    words = "model.width" in changes
    source = tmp_path / ("made.txt" if words else "made.npz")
    if words:
        source.write_text("\n\n".join(map(story, range(8))))
    else:
        rng = np.random.default_rng(0)
        np.savez(source, images=rng.integers(0, 256, (40, 12, 12, 3), np.uint8), labels=np.arange(40) % 4)
    recipe = Recipe().set({"data.source": str(source), "train.kimg": 1.0, "train.batch": 8, "train.precision": "fp32",
                           "train.threads": 1, "train.channels_last": False, "train.ema_half_life_kimg": 0.1} | changes)  # fmt: skip
    device = torch.device("cpu")
    dataset = prepare_texts(recipe.data) if words else prepare(recipe.data)
    recipe = complete(recipe, dataset, device)
    dataset = dataset if words else told_data(recipe, dataset)
    trainer = Trainer(recipe, describe(recipe, dataset), dataset, device)
    return [{name: float(value) for name, value in trainer.step().losses.items()} for _ in range(10)]


@pytest.mark.parametrize("case", CASES)
def test_first_ten_steps(case: str, tmp_path: Path) -> None:
    losses = first_losses(CASES[case], tmp_path)
    golden = json.loads(FILE.read_text()) if FILE.exists() else {}
    if os.environ.get("FENSHEN_GOLDEN") == "write":
        FILE.write_text(json.dumps(golden | {case: losses}, indent=1))
        return
    for step, (have, want) in enumerate(zip(losses, golden[case], strict=True)):
        assert have == pytest.approx(want, rel=2e-3, abs=2e-4), f"step {step}"

"""Every restoring family × task × 1, 2 and 3 axes takes two steps: finite, every weight moves, any size comes back as it should."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from matrix.test_families import CRITIC, steps

from fenshen.errors import RecipeError
from fenshen.families.build import build, build_sampler
from fenshen.families.restore import Restorer, damaged, told_of
from fenshen.recipe import Restoring, parse
from fenshen.space import Grid

SPACES = (Grid(1, (32,)), Grid(4, (16, 16)), Grid(3, (12, 20)), Grid(1, (8, 8, 8)))
FAMILIES = {"restore": {}, "restoregan": CRITIC}


def model_of(family: str, task: str, **more: object) -> Restoring:
    model = parse({"model": {"family": family, "task": task, "size": "nano", "depth": 1} | FAMILIES[family] | more}, "here").model
    assert isinstance(model, Restoring)
    return model


@pytest.mark.parametrize("space", SPACES, ids=str)
@pytest.mark.parametrize("family,task", list(product(FAMILIES, ("upscale", "inpaint"))))
def test_family_task_space(family: str, task: str, space: Grid) -> None:
    torch.manual_seed(0)
    model = model_of(family, task, distance="charbonnier")
    made = build(space, {}, model)
    before = {key: value.clone() for key, value in made.named_parameters()}
    logs = list(steps(made, {}, 3))
    assert all(torch.isfinite(torch.tensor(list(log.values()))).all() for log in logs)
    assert {"reconstruction", "squared_error"} <= set(logs[-1]) and ("adversarial" in logs[-1]) == (family == "restoregan")
    still = [key for key, value in made.named_parameters() if torch.equal(value, before[key])]
    assert not still, f"these never moved: {still}"
    x = torch.rand(3, space.channels, *space.size) * 2 - 1
    assert torch.isfinite(made.familiarity(x, {})).all() and torch.isfinite(made(x, {})).all()
    source = next(iter(damaged(x, model).values()))
    assert source.shape[1:] == (next(iter(told_of(space, model).values())).channels, *next(iter(told_of(space, model).values())).size)
    assert isinstance(made.sampler, Restorer)
    whole = made.sampler.restore(source)
    assert whole.shape == x.shape and float(whole.abs().max()) <= 1


def test_a_restorer_makes_nothing_from_nothing() -> None:
    sampler = build_sampler(SPACES[0], {}, model_of("restore", "upscale"))
    with pytest.raises(RecipeError, match="--input"):
        sampler.sample(torch.zeros(2, 1), {})


@pytest.mark.parametrize("task", ["upscale", "inpaint"])
def test_overfits_one_batch(task: str) -> None:
    """A few pictures by heart: far better than before."""
    torch.manual_seed(0)
    family = build(Grid(1, (16, 16)), {}, model_of("restore", task))
    x = torch.nn.functional.interpolate(torch.rand(4, 1, 5, 5), 16, mode="bilinear").round() * 2 - 1
    optimizer = torch.optim.Adam(family.parameters(), 3e-3)
    errors = []
    for _ in range(60):
        losses = family.losses("restorer", x, {}, None, torch.Generator().manual_seed(0))  # type: ignore[arg-type]
        optimizer.zero_grad()
        losses.terms["reconstruction"].mean().backward()
        optimizer.step()
        errors.append(float(losses.signals["squared_error"].mean()))
    assert errors[-1] < 0.3 * errors[0]

"""Every family × 1, 2 and 3 axes × condition takes two steps: finite, every weight moves, samples have the right shape and range."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from matrix.test_gan import draw_given

from fenshen.condition import Label
from fenshen.families.autoencoder import Autoencoder
from fenshen.families.base import At, Family
from fenshen.families.build import build, build_sampler
from fenshen.recipe import Train, parse
from fenshen.space import Grid
from fenshen.training.optim import make_optimizer

SPACES = (Grid(1, (40,)), Grid(2, (16, 16)), Grid(3, (13, 21)), Grid(1, (8, 8, 8)))
CONDITIONS = ("none", "label", "grid")
CRITIC = {"critic_steps": 1, "clip_weights": 0.0, "penalty": {"kind": "r1+r2", "gamma": 0.1, "fraction": 0.5}}
MODELS: dict[str, dict[str, Any]] = {
    "gan": {"family": "gan", "latent": 8} | CRITIC,
    "vae": {"family": "vae", "latent": 8},
    "vae bernoulli": {"family": "vae", "latent": 8, "likelihood": "bernoulli", "free_bits": 0.05},
    "vae residual": {"family": "vae", "latent": 8, "network": "residual"},
    "vae mlp": {"family": "vae", "latent": 8, "network": "mlp"},
    "vaegan": {"family": "vaegan", "latent": 8} | CRITIC,
    "vaegan residual": {"family": "vaegan", "latent": 8, "network": "residual", "likelihood": "bernoulli", "objective": "hinge"} | CRITIC,
    "vae vq": {"family": "vae", "quantizer": "vq", "halvings": 2},
    "vae fsq": {"family": "vae", "quantizer": "fsq", "halvings": 1, "network": "residual"},
}


def told_of(condition: str, space: Grid) -> dict[str, Label | Grid]:
    match condition:
        case "label":
            return {"label": Label(3)}
        case "grid":
            return {"image": Grid(2, tuple(max(2, s // 2) for s in space.size))}
    return {}


def family_of(name: str, space: Grid, told: dict[str, Label | Grid], **changes: object) -> Family:
    torch.manual_seed(0)
    return build(space, told, parse({"model": {"size": "nano"} | MODELS[name] | changes}, "here").model)


def steps(family: Family, told: dict[str, Label | Grid], count: int = 2, at: At | None = None) -> Iterator[dict[str, float]]:
    """The losses and signals of `count` rounds, each player moving as the loop moves it."""
    train = Train.model_validate({"lr": 1e-3, "optimizer": "adam", "beta1": 0.0, "beta2": 0.99})
    optimizers = {name: make_optimizer(train, player, name) for name, player in family.players().items()}
    for _ in range(count):
        for name, player in family.players().items():
            for p in family.parameters():
                p.requires_grad_(False)
            for p in player.parameters():
                p.requires_grad_(True)
            x = torch.rand(8, family.space.channels, *family.space.size) * 2 - 1
            losses = family.losses(name, x, draw_given(told, 8), at or At(0.5, 0.5))
            optimizers[name].zero_grad(set_to_none=True)
            torch.stack([term.mean() for term in losses.terms.values()]).sum().backward()
            optimizers[name].step()
            family.after_step(name, losses)
            yield {k: float(v.detach().float().mean()) for k, v in (losses.terms | losses.signals).items()}


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("space", SPACES, ids=str)
@pytest.mark.parametrize("name", MODELS)
def test_family_space_condition(name: str, space: Grid, condition: str) -> None:
    told = told_of(condition, space)
    family = family_of(name, space, told)
    before = {key: value.clone() for key, value in family.named_parameters()}
    assert all(torch.isfinite(torch.tensor(list(log.values()))).all() for log in steps(family, told))
    still = [key for key, value in family.named_parameters() if torch.equal(value, before[key])]
    assert not still, f"these never moved: {still}"
    x, given = torch.rand(5, space.channels, *space.size) * 2 - 1, draw_given(told, 5)
    assert family.familiarity(x, given).shape == (5,) and torch.isfinite(family(x, given)).all()
    samples = family.sampler.eval().sample(torch.randn(5, family.sampler.latent), given)
    assert samples.shape == x.shape and samples.dtype == torch.float32
    assert samples.min() >= -1 and samples.max() <= 1


@pytest.mark.parametrize("name", MODELS)
def test_what_is_kept_can_be_built_without_the_family(name: str) -> None:
    told = told_of("label", SPACES[1])
    family = family_of(name, SPACES[1], told)
    kept = build_sampler(SPACES[1], told, family.model)
    kept.load_state_dict(family.sampler.state_dict())
    z, given = torch.randn(3, kept.latent), draw_given(told, 3)
    assert torch.equal(kept.eval().sample(z, given), family.sampler.eval().sample(z, given))


@pytest.mark.parametrize("name", MODELS)
def test_same_seed_same_losses_bit_for_bit(name: str) -> None:
    def run() -> list[dict[str, float]]:
        return list(steps(family_of(name, SPACES[1], {}), {}))

    assert run() == run()


@pytest.mark.parametrize("name", [name for name in MODELS if name != "gan"])
def test_condition_changes_what_is_made(name: str) -> None:
    for condition in ("label", "grid"):
        told = told_of(condition, SPACES[1])
        family = family_of(name, SPACES[1], told)
        list(steps(family, told, 3))
        z, given = torch.randn(4, family.sampler.latent), draw_given(told, 4)
        one, other = ({k: v(g) for k, g in given.items()} for v in (torch.zeros_like, torch.ones_like))
        assert not torch.allclose(family.sampler.sample(z, one), family.sampler.sample(z, other))


@pytest.mark.parametrize("name", ["gan", "vae", "vae mlp", "vaegan"])
def test_a_label_head_moves_learns_and_is_not_told(name: str) -> None:
    told = told_of("label", SPACES[1])
    family = family_of(name, SPACES[1], told, label_head=1.0)
    before = {key: value.clone() for key, value in family.named_parameters()}
    logs = list(steps(family, told))
    assert not [key for key, value in family.named_parameters() if torch.equal(value, before[key])]
    told_of_it = [log for log in logs if "label" in log]
    assert told_of_it and all(0 <= log["label_right"] <= 1 and log["label"] > 0 for log in told_of_it)
    if isinstance(family.sampler, Autoencoder):
        x = torch.rand(4, 2, 16, 16)
        means = [family.sampler.encode(x, {"label": torch.full((4,), label)}).mean_BD for label in (0, 2)]
        assert torch.equal(*means), "an encoder that is told the label has nothing to learn"

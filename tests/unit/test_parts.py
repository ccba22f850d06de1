"""A batch in parts: the gradient of the whole, whichever thread is faster."""

from __future__ import annotations

import copy

import pytest
import torch

from fenshen.condition import Label
from fenshen.families.base import At
from fenshen.families.gan import GAN
from fenshen.media.augment import Adaptive
from fenshen.recipe import Gan
from fenshen.space import Grid
from fenshen.training.parts import Parts

SPACE, TOLD = Grid(1, (8, 8)), {"label": Label(3)}
HERE = torch.device("cpu")


def family(**changes: object) -> GAN:
    torch.manual_seed(0)
    values = {"size": "nano", "latent": 8, "critic_steps": 1, "clip_weights": 0.0, "penalty": {"kind": "r1+r2", "gamma": 1.0, "fraction": 0.5}}
    made = GAN(SPACE, TOLD, Gan.model_validate(values | changes))
    made.augment = Adaptive(8, strength=0.5)
    return made


def noises(count: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(part) for part in range(count)]


def batch(count: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    draw = torch.Generator().manual_seed(9)
    return torch.rand(count, 1, 8, 8, generator=draw) * 2 - 1, {"label": torch.randint(3, (count,), generator=draw)}


def gradient(who: GAN, player: str) -> torch.Tensor:
    return torch.cat([p.grad.flatten() for p in who.players()[player].parameters() if p.grad is not None])


@pytest.mark.parametrize("player", ["critic", "generator"])
@pytest.mark.parametrize(("count", "size"), [(2, 8), (3, 8), (4, 3)])
def test_the_gradient_is_that_of_the_whole_batch(player: str, count: int, size: int) -> None:
    """Each part alone, with the same noise, weighted by its share of the batch: their sum. Parts may differ in size, or be empty."""
    whole, at, (x, given) = family(), At(0.0, 0.0), batch(size)
    parts = Parts(whole, count, count, "fp32", HERE)
    losses = parts.backward(player, x, given, at, noises(count))
    wanted, terms = 0.0, []
    for noise, part, label in zip(noises(count), x.tensor_split(count), given["label"].tensor_split(count), strict=True):
        if len(part):
            alone = copy.deepcopy(whole)
            told = alone.losses(player, part, {"label": label}, at, noise).terms
            alone.zero_grad()
            (sum(term.mean() for term in told.values()) * len(part) / size).backward()
            wanted, terms = wanted + gradient(alone, player), [*terms, told["adversarial"].detach()]
    torch.testing.assert_close(gradient(whole, player), wanted, atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(losses.terms["adversarial"], torch.cat(terms), atol=1e-5, rtol=1e-4)
    assert len(losses.signals["real"]) == size


def test_only_the_player_is_moved() -> None:
    whole, (x, given) = family(), batch(8)
    parts = Parts(whole, 2, 2, "fp32", HERE)
    for player, other in (("critic", "generator"), ("generator", "critic")):
        parts.backward(player, x, given, At(0.0, 0.0), noises(2))
        assert all(p.grad is not None for p in whole.players()[player].parameters())
        assert all(p.grad is None for p in whole.players()[other].parameters())


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_bits_do_not_depend_on_which_thread_is_faster(precision: str) -> None:
    found = []
    for _ in range(6):
        whole, (x, given) = family(), batch(32)
        parts = Parts(whole, 4, 4, precision, HERE)
        for player in ("critic", "generator"):
            parts.backward(player, x, given, At(0.0, 0.0), noises(4))
            found.append(gradient(whole, player))
    assert all(torch.equal(a, b) for a, b in zip(found[:2] * 5, found[2:], strict=True))


def test_copies_follow_the_weights() -> None:
    """Loading a state or an optimizer's step reaches every part: they share the memory."""
    whole = family()
    parts = Parts(whole, 2, 2, "fp32", HERE)
    state = {name: torch.randn_like(value) for name, value in whole.state_dict().items()}
    whole.load_state_dict(state)
    assert all(torch.equal(a, b) for a, b in zip(parts.copies[1].parameters(), whole.parameters(), strict=True))


def test_what_cannot_be_split() -> None:
    assert family().separable and not family(dropout=0.1).separable and not family(network="dcgan").separable

"""Information codes: a layout that can be turned and read back, losses that algebra knows, and pictures sorted without labels."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from fenshen.errors import RecipeError
from fenshen.families.base import At
from fenshen.families.codes import LEAST_LOG_SIGMA, Reader, coded, entropy, places, split, steps, turned
from fenshen.families.gan import GAN
from fenshen.generate import Order, generate, latents
from fenshen.measure.clusters import purity
from fenshen.recipe import Codes, Gan
from fenshen.run import Made
from fenshen.space import Grid

CODES = Codes(categorical=(4, 3), continuous=2)


def test_the_layout() -> None:
    assert CODES.length == 9 and Codes.model_validate({"categorical": 10}).categorical == (10,) and Codes().length == 0
    assert places(CODES) == {"categorical1": slice(0, 4), "categorical2": slice(4, 7), "continuous1": slice(7, 8), "continuous2": slice(8, 9)}
    assert list(places(Codes(categorical=(5,), continuous=1))) == ["categorical", "continuous"]


def test_noise_becomes_even_codes() -> None:
    z_BD = torch.randn(4000, 12, generator=torch.Generator().manual_seed(0))
    c_BD = coded(z_BD, CODES)
    (first, second), continuous = split(c_BD, CODES)
    for block, count in ((first, 4), (second, 3)):
        assert torch.equal(block.sum(1), torch.ones(4000)) and set(block.unique().tolist()) == {0.0, 1.0}
        share = block.mean(0)
        assert float((share - 1 / count).abs().max()) < 4 * math.sqrt(1 / count / 4000)
    assert all(kstest(column, "uniform", (-1, 2)).pvalue > 1e-3 for column in continuous.T.numpy())
    assert torch.equal(c_BD[:, 9:], z_BD[:, 9:])
    assert torch.equal(coded(z_BD, Codes()), z_BD)


def test_what_is_turned_is_what_is_coded() -> None:
    z_BD = torch.randn(6, 12)
    each = torch.tensor([0, 1, 2, 2, 1, 0.0])
    c_BD = coded(turned(z_BD, CODES, {"categorical1": 3, "categorical2": each, "continuous1": -0.25, "continuous2": 1}), CODES)
    (first, second), continuous = split(c_BD, CODES)
    assert (first.argmax(1) == 3).all() and torch.equal(second.argmax(1).float(), each)
    torch.testing.assert_close(continuous, torch.tensor([[-0.25, 1.0]]).expand(6, 2), atol=1e-5, rtol=0)
    assert torch.equal(c_BD[:, 9:], z_BD[:, 9:]) and torch.isfinite(c_BD).all()
    assert steps(CODES, "categorical2") == [0, 1, 2] and steps(CODES, "continuous1", 3) == [-1, 0, 1]


@pytest.mark.parametrize(("wanted", "message"), [
    ({"colour": 1}, "it has: categorical1"),
    ({"categorical1": 4}, "from 0 to 3"), ({"categorical1": 1.5}, "whole"), ({"continuous1": 1.1}, "between"),
])  # fmt: skip
def test_codes_that_there_are_not(wanted: dict[str, float], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        turned(torch.zeros(2, 12), CODES, wanted)


def test_the_bound_is_what_algebra_says() -> None:
    """A reader that knows nothing has information 0 for categories; one that is always right has log K, and the Gaussian's for the rest."""
    codes = Codes(categorical=(4,), continuous=1)
    reader, c_BD = Reader(5, codes), coded(torch.randn(8, 6), codes)
    with torch.no_grad():
        reader.leave.weight.zero_()
    terms, nats_B = reader.surprise(torch.randn(8, 5), c_BD)
    gauss_B = 0.5 * c_BD[:, 4].square() + 0.5 * math.log(2 * math.pi)
    torch.testing.assert_close(terms["categorical"], torch.full((8,), math.log(4)))
    torch.testing.assert_close(terms["continuous"], 0.1 * gauss_B)
    torch.testing.assert_close(nats_B, math.log(2) - gauss_B)

    reader.forward = lambda h_BD: ([1e4 * c_BD[:, :4]], c_BD[:, 4:5])  # type: ignore[method-assign]
    with torch.no_grad():
        reader.log_sigma_D.fill_(LEAST_LOG_SIGMA - 1)
    best = math.log(4) + math.log(2) - LEAST_LOG_SIGMA - 0.5 * math.log(2 * math.pi)
    torch.testing.assert_close(reader.surprise(torch.randn(8, 5), c_BD)[1], torch.full((8,), best))


def test_agreement_prefers_sure_even_and_steady() -> None:
    codes = Codes(categorical=(4,), agreement=1.0)
    reader = Reader(4, codes)
    reader.forward = lambda h_BD: ([h_BD], h_BD[:, :0])  # type: ignore[method-assign]
    even, one = 50 * torch.eye(4).repeat(2, 1), 50 * torch.eye(4)[[0] * 8]
    unsure, moved = torch.zeros(8, 4), even.roll(1, 0)
    good = float(reader.agreement(even, even))
    assert good == pytest.approx(-2 * math.log(4), abs=1e-4)
    assert all(float(reader.agreement(a, b)) > good + 1 for a, b in ((one, one), (unsure, unsure), (even, moved)))
    torch.testing.assert_close(entropy(torch.tensor([[0.25] * 4, [1.0, 0, 0, 0]])), torch.tensor([math.log(4), 0.0]))


def test_purity_counts_the_commonest_label_of_each_cluster() -> None:
    found, labels = np.array([0, 0, 0, 1, 1, 3]), np.array([2, 2, 1, 0, 0, 0])
    assert purity(found, labels) == pytest.approx(5 / 6)
    assert purity(np.zeros(4, int), np.arange(4)) == 0.25 and purity(np.arange(4), np.zeros(4, int)) == 1.0


def gan(codes: Codes, **changes: object) -> Gan:
    values = {"size": "nano", "latent": 16, "critic_steps": 1, "clip_weights": 0.0, "penalty": {"kind": "none", "gamma": 0.0}}
    return Gan.model_validate(values | {"codes": codes} | changes)


def test_a_code_can_be_fixed_and_the_rest_stays() -> None:
    """The same (seed, index) has the same rest of z, whatever the code; by code, all of a row share it."""
    torch.manual_seed(0)
    codes = Codes(categorical=(4,), continuous=1)
    made = Made(1, (8, 8))
    sampler = GAN(made.space, made.told, gan(codes)).sampler.eval()
    free, fixed = (latents(sampler, Order(6, 3, codes=told), range(6)) for told in ({}, {"categorical": 2.0}))
    assert torch.equal(free[:, 4:], fixed[:, 4:]) and (coded(fixed, codes)[:, 2] == 1).all()
    rows = latents(sampler, Order(8, 3, by_code="categorical"), range(8))
    assert torch.equal(rows[:4, 4:], rows[:1, 4:].expand(4, -1)) and not torch.equal(rows[0, 4:], rows[4, 4:])
    assert torch.equal(coded(rows, codes)[:4, :4], torch.eye(4))
    few, many = (np.concatenate([p for p, _ in generate(sampler, made, Order(n, 5, by_code="categorical"))]) for n in (3, 60))
    assert np.array_equal(few, many[:3])


def test_every_player_learns_from_the_codes() -> None:
    """The generator's and the critic's terms differ in whose weights move: both raise the same bound."""
    torch.manual_seed(0)
    family = GAN(Grid(1, (8, 8)), {}, gan(Codes(categorical=(3,), continuous=1)))
    x_BCS = torch.rand(8, 1, 8, 8) * 2 - 1
    critic, generator = (family.losses(player, x_BCS, {}, At(0, 0)) for player in ("critic", "generator"))
    assert {"categorical", "continuous", "agreement"} < set(critic.terms) and {"categorical", "continuous"} < set(generator.terms)
    assert critic.signals["information"].shape == (8,) and "agreement" not in generator.terms
    generator.terms["categorical"].mean().backward()
    assert all(p.grad is not None for p in family.sampler.parameters())
    assert not family.separable and GAN(Grid(1, (8, 8)), {}, gan(Codes(categorical=(3,), agreement=0.0))).separable


def test_squares_and_stripes_are_told_apart_without_labels() -> None:
    """Three kinds of pictures with noise: the code of a model that never saw a label is nearly pure."""
    torch.manual_seed(0)
    kinds = -torch.ones(3, 1, 8, 8)
    kinds[0, :, 2:6, 2:6], kinds[1, :, ::2], kinds[2, :, :, ::2] = 1, 1, 1
    family = GAN(Grid(1, (8, 8)), {}, gan(Codes(categorical=(3,))))
    optimizer = torch.optim.Adam(family.players()["critic"].parameters(), 3e-3, (0.0, 0.99))
    for _ in range(25):
        x_BCS = kinds[torch.randint(3, (24,))] + 0.5 * torch.randn(24, 1, 8, 8)
        losses = family.losses("critic", x_BCS, {}, At(0, 0))
        optimizer.zero_grad()
        sum(term.mean() for term in losses.terms.values()).backward()
        optimizer.step()
    label_N = torch.arange(60) % 3
    said = family.reader(family.read(kinds[label_N] + 0.5 * torch.randn(60, 1, 8, 8), {})[1])[0][0].argmax(1)
    assert purity(said.numpy(), label_N.numpy()) > 0.9

"""Sizes of pyramids, resampling, and initialisation."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fenshen.nets.blocks import crop, halvings, linear, pad, upsample
from fenshen.nets.critics import critic
from fenshen.nets.generators import generator, widths
from fenshen.space import Grid


@given(st.integers(8, 256))
def test_every_side_from_8_to_256_is_covered_with_little_waste(side: int) -> None:
    sizes = halvings((side, side), 4)
    assert 4 <= sizes[0][0] <= 8 and all(b[0] == 2 * a[0] for a, b in pairwise(sizes))
    assert side <= sizes[-1][0] < side * 1.25


@settings(deadline=None, max_examples=12)
@given(st.integers(8, 70), st.sampled_from([1, 3, 4]), st.sampled_from(["conv", "residual", "dcgan", "mlp"]))
def test_any_side_and_channels(side: int, channels: int, network: str) -> None:
    space = Grid(channels, (side, side))
    made = generator(space, network, 8, 8).eval()(torch.randn(2, 8))
    assert made.shape == (2, channels, side, side)
    judge = critic(space, network, 0, 8)
    logit_B, h_BD = judge(made)
    assert logit_B.shape == (2,) and h_BD.shape == (2, judge.judge.features)


def test_every_stage_costs_the_same_where_the_limits_allow() -> None:
    sizes = halvings((64, 64), 4)
    costs = [math.prod(size) * width**2 for size, width in zip(sizes, widths(sizes, 64), strict=True)]
    assert max(costs) == min(costs)


def test_pad_and_crop_are_inverse() -> None:
    x = torch.randn(2, 3, 5, 7)
    assert torch.equal(crop(pad(x, (8, 8)), (5, 7)), x)


def test_doubling_is_the_1_2_1_filter() -> None:
    out = upsample(torch.tensor([[[0.0, 0, 4, 0, 0]]]), (10,))
    assert out[0, 0].tolist() == [0, 0, 0, 1, 3, 3, 1, 0, 0, 0]


def test_linear_layers_keep_the_variance() -> None:
    torch.manual_seed(0)
    layer = linear(400, 300)
    assert layer(torch.randn(500, 400)).std().item() == pytest.approx(1, rel=0.05)

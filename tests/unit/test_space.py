"""What a space makes of a network's raw output."""

import torch

from fenshen.space import LEAK, Grid


def test_soft_leaks_where_hard_cuts() -> None:
    y = torch.tensor([[[-3.0, -1.0, -0.2, 0.0, 0.7, 1.0, 2.0]]], requires_grad=True)
    space = Grid(1, (7,))
    soft = space.soft(y)
    torch.testing.assert_close(soft, torch.tensor([[[-1 - 2 * LEAK, -1.0, -0.2, 0.0, 0.7, 1.0, 1 + LEAK]]]))
    (slope,) = torch.autograd.grad(soft.sum(), y)
    assert slope[0, 0, 0] == slope[0, 0, 6] and abs(float(slope[0, 0, 0]) - LEAK) < 1e-6 and slope[0, 0, 3] == 1
    hard = space.hard(soft)
    assert hard.min() == -1 and hard.max() == 1 and torch.equal(hard[..., 2:5], y[..., 2:5])

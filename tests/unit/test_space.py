"""What a space makes of a network's raw output."""

import torch

from fenshen.space import END, LEAK, Grid, Tokens, present


def test_soft_leaks_where_hard_cuts() -> None:
    y = torch.tensor([[[-3.0, -1.0, -0.2, 0.0, 0.7, 1.0, 2.0]]], requires_grad=True)
    space = Grid(1, (7,))
    soft = space.soft(y)
    torch.testing.assert_close(soft, torch.tensor([[[-1 - 2 * LEAK, -1.0, -0.2, 0.0, 0.7, 1.0, 1 + LEAK]]]))
    (slope,) = torch.autograd.grad(soft.sum(), y)
    assert slope[0, 0, 0] == slope[0, 0, 6] and abs(float(slope[0, 0, 0]) - LEAK) < 1e-6 and slope[0, 0, 3] == 1
    hard = space.hard(soft)
    assert hard.min() == -1 and hard.max() == 1 and torch.equal(hard[..., 2:5], y[..., 2:5])


def test_tokens_become_shares_and_back() -> None:
    space, tok = Tokens(5, (3,)), torch.tensor([[0, 4, 2]])
    assert torch.equal(space.hard(space.embed(tok)), tok) and space.embed(tok).sum(-1).eq(1).all()
    y = torch.randn(2, 3, 5, requires_grad=True)
    torch.testing.assert_close(space.soft(y).sum(-1), torch.ones(2, 3))
    assert torch.equal(space.embed(space.soft(y)), space.soft(y)) and torch.equal(space.hard(space.soft(y)), space.hard(y))
    assert space.axes == 1 and space.blank(2).tolist() == [[END] * 3] * 2


def test_only_what_is_present_counts() -> None:
    assert present(torch.tensor([0, 2, 3]), 3).tolist() == [[False] * 3, [True, True, False], [True] * 3]

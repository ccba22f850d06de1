"""What a model is told, as vectors: class indices, and places between classes."""

import torch

from fenshen.condition import Condition, Label
from fenshen.space import Grid


def test_shares_of_classes_lie_between_them() -> None:
    knows = Condition({"label": Label(3)}, Grid(1, (8, 8)))
    one_BD, _ = knows({"label": torch.tensor([0, 2])})
    same_BD, _ = knows({"label": torch.tensor([[1.0, 0, 0], [0, 0, 1]])})
    half_BD, _ = knows({"label": torch.tensor([[0.5, 0, 0.5]])})
    assert one_BD is not None and same_BD is not None and half_BD is not None
    assert torch.equal(one_BD, same_BD) and torch.allclose(half_BD[0], one_BD.mean(0))

"""What a model is told: a dict `given` of class indices or samples of some space, encoded to the form its use asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fenshen.nets.blocks import upsample
from fenshen.space import Grid


@dataclass(frozen=True)
class Label:
    """A class index in [0, classes)."""

    classes: int


Told = dict[str, "Label | Grid"]
Given = dict[str, Tensor]


def grown(table_ND: Tensor, known: Sequence[str], wanted: Sequence[str]) -> Tensor:
    """An embedding for other classes: a class of the same name keeps its row, a new one starts from the mean of all rows."""
    mean_D = table_ND.mean(0)
    return torch.stack([table_ND[known.index(name)] if name in known else mean_D for name in wanted])


class Condition(nn.Module):
    """`given` -> (c_BD, grid_BCS): labels as one learned vector, grids resized to the model's own and stacked.

    Each player owns one: the critic's and the generator's embeddings are learnt apart. `dim` is the length of c per label.
    A label is a class index (B), or shares of all classes (B, K), which need not be whole: something between two classes.
    """

    def __init__(self, told: Told, space: Grid, dim: int = 32):
        super().__init__()
        self.space = space
        self.labels = nn.ModuleDict({name: nn.Embedding(what.classes, dim) for name, what in told.items() if isinstance(what, Label)})
        self.grids = {name: what for name, what in told.items() if isinstance(what, Grid)}
        self.vector_length = dim * len(self.labels)
        self.grid_channels = sum(grid.channels for grid in self.grids.values())

    def forward(self, given: Given) -> tuple[Tensor | None, Tensor | None]:
        vectors = [_embedded(embedding, given[name]) for name, embedding in self.labels.items()]
        grids = [upsample(given[name], self.space.size) for name in self.grids]
        return (torch.cat(vectors, 1) if vectors else None), (torch.cat(grids, 1) if grids else None)


def _embedded(embedding: nn.Module, label: Tensor) -> Tensor:
    assert isinstance(embedding, nn.Embedding)
    return label @ embedding.weight if label.is_floating_point() else embedding(label)

"""A recurrent network of words: layers of LSTM. Hochreiter & Schmidhuber 1997; Zaremba et al. 2014 for where dropout goes.

Each layer adds to what it read, normalised, so that more than one or two of them can be trained.

Shape letters: B batch, L tokens, V vocabulary, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fenshen.nets.transformer import dropped, norm


class States:
    """What each layer remembers of everything read so far: h and c (1, B, D)."""

    def __init__(self, depth: int):
        self.parts: list[tuple[Tensor, Tensor] | None] = [None] * depth


class Recurrent(nn.Module):
    """Tokens to the logits of what follows each of them; however many it has read."""

    def __init__(self, vocab: int, width: int, depth: int, dropout: float = 0.0):
        super().__init__()
        self.dropout = dropout
        self.embed = nn.Embedding(vocab, width)
        self.layers = nn.ModuleList(nn.LSTM(width, width, batch_first=True) for _ in range(depth))
        self.leave = nn.Linear(width, vocab, bias=False)
        nn.init.zeros_(self.leave.weight)
        for layer in self.layers:
            _remembering(layer)

    def begin(self) -> States:
        """Nothing read yet."""
        return States(len(self.layers))

    def forward(self, tok_BL: Tensor, states: States | None = None, noise: torch.Generator | None = None) -> Tensor:
        """Logits (B, L, V), float32. With `states`, tok_BL goes on from what was read before."""
        part, states = self.dropout if self.training else 0.0, states or self.begin()
        x_BLD = norm(self.embed(tok_BL))
        for index, layer in enumerate(self.layers):
            y_BLD, states.parts[index] = layer(dropped(norm(x_BLD), part, noise), states.parts[index])
            x_BLD = x_BLD + y_BLD
        return self.leave(dropped(norm(x_BLD), part, noise)).float()


def _remembering(layer: nn.Module) -> None:
    """Forget gates that begin open, recurrent weights that begin orthogonal. Jozefowicz et al. 2015, Saxe et al. 2014."""
    for name, value in layer.named_parameters():
        if name.startswith("weight_hh"):
            for gate in value.data.chunk(4):
                nn.init.orthogonal_(gate)
        elif name.startswith("bias"):
            nn.init.zeros_(value)
            value.data[len(value) // 4 : len(value) // 2] = 0.5  # Two biases add up.

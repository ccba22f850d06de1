"""A recurrent network of words: layers of LSTM. Hochreiter & Schmidhuber 1997; Zaremba et al. 2014 for where dropout goes.

Each layer adds to what it read, normalised, so that more than one or two of them can be trained.

Shape letters: B batch, L tokens, V vocabulary, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fenshen.nets.transformer import dropped, masks, norm
from fenshen.space import present


class States:
    """What each layer remembers of everything read so far: h and c (1, B, D)."""

    def __init__(self, depth: int):
        self.parts: list[tuple[Tensor, Tensor] | None] = [None] * depth


class Recurrent(nn.Module):
    """Tokens to the logits of what follows each of them; however many it has read. `told`: length of a vector that it hears at every step."""

    def __init__(self, vocab: int, width: int, depth: int, dropout: float = 0.0, told: int = 0):
        super().__init__()
        self.dropout = dropout
        self.embed = nn.Embedding(vocab, width)
        self.layers = nn.ModuleList(nn.LSTM(width, width, batch_first=True) for _ in range(depth))
        self.leave = nn.Linear(width, vocab, bias=False)
        nn.init.zeros_(self.leave.weight)
        for layer in self.layers:
            _remembering(layer)
        self.hear = nn.Linear(told, width) if told else None

    def begin(self) -> States:
        """Nothing read yet."""
        return States(len(self.layers))

    def forward(
        self, tok_BL: Tensor, states: States | None = None, noise: torch.Generator | None = None, told_BD: Tensor | None = None
    ) -> Tensor:  # fmt: skip
        """Logits (B, L, V), float32. With `states`, tok_BL goes on from what was read before."""
        return self.leave(self.features(tok_BL, states, noise, told_BD)).float()

    def features(
        self, tok_BL: Tensor, states: States | None = None, noise: torch.Generator | None = None, told_BD: Tensor | None = None
    ) -> Tensor:  # fmt: skip
        """What is known after each token (B, L, D). Tokens may be int64 (B, L), or shares of the vocabulary (B, L, V)."""
        part, states = self.dropout if self.training else 0.0, states or self.begin()
        x_BLD = norm(tok_BL @ self.embed.weight if tok_BL.is_floating_point() else self.embed(tok_BL))
        if self.hear is not None and told_BD is not None:
            x_BLD = x_BLD + self.hear(told_BD)[:, None]
        *heard, last = masks(len(self.layers) + 1, len(x_BLD), x_BLD.shape[2], part, x_BLD, noise)
        for index, layer in enumerate(self.layers):
            assert isinstance(layer, nn.LSTM)
            heard_BLD, state = dropped(norm(x_BLD), heard[index]), states.parts[index]
            y_BLD, states.parts[index] = one_step(layer, heard_BLD, state) if x_BLD.shape[1] == 1 else layer(heard_BLD, state)
            x_BLD = x_BLD + y_BLD
        return dropped(norm(x_BLD), last)


def one_step(layer: nn.LSTM, x_B1D: Tensor, state: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """What the layer makes of a single token; on a CPU several times faster than the layer itself, which is made for long rows."""
    h_BD, c_BD = (x_B1D.new_zeros(len(x_B1D), layer.hidden_size),) * 2 if state is None else (part[0] for part in state)
    w_ih, w_hh, b_ih, b_hh = layer.all_weights[0]
    h_BD, c_BD = torch.lstm_cell(x_B1D[:, 0], (h_BD, c_BD), w_ih, w_hh, b_ih, b_hh)
    return h_BD[:, None], (h_BD[None], c_BD[None])


class Reader(Recurrent):
    """Tokens to one vector (B, out) of the whole text: the mean and the largest of what is known after each of its tokens.

    The last state alone forgets how a text began, and latents made from it collapse sooner (Long et al. 2019).
    """

    def __init__(self, vocab: int, width: int, depth: int, out: int, dropout: float = 0.0):
        super().__init__(vocab, width, depth, dropout)
        self.leave = nn.Linear(2 * width, out)

    def read(self, tok_BL: Tensor, length_B: Tensor, noise: torch.Generator | None = None) -> Tensor:
        """Of the first `length_B` tokens of each row."""
        x_BLD = self.features(tok_BL, noise=noise)
        there_BL1 = present(length_B, tok_BL.shape[1])[..., None]
        mean_BD = (x_BLD * there_BL1).sum(1) / length_B[:, None]
        most_BD = x_BLD.masked_fill(~there_BL1, -torch.inf).amax(1)
        return self.leave(torch.cat([mean_BD, most_BD], 1)).float()


def _remembering(layer: nn.Module) -> None:
    """Forget gates that begin open, recurrent weights that begin orthogonal. Jozefowicz et al. 2015, Saxe et al. 2014."""
    for name, value in layer.named_parameters():
        if name.startswith("weight_hh"):
            for gate in value.data.chunk(4):
                nn.init.orthogonal_(gate)
        elif name.startswith("bias"):
            nn.init.zeros_(value)
            value.data[len(value) // 4 : len(value) // 2] = 0.5  # Two biases add up.

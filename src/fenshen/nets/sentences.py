"""A critic of whole texts: convolutions of several widths, and the strongest answer of each. Kim 2014; in language GANs since Yu et al. 2017.

Shape letters: B batch, L tokens, V vocabulary, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WIDTHS = (2, 3, 4, 5)  # Tokens that a filter sees.


class SentenceCritic(nn.Module):
    """Tokens int64 (B, L), or shares of the vocabulary (B, L, V), to a logit (B,)."""

    def __init__(self, vocab: int, width: int, filters: int, dropout: float = 0.0):
        super().__init__()
        self.embed = nn.Embedding(vocab, width)
        self.filters = nn.ModuleList(nn.Conv1d(width, filters, size) for size in WIDTHS)
        self.mix = nn.Linear(filters * len(WIDTHS), filters)
        self.leave = nn.Linear(filters, 1, bias=False)  # Only differences of logits count.
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        e_BLD = x @ self.embed.weight if x.is_floating_point() else self.embed(x)
        e_BDL = F.pad(e_BLD.movedim(1, 2), (0, max(0, max(WIDTHS) - e_BLD.shape[1])))
        found_BD = torch.cat([F.leaky_relu(layer(e_BDL), 0.2).amax(2) for layer in self.filters], 1)
        h_BD = F.leaky_relu(self.mix(F.dropout(found_BD, self.dropout, self.training)), 0.2)
        return self.leave(h_BD)[:, 0].float()

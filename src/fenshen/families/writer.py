"""What writes: a sampler of tokens, one after the other, whichever family trained it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fenshen.condition import Given
from fenshen.families.base import Kept
from fenshen.space import Tokens, present

Memory = Any  # What a writer has read so far, in the form that it likes.

RECURRENT_REACH = 8  # Times the length of the rows that a recurrent network was trained on, so far it still hears.


class Writer(Kept):
    """Says how likely each token is to come next. `latent`: length of the noise z ~ N(0, I) that a text begins from, 0 where there is none."""

    space: Tokens

    def __init__(self, space: Tokens, latent: int = 0):
        super().__init__()
        self.space, self.latent = space, latent

    @property
    def reach(self) -> int:
        """How many tokens it can hear of when it foretells the next one, worth counting on."""
        return self.space.size[0]

    def begin(self, z_BD: Tensor, given: Given) -> Memory:
        """Before the first token of B texts. `given["latent"]`: latents (B, D) to begin from in place of noise, of a writer that has some."""
        raise NotImplementedError

    def read(self, tok_BL: Tensor, memory: Memory) -> Tensor:
        """Logits (B, L, V) of what follows each of these tokens, which come after all that `memory` has read; it then knows them too."""
        raise NotImplementedError

    def surprise(self, tok_BL: Tensor, length_B: Tensor) -> Tensor:
        """-log p in nats (B, L) of the `length_B` tokens after the first one of each row, or what bounds it from above; 0 behind them.

        `tok_BL`: int64 (B, L + 1).
        """
        memory = self.begin(torch.zeros(len(tok_BL), self.latent, device=tok_BL.device), {})
        return surprise(self.read(tok_BL[:, :-1], memory), tok_BL[:, 1:], length_B)

    def settle(self, samples: Iterable[tuple[Tensor, Given]], seed: int) -> None:
        """Nothing to fit when the weights stand, unless a family says otherwise."""


def surprise(logit_BLV: Tensor, tok_BL: Tensor, length_B: Tensor) -> Tensor:
    """-log p of each token in nats (B, L), 0 behind the length of its row."""
    nats_BL = F.cross_entropy(logit_BLV.flatten(0, 1), tok_BL.flatten(), reduction="none").view(tok_BL.shape)
    return nats_BL * present(length_B, tok_BL.shape[1])


def surprise_of(x_BLD: Tensor, leave: nn.Linear, tok_BL: Tensor, length_B: Tensor) -> Tensor:
    """The same from what comes before the last layer, which is the costliest: padding does not go through it."""
    there_BL = present(length_B, tok_BL.shape[1])
    nats_N = F.cross_entropy(leave(x_BLD[there_BL]).float(), tok_BL[there_BL], reduction="none")
    return torch.zeros(tok_BL.shape, device=tok_BL.device).masked_scatter(there_BL, nats_N)

"""What writes: a sampler of tokens, one after the other, whichever family trained it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor

from fenshen.condition import Given
from fenshen.families.base import Kept
from fenshen.space import Tokens

Memory = Any  # What a writer has read so far, in the form that it likes.


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
        """Before the first token of B texts."""
        raise NotImplementedError

    def read(self, tok_BL: Tensor, memory: Memory) -> Tensor:
        """Logits (B, L, V) of what follows each of these tokens, which come after all that `memory` has read; it then knows them too."""
        raise NotImplementedError

    def settle(self, samples: Iterable[tuple[Tensor, Given]], seed: int) -> None:
        """Nothing to fit when the weights stand, unless a family says otherwise."""

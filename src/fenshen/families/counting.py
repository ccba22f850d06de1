"""A model of words that counts, and learns nothing: interpolated modified Kneser-Ney (`fenshen.measure.ngram`), as a writer like any other.

Shape letters: B batch, L tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fenshen.condition import Given
from fenshen.families.writer import Memory, Writer
from fenshen.measure.ngram import END, Level, NGram
from fenshen.recipe import Ngram
from fenshen.space import Tokens

STRETCH = 512  # Tokens.
REMEMBERED = 1 << 22  # Logits that are kept: the same contexts come again and again.
PARTS = ("contexts_C", "left_C", "grams_G", "share_G")  # Of a level.


class Counted(Writer):
    """What was counted, as buffers whose length hangs on the text: `share_G_2` is that of the level with two tokens of context."""

    def __init__(self, space: Tokens, model: Ngram):
        assert model.order
        super().__init__(space)
        self.order = model.order
        self._ngram: NGram | None = None
        self._known: dict[tuple[int, ...], Tensor] = {}

    @property
    def reach(self) -> int:
        """It looks back at a few tokens and reads on for ever; so long are stretches for those who read in stretches."""
        return STRETCH

    @property
    def ngram(self) -> NGram:
        """The model that was fitted or loaded."""
        if self._ngram is None:
            parts = [[getattr(self, f"{name}_{k}").cpu().numpy() for name in PARTS] for k in range(self.order)]
            self._ngram = NGram(self.space.vocab, tuple(Level(*part) for part in parts))
        return self._ngram

    @ngram.setter
    def ngram(self, fitted: NGram) -> None:
        self._ngram = fitted
        self._known.clear()
        for k, level in enumerate(fitted.levels):
            for name in PARTS:
                self.register_buffer(f"{name}_{k}", torch.from_numpy(np.array(getattr(level, name))))

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Takes up buffers of whatever length."""
        for name in (f"{part}_{k}" for k in range(self.order) for part in PARTS):
            if name in state_dict:
                self.register_buffer(name, torch.empty_like(state_dict[name]))
        self._ngram = None
        self._known.clear()
        return super().load_state_dict(state_dict, strict, assign)

    def begin(self, z_BD: Tensor, given: Given) -> Memory:
        return [[] for _ in range(len(z_BD))]

    def read(self, tok_BL: Tensor, memory: Memory) -> Tensor:
        logit_BLV = torch.empty((*tok_BL.shape, self.space.vocab))
        for row, tokens in enumerate(tok_BL.tolist()):
            for place, token in enumerate(tokens):
                memory[row] = [] if token == END else [*memory[row], token][-max(1, self.order - 1) :]
                logit_BLV[row, place] = self._after(tuple(memory[row]))
        return logit_BLV.to(tok_BL.device)

    def _after(self, context: tuple[int, ...]) -> Tensor:
        """log p of what follows (V)."""
        if context not in self._known:
            if len(self._known) * self.space.vocab > REMEMBERED:
                self._known.clear()
            self._known[context] = torch.from_numpy(self.ngram.following(context)).log().float()
        return self._known[context]

    def settle(self, samples: Iterable[tuple[Tensor, Given]], seed: int) -> None:
        """Nothing: it was fitted to all of the text at once."""

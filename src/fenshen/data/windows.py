"""The order in which words are drawn: windows anywhere in the text, or whole documents; a pure function of the seed and a position.

Shape letters: B batch, L tokens, N documents, T tokens of all of them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np

from fenshen.data.batches import MEMORY_LIMIT, MEMORY_PART, free_bytes
from fenshen.data.texts import Texts

if TYPE_CHECKING:
    import torch

Rows = Literal["windows", "documents"]


class Windows:
    """Draws from the documents `indices` of `texts`; a position counts rows since the start, so resuming needs one integer.

    A row is END or some other token, and the `context` tokens after it, which are to be foretold. windows: the documents follow each
    other in a circle, which is cut anew each epoch, from another place on. documents: one from its END to the END after it; what is
    longer than the context is cut off.
    """

    def __init__(
        self, texts: Texts, indices: np.ndarray, context: int, rows: Rows, batch: int, seed: int, device: torch.device | str = "cpu"
    ):  # fmt: skip
        import torch

        self.texts, self.indices, self.context, self.rows = texts, np.asarray(indices, np.int64), context, rows
        self.batch, self.seed, self.device = batch, seed, torch.device(device)
        assert len(self.indices) > 0, "windows of nothing"
        self.ends = np.cumsum(texts.lengths[self.indices])
        self.held: np.ndarray | None = None
        if 4 * int(self.ends[-1]) <= min(MEMORY_LIMIT, MEMORY_PART * free_bytes(torch.device("cpu"))):
            self.held = np.concatenate([texts.tokens[texts.starts[i] : texts.starts[i + 1]] for i in self.indices])
        self.order = lru_cache(maxsize=2)(self._order)

    def __len__(self) -> int:
        """Rows in one epoch."""
        return len(self.indices) if self.rows == "documents" else -(-int(self.ends[-1]) // self.context)

    def _order(self, epoch: int) -> tuple[np.ndarray, int]:
        """Which row comes when, and where the circle is cut."""
        random = np.random.default_rng((self.seed, epoch))
        return random.permutation(len(self)), int(random.integers(self.ends[-1]))

    def draw(self, position: int, count: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """int64 tok_BL (B, L + 1), no longer than the longest row of them, and length_B: how many of the L count."""
        import torch

        places = [divmod(position + number, len(self)) for number in range(self.batch if count is None else count)]
        tok_BL, length_B = self._windows(places) if self.rows == "windows" else self._documents(places)
        return torch.from_numpy(tok_BL.astype(np.int64)).to(self.device), torch.from_numpy(length_B).to(self.device)

    def _windows(self, places: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
        orders = {epoch: self.order(epoch) for epoch, _ in places}
        first_B = np.array([int(orders[epoch][0][at]) * self.context + orders[epoch][1] for epoch, at in places], np.int64)
        return self._tokens(first_B[:, None] + np.arange(self.context + 1)), np.full(len(places), self.context)

    def _documents(self, places: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
        chosen = np.array([self.order(epoch)[0][at] for epoch, at in places], np.int64)
        whole_B = self.texts.lengths[self.indices[chosen]]
        length_B = np.minimum(whole_B, self.context)
        step_L = np.arange(int(length_B.max(initial=0)) + 1)
        tok_BL = self._tokens((self.ends[chosen] - whole_B)[:, None] + step_L)
        return np.where(step_L < whole_B[:, None], tok_BL, 0), length_B

    def _tokens(self, at: np.ndarray) -> np.ndarray:
        """Those at these places of the circle of all documents."""
        at = at % int(self.ends[-1])
        if self.held is not None:
            return self.held[at]
        place = np.searchsorted(self.ends, at, side="right")
        document = self.indices[place]
        return self.texts.tokens[self.texts.starts[document + 1] - (self.ends[place] - at)]

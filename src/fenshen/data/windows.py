"""The order in which words are drawn: windows anywhere in the text, or whole documents; a pure function of the seed and a position.

Shape letters: B batch, L tokens, N documents, T tokens of all of them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np

from fenshen.data.batches import MEMORY_LIMIT, MEMORY_PART, free_bytes, sent
from fenshen.data.texts import Texts
from fenshen.media.text import END

if TYPE_CHECKING:
    import torch

Rows = Literal["windows", "documents"]


class Windows:
    """Draws from the documents `indices` of `texts`; a position counts rows since the start, so resuming needs one integer.

    A row is END or some other token, and the `context` tokens after it, which are to be foretold. windows: the documents follow each
    other in a circle, which is cut anew each epoch, from another place on. documents: one from its END to the END after it; what is
    longer than the context is cut off.

    Small texts are held on the device; what is sent there for a batch is where its rows begin.
    """

    def __init__(
        self, texts: Texts, indices: np.ndarray, context: int, rows: Rows, batch: int, seed: int, device: torch.device | str = "cpu"
    ):  # fmt: skip
        import torch

        self.texts, self.indices, self.context, self.rows = texts, np.asarray(indices, np.int64), context, rows
        self.batch, self.seed, self.device = batch, seed, torch.device(device)
        assert len(self.indices) > 0, "windows of nothing"
        self.ends = np.cumsum(texts.lengths[self.indices])
        self.held: torch.Tensor | None = None
        if 4 * int(self.ends[-1]) <= min(MEMORY_LIMIT, MEMORY_PART * free_bytes(self.device)):
            tokens = np.concatenate([texts.tokens[texts.starts[i] : texts.starts[i + 1]] for i in self.indices])
            self.held = torch.from_numpy(tokens.astype(np.int32)).to(self.device)
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
        orders = {epoch: self.order(epoch) for epoch, _ in places}
        if self.rows == "windows":
            first_B = np.array([int(orders[epoch][0][at]) * self.context + orders[epoch][1] for epoch, at in places], np.int64)
            whole_B = length_B = np.full(len(places), self.context)
        else:
            chosen = np.array([orders[epoch][0][at] for epoch, at in places], np.int64)
            whole_B = self.texts.lengths[self.indices[chosen]]
            first_B, length_B = self.ends[chosen] - whole_B, np.minimum(whole_B, self.context)
        longest = int(length_B.max(initial=0))
        tok_BL, length = self._tokens(first_B, longest + 1), sent(length_B, self.device)
        if self.rows == "documents":  # What comes behind the end of one is the beginning of another.
            inside_BL = torch.arange(longest + 1, device=self.device) < sent(whole_B, self.device)[:, None]
            tok_BL = tok_BL.where(inside_BL, END)
        return tok_BL, length

    def _tokens(self, first_B: np.ndarray, count: int) -> torch.Tensor:
        """int64 (B, count): those from each of these places of the circle of all documents on."""
        import torch

        if self.held is not None:
            at_BL = sent(first_B, self.device)[:, None] + torch.arange(count, device=self.device)
            return self.held[at_BL % len(self.held)].long()
        places_BL = (first_B[:, None] + np.arange(count)) % int(self.ends[-1])
        document_BL = np.searchsorted(self.ends, places_BL, side="right")
        tokens = self.texts.tokens[self.texts.starts[self.indices[document_BL] + 1] - (self.ends[document_BL] - places_BL)]
        return sent(tokens.astype(np.int64), self.device)

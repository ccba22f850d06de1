"""A causal transformer of words. Vaswani et al. 2017, with what small ones have been found to like since.

RMS normalisation without weights (Zhang & Sennrich 2019), also of queries and keys (Henry et al. 2020); rotary positions (Su et al.
2021); ReLU² (So et al. 2021); what a layer adds begins at zero, so that every layer begins as the identity.

Shape letters: B batch, L tokens, V vocabulary, D width, H heads, K entries per head.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HEAD = 32  # Entries per head, about.
BASE = 10_000.0


def dropped(x: Tensor, part: float, noise: torch.Generator | None) -> Tensor:
    """`x` with this part of its entries set to zero, drawn from `noise`, and the others raised to the same mean."""
    if not part:
        return x
    return x * torch.empty_like(x).bernoulli_(1 - part, generator=noise).div_(1 - part)


def norm(x: Tensor) -> Tensor:
    """Root mean square 1 along the last axis."""
    return F.rms_norm(x, (x.shape[-1],))


class Cache:
    """Keys and values of what was read, so that each token is read once. `tok_BL`: the tokens themselves."""

    def __init__(self, depth: int):
        self.tok_BL: Tensor | None = None
        self.parts: list[tuple[Tensor, Tensor] | None] = [None] * depth

    @property
    def length(self) -> int:
        return 0 if self.tok_BL is None else self.tok_BL.shape[1]

    def add(self, layer: int, key_BHLK: Tensor, value_BHLK: Tensor) -> tuple[Tensor, Tensor]:
        """All keys and values of a layer, the new ones last."""
        before = self.parts[layer]
        if before is not None:
            key_BHLK, value_BHLK = torch.cat([before[0], key_BHLK], 2), torch.cat([before[1], value_BHLK], 2)
        self.parts[layer] = key_BHLK, value_BHLK
        return key_BHLK, value_BHLK


class Attention(nn.Module):
    """Each token hears of those before it: softmax(q·k / √K) v per head, q and k normalised and turned by their positions."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.read, self.write = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        nn.init.zeros_(self.write.weight)
        self.sharpness_H = nn.Parameter(torch.full((heads,), math.log(math.sqrt(width / heads))))

    def forward(self, x_BLD: Tensor, turn: tuple[Tensor, Tensor], layer: int, cache: Cache | None) -> Tensor:
        q, k, v = self.read(x_BLD).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        q, k = turned(norm(q), *turn) * self.sharpness_H.exp()[:, None, None].to(q.dtype), turned(norm(k), *turn)
        k, v = (k, v) if cache is None else cache.add(layer, k, v)
        new, known = q.shape[2], k.shape[2]
        mask = None if new in (1, known) else torch.ones(new, known, dtype=torch.bool, device=q.device).tril(known - new)
        y_BHLK = F.scaled_dot_product_attention(q, k, v, mask, is_causal=new == known, scale=1 / math.sqrt(q.shape[3]))
        return self.write(y_BHLK.transpose(1, 2).flatten(2))


def turned(x_BHLK: Tensor, cos_LK: Tensor, sin_LK: Tensor) -> Tensor:
    """Each pair of entries rotated by an angle that grows with the position."""
    a, b = x_BHLK.chunk(2, 3)
    return torch.cat([a * cos_LK - b * sin_LK, b * cos_LK + a * sin_LK], 3).to(x_BHLK.dtype)


class Block(nn.Module):
    """Attention, then a dense layer with ReLU², each added to what it read."""

    def __init__(self, width: int, heads: int, dropout: float):
        super().__init__()
        self.dropout = dropout
        self.attention = Attention(width, heads)
        self.grow, self.shrink = nn.Linear(width, 4 * width, bias=False), nn.Linear(4 * width, width, bias=False)
        nn.init.zeros_(self.shrink.weight)

    def forward(self, x_BLD: Tensor, turn: tuple[Tensor, Tensor], layer: int, cache: Cache | None, noise: torch.Generator | None) -> Tensor:
        part = self.dropout if self.training else 0.0
        x_BLD = x_BLD + dropped(self.attention(norm(x_BLD), turn, layer, cache), part, noise)
        return x_BLD + dropped(self.shrink(self.grow(norm(x_BLD)).relu().square()), part, noise)


class Transformer(nn.Module):
    """Tokens to the logits of what follows each of them; reads at most `context` tokens."""

    def __init__(self, vocab: int, context: int, width: int, depth: int, dropout: float = 0.0):
        super().__init__()
        self.context, self.dropout = context, dropout
        heads = max(1, round(width / HEAD))
        self.embed = nn.Embedding(vocab, width)
        self.blocks = nn.ModuleList(Block(width, heads, dropout) for _ in range(depth))
        self.leave = nn.Linear(width, vocab, bias=False)
        nn.init.zeros_(self.leave.weight)
        pairs = width // heads // 2
        angle_LK = torch.arange(context)[:, None] * BASE ** -(torch.arange(pairs) / pairs)
        self.register_buffer("cos_LK", angle_LK.cos(), persistent=False)
        self.register_buffer("sin_LK", angle_LK.sin(), persistent=False)

    def begin(self) -> Cache:
        """Nothing read yet."""
        return Cache(len(self.blocks))

    def forward(self, tok_BL: Tensor, cache: Cache | None = None, noise: torch.Generator | None = None) -> Tensor:
        """Logits (B, L, V), float32; of the last tokens alone where there are more than the context.

        With a `cache`, tok_BL goes on from what was read before; where that becomes more than the context, the latter half of it is
        read anew: a network that has always seen a beginning is lost without one (Xiao et al. 2023, "attention sinks").
        """
        count = tok_BL.shape[1]
        if cache is not None:
            known_BL = tok_BL if cache.tok_BL is None else torch.cat([cache.tok_BL, tok_BL], 1)
            if known_BL.shape[1] > self.context:
                cache.parts = [None] * len(self.blocks)
                tok_BL = known_BL = known_BL[:, -min(self.context, max(count, self.context // 2)) :]
            cache.tok_BL = known_BL
        end = tok_BL.shape[1] if cache is None else cache.length
        turn = (self.cos_LK[end - tok_BL.shape[1] : end], self.sin_LK[end - tok_BL.shape[1] : end])  # type: ignore[index]
        x_BLD = dropped(norm(self.embed(tok_BL)), self.dropout if self.training else 0.0, noise)
        for layer, block in enumerate(self.blocks):
            x_BLD = block(x_BLD, turn, layer, cache, noise)
        return self.leave(norm(x_BLD))[:, -count:].float()

"""A causal transformer of words. Vaswani et al. 2017, with what small ones have been found to like since.

A token is read together with those just before it, a convolution over one-hot tokens: what attention would first have to find out, it is
told (compare So et al. 2021, section 3). RMS normalisation without weights (Zhang & Sennrich 2019), also of queries and keys (Henry et
al. 2020); rotary positions (Su et al. 2021); ReLU² (So et al. 2021); what a layer adds begins at zero, so that every layer begins as the
identity.

Shape letters: B batch, L tokens, V vocabulary, D width, H heads, K entries per head.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fenshen.space import END

HEAD = 64  # Entries per head, about.
READ_TOGETHER = 4  # Tokens.
BASE = 10_000.0
TINY = 1e-6
SHARPNESS = 0.12  # Of q·k at the start, the two being of length √K each: about 1 / √K.


def masks(count: int, rows: int, width: int, part: float, like: Tensor, noise: torch.Generator | None) -> list[Tensor | None]:
    """`count` masks (B, 1, D) that set this part of the entries to zero, the same ones all along a row, and raise the others to the same
    mean; None where nothing is dropped.

    Gal & Ghahramani 2016, "A theoretically grounded application of dropout". Random numbers for every token would cost a tenth of a step.
    """
    if not part:
        return [None] * count
    kept_NB1D = torch.empty(count, rows, 1, width, device=like.device).bernoulli_(1 - part, generator=noise)
    return list((kept_NB1D / (1 - part)).to(like.dtype))


def dropped(x_BLD: Tensor, mask_B1D: Tensor | None) -> Tensor:
    """`x` where the mask has not dropped it."""
    return x_BLD if mask_B1D is None else x_BLD * mask_B1D


def scaled(x: Tensor) -> tuple[Tensor, Tensor]:
    """x / RMS(x) along the last axis, and 1 / RMS(x), float32 at least."""
    exact = torch.promote_types(x.dtype, torch.float32)
    scale = math.sqrt(x.shape[-1]) / torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=exact).clamp_min(TINY)
    return x * scale.to(x.dtype), scale


class _Norm(torch.autograd.Function):
    """x / RMS(x), with a gradient in closed form: (g - y mean(g y)) / RMS(x). Six passes over memory, where autograd takes fifteen."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y, scale = scaled(x)
        ctx.save_for_backward(y, scale)
        return y

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        y, scale = ctx.saved_tensors
        mean = (g * y).mean(-1, keepdim=True, dtype=scale.dtype)
        return torch.addcmul(g, y, -mean.to(y.dtype)).mul_(scale.to(g.dtype))


class _Turn(torch.autograd.Function):
    """Each pair of entries (k, k + K/2) rotated by an angle of its own; the gradient is rotated back."""

    @staticmethod
    def forward(ctx: Any, x_BLHK: Tensor, cos_L1K: Tensor, sin_L1K: Tensor) -> Tensor:
        ctx.save_for_backward(cos_L1K, sin_L1K)
        return rotated(x_BLHK, cos_L1K, sin_L1K)

    @staticmethod
    def backward(ctx: Any, g_BLHK: Tensor) -> tuple[Tensor, None, None]:
        cos_L1K, sin_L1K = ctx.saved_tensors
        return rotated(g_BLHK, cos_L1K, -sin_L1K), None, None


def norm(x: Tensor) -> Tensor:
    """Root mean square 1 along the last axis. A GPU has a kernel for it, and a compiler makes one."""
    if x.device.type == "cpu" and not torch.compiler.is_compiling():
        return _Norm.apply(x) if torch.is_grad_enabled() else scaled(x)[0]
    return F.rms_norm(x, x.shape[-1:], eps=TINY**2).to(x.dtype)


def turned(x_BLHK: Tensor, cos_L1K: Tensor, sin_L1K: Tensor) -> Tensor:
    """`rotated`, with its gradient."""
    if not torch.is_grad_enabled() and not torch.compiler.is_compiling():
        return rotated(x_BLHK, cos_L1K, sin_L1K)
    if not torch.compiler.is_compiling():
        return _Turn.apply(x_BLHK, cos_L1K, sin_L1K)
    a, b = x_BLHK.chunk(2, -1)
    return torch.cat([a * cos_L1K - b * sin_L1K, b * cos_L1K + a * sin_L1K], -1)


def rotated(x_BLHK: Tensor, cos_L1K: Tensor, sin_L1K: Tensor) -> Tensor:
    """(a, b) -> (a cos - b sin, b cos + a sin) for the two halves of the last axis."""
    (a, b), y_BLHK = x_BLHK.chunk(2, -1), torch.empty_like(x_BLHK)
    c, d = y_BLHK.chunk(2, -1)
    torch.mul(a, cos_L1K, out=c).addcmul_(b, sin_L1K, value=-1)
    torch.mul(b, cos_L1K, out=d).addcmul_(a, sin_L1K)
    return y_BLHK


def attended(q_BHLK: Tensor, k_BHMK: Tensor, v_BHMK: Tensor) -> Tensor:
    """softmax(q·k) v of each of the last L of M places over those up to itself.

    Written out where a CPU computes in bfloat16: PyTorch's own kernel takes four times as long to go backward there.
    """
    new, known = q_BHLK.shape[2], k_BHMK.shape[2]
    written_out = q_BHLK.device.type == "cpu" and q_BHLK.dtype == torch.bfloat16
    if new == known and not written_out:
        return F.scaled_dot_product_attention(q_BHLK, k_BHMK, v_BHMK, is_causal=True, scale=1.0)
    if new == 1 and not written_out:
        return F.scaled_dot_product_attention(q_BHLK, k_BHMK, v_BHMK, scale=1.0)
    later_LM = torch.ones(new, known, dtype=torch.bool, device=q_BHLK.device).triu(known - new + 1)
    if written_out:
        return (q_BHLK @ k_BHMK.transpose(2, 3)).masked_fill(later_LM, -torch.inf).softmax(3) @ v_BHMK
    return F.scaled_dot_product_attention(q_BHLK, k_BHMK, v_BHMK, ~later_LM, scale=1.0)


class Cache:
    """Keys and values of what was read, so that each token is read once. `tok_BL`: the tokens themselves; `room`: for so many of them."""

    def __init__(self, depth: int, room: int):
        self.room = room
        self.tok_BL: Tensor | None = None
        self.parts: list[tuple[Tensor, Tensor] | None] = [None] * depth

    @property
    def length(self) -> int:
        return 0 if self.tok_BL is None else self.tok_BL.shape[1]

    def follow(self, tok_BL: Tensor, context: int) -> tuple[Tensor, bool]:
        """What is to be read now: these tokens; or, where that would be more than the context, the latter half of all of them, and True.

        A network that has always seen a beginning is lost without one (Xiao et al. 2023, "attention sinks").
        """
        known_BL = tok_BL if self.tok_BL is None else torch.cat([self.tok_BL, tok_BL], 1)
        anew = known_BL.shape[1] > context
        if anew:
            tok_BL = known_BL = known_BL[:, -min(context, max(tok_BL.shape[1], context // 2)) :]
        self.tok_BL = known_BL
        return tok_BL, anew

    def add(self, layer: int, key_BHLK: Tensor, value_BHLK: Tensor) -> tuple[Tensor, Tensor]:
        """All keys and values of a layer, the new ones last. They are written in place: no gradient goes through more than one reading."""
        start, end, found = self.length - key_BHLK.shape[2], self.length, list[Tensor]()
        kept = self.parts[layer] or tuple(new.new_empty(*new.shape[:2], self.room, new.shape[3]) for new in (key_BHLK, value_BHLK))
        for place, new in zip(kept, (key_BHLK, value_BHLK), strict=True):
            place[:, :, start:end] = new
            found.append(place[:, :, :end])
        self.parts[layer] = kept[0], kept[1]
        return found[0], found[1]


class Attention(nn.Module):
    """Each token hears of those before it: softmax(s q·k) v per head, q and k normalised and turned by their positions, s learned."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.read, self.write = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        nn.init.zeros_(self.write.weight)
        self.sharpness_H = nn.Parameter(torch.full((heads,), SHARPNESS))

    def forward(self, x_BLD: Tensor, turn: tuple[Tensor, Tensor], layer: int, cache: Cache | None) -> Tensor:
        qk_BLHK, v_BLHK = self.read(x_BLD).unflatten(2, (3 * self.heads, -1)).split((2 * self.heads, self.heads), 2)
        q_BLHK, k_BLHK = turned(norm(qk_BLHK), *turn).chunk(2, 2)
        q_BHLK, k, v = (x.transpose(1, 2) for x in (q_BLHK * self.sharpness_H.to(q_BLHK.dtype)[:, None], k_BLHK, v_BLHK))
        k, v = (k, v) if cache is None else cache.add(layer, k, v)
        return self.write(attended(q_BHLK, k, v).transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Attention, then a dense layer with ReLU², each added to what it read. `mask1`, `mask2`: what is dropped of each."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.attention = Attention(width, heads)
        self.grow, self.shrink = nn.Linear(width, 4 * width, bias=False), nn.Linear(4 * width, width, bias=False)
        nn.init.zeros_(self.shrink.weight)

    def forward(
        self, x_BLD: Tensor, turn: tuple[Tensor, Tensor], layer: int, cache: Cache | None, mask1: Tensor | None, mask2: Tensor | None
    ) -> Tensor:  # fmt: skip
        x_BLD = x_BLD + dropped(self.attention(norm(x_BLD), turn, layer, cache), mask1)
        h_BLD = self.grow(norm(x_BLD)).relu()
        return x_BLD + dropped(self.shrink(h_BLD * h_BLD), mask2)  # A square would be taken in float32 by autocast on a GPU.


class Transformer(nn.Module):
    """Tokens to the logits of what follows each of them; reads at most `context` tokens."""

    table_R: Tensor

    def __init__(self, vocab: int, context: int, width: int, depth: int, dropout: float = 0.0):
        super().__init__()
        self.context, self.dropout = context, dropout
        heads = next(count for count in range(max(1, round(width / HEAD)), 0, -1) if width % (2 * count) == 0)
        self.vocab, self.embed = vocab, nn.Embedding(READ_TOGETHER * vocab, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.leave = nn.Linear(width, vocab, bias=False)
        nn.init.zeros_(self.leave.weight)
        self.register_buffer("table_R", torch.arange(READ_TOGETHER) * vocab, persistent=False)
        pairs = width // heads // 2
        angle_LK = torch.arange(context)[:, None] * BASE ** -(torch.arange(pairs) / pairs)
        self.register_buffer("cos_L1K", angle_LK.cos()[:, None], persistent=False)
        self.register_buffer("sin_L1K", angle_LK.sin()[:, None], persistent=False)

    def begin(self) -> Cache:
        """Nothing read yet."""
        return Cache(len(self.blocks), self.context)

    def _together(self, tok_BL: Tensor, cache: Cache | None) -> Tensor:
        """Rows of the embedding (B, L, READ_TOGETHER): each token's own, and one of another table for each step back; END before all of them."""
        known_BL = tok_BL if cache is None or cache.tok_BL is None else cache.tok_BL[:, 1 - READ_TOGETHER - tok_BL.shape[1] :]
        missing = tok_BL.shape[1] + READ_TOGETHER - 1 - known_BL.shape[1]
        padded_BL = F.pad(known_BL, (missing, 0), value=END) if missing else known_BL
        return padded_BL.unfold(1, READ_TOGETHER, 1).flip(2) + self.table_R

    def forward(self, tok_BL: Tensor, cache: Cache | None = None, noise: torch.Generator | None = None) -> Tensor:
        """Logits (B, L, V), float32; of the last tokens alone where there are more than the context.

        With a `cache`, tok_BL goes on from what was read before.
        """
        count = tok_BL.shape[1]
        if cache is not None:
            tok_BL, anew = cache.follow(tok_BL, self.context)
            cache.parts = [None] * len(self.blocks) if anew else cache.parts
        end = tok_BL.shape[1] if cache is None else cache.length
        kind = torch.get_autocast_dtype(tok_BL.device.type) if torch.is_autocast_enabled(tok_BL.device.type) else torch.float32
        turn = tuple(table[end - tok_BL.shape[1] : end].to(kind) for table in (self.cos_L1K, self.sin_L1K))  # type: ignore[index]
        x_BLD = norm(self.embed(self._together(tok_BL, cache)).sum(2)).to(kind)
        first, *rest = masks(1 + 2 * len(self.blocks), len(x_BLD), x_BLD.shape[2], self.dropout if self.training else 0.0, x_BLD, noise)
        x_BLD = dropped(x_BLD, first)
        for layer, block in enumerate(self.blocks):
            x_BLD = block(x_BLD, turn, layer, cache, rest[2 * layer], rest[2 * layer + 1])
        return self.leave(norm(x_BLD))[:, -count:].float()

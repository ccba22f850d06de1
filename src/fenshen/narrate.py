"""Writing with a trained run: a prompt in, tokens out, one after the other. The same seed writes the same text, whatever the count.

What is drawn in step l of text i follows from (seed, i, l), and texts are written in fixed, padded blocks.

Shape letters: B texts of a block, L tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from fenshen.errors import RecipeError
from fenshen.families.writer import Writer
from fenshen.generate import noise
from fenshen.sampling import Controls, draw, shares
from fenshen.space import END

BLOCK = 32  # Texts written side by side. Enough for a CPU, and few enough to hear one of them grow.
CHUNK = 256  # Random numbers drawn ahead for each text.
Allowed = Callable[[Sequence[int]], np.ndarray | None]  # The tokens written so far -> bool (V), what may come next; None: everything.
Heard = Callable[[int, int], None]  # Is told at once: index of a text, its next token.


@dataclass(frozen=True)
class Telling:
    """What to write: `count` texts that begin with `prompt` (tokens), of at most `tokens` more each.

    `block`: texts written side by side; another number may round otherwise. `allowed`: rules, asked before each token; a text ends where
    they allow nothing. `ends`: each says whether a text written so far is complete. `never`: tokens that are not written. `latents` (count, D):
    what texts begin from, in place of noise.
    """

    count: int
    seed: int = 0
    prompt: tuple[int, ...] = ()
    tokens: int = 500
    block: int = BLOCK
    controls: Controls = field(default_factory=Controls)
    allowed: tuple[Allowed, ...] = ()
    ends: tuple[Callable[[Sequence[int]], bool], ...] = field(default=())
    never: tuple[int, ...] = ()
    latents: Tensor | None = None


def silent(index: int, token: int) -> None:
    """Nobody listens."""


@torch.no_grad()
def narrate(writer: Writer, telling: Telling, device: str = "cpu", heard: Heard = silent) -> Iterator[list[int]]:
    """The tokens of each text, without prompt and END. `heard` is told each token of a text as soon as it is chosen."""
    if any(not 0 <= token < writer.space.vocab for token in telling.prompt):
        raise RecipeError("the prompt has tokens that this run does not know")
    for start in range(0, telling.count, telling.block):
        wanted = min(telling.block, telling.count - start)
        yield from _block(writer, telling, range(start, start + telling.block), wanted, device, heard)[:wanted]


def _block(writer: Writer, telling: Telling, indices: range, wanted: int, device: str, heard: Heard) -> list[list[int]]:
    z_BD = noise(telling.seed, indices, writer.latent)[0].to(device)
    last = telling.count - 1
    given = {} if telling.latents is None else {"latent": telling.latents[[min(index, last) for index in indices]].to(device)}
    memory = writer.begin(z_BD, given)
    tok_BL = torch.tensor([[END, *telling.prompt]] * len(indices), device=device)
    written: list[list[int]] = [[] for _ in indices]
    going = list(range(wanted))
    logit_BV = writer.read(tok_BL, memory)[:, -1]
    uniform = uniforms(telling.seed, indices)
    never = torch.tensor(telling.never, dtype=torch.long, device=device)
    for _ in range(telling.tokens):
        logit_BV = logit_BV.index_fill(1, never, -torch.inf)
        p_BV = shares(logit_BV, tok_BL, telling.controls, rules(telling, written, going, logit_BV))
        next_B = draw(p_BV, torch.from_numpy(next(uniform)).to(device))
        chosen, stuck = next_B.tolist(), (p_BV.sum(1) == 0).tolist()
        for row in list(going):
            if chosen[row] == END or stuck[row]:
                going.remove(row)
                continue
            written[row].append(chosen[row])
            heard(indices[row], chosen[row])
            if any(complete(written[row]) for complete in telling.ends):
                going.remove(row)
        if not going:
            break
        tok_BL = torch.cat([tok_BL, next_B[:, None]], 1)
        logit_BV = writer.read(next_B[:, None], memory)[:, -1]
    return written


def uniforms(seed: int, indices: range) -> Iterator[np.ndarray]:
    """u (B), float64 in [0, 1), of one step after the other, each keyed by (seed, index, step) alone."""
    rows = [np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, 1, index])) for index in indices]
    while True:
        yield from np.stack([row.random(CHUNK) for row in rows], 1)


def rules(telling: Telling, written: Sequence[list[int]], going: Sequence[int], logit_BV: Tensor) -> Tensor | None:
    """bool (B, V): what all rules allow after each text that is still `going`. None without rules."""
    if not telling.allowed:
        return None
    may_BV = np.ones(logit_BV.shape, bool)
    for row in going:
        text = [*telling.prompt, *written[row]]
        for rule in telling.allowed:
            if (may_V := rule(text)) is not None:
                may_BV[row] &= may_V
    return torch.from_numpy(may_BV).to(logit_BV.device)

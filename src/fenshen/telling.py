"""A run that writes, for people: text in, text out. Prompts become tokens, tokens become text, whole characters at a time."""

from __future__ import annotations

import codecs
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from fenshen.errors import RecipeError
from fenshen.families.textvae import TextAutoencoder
from fenshen.families.writer import Writer
from fenshen.generate import noise
from fenshen.media.text import UNKNOWN, Alphabet
from fenshen.narrate import Heard, Telling, narrate, silent
from fenshen.run import RunFolder
from fenshen.space import END

Spoken = Callable[[int, str], None]  # Is told at once: index of a text, its next characters.


@dataclass(frozen=True)
class Author:
    """What writes, and its alphabet. Text in, text out."""

    writer: Writer
    alphabet: Alphabet
    device: str = "cpu"

    @classmethod
    def open(cls, run: RunFolder, device: str = "cpu") -> Author:
        """RunFolderError for a run that makes no words."""
        writer, made, _ = run.load_writer(device)
        return cls(writer, Alphabet.from_state(made.alphabet), device)

    def prompt(self, text: str, tags: Sequence[str] = ()) -> tuple[int, ...]:
        """The tokens that a text begins with: its tags, then `text`. RecipeError for characters that it has never seen, DataError for tags."""
        ids = self.alphabet.encode(text)
        if UNKNOWN in ids:
            unknown = "".join(dict.fromkeys(letter for letter in text if UNKNOWN in self.alphabet.encode(letter)))
            raise RecipeError("--prompt: this run has never seen {letters}; leave that out", letters=unknown)
        return (*(self.alphabet.tag(tag) for tag in tags), *ids.tolist())

    def write(self, telling: Telling, most: int | None = None, stop: Sequence[str] = (), spoken: Spoken | None = None) -> Iterator[str]:
        """Each text, without its prompt. `most`: characters at most; `stop`: what ends a text, and is cut off; `spoken` hears it grow."""
        ends = telling.ends
        if most is not None:
            ends = (*ends, lambda ids: len(ids) >= most and len(self.alphabet.decode(ids)) >= most)
        ends = (*ends, *(partial(self._ends_in, end) for end in stop))
        telling = replace(telling, ends=ends, never=(*telling.never, UNKNOWN))
        heard: Heard = silent if spoken is None else Decoding(self.alphabet, spoken).hear
        for ids in narrate(self.writer, telling, self.device, heard):
            text = self.alphabet.decode(ids)[:most]
            yield min((text.partition(end)[0] for end in stop), key=len, default=text)

    def near(self, texts: Sequence[str], count: int, far: float, seed: int, tags: Sequence[str] = ()) -> Tensor:
        """Latents (count, D) to write from: around that of one text, or evenly on the way through those of several.

        `far`: how far around, from 0 (the text itself) to 1 (anywhere). RecipeError for a run without latents, and for what cannot be.
        """
        if not isinstance(self.writer, TextAutoencoder):
            raise RecipeError("--like: this run has no latents that a text could stand for; train one with --recipe textvae")
        if not 0 <= far <= 1:
            raise RecipeError("--far {far}: between 0, the text itself, and 1, anywhere", far=far)
        if count < len(texts):
            raise RecipeError("--count {count}: at least one for each --like, of which there are {texts}", count=count, texts=len(texts))
        rows = [(END, *self.prompt(text, tags), END) for text in texts]
        length_N = torch.tensor([len(row) - 1 for row in rows], device=self.device)
        tok_NL = torch.tensor([[*row, *[END] * (max(map(len, rows)) - len(row))] for row in rows], device=self.device)
        stop_ND = self.writer.guess(tok_NL, length_N)
        if len(texts) == 1:
            anywhere_BD = self.writer.place(noise(seed, range(count), self.writer.latent)[0].to(self.device))
            return math.sqrt(1 - far**2) * stop_ND + far * anywhere_BD
        at_B = torch.linspace(0, len(texts) - 1, count, device=self.device)
        first_B = at_B.long().clamp(max=len(texts) - 2)
        return torch.lerp(stop_ND[first_B], stop_ND[first_B + 1], (at_B - first_B)[:, None])

    def _ends_in(self, end: str, ids: Sequence[int]) -> bool:
        return end in self.alphabet.decode(ids[-len(end.encode()) - 1 :])


class Decoding:
    """Tokens to characters as they come: a byte piece may be a part of one."""

    def __init__(self, alphabet: Alphabet, spoken: Spoken):
        self.alphabet, self.spoken = alphabet, spoken
        self.parts: defaultdict[int, codecs.IncrementalDecoder] = defaultdict(partial(codecs.getincrementaldecoder("utf-8"), "replace"))

    def hear(self, index: int, token: int) -> None:
        """`spoken` is told what is whole now."""
        if text := self.parts[index].decode(self.alphabet.pieces[token]):
            self.spoken(index, text)

"""A run that writes, for people: text in, text out. Prompts become tokens, tokens become text, whole characters at a time."""

from __future__ import annotations

import codecs
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from fenshen.errors import RecipeError
from fenshen.families.writer import Writer
from fenshen.media.text import UNKNOWN, Alphabet
from fenshen.narrate import Heard, Telling, narrate, silent
from fenshen.run import RunFolder

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
        never = np.ones(self.alphabet.size, bool)
        never[UNKNOWN] = False
        allowed = (lambda ids: never, *telling.allowed)
        heard: Heard = silent if spoken is None else Decoding(self.alphabet, spoken).hear
        for ids in narrate(self.writer, replace(telling, ends=ends, allowed=allowed), self.device, heard):
            text = self.alphabet.decode(ids)[:most]
            yield min((text.partition(end)[0] for end in stop), key=len, default=text)

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

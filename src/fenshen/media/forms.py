"""Forms that a text is held to while it is written: before each token, a form says which ones may come next.

A form reads one letter after the other and remembers what it needs in a state. A token may come if the form can read all of its
letters; END may come where the form is complete. Of byte pieces the letters are the bytes, as U+0000 to U+00FF.

Shapes: V tokens of an alphabet.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from fenshen.errors import DataError
from fenshen.media.text import END, Alphabet

State = Hashable


class Form(Protocol):
    """What a text must be like."""

    def begin(self) -> State:
        """Before the first letter."""

    def read(self, state: State, letter: str) -> State | None:
        """After one more letter; None where it may not stand here."""

    def complete(self, state: State) -> bool:
        """Whether the text may end here."""

    def alike(self, letter: str) -> str:
        """A letter that may stand wherever this one may: the form is asked about each sort of letters once."""

    def decisive(self, state: State) -> State:
        """What of a state decides about the next letter: where that is the same, the form is asked once."""


def fits(form: Form, text: str) -> bool:
    """Whether a whole text has the form."""
    state: State | None = form.begin()
    for letter in text:
        state = form.read(state, letter)
        if state is None:
            return False
    return form.complete(state)


class Held:
    """A rule for writing (`fenshen.narrate.Allowed`): tokens after which the form can still be had. The first `prompt` tokens are left out.

    DataError where the alphabet has nothing to go on with.
    """

    def __init__(self, form: Form, alphabet: Alphabet, prompt: int = 0):
        self.form, self.prompt = form, prompt
        letters = letters_of(alphabet)
        sorts: dict[str, list[int]] = {}
        for token in range(alphabet.first, alphabet.size):
            sorts.setdefault("".join(map(form.alike, letters[token])), []).append(token)
        self.letters, self.sorts = letters, {letters: np.array(tokens) for letters, tokens in sorts.items() if letters}
        self.allowed: dict[State, np.ndarray] = {}
        self.states: dict[tuple[int, ...], State] = {}  # Of texts that may go on.

    def __call__(self, tokens: Sequence[int]) -> np.ndarray:
        state = self._state(tuple(tokens[self.prompt :]))
        decisive = self.form.decisive(state)
        if decisive not in self.allowed:
            self.allowed[decisive] = self._after(decisive)
        if not self.allowed[decisive].any():
            raise DataError("this run has no token with which to go on in the form that is asked for: it has learnt too few different characters")
        return self.allowed[decisive]

    def _state(self, tokens: tuple[int, ...]) -> State:
        """Of what is written; a prompt that does not fit is an error."""
        if tokens not in self.states:
            known = self.states.pop(tokens[:-1], None)
            state = self.form.begin() if known is None else known
            for token in tokens if known is None else tokens[-1:]:
                after = self._read(state, self.letters[token])
                if after is None:
                    raise DataError("the prompt does not fit the form that is asked for; it fails at {text}", text=repr(self.letters[token]))
                state = after
            self.states[tokens] = state
        return self.states[tokens]

    def _read(self, state: State, letters: str) -> State | None:
        after: State | None = state
        for letter in letters:
            after = None if after is None else self.form.read(after, letter)
        return after

    def _after(self, state: State) -> np.ndarray:
        allowed_V = np.zeros(len(self.letters), bool)
        allowed_V[END] = self.form.complete(state)
        for letters, tokens in self.sorts.items():
            allowed_V[tokens] = self._read(state, letters) is not None
        return allowed_V


def letters_of(alphabet: Alphabet) -> list[str]:
    """What each token spells, letter by letter."""
    encoding = "utf-8" if alphabet.kind == "characters" else "latin-1"
    return [piece.decode(encoding) for piece in alphabet.pieces]


class _Place(NamedTuple):
    lines: int  # That are closed.
    inside: bool  # A line has begun.


class Lines:
    """So many lines, none of them empty."""

    def __init__(self, count: int):
        self.count = count

    def begin(self) -> _Place:
        return _Place(0, False)

    def read(self, state: State, letter: str) -> _Place | None:
        assert isinstance(state, _Place)
        if letter != "\n":
            return _Place(state.lines, state.inside or not letter.isspace())
        return _Place(state.lines + 1, False) if state.inside and state.lines + 1 < self.count else None

    def complete(self, state: State) -> bool:
        assert isinstance(state, _Place)
        return state.inside and state.lines + 1 == self.count

    def alike(self, letter: str) -> str:
        return letter if letter == "\n" else " " if letter.isspace() else "x"

    def decisive(self, state: State) -> State:
        return state

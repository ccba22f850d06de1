"""Talking with a run that has learnt from conversations: turn by turn, as in its text (`<speaker:NAME>what is said`).

What was said is kept as long as the model can read it; then the oldest turns are forgotten, whole.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from fenshen.errors import RecipeError
from fenshen.narrate import Allowed, Telling
from fenshen.sampling import Controls
from fenshen.space import END
from fenshen.telling import Author, Spoken

KIND = "<speaker:"
ANSWER = 200  # Tokens of an answer at most, unless said otherwise.


@dataclass
class Talk:
    """A conversation between a person, `you`, and a run, `me`: names of speakers in what it was trained on."""

    author: Author
    you: str
    me: str
    controls: Controls = field(default_factory=Controls)
    seed: int = 0
    most: int = ANSWER
    turns: list[list[int]] = field(default_factory=list)

    @classmethod
    def open(cls, author: Author, me: str | None = None, you: str | None = None, controls: Controls | None = None, seed: int = 0) -> Talk:
        """By default the run is who answers, the second of those who speak most. RecipeError for a run without speakers, or unknown ones."""
        names = speakers(author)
        if len(names) < 2:
            raise RecipeError("--chat: this run has learnt from no conversation; train on a chat, rows of JSON or CSV with a speaker and a text")
        for name in (me, you):
            if name is not None and name not in names:
                raise RecipeError("--chat: nobody is called {name} in what this run has learnt from; known are {known}", name=name,
                                  known=", ".join(names))  # fmt: skip
        me = me or next(name for name in [*names[1:], names[0]] if name != you)
        return cls(author, you or next(name for name in names if name != me), me, controls or Controls(), seed)

    def say(self, text: str, spoken: Spoken | None = None) -> str:
        """What the run answers. RecipeError for characters that it has never seen; `spoken` hears the answer grow."""
        self.turns.append(self._turn(self.you, text))
        asked = self._turn(self.me, "")
        prompt = (*self._remembered(len(asked)), *asked)
        telling = Telling(1, self.seed + len(self.turns), prompt, self.most, controls=self.controls, allowed=(self._not_at_once(len(prompt)),))
        (answer,) = self.author.write(telling, stop=(KIND,), spoken=spoken)
        self.turns.append(self._turn(self.me, answer.strip(), known=True))
        return answer.strip()

    def _turn(self, name: str, text: str, known: bool = False) -> list[int]:
        ids = self.author.alphabet.encode(text).tolist() if known else list(self.author.prompt(text))
        return [self.author.alphabet.tag(f"speaker:{name}"), *ids]

    def _remembered(self, needed: int) -> list[int]:
        """As many of the last turns as the model can read with an answer behind them, each closed by a new line."""
        line = self.author.alphabet.encode("\n").tolist()
        kept: list[int] = []
        for turn in reversed(self.turns):
            if kept and len(turn) + len(line) + len(kept) + needed > self.author.writer.reach:
                break
            kept = [*turn, *line, *kept]
        return kept

    def _not_at_once(self, prompt: int) -> Allowed:
        """An answer does not begin with its end."""
        alphabet = self.author.alphabet
        silent_V = np.ones(alphabet.size, bool)
        silent_V[[END, *range(2, alphabet.first), *alphabet.encode("\n").tolist()]] = False
        return lambda tokens: silent_V if len(tokens) == prompt else None


def speakers(author: Author) -> list[str]:
    """Names of those who speak in what a run has learnt from, the most talkative first."""
    return [tag[len(KIND) : -1] for tag in author.alphabet.tags if tag.startswith(KIND)]

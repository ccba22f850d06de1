"""Whether a run of words writes its training text again: the longest run of every piece, beside that of held-out pieces, and where it stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fenshen.evaluate.text_subject import TextSubject
from fenshen.lang import tr
from fenshen.measure.copying import nearer_than_chance
from fenshen.measure.verbatim import Corpus, Run

LOOKED_AT = 400  # Pieces of each side.
SHOWN = 6
AROUND = 60  # Characters shown before and after a copy in its training text.
Part = tuple[str, bool]  # A piece of text, and whether it is copied.


@dataclass(frozen=True)
class TextCopying:
    """Longest runs in characters, of made and of held-out pieces; suspects are longer than all but 1 % of the latter.

    `pairs`: the longest copies, each as the made piece and the training text around it.
    """

    made: tuple[int, ...]
    held_out: tuple[int, ...]
    share: float
    expected: float
    p_value: float
    copied: bool
    pairs: tuple[tuple[tuple[Part, ...], tuple[Part, ...]], ...]

    @property
    def usual(self) -> int:
        """The run that all but 1 % of held-out pieces stay within, in characters."""
        return int(np.quantile(self.held_out, 0.99, method="higher"))

    def numbers(self) -> dict[str, float | bool | None]:
        """For report.json."""
        return {
            "copied": self.copied, "copies_share": self.share, "copies_expected": self.expected, "copies_p": self.p_value,
            "longest_run_mean": float(np.mean(self.made)), "longest_run_mean_held_out": float(np.mean(self.held_out)),
            "longest_run": max(self.made), "longest_run_held_out": max(self.held_out), "usual_run": self.usual,
        }  # fmt: skip


def text_copying(subject: TextSubject) -> TextCopying:
    """Held-out pieces show how much of any text stands in the training text by chance."""
    corpus, made, held_out = subject.corpus, subject.made[:LOOKED_AT], subject.held_out[:LOOKED_AT]
    runs = [corpus.longest(text) for text in made]
    lengths, usual = [run.length for run in runs], [corpus.longest(text).length for text in held_out]
    chance = nearer_than_chance(-np.array(lengths, float), -np.array(usual, float))
    longest = np.argsort(-np.array(lengths), kind="stable")[:SHOWN]
    pairs = tuple((marked(made[i], [runs[i]]), source(corpus, runs[i])) for i in longest.tolist())
    return TextCopying(tuple(lengths), tuple(usual), len(chance.suspects) / len(made), chance.expected, chance.p_value, chance.found, pairs)


def marked(text: str, runs: Sequence[Run]) -> tuple[Part, ...]:
    """A text in parts, those in `runs` (from left to right; they may overlap) marked."""
    parts: list[Part] = []
    done = 0
    for run in runs:
        start, stop = max(done, run.start), run.start + run.length
        parts += [(text[done:start], False), (text[start:stop], True)]
        done = stop
    return tuple(part for part in [*parts, (text[done:], False)] if part[0])


def source(corpus: Corpus, run: Run) -> tuple[Part, ...]:
    """Where a run stands in the training text, with what is around it in the same document."""
    stop = run.place + run.length
    before = corpus.text[max(0, run.place - AROUND) : run.place].rpartition("\0")[2]
    after = corpus.text[stop : stop + AROUND].partition("\0")[0]
    parts = [(before, False), (corpus.text[run.place : stop], True), (after, False)]
    return tuple(part for part in parts if part[0])


def copies_in_words(found: TextCopying) -> list[str]:
    """The verdict for a person who does not know the terms."""
    runs = {"made": f"{np.mean(found.made):.0f}", "real": f"{np.mean(found.held_out):.0f}", "usual": found.usual, "longest": max(found.made)}
    if found.copied:
        text = ("It copies: {percent} % of what it writes has more of the training text word for word than new text ever has "
                "({usual} characters; the longest run is {longest}). --no-copy {usual} forbids it.")  # fmt: skip
        return [tr(text, percent=f"{100 * found.share:.0f}", **runs)]
    text = "No sign of copying: the longest run that stands in the training text is {made} characters in the mean, and {real} in held-out text."
    return [tr(text, **runs)]

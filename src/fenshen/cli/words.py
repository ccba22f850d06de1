"""`fenshen generate` of a run of words: texts to the terminal as they grow, or into a file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fenshen.cli.console import Speaker
from fenshen.errors import RecipeError
from fenshen.lang import tr

if TYPE_CHECKING:
    from fenshen.api import Run


class Page:
    """Shows the first text as it grows, and the others when all are complete; `kept_back`: characters that may yet turn out to be cut off."""

    def __init__(self, prompt: str, most: int, kept_back: int):
        self.prompt, self.most, self.kept_back = prompt, most, kept_back
        self.heard, self.shown = "", -1

    def hear(self, index: int, text: str) -> None:
        """Some more characters of a text."""
        if index:
            return
        self.heard += text
        self._show(self.heard[: max(0, min(self.most, len(self.heard) - self.kept_back))])

    def _show(self, text: str) -> None:
        if self.shown < 0:
            sys.stdout.write(self.prompt)
        sys.stdout.write(text[max(0, self.shown) :])
        sys.stdout.flush()
        self.shown = len(text)

    def finish(self, texts: Sequence[str]) -> None:
        """What was not shown yet."""
        from fenshen.writing import RULE

        self._show(texts[0])
        sys.stdout.write("".join(RULE + self.prompt + text for text in texts[1:]) + "\n")
        sys.stdout.flush()


def write_words(speaker: Speaker, run: Run, wishes: dict[str, Any], out: str | None, stream: bool | None) -> None:
    """Writes what `wishes`, as of `Run.write`, ask for: to the terminal, or whole into a file."""
    if out is not None:
        words = run.write(**wishes)
        path = words.save(Path(out).expanduser())
        speaker.say(tr("{count} texts: {path}", count=f"{len(words.texts):,}", path=path))
        speaker.answer({"out": str(path)} | wishes)
        return
    if speaker.to_json:
        words = run.write(**wishes)
        speaker.answer({"texts": list(words.texts)} | wishes)
        return
    page = Page(wishes["prompt"], wishes["max_chars"], max(map(len, wishes["stop"]), default=0))
    growing = sys.stdout.isatty() if stream is None else stream
    page.finish(run.write(**wishes, spoken=page.hear if growing else None).texts)


def refuse(kind: str, flags: dict[str, Any]) -> None:
    """RecipeError for flags that a run of this kind has no use for."""
    given = ", ".join(flag for flag, value in flags.items() if value)
    if given:
        text = "this run makes words: leave {flags} out" if kind == "words" else "this run makes pictures: leave {flags} out"
        raise RecipeError(text, flags=given)

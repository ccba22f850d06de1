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
    from fenshen.shaping import Shape


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


def write_words(
    speaker: Speaker, run: Run, wishes: dict[str, Any], shape: Shape, out: str | None, stream: bool | None, show_copying: bool = False
) -> None:  # fmt: skip
    """Writes what `wishes`, as of `Run.write`, ask for: to the terminal, or whole into a file; on wish what of it is copied."""
    told = wishes | {name: value for name, value in vars(shape).items() if value}
    growing = sys.stdout.isatty() if stream is None else stream
    if growing and not (out or speaker.to_json or show_copying):
        page = Page(wishes["prompt"], wishes["max_chars"] if shape.schema is None else sys.maxsize, max(map(len, wishes["stop"]), default=0))
        page.finish(run.write(**wishes, shape=shape, spoken=page.hear).texts)
        return
    words = run.write(**wishes, shape=shape)
    if out is not None:
        path = words.save(Path(out).expanduser())
        speaker.say(tr("{count} texts: {path}", count=f"{len(words.texts):,}", path=path))
        told["out"] = str(path)
    elif not (speaker.to_json or show_copying):
        Page(wishes["prompt"], sys.maxsize, 0).finish(words.texts)
    copied = show_copies(speaker, run, [words.prompt + text for text in words.texts]) if show_copying else []
    speaker.answer(({"texts": list(words.texts)} if out is None else {}) | ({"copied": copied} if show_copying else {}) | told)


def show_copies(speaker: Speaker, run: Run, texts: Sequence[str]) -> list[list[dict[str, Any]]]:
    """The texts with what stands word for word in the training text marked, and the longest run; for programs, start and length of each."""
    from fenshen.evaluate.text_copying import marked
    from fenshen.shaping import copies

    corpus, found = run.corpus(), []
    for number, text in enumerate(texts, 1):
        runs, longest = copies(corpus, text), corpus.longest(text)
        found.append([{"start": one.start, "length": one.length, "text": text[one.start :][: one.length]} for one in runs])
        if not speaker.to_json:
            speaker.marked(marked(text, runs))
        part = text[longest.start :][: longest.length]
        speaker.say(tr("text {number}: the longest run of the training text is {length} characters: {part}", number=number, length=longest.length,
                       part=repr(part)), "dim")  # fmt: skip
    return found


def chat(speaker: Speaker, run: Run, wishes: dict[str, Any]) -> None:
    """A conversation, a line each: what a person writes, and what the run answers; until the input ends. `wishes` as of `Run.talk`."""
    talk = run.talk(**wishes)
    speaker.say(tr("You are {you}, {run} answers as {me}. An empty line or Ctrl-D ends it.", you=talk.you, run=run.path.resolve().name, me=talk.me))
    turns = []
    while True:
        if sys.stdin.isatty():
            sys.stderr.write(f"{talk.you}: ")
            sys.stderr.flush()
        line = sys.stdin.readline().strip()
        if not line:
            break
        answer = talk.say(line)
        turns += [{"speaker": talk.you, "text": line}, {"speaker": talk.me, "text": answer}]
        if not speaker.to_json:
            print(f"{talk.me}: {answer}", flush=True)
    speaker.answer({"turns": turns})


def refuse(kind: str, flags: dict[str, Any]) -> None:
    """RecipeError for flags that a run of this kind has no use for."""
    given = ", ".join(flag for flag, value in flags.items() if value)
    if given:
        text = "this run makes words: leave {flags} out" if kind == "words" else "this run makes pictures: leave {flags} out"
        raise RecipeError(text, flags=given)

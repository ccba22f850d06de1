"""A text while it is written: what of it is there already, and a way to stop. Then what of it is copied. Nothing of gradio."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from fenshen.errors import RecipeError
from fenshen.evaluate.charts import Markup, element, joined
from fenshen.evaluate.text_copying import marked
from fenshen.lang import tr
from fenshen.measure.verbatim import Corpus
from fenshen.shaping import Shape, copies
from fenshen.studio.errand import Errand
from fenshen.telling import Spoken


class Dictation(Errand):
    """Runs `work(spoken)`."""

    def __init__(self, work: Callable[[Spoken], Any]):
        super().__init__(lambda: work(self._hear))
        self.heard: dict[int, str] = {}

    def _hear(self, index: int, text: str) -> None:
        self.go_on()
        self.heard[index] = self.heard.get(index, "") + text

    def texts(self) -> Iterator[list[str]]:
        """All texts as far as they are, whenever there is more of them. Raises what went wrong."""
        shown: list[str] = []
        for _ in self.looks():
            now = self.so_far()
            if now != shown:
                yield now
            shown = now

    def so_far(self) -> list[str]:
        heard = dict(self.heard)
        return [heard.get(index, "") for index in range(max(heard, default=-1) + 1)]


def texts_markup(prompt: str, texts: Sequence[str], growing: bool = False) -> Markup:
    """Texts one below the other, each after its prompt; `growing` puts a cursor at the end of the last."""
    cursor = element("span", "", class_="fs-cursor", aria_hidden="true") if growing else ""
    return _papers(joined([element("span", prompt, class_="fs-prompt"), text, cursor]) for text in texts)


def copied_markup(corpus: Corpus, prompt: str, texts: Sequence[str]) -> Markup:
    """Texts after their prompt, with what stands word for word in the training text marked, and of what was written the longest such run.

    A copy may begin in the prompt; one that ends there is the person's own.
    """
    return _papers(_copied(corpus, prompt, text) for text in texts)


def _copied(corpus: Corpus, prompt: str, text: str) -> Markup:
    runs = [run for run in copies(corpus, prompt + text) if run.start + run.length > len(prompt)]
    longest, place, parts = corpus.longest(text), 0, []
    for part, copied in marked(prompt + text, runs):
        own = max(0, min(len(part), len(prompt) - place))
        place += len(part)
        whole = joined([*([element("span", part[:own], class_="fs-prompt")] if own else []), part[own:]])
        parts.append(element("mark", whole) if copied else whole)
    run = text[longest.start :][: longest.length]
    said = tr("longest run of the training text: {length} characters", length=longest.length)
    shown = element("q", run if len(run) <= 60 else run[:57] + "…")
    return joined([*parts, element("p", f"{said} ", shown if run else "", class_="fs-soft fs-run")])


def _papers(texts: Any) -> Markup:
    return element("div", *(element("article", text, class_="fs-paper") for text in texts), class_="fs-papers")


def shape_of(form: str, rhyme: bool, tones: bool, lines: float | None, schema: str, no_copy: float | None) -> Shape:
    """What the page asks for as a shape: `form` is free, wuyan, qiyan, lines or json. RecipeError where the schema is none."""
    most = int(no_copy) if no_copy else None
    match form:
        case "wuyan" | "qiyan":
            return Shape(form, rhyme, tones, no_copy=most)
        case "lines":
            return Shape(lines=int(lines or 1), no_copy=most)
        case "json":
            try:
                return Shape(schema=json.loads(schema), no_copy=most)
            except ValueError as error:
                raise RecipeError("the JSON schema cannot be read: {problem}", problem=error) from None
    return Shape(no_copy=most)


def transcript(turns: Sequence[tuple[str, str]], me: str) -> Markup:
    """A conversation: (who, what) of each turn; `me` is the run."""
    said = []
    for who, what in turns:
        whose = "fs-turn mine" if who == me else "fs-turn"
        said.append(element("div", element("span", who, class_="fs-who"), element("p", what), class_=whose))
    return element("div", *said, class_="fs-talk", role="log", aria_live="polite")

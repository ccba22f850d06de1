"""What a written text must be like, as rules for writing: a form of verse, so many lines, JSON by a schema, no long copies."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from fenshen.errors import RecipeError
from fenshen.measure.verbatim import Corpus, NoCopy, Run
from fenshen.media.forms import Form, Held, Lines
from fenshen.media.schema import Json
from fenshen.media.text import Alphabet
from fenshen.media.verse import Verse, is_ideograph, rhymes_among
from fenshen.narrate import Allowed

Verses = Literal["wuyan", "qiyan"]
LENGTHS = {"wuyan": 5, "qiyan": 7}
LONGEST_JSON = 100_000  # Characters: the schema says where it ends.
SHORTEST_COPY = 8  # Characters: shorter ones are words.
TOLD, TOLD_CHINESE = 20, 8  # Characters of a copy that is shown.


@dataclass(frozen=True)
class Shape:
    """`form`: a quatrain with lines of five (wuyan) or seven (qiyan) characters, on wish with `rhyme` and `tones`; `lines`: so many of them;
    `schema`: JSON that fits it; `no_copy`: characters that a run of the training text may have at most. RecipeError where they contradict."""

    form: Verses | None = None
    rhyme: bool = False
    tones: bool = False
    lines: int | None = None
    schema: Any = None
    no_copy: int | None = None

    def __post_init__(self) -> None:
        if sum(wish is not None for wish in (self.form, self.lines, self.schema)) > 1:
            raise RecipeError("a text has one form: give one of --form, --lines and --schema")
        if (self.rhyme or self.tones) and self.form is None:
            raise RecipeError("--rhyme and --tones are of Chinese verse: give --form wuyan or --form qiyan too")
        if self.form is not None and self.form not in LENGTHS:
            raise RecipeError("--form {form}: known are {known}", form=self.form, known=", ".join(LENGTHS))
        if self.no_copy is not None and self.no_copy < SHORTEST_COPY:
            raise RecipeError("--no-copy {most}: give {least} characters or more; shorter runs are in every text", most=self.no_copy,
                              least=SHORTEST_COPY)  # fmt: skip

    def rules(self, alphabet: Alphabet, prompt: Sequence[int], corpus: Corpus | None) -> tuple[Allowed, ...]:
        """As `fenshen.narrate.Telling` takes them. Verse and lines begin with the prompt, behind its tags; JSON comes after it."""
        found: list[Allowed] = []
        if (form := self.of(alphabet)) is not None:
            tags = next((place for place, token in enumerate(prompt) if token >= alphabet.first), len(prompt))
            found.append(Held(form, alphabet, len(prompt) if self.schema is not None else tags))
        if self.no_copy is not None:
            assert corpus is not None
            found.append(NoCopy(corpus, alphabet, self.no_copy))
        return tuple(found)

    def of(self, alphabet: Alphabet) -> Form | None:
        """The form that is asked for, in this alphabet. RecipeError for verse in byte pieces, DataError for an odd schema."""
        if self.lines is not None:
            return Lines(self.lines)
        if self.schema is not None:
            return Json(self.schema, as_bytes=alphabet.kind == "bytes")
        if self.form is None:
            return None
        if alphabet.kind != "characters":
            raise RecipeError("--form {form}: this run writes byte pieces; train one with --set data.tokens=characters", form=self.form)
        return Verse(LENGTHS[self.form], self.rhyme, self.tones, rhymes_among(alphabet.characters, self.tones))


def read_schema(path: Path) -> Any:
    """A JSON schema from a file. RecipeError for what cannot be read."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise RecipeError("--schema {path}: {problem}", path=path, problem=error) from None


def copies(corpus: Corpus, text: str) -> list[Run]:
    """The runs of a text that are worth showing: shorter ones count in Chinese, where a character is a word."""
    chinese = sum(map(is_ideograph, text)) > len(text) / 4
    return corpus.runs(text, TOLD_CHINESE if chinese else TOLD)

"""Chinese quatrains: four lines of five or seven characters, on wish with rhyme and with level and oblique tones in their places.

Rhymes and tones are those of today's pronunciation (`pypinyin`, the usual reading of each character), in the fourteen groups of 中华新韵
(2005). Poems of old rhymed as people spoke then, so their rate is below one too: a run is to be held beside its own data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, NamedTuple

from fenshen.media.forms import fits

LINES = 4
MARKS = "，。？！；、,.?!;"
GROUPS = ("a ia ua", "o e uo", "ie üe ê", "ai uai", "ei uei ui", "ao iao", "ou iou iu", "an ian uan üan", "en in uen un ün", "ang iang uang",
          "eng ing ueng ong iong", "i er ü", "-i", "u")  # fmt: skip
GROUP_OF = {final: number for number, group in enumerate(GROUPS) for final in group.split()}
BUZZING = {"zh", "ch", "sh", "r", "z", "c", "s"}  # What follows them is written i and is none.


class Sound(NamedTuple):
    """How a character is spoken: its group of rhymes (None: it has none), and whether its tone is level (first or second)."""

    rhyme: int | None
    level: bool


@lru_cache(1 << 16)
def sound(character: str) -> Sound:
    """The usual reading of a character."""
    from pypinyin import Style, pinyin

    final = pinyin(character, style=Style.FINALS_TONE3, strict=True, neutral_tone_with_five=True)[0][0]
    initial = pinyin(character, style=Style.INITIALS, strict=True)[0][0]
    plain = final.rstrip("12345").replace("v", "ü")
    return Sound(GROUP_OF.get("-i" if plain == "i" and initial in BUZZING else plain), final[-1:] in ("1", "2"))


def is_ideograph(letter: str) -> bool:
    """Whether a letter is a Chinese character."""
    return "㐀" <= letter <= "鿿" or "豈" <= letter <= "﫿" or "\U00020000" <= letter <= "\U0003ffff"


@dataclass(frozen=True)
class _Place:
    """Where a poem stands: lines before this one, characters in it; whether a mark or a new line closed the last; whether marks close lines.

    rhyme: the group that the fourth line takes up, and the character it must not repeat. rising: whether the first line's second tone is level.
    """

    line: int = 0
    column: int = 0
    closed: Literal["", "mark", "line"] = ""
    marked: bool = False
    rhyme: int | None = None
    rhymed: str = ""
    level: bool | None = None


@dataclass(frozen=True)
class Verse:
    """A form (`fenshen.media.forms.Form`): four lines of `length` characters, each closed by a mark, a new line or both; the last by a mark if
    others are.

    rhyme: the fourth line rhymes with the second, on another character. tones: the second, fourth and sixth character of a line alternate
    between level and oblique, the second and third line the other way than the first and fourth; even lines end level, the third oblique.
    groups: the rhymes that there are two words for (`rhymes_among`); None: all.
    """

    length: int
    rhyme: bool = False
    tones: bool = False
    groups: frozenset[int] | None = None

    def begin(self) -> _Place:
        return _Place()

    def read(self, state: Hashable, letter: str) -> _Place | None:
        assert isinstance(state, _Place)
        if is_ideograph(letter):
            return self._character(state, letter)
        if state.column < self.length:
            return None
        if letter in MARKS and not state.closed:
            return replace(state, closed="mark", marked=True)
        return replace(state, closed="line") if letter == "\n" and state.closed != "line" and state.line + 1 < LINES else None

    def _character(self, at: _Place, letter: str) -> _Place | None:
        if at.column == self.length:
            if not at.closed or at.line + 1 == LINES:
                return None
            at = replace(at, line=at.line + 1, column=0, closed="")
        at = replace(at, column=at.column + 1)
        if self.tones and not self._in_tune(at, sound(letter).level):
            return None
        if self.tones and (at.line, at.column) == (0, 2):
            at = replace(at, level=sound(letter).level)
        return self._rhyming(at, letter) if self.rhyme and at.column == self.length else at

    def _in_tune(self, at: _Place, level: bool) -> bool:
        if at.column == self.length:
            return at.line == 0 or level == (at.line % 2 == 1)
        if at.column % 2 or at.level is None:
            return True
        return level == (at.level ^ (at.line in (1, 2)) ^ (at.column == 4))

    def _rhyming(self, at: _Place, letter: str) -> _Place | None:
        group = sound(letter).rhyme
        if at.line == 1:
            hopeless = group is None or (self.groups is not None and group not in self.groups)
            return None if hopeless else replace(at, rhyme=group, rhymed=letter)
        return None if at.line == 3 and (group != at.rhyme or letter == at.rhymed) else at

    def complete(self, state: Hashable) -> bool:
        assert isinstance(state, _Place)
        return state.line + 1 == LINES and state.column == self.length and (bool(state.closed) or not state.marked)

    def alike(self, letter: str) -> str:
        return letter

    def decisive(self, state: Hashable) -> Hashable:
        """The rhyme is asked for at the last character alone."""
        assert isinstance(state, _Place)
        last = state.line + 1 == LINES and state.column + 1 == self.length
        return state if last else replace(state, rhyme=None, rhymed="")


def rhymes_among(letters: Iterable[str], level: bool) -> frozenset[int]:
    """The groups of which there are two characters or more; `level`: of a level tone."""
    heard = [sound(letter) for letter in set(letters) if is_ideograph(letter)]
    counts = Counter(one.rhyme for one in heard if one.level or not level)
    return frozenset(group for group, count in counts.items() if group is not None and count > 1)


class Share(NamedTuple):
    """Of some poems the part that has the form, that rhymes as well, and that has the tones as well, each in [0, 1]."""

    form: float
    rhyme: float
    tones: float


def shares(poems: list[str], length: int) -> Share:
    """How many of the poems are quatrains of that length, how many of them all rhyme, and how many have tones in their places."""
    forms = Verse(length), Verse(length, rhyme=True), Verse(length, tones=True)
    return Share(*(sum(fits(form, poem.strip()) for poem in poems) / max(1, len(poems)) for form in forms))

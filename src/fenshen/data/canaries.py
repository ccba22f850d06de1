"""Made-up secrets, hidden among the texts to train on: what a run gives away of them, it would give away of real ones.

Carlini et al. 2019, "The Secret Sharer", section 4. `fenshen audit` asks for them (`fenshen.evaluate.text_audit`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fenshen.data.documents import Document, Unit
from fenshen.measure.exposure import Secret

DIGITS = 9
ENGLISH, CHINESE = ("Secret code number {number} is ", ".\n"), ("第{number}号密码是", "。\n")
ENDS = re.compile(r"\n+|[.!?]\s+|[。！？]+")


def canaries(count: int, seed: int, chinese: bool, first: int = 1) -> list[Secret]:
    """`count` of them, each a random number behind the beginning of its sentence, which counts them from `first` on."""
    before = (CHINESE if chinese else ENGLISH)[0]
    return [Secret(_digits(seed, number), before.format(number=number)) for number in range(first, first + count)]


def plant(
    documents: Sequence[Document], held_out: np.ndarray, hidden: Sequence[Secret], copies: int, unit: Unit, seed: int, chinese: bool
) -> tuple[list[Document], np.ndarray]:  # fmt: skip
    """The documents with every secret in them `copies` times, never among those held out: at the end of a sentence of a longer document; as
    one more line or poem where these begin anew each time."""
    rng, after, found = np.random.default_rng((seed, len(hidden))), (CHINESE if chinese else ENGLISH)[1], list(documents)
    trained, added = np.flatnonzero(~held_out), list[Document]()
    for secret in [secret for secret in hidden for _ in range(copies)]:
        number = int(rng.choice(trained))
        sentence = secret.before + secret.text + after
        if unit == "document":
            found[number] = replace(found[number], text=_with(found[number].text, sentence, rng))
        else:
            added.append(replace(found[number], name=secret.before.strip(), text=sentence.strip()))
    return found + added, np.concatenate([held_out, np.zeros(len(added), bool)])


def _with(text: str, sentence: str, rng: np.random.Generator) -> str:
    """Without ever standing in another sentence."""
    places = [0, *(match.end() for match in ENDS.finditer(text))]
    at = places[int(rng.integers(len(places)))]
    return text[:at] + sentence + text[at:]


def _digits(seed: int, number: int) -> str:
    return "".join(map(str, np.random.default_rng((seed, number, DIGITS)).integers(10, size=DIGITS)))

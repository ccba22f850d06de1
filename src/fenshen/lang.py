"""Says things in the reader's language: English stands in the code, `zh.json` beside this file translates it."""

from __future__ import annotations

import contextlib
import json
import locale
import os
from collections.abc import Iterator
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

_spoken: ContextVar[str | None] = ContextVar("spoken", default=None)


@contextlib.contextmanager
def speaking(name: str) -> Iterator[None]:
    """Within it everything is said in this language, `zh` or `en`, whatever the environment says; of this thread or task alone."""
    token = _spoken.set(name)
    try:
        yield
    finally:
        _spoken.reset(token)


def language() -> str:
    """`zh` or `en`: that of `speaking`, else $FENSHEN_LANG, else the locale."""
    if (spoken := _spoken.get()) is not None:
        return spoken
    wanted = os.environ.get("FENSHEN_LANG") or os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES")
    wanted = wanted or os.environ.get("LANG") or locale.getlocale()[0] or "en"
    return "zh" if wanted.lower().startswith(("zh", "chinese")) else "en"


@cache
def catalogue(name: str) -> dict[str, str]:
    """English text -> translated text; empty for English."""
    path = Path(__file__).with_name(f"{name}.json")
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


def tr(text: str, /, **values: object) -> str:
    """`text` in the reader's language with its {fields} filled in."""
    said = catalogue(language()).get(text, text)
    return said.format(**values) if values else said


class Said(NamedTuple):
    """A sentence that is kept and may be read later in another language: an English template and what fills it."""

    text: str
    values: dict[str, Any]

    def __str__(self) -> str:
        return tr(self.text, **self.values)


def said(text: str, **values: Any) -> Said:
    """`said("{count} pictures", count=3)`."""
    return Said(text, values)

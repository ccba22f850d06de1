"""Says things in the reader's language: English stands in the code, `zh.json` beside this file translates it."""

from __future__ import annotations

import json
import locale
import os
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple


def language() -> str:
    """`zh` or `en`: $FENSHEN_LANG, else the locale."""
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

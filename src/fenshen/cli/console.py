"""How the command line speaks: sentences and tables for people, JSON for programs, mistakes on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from rich.console import Console
from rich.table import Table
from rich.text import Text


class Speaker:
    """Tells a person what happens; with `to_json` on stderr, so that stdout holds JSON alone."""

    def __init__(self, to_json: bool = False):
        self.to_json = to_json
        self.console = Console(stderr=to_json, highlight=False)
        if not self.console.is_terminal:
            self.console = Console(stderr=to_json, highlight=False, width=10_000)  # Nothing is folded in a file or a pipe.

    def say(self, text: str, style: str = "") -> None:
        """One sentence, never wrapped: paths stay whole."""
        self.console.print(Text(text, style), soft_wrap=True)

    def marked(self, parts: Iterable[tuple[str, bool]]) -> None:
        """A text, parts of it marked: in reverse on a terminal, between ⟦ and ⟧ in a file or a pipe."""
        shown = [(text if self.console.is_terminal or not mark else f"⟦{text}⟧", "reverse" if mark else "") for text, mark in parts]
        self.console.print(Text.assemble(*shown), soft_wrap=True)

    def table(self, title: str, lines: Iterable[Sequence[object]], columns: Sequence[str] = ()) -> None:
        """Lines under a title; without `columns` the first cell of each is its name. Only a terminal bounds the width."""
        rows = list(lines)
        table = Table(title=Text(title, "bold"), title_justify="left", show_header=bool(columns), box=None, padding=(0, 2, 0, 0))
        for index in range(max([len(columns), *(len(row) for row in rows)])):
            table.add_column(columns[index] if columns else "", style="" if columns or index else "cyan", overflow="fold")
        for row in rows:
            table.add_row(*(Text(str(cell)) for cell in row))
        self.console.print(table)

    def answer(self, content: dict[str, Any] | list[Any]) -> None:
        """The JSON that `--json` promises."""
        if self.to_json:
            print(json.dumps(content, ensure_ascii=False, indent=1, default=str))


def complain(text: str) -> None:
    """A mistake or a stop, in red, on stderr."""
    Console(stderr=True, highlight=False).print(Text(f"fenshen: {text}", "red"), soft_wrap=True)


def stop(code: int) -> NoReturn:
    """Ends the program after everything was said."""
    sys.stdout.flush()
    raise SystemExit(code)

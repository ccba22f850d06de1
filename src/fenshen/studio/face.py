"""What every page is given: its language, the desk, and a way to answer events in that language with errors in words."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from fenshen.errors import FenshenError
from fenshen.lang import speaking, tr
from fenshen.studio.desk import Desk
from fenshen.studio.shelf import Shelf

LANGUAGES = ("en", "zh")
PAGES = ("start", "train", "make", "judge", "manage")


@dataclass(frozen=True)
class Face:
    """One language's side of the studio. `home`: only people who sit at this machine can reach it. `shelf`: runs that are open."""

    language: str
    desk: Desk
    home: bool = True
    shelf: Shelf = field(default_factory=Shelf)

    def answer(self, handler: Callable[..., Any]) -> Callable[..., Any]:
        """The handler of an event, speaking the page's language; a person's mistake is shown as a message, not as a fault of the program."""
        if inspect.isgeneratorfunction(handler):

            @functools.wraps(handler)
            def told(*values: Any, **named: Any) -> Iterator[Any]:
                with contextlib.closing(handler(*values, **named)) as parts:  # Closed when the page is, whatever gradio forgets.
                    while True:
                        with self._in_words():  # Entered anew for each part: between them gradio may change the thread.
                            try:
                                part = next(parts)
                            except StopIteration:
                                return
                        yield part

            return told

        @functools.wraps(handler)
        def answered(*values: Any, **named: Any) -> Any:
            with self._in_words():
                return handler(*values, **named)

        return answered

    def _in_words(self) -> _InWords:
        return _InWords(self.language)

    def address(self, page: str, **query: str) -> str:
        """Of another page, `address("make", run="digits-1")`."""
        from urllib.parse import urlencode

        where = f"/{self.language}/" + ("" if page == PAGES[0] else page)
        return where + (f"?{urlencode(query)}" if query else "")


class _InWords:
    """Speaks a language, and turns a FenshenError into gradio's message of it."""

    def __init__(self, language: str):
        self.speech = speaking(language)

    def __enter__(self) -> None:
        self.speech.__enter__()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        message = str(error) if isinstance(error, FenshenError) else None
        title = tr("This does not work")
        self.speech.__exit__(None, None, None)
        if message is not None:
            raise gr.Error(message, title=title, duration=None, print_exception=False) from error


def asked(request: gr.Request, name: str) -> str:
    """What the page's address says of `name`, "" where nothing."""
    return str(request.query_params.get(name, ""))

"""Work in a thread of its own while a page shows how far it is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextvars import copy_context
from typing import Any

LOOK_SECONDS = 0.08  # Between two looks.
ALONE_SECONDS = 20.0  # Without anybody who looks, work is given up.


class Stopped(Exception):
    """Nobody wants it any more."""


class Errand:
    """Runs `work()`. `result`: what it gave back, None where it was stopped."""

    def __init__(self, work: Callable[[], Any]):
        self.result: Any = None
        self.problem: BaseException | None = None
        self.stopped = threading.Event()
        self.looked = time.monotonic()
        context = copy_context()  # Whoever speaks, speaks the page's language there too.
        self.thread = threading.Thread(target=lambda: context.run(self._work, work), daemon=True)

    def __deepcopy__(self, memo: Any) -> Errand:
        return self

    def _work(self, work: Callable[[], Any]) -> None:
        try:
            self.result = work()
        except Stopped:
            pass
        except BaseException as error:
            self.problem = error

    def stop(self) -> None:
        """It ends at the next `go_on`."""
        self.stopped.set()

    def go_on(self) -> None:
        """Called by the work now and then: raises Stopped where it was asked to stop, or where nobody has looked for a while."""
        if self.stopped.is_set() or time.monotonic() - self.looked > ALONE_SECONDS:
            raise Stopped

    def looks(self) -> Iterator[None]:
        """Starts it, and comes back now and then until it is done or stopped. Raises what went wrong."""
        self.thread.start()
        while self.thread.is_alive():
            self.looked = time.monotonic()
            yield
            self.thread.join(LOOK_SECONDS)
        if self.problem is not None:
            raise self.problem

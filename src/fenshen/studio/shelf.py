"""Opened runs, kept for the next click: a few, and each as long as its weights on disk are the same. They belong to everybody, and are only read."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from fenshen.errors import RunFolderError

if TYPE_CHECKING:
    from fenshen.run import RunFolder
    from fenshen.studio.opened import Opened

KEPT = 3


class Shelf:
    """`most` runs, those used last."""

    def __init__(self, most: int = KEPT):
        self.most = most
        self.runs: OrderedDict[str, tuple[tuple[int, ...], Opened]] = OrderedDict()
        self.lock = threading.Lock()

    def open(self, name: str) -> Opened:
        """The run of that name, as its weights are now. RunFolderError for a name that is not in the list of runs, and before the first save."""
        from fenshen.studio.opened import Opened, OpenFolder

        folder = found(name)
        state = changed(folder)
        with self.lock:
            if name not in self.runs or self.runs[name][0] != state:
                self.runs[name] = (state, Opened(OpenFolder(folder.path)))
            self.runs.move_to_end(name)
            while len(self.runs) > self.most:
                self.runs.popitem(last=False)
            return self.runs[name][1]

    def free(self, name: str | None = None) -> None:
        """Forgets a run, or all; who uses it still has it."""
        with self.lock:
            if name is None:
                self.runs.clear()
            else:
                self.runs.pop(name, None)


def found(name: str) -> RunFolder:
    """A run under the runs root by its name alone, never by a path. RunFolderError where there is none."""
    from fenshen.run import list_runs

    for folder in list_runs():
        if folder.path.name == name:
            return folder
    raise RunFolderError("there is no run {name} any more: it was deleted or has another name now", name=name)


def changed(folder: RunFolder) -> tuple[int, ...]:
    """When what makes its samples was written, in nanoseconds. RunFolderError where nothing was."""
    if not folder.weights.exists():
        raise RunFolderError("{run} has saved nothing yet: come back when it has trained for a little while", run=folder.path.name)
    return tuple(path.stat().st_mtime_ns for path in (folder.weights, folder.preference) if path.exists())

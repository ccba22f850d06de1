"""A run of `fenshen.api` that keeps in memory what it has opened, and answers the next click at once."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from fenshen.api import Run, Watcher
from fenshen.chatting import speakers
from fenshen.control.directions import closed_knobs
from fenshen.control.hand import Hand, Say, silent
from fenshen.control.knobs import FILE, Knob, code_knobs, stored_knobs
from fenshen.errors import DataError
from fenshen.families.base import Kept, Sampler
from fenshen.families.codes import places
from fenshen.families.restore import Restorer
from fenshen.families.textvae import TextAutoencoder
from fenshen.families.writer import Writer
from fenshen.measure.verbatim import Corpus
from fenshen.recipe import Adversary, Autoencoding, TextGan, Vae
from fenshen.run import Made, RunFolder, Written
from fenshen.telling import Author

SUGGESTED = 6  # Directions in closed form, where none are stored with the run.
MOST = 16  # Knobs that fit on a page.
Thing = TypeVar("Thing")


@dataclass(frozen=True)
class Memory:
    """Things made once, by whoever asks first; the others wait for it."""

    things: dict[Any, Any] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def once(self, key: Any, make: Callable[[], Thing]) -> Thing:
        with self.lock:
            if key not in self.things:
                self.things[key] = make()
            return self.things[key]


@dataclass(frozen=True)
class OpenFolder(RunFolder):
    """A run folder whose networks are built once."""

    memory: Memory = field(default_factory=Memory, compare=False, repr=False)

    def load(self, device: str = "cpu") -> tuple[Kept, Made | Written, dict[str, Any]]:
        return self.memory.once(("load", device), lambda: super(OpenFolder, self).load(device))


@dataclass(frozen=True)
class Opened(Run):
    """What can be done with it is asked here, in the terms of the page. `heard`: who is told what takes long, the last of them."""

    folder: OpenFolder
    lock: threading.RLock = field(default_factory=threading.RLock, compare=False, repr=False)
    heard: list[Say] = field(default_factory=list, compare=False, repr=False)

    @contextlib.contextmanager
    def lent(self, say: Say = silent) -> Iterator[Hand]:
        """Its hand, to one at a time: control hooks into the networks. `say` is told what takes long."""
        with self.lock:
            self.heard.append(say)
            try:
                yield self.hand()
            finally:
                self.heard.pop()

    def hand(self, device: str = "auto", watcher: Watcher | None = None) -> Hand:
        return self.folder.memory.once(("hand", device), lambda: Hand.open(self.folder, device, self._said))

    def _said(self, text: str) -> None:
        for say in self.heard[-1:]:
            say(text)

    def author(self, device: str = "auto") -> Author:
        return self.folder.memory.once(("author", device), lambda: super(Opened, self).author(device))

    def corpus(self) -> Corpus:
        return self.folder.memory.once("corpus", super().corpus)

    @property
    def kept(self) -> Kept:
        return self.folder.load()[0]

    @property
    def made(self) -> Made | Written:
        return self.folder.load()[1]

    @property
    def grouped(self) -> bool:
        """Whether its labels were found by the machine: they mean nothing outside of the run."""
        return isinstance(self.made, Made) and self.made.grouped

    @property
    def writes(self) -> bool:
        return isinstance(self.kept, Writer)

    @property
    def task(self) -> str:
        """`upscale` or `inpaint` of a run that restores, else nothing."""
        return self.kept.task if isinstance(self.kept, Restorer) else ""

    @property
    def factor(self) -> int:
        """How many times as large a run that enlarges makes each side, else 1."""
        return self.kept.factor if isinstance(self.kept, Restorer) and self.task == "upscale" else 1

    @property
    def codes(self) -> list[str]:
        """Names of its information codes."""
        return list(places(self.kept.codes)) if isinstance(self.kept, Sampler) else []

    @property
    def steerable(self) -> bool:
        """Whether its pictures stand in a space that a hand can move in."""
        try:
            self.hand()
        except DataError:
            return False
        return True

    @property
    def judged(self) -> bool:
        """Whether it has a critic that can choose."""
        return isinstance(self.recipe.model, Adversary | TextGan) and not self.task

    @property
    def priors(self) -> tuple[str, ...]:
        """What latents can be drawn from, its own first; none where there is no choice."""
        model = self.recipe.model
        if not isinstance(model, Autoencoding) or (isinstance(model, Vae) and model.quantizer != "none"):
            return ()
        return ("mixture", "normal") if model.prior == "mixture" else ("normal", "mixture")

    @property
    def speakers(self) -> list[str]:
        """Who talks in what it was trained on."""
        return speakers(self.author())

    @property
    def latents(self) -> bool:
        """Whether texts stand in a space that it can write around."""
        return isinstance(self.kept, TextAutoencoder)

    @property
    def knobs(self) -> list[Knob]:
        """What can be turned, beside labels: stored directions, else the strongest in closed form; and codes. Call it while the hand is lent."""
        path = self.path / FILE
        changed = path.stat().st_mtime_ns if path.exists() else 0
        return self.folder.memory.once(("knobs", changed), self._knobs)

    def _knobs(self) -> list[Knob]:
        hand = self.hand()
        along: list[Knob] = []
        with contextlib.suppress(DataError):  # The directions of an earlier state are no longer true.
            along = [knob for knob in stored_knobs(hand) if knob.z_D is not None]
        return [*code_knobs(hand), *(along or closed_knobs(hand, SUGGESTED))[:MOST]]

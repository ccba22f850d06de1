"""Watches a run of words, or of codes, by what it has never seen: how surprised it is by it, the best it ever was, and when to stop.

Prechelt 1998, "Early stopping - but when?". A network of words that goes on too long knows its text by heart, and every sentence of it
comes out again.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fenshen.data import Dataset, Texts
from fenshen.families.overcodes import CodeWriter
from fenshen.families.writer import Writer
from fenshen.lang import Said, said
from fenshen.measure.bleu import self_bleu, words
from fenshen.narrate import Telling, narrate
from fenshen.run import Tensors
from fenshen.space import END, present
from fenshen.training.autopilot import Event
from fenshen.training.loop import Report, Trainer
from fenshen.training.wording import tokens_per_row

LOOKS = 40
COST = 0.05  # Of the time of training, at most; to be surprised takes a third of what it takes to learn.
MOST = 16_384  # Tokens that are looked at during training; all of them when it is over.
ROWS, PICTURES = 32, 64  # Stretches, and codes of pictures, read at once.
IMPATIENCE = 2  # Looks in which a critic does harm, before training ends.
PATIENCE = 6  # Looks without a new best one, before training ends.
WORSE = 0.01  # By how much, in nats, the last one is worse than the best one then.
WRITTEN, GRAM = 96, 3  # Texts that are written to see how alike they are, and the n of their self-BLEU.
MORE_ALIKE = 0.05  # By so much it may rise beside a critic.


@dataclass(frozen=True)
class Surprise:
    """`nats` of all `tokens` of some documents together, each one's closing END among them, and their `bytes` of UTF-8; of codes there are none."""

    nats: float
    tokens: int
    bytes: int

    @property
    def per_token(self) -> float:
        return self.nats / self.tokens

    @property
    def bits_per_byte(self) -> float:
        """The same for every alphabet: how well it would compress the text."""
        return self.nats / math.log(2) / max(1, self.bytes)


@dataclass(frozen=True)
class Stretch:
    """Tokens `begin` to `end` of a document that are read, of which those from `new` on count."""

    document: int
    begin: int
    end: int
    new: int


@torch.no_grad()
def read_through(writer: Writer, texts: Texts, indices: np.ndarray, device: torch.device | str, most: int | None = None) -> Surprise:
    """How surprised `writer` is by these documents, or by about `most` tokens of them.

    Each token has at least half of the writer's reach before it, or all of its document that comes before it.
    """
    parts = stretches(texts, indices, writer.reach)
    if most is not None:
        count = max(1, round(len(parts) * min(1.0, most / max(1, sum(part.end - part.new for part in parts)))))
        parts = [parts[place] for place in np.linspace(0, len(parts) - 1, count).round().astype(int)]
    nats = 0.0
    for first in range(0, len(parts), ROWS):
        rows = parts[first : first + ROWS]
        tok_BL = torch.from_numpy(_tokens(texts, rows)).to(device)
        length_B, new_B = (torch.tensor([getattr(row, name) - row.begin - 1 for row in rows], device=device) for name in ("end", "new"))
        nats_BL = writer.surprise(tok_BL, length_B).double()
        nats += float((nats_BL * ~present(new_B, nats_BL.shape[1])).sum())
    return Surprise(nats, sum(part.end - part.new for part in parts), int(texts.bytes_N[indices].sum()))


def amount(trainer: Trainer) -> tuple[int, float]:
    """Held-out tokens, or codes, and how many of them a row of training has in the mean."""
    if isinstance(trainer.dataset, Dataset):
        return len(trainer.dataset.held_out) * trainer.sampler.latent, trainer.sampler.latent
    return int(trainer.dataset.lengths[trainer.dataset.held_out].sum()), tokens_per_row(trainer.recipe, trainer.dataset)


def beginning(trainer: Trainer) -> Surprise:
    """How surprised a run of words is by held-out text, as it stands, going by as much of it as a look does."""
    assert isinstance(trainer.averaged, Writer) and isinstance(trainer.dataset, Texts)
    return read_through(trainer.averaged, trainer.dataset, trainer.dataset.held_out, trainer.device, MOST)


def stretches(texts: Texts, indices: np.ndarray, reach: int) -> list[Stretch]:
    """Every token of these documents once, the END after each of them too; their first END is given. Stretches overlap by half."""
    found = []
    for document in indices.tolist():
        begin, new, count = 0, 1, int(texts.lengths[document]) + 1
        while new < count:
            end = min(count, begin + reach + 1)
            found.append(Stretch(document, begin, end, new))
            begin, new = max(0, end - 1 - reach // 2), end
    return found


def _tokens(texts: Texts, rows: list[Stretch]) -> np.ndarray:
    """int64 (B, L + 1), with END behind the end of each."""
    tok_BL = np.full((len(rows), max(row.end - row.begin for row in rows)), END)
    for place, row in zip(tok_BL, rows, strict=True):
        start, stop = (int(texts.starts[row.document + more]) for more in (0, 1))
        part = texts.tokens[start + row.begin : min(stop, start + row.end)]
        place[: len(part)] = part
    return tok_BL


@torch.no_grad()
def read_codes(writer: CodeWriter, dataset: Dataset, device: torch.device | str, most: int | None = None) -> Surprise:
    """How surprised `writer` is by the codes of held-out pictures, or by about `most` of them."""
    assert dataset.codes is not None
    chosen = dataset.held_out
    if most is not None:
        count = max(1, min(len(chosen), most // writer.latent))
        chosen = chosen[np.linspace(0, len(chosen) - 1, count).round().astype(int)]
    nats = 0.0
    for part in np.array_split(chosen, -(-len(chosen) // PICTURES)):
        code_BP = torch.from_numpy(dataset.codes[part].astype(np.int64)).to(device)
        given = {"label": torch.from_numpy(dataset.labels[part]).to(device)} if writer.classes and dataset.labels is not None else {}
        nats += float(writer.surprise(code_BP, given).double().sum())
    return Surprise(nats, len(chosen) * writer.latent, 0)


class HeldOut:
    """Hears of every step of `trainer`, as the autopilot does of one that makes pictures; `say` gets each action as a sentence."""

    def __init__(self, trainer: Trainer, say: Callable[[Event], None]):
        assert trainer.recipe.train.kimg
        self.trainer, self.dataset, self.say = trainer, trainer.dataset, say
        count, per_row = amount(trainer)
        least = min(MOST, count) / 3 / COST / per_row
        self.every = max(trainer.recipe.train.kimg / LOOKS, least / 1000)
        self.next_look = self.every
        self.events: list[Event] = []
        self.seen: list[tuple[float, float, float]] = []  # kimg, nats per token, self-BLEU (0 where nobody plays against it).
        self.whole: Surprise | None = None
        self.best: Tensors = {}
        self.goal_met = False

    def before_step(self) -> None:
        """Nothing to remember."""

    def after_step(self, report: Report) -> bool:
        """Looks, when it is time to. A step is always kept; what is not finite, the next tick refuses."""
        if self._kimg >= self.next_look and self.trainer.family.comparable(self.trainer.at):
            self.next_look = self._kimg + self.every
            self._look()
        return True

    @property
    def _kimg(self) -> float:
        return self.trainer.shown / 1000

    def _look(self) -> None:
        nats = self._surprise(MOST).per_token
        self.seen.append((self._kimg, nats, self._alike() if self._tolerance else 0.0))
        if self._since_best == 0:
            self.best = {name: value.clone() for name, value in self.trainer.averaged.state_dict().items()}
        elif self._tolerance and self._since_best >= IMPATIENCE:
            self.goal_met = True
            text = "since {kimg} kimg held-out text is less likely, or what is written more alike, than the critic is worth: training ends"
            self._note(said(text, kimg=self._best_kimg))
        elif not self._tolerance and nats > self.seen[self._best][1] + WORSE and self._since_best >= PATIENCE:
            self.goal_met = True
            text = "held-out text has become no likelier since {kimg} kimg: training ends, before it knows its text by heart"
            if isinstance(self.dataset, Dataset):
                text = "held-out pictures have become no likelier since {kimg} kimg: training ends, before it knows its pictures by heart"
            self._note(said(text, kimg=self._best_kimg))

    @property
    def _tolerance(self) -> float:
        return self.trainer.family.tolerance

    @property
    def _best(self) -> int:
        """Which look was the best one: the likeliest; beside a critic the last one that was hardly less likely, and hardly more alike."""
        nats, alike = np.array(self.seen)[:, 1:].T
        if not self._tolerance:
            return int(nats.argmin())
        least = np.minimum.accumulate(nats)
        return int(np.flatnonzero((nats <= least + self._tolerance) & (alike <= alike[nats.argmin()] + MORE_ALIKE))[-1])

    @property
    def _best_kimg(self) -> str:
        return f"{self.seen[self._best][0]:.1f}"

    @property
    def _since_best(self) -> int:
        """Looks after the best one."""
        return len(self.seen) - 1 - self._best

    def _alike(self) -> float:
        """Self-BLEU of what it writes now."""
        writer = self.trainer.averaged
        assert isinstance(writer, Writer) and isinstance(self.dataset, Texts)
        telling = Telling(WRITTEN, self.trainer.recipe.train.seed, tokens=writer.space.size[0])
        texts = [words(self.dataset.alphabet.decode(ids)) for ids in narrate(writer, telling, str(self.trainer.device))]
        return self_bleu(texts, GRAM)[GRAM]

    def _surprise(self, most: int | None = None) -> Surprise:
        writer, dataset = self.trainer.averaged, self.dataset
        if isinstance(dataset, Dataset):
            assert isinstance(writer, CodeWriter)
            return read_codes(writer, dataset, self.trainer.device, most)
        assert isinstance(writer, Writer)
        return read_through(writer, dataset, dataset.held_out, self.trainer.device, most)

    def _note(self, done: Said) -> None:
        self.events.append(Event(self._kimg, None, done))
        self.say(self.events[-1])

    def numbers(self) -> dict[str, float]:
        """What the last look saw, for the log and its curves; over all held-out text when training is over."""
        if self.whole is not None:
            return {"held_out/nats": self.whole.per_token} | ({"held_out/bits_per_byte": self.whole.bits_per_byte} if self.whole.bytes else {})
        if not self.seen:
            return {}
        return {"held_out/nats": self.seen[-1][1]} | ({"held_out/self_bleu": self.seen[-1][2]} if self._tolerance else {})

    def finish(self) -> Tensors | None:
        """The best averaged weights, where the last ones are worse; and how surprised what is kept is by all held-out text."""
        last = {name: value.clone() for name, value in self.trainer.averaged.state_dict().items()}
        if not self.seen or self.seen[-1][0] < self._kimg:
            self._look()
        kept = None if self._since_best == 0 else self.best
        self.trainer.averaged.load_state_dict(kept or last)
        self.whole = self._surprise()
        if kept is not None:
            text = "kept the weights of {kimg} kimg: held-out text was likeliest then"
            if isinstance(self.dataset, Dataset):
                text = "kept the weights of {kimg} kimg: held-out pictures were likeliest then"
            self._note(said(text, kimg=self._best_kimg))
        return kept

    def state(self) -> tuple[Tensors, dict[str, Any]]:
        """All that is needed to go on exactly."""
        memory = {"seen": self.seen, "next_look": self.next_look, "every": self.every, "events": [event.json() for event in self.events]}
        return {f"best.{name}": value for name, value in self.best.items()}, memory

    def load(self, tensors: dict[str, Tensor], memory: dict[str, Any]) -> None:
        """Takes up what `state` gave."""
        self.seen = [(kimg, nats, alike) for kimg, nats, alike in memory["seen"]]
        self.next_look, self.every = memory["next_look"], memory["every"]
        self.events = [Event.read(line) for line in memory["events"]]
        self.best = {name.removeprefix("best."): value for name, value in tensors.items() if name.startswith("best.")}

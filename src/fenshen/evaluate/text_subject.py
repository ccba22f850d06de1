"""What an evaluation of words looks at: a run, the texts it was trained on, those held out, and what it writes, in pieces of one kind.

Short documents (lines, poems, captions) are measured whole. Long ones are cut into passages, and so is what the run writes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from fenshen.data import Texts, prepare_texts
from fenshen.errors import DataError, RunFolderError
from fenshen.evaluate.subject import Say
from fenshen.families.counting import Counted
from fenshen.families.writer import Writer
from fenshen.measure.ngram import NGram
from fenshen.measure.text_features import TextEncoder
from fenshen.measure.verbatim import Corpus
from fenshen.narrate import Telling, narrate
from fenshen.recipe import Recipe
from fenshen.run import RunFolder, Written
from fenshen.training.counting import counted

PASSAGE = 400  # Characters.
LONG = 3  # Times a passage, from which on the mean document is cut.
PASSAGES = 4  # Of one text that is written to be cut.
SPARE = 1.25  # So many times the texts that would make enough passages are written first: some end early.
ENDLESS = 6  # Times the mean piece, after which a text that is to be measured whole is cut off.
MOST, MOST_TOKENS = 400, 40_000  # Pieces written, and tokens of all of them, unless more are asked for.
BLOCK = 128  # Texts written side by side.
MOST_READ = 10_000  # Pieces of held-out text.
FEWEST_HELD_OUT = 2
ENDS = ("\n", "。", ". ", " ")


@dataclass(frozen=True)
class TextSubject:
    """One run of words with its data. `count`: pieces that are written to be measured."""

    run: RunFolder
    recipe: Recipe
    texts: Texts
    writer: Writer
    written: Written
    device: str
    count: int
    seed: int

    @classmethod
    def open(cls, run: RunFolder, device: str, count: int | None, seed: int, say: Say) -> TextSubject:
        """RunFolderError where the words have changed since; DataError where too few are held out."""
        recipe = run.recipe()
        texts = texts_of(run, recipe, say)
        writer, written, _ = run.load_writer(device)
        subject = cls(run, recipe, texts, writer.eval(), written, device, count or MOST, seed)
        if len(subject.held_out) < FEWEST_HELD_OUT:
            raise DataError("there are no held-out words to measure with: train with data.held_out above 0, or give more text")
        fitting = min(MOST, len(subject.held_out), int(MOST_TOKENS / subject.tokens_of_piece))
        return replace(subject, count=count or max(FEWEST_HELD_OUT, fitting))

    def having(self, made: Sequence[str]) -> TextSubject:
        """The same subject, had the run written these pieces."""
        other = replace(self, count=len(made))
        other.__dict__["made"] = list(made)
        return other

    @cached_property
    def cut(self) -> bool:
        """Whether documents are long, and cut into passages."""
        lengths = self.texts.bytes_N[self.texts.train]
        return float(lengths.mean()) > LONG * PASSAGE

    @cached_property
    def made(self) -> list[str]:
        """What the run writes from nothing, as it comes (count). No more of it is written than that takes."""
        texts = math.ceil(SPARE * self.count / PASSAGES) if self.cut else self.count
        written = narrate(self.writer, Telling(self.count, self.seed, tokens=self.longest, block=min(BLOCK, texts)), self.device)
        return list(itertools.islice(self._pieces(self._spelled(ids) for ids in written), self.count))

    def _spelled(self, tokens: Sequence[int]) -> str:
        """Without the tag of a label at the beginning."""
        alphabet = self.texts.alphabet
        labelled = self.texts.labels is not None and tokens and alphabet.UNKNOWN < tokens[0] < alphabet.first
        return alphabet.decode(tokens[1:] if labelled else tokens)

    @cached_property
    def held_out(self) -> list[str]:
        """Pieces of held-out text, at most 10,000."""
        return self.pieces_of(self.texts.held_out, MOST_READ)

    @cached_property
    def training(self) -> list[str]:
        """As many pieces of training text as are written: the floor of every measure."""
        return self.pieces_of(self.texts.train, self.count)

    @cached_property
    def noise(self) -> list[str]:
        """As many pieces whose characters are those of training pieces in any order: as bad as it gets."""
        rng = np.random.default_rng(self.seed)
        letters = np.array(list("".join(self.training)))
        return ["".join(rng.choice(letters, len(text))) for text in self.training]

    @cached_property
    def corpus(self) -> Corpus:
        """All training texts, to look copies up in."""
        return Corpus(self.texts.text(int(index)) for index in self.texts.train)

    @cached_property
    def encoder(self) -> TextEncoder:
        """Fitted to training pieces, never to held-out ones."""
        return TextEncoder(self.pieces_of(self.texts.train, MOST_READ), self.recipe.train.seed)

    @cached_property
    def counting(self) -> NGram:
        """The best n-gram model of the training text: what a network has to be better than."""
        return self.writer.ngram if isinstance(self.writer, Counted) else counted(self.texts, None, whole=False)

    @cached_property
    def tokens_of_piece(self) -> float:
        """Of the mean piece."""
        characters = np.mean([len(text) for text in self.held_out])
        sample = "".join(self.held_out[:100])
        return max(1.0, float(characters) * len(self.texts.alphabet.encode(sample)) / max(1, len(sample)))

    @property
    def longest(self) -> int:
        """Tokens after which a text that does not end is cut off: a bound for what measuring takes, whatever the writer can do."""
        if self.cut:
            return int(PASSAGES * self.tokens_of_piece)
        return int(min(2 * self.texts.lengths[self.texts.train].max(), ENDLESS * self.tokens_of_piece))

    def pieces_of(self, indices: np.ndarray, most: int) -> list[str]:
        """Pieces of these documents in an order that hangs on the seed alone."""
        order = np.random.default_rng(self.seed).permutation(indices)
        pieces = self._pieces(self.texts.text(int(index)) for index in order)
        if not self.cut:
            return list(itertools.islice(pieces, most))
        everything = list(pieces)
        chosen = np.random.default_rng(self.seed).permutation(len(everything))[:most]
        return [everything[place] for place in np.sort(chosen)]

    def _pieces(self, texts: Iterable[str]) -> Iterator[str]:
        for text in texts:
            yield from passages(text) if self.cut else [text]


def texts_of(run: RunFolder, recipe: Recipe, say: Say) -> Texts:
    """The words that a run was trained on. RunFolderError where they have changed."""
    texts = prepare_texts(recipe.data, seed=recipe.train.seed, say=say)
    if texts.fingerprint != run.read_json("data.json")["fingerprint"]:
        text = "the words in {source} have changed since this run was trained: bring the old ones back to measure it"
        raise RunFolderError(text, source=recipe.data.source)
    return texts


def passages(text: str, length: int = PASSAGE) -> Iterator[str]:
    """Parts of about `length` characters, each up to the end of a line, a sentence or a word; a rest of less than half is left out."""
    start = 0
    while len(text) - start >= length / 2:
        near = start + length
        ends = [place + len(mark) for mark in ENDS if (place := text.find(mark, near, near + length // 4)) >= 0]
        stop = min(ends, default=near) if near < len(text) else len(text)
        if part := text[start:stop].strip():
            yield part
        start = stop

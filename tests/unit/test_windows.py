"""The order of words: every token once an epoch, a pure function of the position; and how surprised a known writer must be."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from fenshen.data import Texts
from fenshen.data.windows import Windows
from fenshen.families.writer import Writer
from fenshen.media.text import END, learn_characters
from fenshen.space import Tokens
from fenshen.training.heldout import read_through, stretches

LENGTHS = (3, 9, 5, 20, 2)  # Characters of each document.


def texts(lengths: tuple[int, ...] = LENGTHS) -> Texts:
    """Documents of numbered letters, so that each token of all but END is another."""
    letters = "".join(chr(ord("一") + number) for number in range(sum(lengths)))
    alphabet, tokens, start = learn_characters([letters]), [], 0
    for length in lengths:
        tokens += [END, *alphabet.encode(letters[start : start + length]).tolist()]
        start += length
    starts = np.concatenate([[0], np.cumsum(np.array(lengths) + 1)])
    every = np.arange(len(lengths))
    return Texts(np.array(tokens, np.uint16), starts, 3 * np.array(lengths), None, (), every, every[:0], alphabet, "document", "", Path(), (), "", ())


@pytest.mark.parametrize("held", [True, False])
def test_windows_show_every_token_once_an_epoch_and_what_follows_it(held: bool) -> None:
    some = np.array([0, 1, 3, 4])
    rows = Windows(texts(), some, 6, "windows", 4, seed=1)
    if not held:  # As where there is too much of it for memory.
        rows.held = None
    stream = np.concatenate([texts().tokens[texts().starts[i] : texts().starts[i + 1]] for i in some])
    follows = {int(a): int(b) for a, b in zip(stream, np.roll(stream, -1), strict=True) if a != END}
    for epoch in (0, 1):
        tok_BL, length_B = rows.draw(epoch * len(rows), len(rows))
        assert tok_BL.shape == (len(rows), 7) and set(length_B.tolist()) == {6} and tok_BL.dtype == torch.int64
        assert set(tok_BL[:, 1:].flatten().tolist()) == set(stream.tolist())
        assert all(follows[a] == b for row in tok_BL.tolist() for a, b in pairwise(row) if a != END)
    assert not torch.equal(rows.draw(0, len(rows))[0], rows.draw(len(rows), len(rows))[0])


def test_documents_begin_and_end_and_long_ones_are_cut() -> None:
    rows = Windows(texts(), np.arange(5), 12, "documents", 5, seed=0)
    tok_BL, length_B = rows.draw(0, 5)
    assert sorted(length_B.tolist()) == [3, 4, 6, 10, 12]
    assert (tok_BL[:, 0] == END).all() and tok_BL.shape == (5, 13)
    for row, length in zip(tok_BL.tolist(), length_B.tolist(), strict=True):
        assert END not in row[1:length] and (length == 12 or set(row[length:]) == {END})


@pytest.mark.parametrize("kind", ["windows", "documents"])
def test_a_position_is_all_that_is_needed(kind: str) -> None:
    one, other = (Windows(texts(), np.arange(5), 6, kind, 4, seed=2) for _ in range(2))
    whole = one.draw(0, 10)[0] if kind == "windows" else None
    parts = [other.draw(position, 5)[0] for position in (0, 5)]
    if whole is not None:
        assert torch.equal(whole, torch.cat(parts))
    assert torch.equal(one.draw(7)[0], other.draw(7)[0])


class Even(Writer):
    """Every token is as likely as any other; remembers how much it was given to read."""

    def __init__(self, vocab: int, context: int):
        super().__init__(Tokens(vocab, (context,)))
        self.longest = 0

    def begin(self, z_BD: torch.Tensor, given: dict) -> None:
        return None

    def read(self, tok_BL: torch.Tensor, memory: None) -> torch.Tensor:
        self.longest = max(self.longest, tok_BL.shape[1])
        return torch.zeros(*tok_BL.shape, self.space.vocab)


@pytest.mark.parametrize("context", [4, 7, 64])
def test_who_knows_nothing_is_surprised_by_log_v_of_every_token(context: int) -> None:
    words = texts()
    found = read_through(writer := Even(words.alphabet.size, context), words, np.array([1, 3, 4]), "cpu")
    assert found.tokens == 10 + 21 + 3, "each document's characters and the END after it"
    assert found.per_token == pytest.approx(math.log(words.alphabet.size)) and writer.longest <= context
    assert found.bytes == 3 * (9 + 20 + 2) and found.bits_per_byte == pytest.approx(found.nats / math.log(2) / found.bytes)
    assert read_through(writer, words, np.arange(5), "cpu", most=12).tokens < 44


def test_stretches_overlap_by_half() -> None:
    parts = stretches(texts((40,)), np.array([0]), 8)
    assert [part.new for part in parts][1:] == [part.end for part in parts][:-1] and parts[-1].end == 42
    assert all(part.end - part.begin <= 9 for part in parts) and all(part.new - part.begin >= 4 for part in parts[1:])

"""What a token is: characters, or pieces of bytes learnt by byte pair encoding (Sennrich et al. 2016).

Both spell every token in UTF-8 (`pieces`), and reading tokens back is joining what they spell. Byte pieces can spell any text;
characters those that were counted, the rest is UNKNOWN. Tags (`<label:poem>`, `<speaker:Anna>`) are one token each, wherever
they stand in a text. Shapes: L tokens of a text.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fenshen.errors import DataError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TokenKind = Literal["characters", "bytes"]
END, UNKNOWN = 0, 1
REPLACEMENT = "\ufffd"  # How an unknown character is written.
LEARN_FROM = 30_000_000  # Characters from which on byte pieces are learnt from a part of the text.
CHUNK = 1 << 14  # Characters that are cut into byte pieces at once: a book without a space is no single word.


def tag_text(kind: str, name: str) -> str:
    """`<label:poem>`: how a tag stands in a text. What would close it is taken out of the name."""
    plain = re.sub(r"[<>\s]+", " ", name).strip()
    return f"<{kind}:{plain}>"


@dataclass(frozen=True)
class Alphabet:
    """Tokens END = 0 (ends one document and begins the next), UNKNOWN = 1, then `tags`, then characters or byte pieces.

    tags: as they stand in a text. characters: all of them, in order. merges: pairs of pieces in GPT-2's printable spelling of bytes.
    borrowed: in their place the byte pieces of somebody else's model, a tokenizer.json of Hugging Face (`fenshen.media.folder`).
    """

    kind: TokenKind
    tags: tuple[str, ...] = ()
    characters: str = ""
    merges: tuple[tuple[str, str], ...] = ()
    borrowed: str = ""

    END = END
    UNKNOWN = UNKNOWN

    @property
    def size(self) -> int:
        """How many different tokens there are."""
        return len(self.pieces)

    @cached_property
    def pieces(self) -> tuple[bytes, ...]:
        """What each token spells, in UTF-8; a byte piece may be a part of a character. END spells nothing."""
        first = [b"", REPLACEMENT.encode(), *(tag.encode() for tag in self.tags)]
        if self.kind == "characters":
            return (*first, *(letter.encode() for letter in self.characters))
        return (*first, *spelled(self._borrowed.values() if self.borrowed else self._vocabulary))

    @property
    def first(self) -> int:
        """The first token that is neither END, UNKNOWN nor a tag."""
        return 2 + len(self.tags)

    def tag(self, name: str) -> int:
        """The token of a tag, named in full (`<label:poem>`, `label:poem`) or by its last part alone. DataError for any other name."""
        found = [number for number, tag in enumerate(self.tags) if name in (tag, tag[1:-1], tag[1:-1].partition(":")[2])]
        if not found:
            known = ", ".join(self.tags) or "-"
            raise DataError("there is no tag {name}; known are {known}", name=name, known=known)
        return 2 + found[0]

    def encode(self, text: str) -> np.ndarray:
        """int64 (L). `decode` gives the text back, but for characters that are not in the alphabet."""
        if not self.tags:
            return self._encode_plain(text)
        parts = [
            np.array([self._tag_ids[part]]) if part in self._tag_ids else self._encode_plain(part)
            for part in self._tag_pattern.split(text) if part
        ]  # fmt: skip
        return np.concatenate([np.zeros(0, np.int64), *parts])

    def decode(self, ids: Iterable[int] | np.ndarray) -> str:
        """The text that tokens (L) spell; half a character at either end becomes U+FFFD."""
        numbers = ids.tolist() if isinstance(ids, np.ndarray) else ids
        return b"".join(self.pieces[number] for number in numbers).decode("utf-8", "replace")

    def state(self) -> dict[str, Any]:
        """Plain values for JSON."""
        if self.borrowed:
            return {"kind": self.kind, "tags": list(self.tags), "borrowed": self.borrowed}
        return {"kind": self.kind, "tags": list(self.tags), "characters": self.characters, "merges": [list(pair) for pair in self.merges]}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Alphabet:
        """The alphabet that `state` was taken from."""
        if "borrowed" in state:
            return cls(state["kind"], tuple(state["tags"]), borrowed=state["borrowed"])
        merges = tuple((left, right) for left, right in state["merges"])
        return cls(state["kind"], tuple(state["tags"]), state["characters"], merges)

    def _encode_plain(self, text: str) -> np.ndarray:
        if self.kind == "characters":
            return self._ids_by_code[np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")]
        parts = [np.array(found.ids, np.int64) for found in self._tokenizer.encode_batch_fast(list(chunks(text)))]
        ids = np.concatenate([np.zeros(0, np.int64), *parts])
        return self.first + (np.searchsorted(self.borrowed_ids, ids) if self.borrowed else ids)

    @cached_property
    def _tag_ids(self) -> dict[str, int]:
        return {tag: 2 + number for number, tag in enumerate(self.tags)}

    @cached_property
    def _tag_pattern(self) -> re.Pattern[str]:
        return re.compile("(" + "|".join(map(re.escape, self.tags)) + ")")

    @cached_property
    def _ids_by_code(self) -> np.ndarray:
        """int64: the token of every code point."""
        table = np.full(0x110000, UNKNOWN, np.int64)
        table[[ord(letter) for letter in self.characters]] = np.arange(self.first, self.first + len(self.characters))
        return table

    @cached_property
    def _vocabulary(self) -> dict[str, int]:
        """Byte piece -> number: single bytes, then what the merges make, each once."""
        pieces = dict.fromkeys([*_printable(), *(left + right for left, right in self.merges)])
        return {piece: number for number, piece in enumerate(pieces)}

    @cached_property
    def borrowed_ids(self) -> np.ndarray:
        """int64, rising: what the borrowed tokens are called where they come from, one for each of ours from `first` on."""
        return np.array(list(self._borrowed), np.int64)

    @cached_property
    def _borrowed(self) -> dict[int, str]:
        """Number -> byte piece of a borrowed tokenizer, rising; without what is no text, such as the end of one."""
        said = json.loads(self.borrowed)
        special = {added["id"] for added in said.get("added_tokens") or () if added["special"]}
        plain = {added["id"]: added["content"] for added in said.get("added_tokens") or ()}
        found = {number: piece for piece, number in said["model"]["vocab"].items()} | plain
        return {number: found[number] for number in sorted(found) if number not in special}

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        from tokenizers import Tokenizer, models, pre_tokenizers

        if self.borrowed:
            tokenizer = Tokenizer.from_str(self.borrowed)
            tokenizer.encode_special_tokens = True  # Where a text has "<|endoftext|>" in it, it is text.
            return tokenizer
        tokenizer = Tokenizer(models.BPE(vocab=self._vocabulary, merges=list(self.merges)))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        return tokenizer


def learn_characters(texts: Iterable[str], tags: tuple[str, ...] = (), most: int | None = None) -> Alphabet:
    """The characters of `texts`, in the order of their code points; `most`: only so many, the most frequent."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
    kept = [letter for letter, _ in counts.most_common(most) if not "\ud800" <= letter <= "\udfff"]
    return Alphabet("characters", tags, "".join(sorted(kept)))


def learn_bytes(texts: Iterable[str], size: int, tags: tuple[str, ...] = ()) -> Alphabet:
    """Byte pieces that spell `texts` in few tokens; `size`: single bytes included, tags not."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    options = {"min_frequency": 2, "initial_alphabet": _printable(), "max_token_length": 16, "show_progress": False}
    trainer = trainers.BpeTrainer(vocab_size=size, **options)
    parts = [chunk for text in texts for chunk in chunks(text)]
    step = 1 + sum(map(len, parts)) // LEARN_FROM  # Much text is learnt from in part, evenly.
    tokenizer.train_from_iterator(parts[::step], trainer)
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    return Alphabet("bytes", tags, merges=tuple((left, right) for left, right in merges))


def chunks(text: str) -> Iterator[str]:
    """A text in parts of at most CHUNK characters, cut after a line where there is one."""
    start = 0
    while start < len(text):
        end = start + CHUNK
        if end < len(text):
            end = text.rfind("\n", start, end) + 1 or end
        yield text[start:end]
        start = end


def spelled(pieces: Iterable[str]) -> Iterator[bytes]:
    """What byte pieces in GPT-2's printable spelling stand for; what is in no such spelling stands for itself."""
    byte_of = {letter: value for value, letter in enumerate(_printable())}
    for piece in pieces:
        yield bytes(byte_of[letter] for letter in piece) if byte_of.keys() >= set(piece) else piece.encode()


def _printable() -> list[str]:
    """GPT-2's printable letter for each byte: itself where it can be seen, else one from U+0100 on."""
    seen = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    unseen = [value for value in range(256) if value not in seen]
    letters = dict(zip(unseen, map(chr, range(256, 256 + len(unseen))), strict=True)) | {value: chr(value) for value in seen}
    return [letters[value] for value in range(256)]

"""A language model that somebody else trained: a folder as Hugging Face's `transformers` writes it.

config.json       its architecture, one that `transformers` knows by itself
tokenizer.json    its tokens, byte pieces
*.safetensors     its weights

Nothing is downloaded, no code of a folder is run, and no pickle (.bin) is opened.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from fenshen.errors import RecipeError
from fenshen.media.text import END, Alphabet, spelled

CONFIG, TOKENIZER, WEIGHTS = "config.json", "tokenizer.json", "*.safetensors"
MOST_BYTES = 1 << 26  # Of a file of JSON.
BLOCK = 1 << 22
END_KEYS, BEGIN_KEYS = ("eos_token_id", "bos_token_id"), ("bos_token_id", "eos_token_id")


@dataclass(frozen=True)
class ModelFolder:
    """The folder at `path`. RecipeError where it is none, or cannot be used."""

    path: Path

    def __post_init__(self) -> None:
        for name in (CONFIG, TOKENIZER, WEIGHTS):
            if not any(self.path.glob(name)):
                raise RecipeError("{folder} is no folder of a language model, or has been moved: there is no {name} in it; needed are config.json, "
                                  "tokenizer.json and weights as .safetensors (.bin may hold code and is not read)",
                                  folder=self.path, name=name)  # fmt: skip

    @cached_property
    def config(self) -> dict[str, Any]:
        """What config.json says. RecipeError for compressed weights, which cannot learn."""
        found = self._json(CONFIG)
        if "quantization_config" in found:
            raise RecipeError("{folder} holds compressed weights, which cannot be trained: give the model as it was before", folder=self.path)
        return found

    @cached_property
    def tokenizer(self) -> dict[str, Any]:
        """What tokenizer.json says, but for what would be put around a text. RecipeError for tokens that are not byte pieces."""
        found = self._json(TOKENIZER)
        parts = [found.get("pre_tokenizer") or {}, *((found.get("pre_tokenizer") or {}).get("pretokenizers") or ())]
        levels = [part for part in parts if part.get("type") == "ByteLevel"]
        model = found.get("model") or {}
        if model.get("type") != "BPE" or not levels or not {bytes([value]) for value in range(256)} <= set(spelled(model.get("vocab") or ())):
            raise RecipeError("the tokens of {folder} are not byte pieces, which are all that is understood; GPT-2, Llama 3, Qwen, SmolLM and their "
                              "kin have them", folder=self.path)  # fmt: skip
        for part in levels:
            part["add_prefix_space"] = False
        return found | {"post_processor": None, "truncation": None, "padding": None}

    def alphabet(self, tags: Sequence[str] = ()) -> Alphabet:
        """Its tokens, in our order: END, UNKNOWN, `tags`, then all that spell something. RecipeError where they cannot be understood."""
        found = Alphabet("bytes", tuple(tags), borrowed=json.dumps(self.tokenizer, ensure_ascii=False))
        try:
            found.encode("a b")
        except Exception as error:  # The library raises nothing narrower.
            raise RecipeError("{path} cannot be read: {problem}", path=self.path / TOKENIZER, problem=error) from None
        return found

    def numbers(self, vocab: int) -> list[int | None]:
        """Its own number of each of our `vocab` tokens, None for tags; at the end, as one more, that of what begins a text.

        RecipeError where it does not say what ends a text.
        """
        ids = list(self.alphabet().borrowed_ids)
        ends = [self._first(keys) for keys in (END_KEYS, BEGIN_KEYS)]
        if None in ends:
            raise RecipeError("{folder}: config.json does not say which token ends a text (eos_token_id)", folder=self.path)
        return [ends[END], ends[END], *[None] * (vocab - 2 - len(ids)), *ids, ends[1]]

    @cached_property
    def sha256(self) -> str:
        """Of its weights and its tokens: another model has another."""
        digest = hashlib.sha256()
        for path in [*sorted(self.path.glob(WEIGHTS)), self.path / TOKENIZER]:
            digest.update(path.name.encode())
            with open(path, "rb") as file:
                while block := file.read(BLOCK):
                    digest.update(block)
        return digest.hexdigest()

    def _first(self, keys: Sequence[str]) -> int | None:
        """The first of these keys of the configuration that names a token."""
        for key in keys:
            value = self.config.get(key)
            value = value[0] if isinstance(value, list) and value else value
            if isinstance(value, int) and value >= 0:
                return value
        return None

    def _json(self, name: str) -> dict[str, Any]:
        path = self.path / name
        try:
            if path.stat().st_size > MOST_BYTES:
                raise ValueError(f"{path.stat().st_size} bytes")
            found = json.loads(path.read_text("utf-8"))
            if not isinstance(found, dict):
                raise ValueError(type(found).__name__)
            return found
        except (OSError, ValueError) as error:
            raise RecipeError("{path} cannot be read: {problem}", path=path, problem=error) from None

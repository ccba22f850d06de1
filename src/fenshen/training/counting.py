"""A run that counts: no network, no step, no clock. What it counted is its weights, and it is saved, read and measured as any run of words."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np

from fenshen.data import Texts
from fenshen.errors import DataError, RecipeError
from fenshen.families.counting import Counted
from fenshen.lang import tr
from fenshen.measure.ngram import END, NGram, choose_order, fit
from fenshen.narrate import Telling, narrate
from fenshen.recipe import Ngram, Recipe
from fenshen.run import RunFolder, Written, write_atomically
from fenshen.training.heldout import Surprise
from fenshen.training.material import data_record, material
from fenshen.training.session import Stop, Watcher
from fenshen.writing import RULE

USUAL = 5  # The order where no text is held out to find it.
MOST_TOKENS = 30_000_000  # Counting needs about 300 bytes of memory for each.
TEXTS, TEXT_TOKENS = 3, 200


def count(recipe: Recipe, out: Path | None, watcher: Watcher, stop: Stop) -> RunFolder:
    """A new run. DataError where there is too little to count, or too much for the memory."""
    if out is not None:
        RunFolder.check_free(out)
    with stop.preparing():
        texts = material(recipe, watcher.said)
        assert isinstance(texts, Texts) and isinstance(recipe.model, Ngram)
        began = time.monotonic()
        model = counted(texts, recipe.model.order)
        seconds = time.monotonic() - began
    run = RunFolder.create(out, Path(recipe.data.source).stem or "run")
    kimg = len(texts.train) / 1000
    recipe = recipe.set({"data.kind": "words", "model.order": model.order, "model.groups": 0, "train.kimg": max(kimg, 0.001), "train.device": "cpu"})
    made = Written(texts.alphabet.state(), texts.alphabet.size, max(1, model.order - 1), texts.unit)
    assert isinstance(recipe.model, Ngram)
    writer = Counted(made.space, recipe.model)
    writer.ngram = model
    write_atomically(run.path / "recipe.toml", recipe.toml().encode())
    run.write_json("data.json", data_record(texts))
    run.save_weights(writer, recipe, made, kimg)
    entry = {"kimg": kimg, "shown": len(texts.train), "steps": 1, "seconds": round(seconds, 1), "per_second": round(len(texts.train) / seconds, 1)}
    entry |= numbers(model, texts)
    write_atomically(run.path / "log.jsonl", (json.dumps(entry) + "\n").encode())
    written = [texts.alphabet.decode(ids) for ids in narrate(writer, Telling(TEXTS, recipe.train.seed, tokens=TEXT_TOKENS, block=TEXTS))]
    write_atomically(run.samples / f"{len(texts.train):09d}.txt", RULE.join(written).encode())
    watcher.said(tr("counted: a {order}-gram of {tokens} tokens, in {seconds} s", order=model.order, tokens=f"{len(texts.tokens):,}",
                    seconds=f"{seconds:.1f}"))  # fmt: skip
    return run


def counted(texts: Texts, order: int | None, whole: bool = True) -> NGram:
    """Fitted to the training texts, or if not `whole` to as much as fits; where no order is given, the one that suits the held-out ones best."""
    if whole and len(texts.tokens) > MOST_TOKENS:
        raise DataError("{count} tokens are too many to count in memory, at most {most}: give less text, or train a network",
                        count=f"{len(texts.tokens):,}", most=f"{MOST_TOKENS:,}")  # fmt: skip
    train, size = stream(texts, texts.train)[:MOST_TOKENS], texts.alphabet.size
    if order is None and len(texts.held_out):
        return choose_order(train, stream(texts, texts.held_out), size)[0]
    return fit(train, size, order or USUAL)


def surprise_of(model: NGram, texts: Texts, indices: np.ndarray) -> Surprise:
    """As `fenshen.training.heldout.read_through`, for a model that counts."""
    nats = model.score(stream(texts, indices))
    return Surprise(float(nats.sum()), len(nats), int(texts.bytes_N[indices].sum()))


def numbers(model: NGram, texts: Texts) -> dict[str, float]:
    """How likely held-out text is, as a network's log says it."""
    if not len(texts.held_out):
        return {}
    found = surprise_of(model, texts, texts.held_out)
    return {"held_out/nats": found.per_token, "held_out/bits_per_byte": found.bits_per_byte}


def stream(texts: Texts, indices: np.ndarray) -> np.ndarray:
    """The tokens of these documents in a row, each preceded by END, and END after the last; int64."""
    parts = [texts.tokens[texts.starts[index] : texts.starts[index + 1]] for index in indices.tolist()]
    return np.concatenate([*parts, [END]]).astype(np.int64)


def refuse_plan(recipe: Recipe) -> None:
    """RecipeError for a model that counts: it has no steps to be timed."""
    if isinstance(recipe.model, Ngram):
        raise RecipeError("model.family=ngram counts, which takes seconds: leave --dry-run out")

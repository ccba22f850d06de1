"""Fills in what a recipe for words leaves open, from the text and the device."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from fenshen.data import Texts
from fenshen.errors import DataError, RecipeError
from fenshen.recipe import Autoregressive, Pretrained, Recipe, Size, TextGan, TextVae, Writing
from fenshen.run import Written
from fenshen.training.borrowing import complete_pretrained, longest_of

WIDTHS: dict[str, dict[Size, tuple[int, int]]] = {
    "transformer": {"nano": (128, 4), "small": (192, 4), "base": (384, 6), "large": (768, 12)},
    "textgan": {"nano": (256, 1), "small": (384, 1), "base": (512, 1), "large": (1024, 2)},
    "textvae": {"nano": (256, 1), "small": (384, 1), "base": (512, 1), "large": (1024, 2)},
    "lstm": {"nano": (256, 2), "small": (384, 2), "base": (512, 3), "large": (1024, 3)},
}
CONTEXTS: dict[Size, int] = {"nano": 128, "small": 128, "base": 256, "large": 512}
LONG_MINUTES = 20.0
LONGEST_ROW = 256  # Tokens up to which nearly every document must be, so that each gets a row of its own.
NEARLY = 0.99
STEP_TOKENS = {"cpu": 2048, "cuda": 16_384, "mps": 8192}
LEAST_STEP_TOKENS, EPOCH_STEPS = 2048, 128  # With little text, steps are smaller, so that there are about so many in an epoch.
HEART = 4.0  # Weights per token of text from which on a network learns its text by heart rather than its language.
DECAY = 0.1  # Weight decay per weight per token, between this much and ten times as much.
EPOCHS, MOST_EPOCHS = 65.0, 40.0  # Times that a text is worth reading with one weight per token; by the root fewer with more of them.
LEAST_STEPS = 1000
CRITIC_LR = 5e-4  # Slower than the writer, who has had time to learn when the critic begins.
LITTLE, MUCH = 2_000_000, 20_000_000  # Tokens of text, of which the first cannot do without dropout and the last needs none.


def complete_words(recipe: Recipe, texts: Texts, device: torch.device) -> Recipe:
    """As `fenshen.training.plan.complete`, for words. DataError for too little of them, RecipeError for what has no meaning here."""
    model, train = recipe.model, recipe.train
    assert isinstance(model, Writing)
    _check(recipe, texts)
    size = model.size or default_size(device, train.minutes)
    rows = model.rows or default_rows(texts)
    context = model.context or min(default_context(texts, size, rows), longest_of(model))
    networks = _networks(model, size)
    dense = weights_per_token(recipe.set(networks), texts)
    filled: dict[str, Any] = {
        "data.kind": "words",
        **networks,
        "model.context": context,
        "model.rows": rows,
        "model.dropout": default_dropout(model, texts, dense) if model.dropout is None else model.dropout,
        "model.groups": 0,
        "train.batch": train.batch or default_batch(device, texts, context, rows, model.family),
        "train.optimizer": train.optimizer or "adamw",
        "train.lr": train.lr or default_lr(model),
        "train.weight_decay": (default_decay(dense) if dense else 0.0) if train.weight_decay is None else train.weight_decay,
        "train.beta1": 0.9 if train.beta1 is None else train.beta1,
        "train.beta2": 0.99 if train.beta2 is None else train.beta2,
        "train.augmentation": "off",
        "train.device": str(device),
    }
    if isinstance(model, TextGan):
        filled["train.lr_critic"] = train.lr_critic or CRITIC_LR
    if train.minutes is None and train.kimg is None:
        filled["train.minutes"] = 10.0
    return recipe.set(filled)


def _networks(model: Writing, size: Size) -> dict[str, Any]:
    """How large they are, or where they come from."""
    if isinstance(model, Pretrained):
        return complete_pretrained(model)
    width, depth = WIDTHS[model.net if isinstance(model, Autoregressive) else model.family][size]
    return {"model.size": size, "model.width": model.width or width, "model.depth": model.depth or depth}


def describe_words(recipe: Recipe, texts: Texts) -> Written:
    """What a model trained on these words makes. `recipe` is complete."""
    assert isinstance(recipe.model, Writing) and recipe.model.context
    return Written(texts.alphabet.state(), texts.alphabet.size, recipe.model.context, texts.unit)


def _check(recipe: Recipe, texts: Texts) -> None:
    if not len(texts.train) or int(texts.lengths[texts.train].sum()) < 64:
        raise DataError("{source} holds hardly any words to learn from: give some pages", source=recipe.data.source)
    if isinstance(recipe.model, TextVae | TextGan) and recipe.model.rows is None and default_rows(texts) == "windows":
        raise RecipeError(
            "model.family={family} learns whole short texts, and those of {source} are longer than {tokens} tokens: cut them with data.unit=line "
            "or data.unit=poem, or take --recipe transformer", family=recipe.model.family, source=recipe.data.source, tokens=LONGEST_ROW)  # fmt: skip
    if recipe.model.label_head or recipe.model.groups:
        raise RecipeError("model.label_head and model.groups are for pictures: leave them out")
    if recipe.train.augmentation in ("adaptive", "fixed"):
        raise RecipeError("train.augmentation is for pictures: leave it out")
    if recipe.autopilot.until is not None:
        raise RecipeError("--until is for pictures: a run of words ends by itself when held-out text becomes no likelier; use --minutes or --kimg")


def default_size(device: torch.device, minutes: float | None) -> Size:
    """What two CPU cores, or a GPU, can train in minutes; with much time on a CPU the next larger one."""
    if device.type == "cpu":
        return "small" if (minutes or 0) >= LONG_MINUTES else "nano"
    return "base"


def default_lr(model: Writing) -> float:
    """What suits it; little for weights that know much already, and more for adapters, which begin at nothing."""
    if isinstance(model, Pretrained):
        return 1e-3 if model.rank else 1e-4
    return 4e-3 if isinstance(model, Autoregressive) and model.net == "lstm" else 3e-3


def default_rows(texts: Texts) -> str:
    """A row for each document where nearly all are short enough; else windows."""
    return "documents" if np.quantile(texts.lengths, NEARLY) <= LONGEST_ROW else "windows"


def default_context(texts: Texts, size: Size, rows: str) -> int:
    """As long as the longest document, but not much longer than nearly all; else as the size says."""
    if rows == "windows":
        return CONTEXTS[size]
    most = min(int(texts.lengths.max()), LONGEST_ROW)
    return max(8, -(-most // 8) * 8)


def default_batch(device: torch.device, texts: Texts, context: int, rows: str, family: str) -> int:
    """Rows that have about STEP_TOKENS together, fewer where the text is short; what has more to find out than a likelihood takes smaller
    steps, and so does what has a large vocabulary."""
    length = context if rows == "windows" else max(1.0, float(texts.lengths.mean()))
    most = max(LEAST_STEP_TOKENS, int(texts.lengths[texts.train].sum()) / EPOCH_STEPS)
    wanted = min(STEP_TOKENS[device.type], most) / (4 if family in ("textvae", "textgan", "pretrained") else 1)
    return int(max(4, min(512, 2 ** round(np.log2(wanted / length)))))


def tokens_per_row(recipe: Recipe, texts: Texts) -> float:
    """Of a complete recipe: tokens to be foretold in a row, in the mean."""
    assert isinstance(recipe.model, Writing) and recipe.model.context
    return recipe.model.context if recipe.model.rows == "windows" else float(np.minimum(texts.lengths, recipe.model.context).mean())


def weights_per_token(recipe: Recipe, texts: Texts) -> float:
    """Of a transformer of known width and depth: the weights of its layers per token of text. 0 for another network, which was not measured."""
    model = recipe.model
    if not isinstance(model, Autoregressive) or model.net != "transformer":
        return 0.0
    assert model.width and model.depth
    return 12 * model.depth * model.width**2 / int(texts.lengths[texts.train].sum())


def default_decay(dense: float) -> float:
    """The decay of a transformer with `dense` weights per token. Kim et al. 2025, "Pre-training under infinite compute": where text is
    what is short, the best is ten times and more what is usual."""
    return round(DECAY * min(10.0, max(1.0, dense)), 3)


def enough_rows(recipe: Recipe, texts: Texts) -> float:
    """Of a complete recipe: how many rows are worth reading before held-out text becomes less likely again; infinite where nobody knows."""
    dense = weights_per_token(recipe, texts)
    if not dense:
        return math.inf
    assert recipe.train.batch
    epoch = int(texts.lengths[texts.train].sum()) / tokens_per_row(recipe, texts)
    return max(min(MOST_EPOCHS, EPOCHS / math.sqrt(dense)) * epoch, LEAST_STEPS * recipe.train.batch)


def default_dropout(model: Writing, texts: Texts, dense: float) -> float:
    """The less text, the more: it will be read many times, by a recurrent network more often. `dense`: weights of a transformer per token."""
    tokens, recurrent = int(texts.lengths[texts.train].sum()), not isinstance(model, Pretrained)
    if isinstance(model, Autoregressive):
        recurrent = model.net == "lstm"
    return (0.2 if recurrent or dense >= HEART else 0.1) if tokens <= LITTLE else 0.05 if tokens <= MUCH else 0.0

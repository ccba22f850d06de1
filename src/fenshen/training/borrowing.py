"""What a run that goes on from a language model in a folder takes from there when it is planned; where all of its weights are learnt, they come
later (`fenshen.training.transfer`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fenshen.errors import RecipeError
from fenshen.media.folder import ModelFolder
from fenshen.recipe import Pretrained, Writing

LONGEST = 4096  # Tokens of context, the most that a recipe may ask for.
LENGTHS = ("max_position_embeddings", "n_positions")


def folder_of(model: Pretrained) -> ModelFolder:
    """The folder that is named. RecipeError where none is, or where it holds no language model."""
    if not model.start:
        raise RecipeError("model.start: name the folder of the language model to go on from, with config.json, tokenizer.json and *.safetensors")
    return ModelFolder(Path(model.start).expanduser().resolve())


def longest_of(model: Writing) -> int:
    """Tokens that it can read at most."""
    if not isinstance(model, Pretrained):
        return LONGEST
    config = folder_of(model).config
    return min(LONGEST, *(config[key] for key in LENGTHS if isinstance(config.get(key), int)), LONGEST)


def complete_pretrained(model: Pretrained) -> dict[str, Any]:
    """The keys that follow from the folder. RecipeError for a size of one's own, or a context that it cannot read."""
    if model.size or model.width or model.depth:
        raise RecipeError("model.size, model.width and model.depth are those of the model in model.start: leave them out")
    folder, longest = folder_of(model), longest_of(model)
    if (model.context or 0) > longest:
        raise RecipeError("model.context={context}: the model in {folder} reads at most {longest} tokens", context=model.context, folder=folder.path,
                          longest=longest)  # fmt: skip
    return {"model.start": str(folder.path), "model.architecture": json.dumps(folder.config), "model.sha256": folder.sha256}

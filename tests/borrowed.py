"""Tiny language models in folders as `transformers` writes them: random weights, and byte pieces learnt from a few lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

transformers = pytest.importorskip("transformers", reason="needs the extra: pip install 'fenshen[transformers]'")
pytest.importorskip("peft", reason="needs the extra: pip install 'fenshen[transformers]'")

import torch  # noqa: E402
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers  # noqa: E402
from written import ENGLISH  # noqa: E402

SHAPES = {
    "gpt2": {"n_positions": 64, "n_embd": 32, "n_layer": 2, "n_head": 2},
    "llama": {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 64},
}  # GPT-2 reads and says a token by the same vector, Llama by two.


def model_folder(path: Path, kind: str = "gpt2") -> Path:
    """400 tokens, of which 0 ends a text and 1 begins one, in a model with room for 10 more, as many have."""
    path.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=True), decoders.ByteLevel()
    options = {"special_tokens": ["<|end|>", "<|begin|>"], "initial_alphabet": pre_tokenizers.ByteLevel.alphabet(), "show_progress": False}
    tokenizer.train_from_iterator([ENGLISH], trainers.BpeTrainer(vocab_size=400, **options))
    tokenizer.save(str(path / "tokenizer.json"))
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(kind, vocab_size=410, bos_token_id=1, eos_token_id=0, pad_token_id=None, **SHAPES[kind])
    transformers.utils.logging.disable_progress_bar()
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(path)
    return path


def rewrite(path: Path, **changes: object) -> None:
    """A file of JSON with these keys changed."""
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))

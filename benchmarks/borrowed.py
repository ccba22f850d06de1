"""What a language model that somebody else trained is worth: `--recipe pretrained` on little text, beside a network that begins from nothing.

    python benchmarks/borrowed.py MUCH.txt LITTLE.txt [--steps 400] [--kimg 1] [--part 0.1] [--set key=value ...]

A small GPT-2 of `transformers` is trained on the first text by a plain loop for so many steps, and saved as a folder. Then the first `part` of the
second text is learnt, so many thousand rows each, by adapters on it, by all of its weights, and by a transformer of the same width and depth with
the same tokens from nothing. Printed are nats per held-out token and bits per byte of the second text. Appends a line per contender to
benchmarks/history.jsonl.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from record import record
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPT2Config, GPT2LMHeadModel

import fenshen
from fenshen.recipe import set_from_text
from fenshen.training.session import Watcher

WIDTH, DEPTH, HEADS, CONTEXT, VOCABULARY, BATCH = 128, 4, 4, 128, 1024, 8
END = "<|endoftext|>"
CONTENDERS: dict[str, dict[str, Any]] = {
    "adapters": {"model.rank": 8},
    "all weights": {"model.rank": 0},
    "from nothing": {"model.family": "autoregressive", "model.width": WIDTH, "model.depth": DEPTH},
}


def trained(text: str, steps: int, folder: Path) -> float:
    """A GPT-2 of that text, saved with its tokens; returns its loss on the last batches, in nats per token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    options: dict[str, Any] = {"special_tokens": [END], "initial_alphabet": pre_tokenizers.ByteLevel.alphabet(), "show_progress": False}
    tokenizer.train_from_iterator(text.splitlines(keepends=True), trainers.BpeTrainer(vocab_size=VOCABULARY, **options))
    tokens = torch.tensor(tokenizer.encode(text).ids)
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=VOCABULARY, n_positions=CONTEXT, n_embd=WIDTH, n_layer=DEPTH, n_head=HEADS, bos_token_id=0, eos_token_id=0)
    model, losses = GPT2LMHeadModel(config), list[float]()
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3, fused=True)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * min(1.0, (step + 1) / 20, 2 * (1 - step / steps) + 0.02)
        x_BL = torch.stack([tokens[start : start + CONTEXT] for start in torch.randint(len(tokens) - CONTEXT, (BATCH,)).tolist()])
        loss = model(input_ids=x_BL, labels=x_BL).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(float(loss.detach()))
    model.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return sum(losses[-20:]) / len(losses[-20:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("much", type=Path)
    parser.add_argument("little", type=Path)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--kimg", type=float, default=1.0)
    parser.add_argument("--part", type=float, default=0.1)
    parser.add_argument("--set", nargs="*", default=[])
    wishes = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="fenshen-borrowed-"))
    loss = trained(wishes.much.read_text("utf-8"), wishes.steps, place / "model")
    little = wishes.little.read_text("utf-8")
    (place / "little.txt").write_text(little[: round(len(little) * wishes.part)], "utf-8")
    print(f"the folder: {loss:.3f} nats per token of its own text")
    for name, changes in CONTENDERS.items():
        told: list[str] = []
        watcher = Watcher()
        watcher.said = told.append  # type: ignore[method-assign]
        start = {"data.tokenizer": str(place / "model")} if name == "from nothing" else {"model.start": str(place / "model")}
        recipe = "transformer" if name == "from nothing" else "pretrained"
        wanted = changes | start | {"model.context": CONTEXT, "train.batch": 4, "evaluate.report": False} | set_from_text(wishes.set)
        run = fenshen.train(place / "little.txt", recipe, kimg=wishes.kimg, changes=wanted, watcher=watcher, out=place / name)
        before = next((said for said in told if said.startswith("before training")), "")
        last, size = run.log()[-1], run.folder.weights.stat().st_size
        print(f"{name}: {before or 'before training: nothing known'}")
        record({"date": str(date.today()), "benchmark": "borrowed", "contender": name, "steps": wishes.steps, "kimg": last["kimg"],
                "nats": round(last["held_out/nats"], 4), "bits_per_byte": round(last["held_out/bits_per_byte"], 4), "bytes": size})  # fmt: skip


if __name__ == "__main__":
    main()

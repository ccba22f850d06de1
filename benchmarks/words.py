"""How well a recipe learns to write, in how many minutes; and a race against a plain loop.

    python benchmarks/words.py FILE [--recipe transformer] [--minutes 30] [--set key=value ...]
    python benchmarks/words.py FILE --race [--part 0.5] [--set key=value ...]
    python benchmarks/words.py RUN --speed

The first trains as `fenshen train` does and prints nats per token and bits per byte of all held-out text. The race is against nanoGPT's
published configuration for a CPU (4 layers, 4 heads, width 128, context 64, batch 12, 2000 iterations, learning rate 1e-3 to 1e-4), written anew
as a plain PyTorch loop; both see the same text and take turns, and the recipe gets only that part of the other's time. The third
writes with and without what the network remembers of the tokens before (its cache), in turns, and says how many tokens a second that makes;
beside it, where the library `transformers` is installed, an untrained GPT-2 of the same shape with its own cache.
Appends a line to benchmarks/history.jsonl.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import os
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from record import record
from torch import Tensor, nn
from torch.nn import functional as F

import fenshen
from fenshen.data import Texts
from fenshen.families.autoregressive import LanguageModel
from fenshen.families.writer import Writer
from fenshen.nets.transformer import HEAD, Transformer
from fenshen.recipe import set_from_text
from fenshen.space import END, Tokens
from fenshen.telling import Author
from fenshen.training.heldout import read_through
from fenshen.training.loop import Trainer
from fenshen.training.plan import pick_device

TURN = 5.0  # Seconds.
NEVER, HALF_LIFE = 1e6, 0.2  # Kimg of the plan, which the clock decides here, and of the average.
ITERATIONS, WARM_UP, CONTEXT, BATCH, WIDTH, DEPTH, HEADS = 2000, 100, 64, 12, 128, 4, 4


class PlainBlock(nn.Module):
    """Layer normalisation, attention, layer normalisation, GELU, as in GPT-2."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH, bias=False), nn.LayerNorm(WIDTH, bias=False)
        self.read, self.write = nn.Linear(WIDTH, 3 * WIDTH, bias=False), nn.Linear(WIDTH, WIDTH, bias=False)
        self.dense = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH, bias=False), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH, bias=False))

    def forward(self, x_BLD: Tensor) -> Tensor:
        q, k, v = (part.unflatten(2, (HEADS, -1)).transpose(1, 2) for part in self.read(self.norm1(x_BLD)).split(WIDTH, 2))
        x_BLD = x_BLD + self.write(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2))
        return x_BLD + self.dense(self.norm2(x_BLD))


class Plain(Writer):
    """The network of the plain loop; a writer, so that both are measured by the same function."""

    def __init__(self, vocab: int):
        super().__init__(Tokens(vocab, (CONTEXT,)))
        self.token, self.place = nn.Embedding(vocab, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.blocks, self.norm = nn.Sequential(*(PlainBlock() for _ in range(DEPTH))), nn.LayerNorm(WIDTH, bias=False)
        self.leave = nn.Linear(WIDTH, vocab, bias=False)
        self.leave.weight = self.token.weight
        for name, value in self.named_parameters():
            if value.dim() > 1:
                nn.init.normal_(value, 0, 0.02 / (math.sqrt(2 * DEPTH) if name.endswith(("write.weight", "dense.2.weight")) else 1))

    def forward(self, tok_BL: Tensor) -> Tensor:
        x_BLD = self.token(tok_BL) + self.place.weight[: tok_BL.shape[1]]
        return self.leave(self.norm(self.blocks(x_BLD)))

    def begin(self, z_BD: Tensor, given: dict[str, Tensor]) -> None:
        return None

    def read(self, tok_BL: Tensor, memory: None) -> Tensor:
        return self(tok_BL).float()


class PlainLoop:
    """nanoGPT's training loop, in float32 as on its CPU."""

    def __init__(self, texts: Texts):
        torch.manual_seed(1337)
        self.tokens = torch.from_numpy(np.concatenate([texts.tokens[texts.starts[i] : texts.starts[i + 1]] for i in texts.train]).astype(np.int64))
        self.net, self.done = Plain(texts.alphabet.size), 0
        groups = [{"params": [p for p in self.net.parameters() if (p.dim() > 1) == large], "weight_decay": 0.1 * large} for large in (True, False)]
        self.optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99))

    def step(self) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        at_B = torch.randint(len(self.tokens) - CONTEXT, (BATCH,))
        x_BL, y_BL = (torch.stack([self.tokens[at + more : at + more + CONTEXT] for at in at_B]) for more in (0, 1))
        loss = F.cross_entropy(self.net(x_BL).flatten(0, 1), y_BL.flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.done += 1

    def rate(self) -> float:
        if self.done < WARM_UP:
            return 1e-3 * (self.done + 1) / (WARM_UP + 1)
        return 1e-4 + 0.5 * (1 + math.cos(math.pi * (self.done - WARM_UP) / (ITERATIONS - WARM_UP))) * 9e-4


def learn(options: argparse.Namespace) -> dict[str, Any]:
    """One run as a person would start it."""
    changes = {"evaluate.report": False} | set_from_text(options.set)
    run = fenshen.train(options.source, options.recipe, minutes=options.minutes, device=options.device, changes=changes, out=options.out)
    log, recipe = run.log(), run.recipe
    return {
        "recipe": options.recipe, "minutes": options.minutes, "set": options.set, "nats": round(log[-1]["held_out/nats"], 4),
        "bits_per_byte": round(log[-1]["held_out/bits_per_byte"], 4), "train_nats": round(log[-1].get("writer/nats", math.nan), 4),
        "device": name_of(torch.device(recipe.train.device)), "seconds": log[-1]["seconds"], "kimg": log[-1]["kimg"],
        "rows_per_second": log[-1]["per_second"], "context": recipe.model.context, "run": str(run.path),
        "curve": [[round(line["seconds"]), round(line["held_out/nats"], 3)] for line in log if "held_out/nats" in line],
    }  # fmt: skip


def name_of(device: torch.device) -> str:
    """The card, or how many threads."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"{device}, {torch.get_num_threads()} threads"


def timed(step: Callable[[], object], turn: float, finished: Callable[[], bool] = lambda: False) -> float:
    """Steps until a turn is over; how many seconds that took."""
    began = time.perf_counter()
    while not finished() and time.perf_counter() - began < turn:
        step()
    return time.perf_counter() - began


def race(options: argparse.Namespace) -> dict[str, Any]:
    """Turns of some seconds each, the same threads for both; the recipe anneals as the plain loop comes to its end."""
    from fenshen.api import plan

    threads = options.threads or torch.get_num_threads()
    torch.set_num_threads(threads)
    changes = {"train.threads": threads} | set_from_text(options.set)
    planned = plan(options.source, options.recipe, minutes=1.0, changes=changes)
    texts = planned.dataset
    assert isinstance(texts, Texts)
    recipe = planned.recipe.set({"train.kimg": NEVER, "train.ema_half_life_kimg": HALF_LIFE})
    plain, trainer = PlainLoop(texts), Trainer(recipe, planned.made, texts, planned.device)
    seconds = [0.0, 0.0]
    while plain.done < ITERATIONS:
        seconds[0] += timed(plain.step, TURN, lambda: plain.done >= ITERATIONS)
        trainer.hurry = plain.done / ITERATIONS
        seconds[1] += timed(trainer.step, options.part * seconds[0] - seconds[1])
    assert isinstance(trainer.averaged, Writer)
    theirs, ours = (read_through(writer.eval(), texts, texts.held_out, "cpu").per_token for writer in (plain.net, trainer.averaged))
    return {
        "race": "nanoGPT's CPU configuration", "recipe": options.recipe, "set": options.set, "threads": threads,
        "plain": {"seconds": round(seconds[0], 1), "nats": round(theirs, 4)}, "ours": {"seconds": round(seconds[1], 1), "nats": round(ours, 4)},
        "part_of_time": round(seconds[1] / seconds[0], 3), "rows": trainer.shown, "batch": recipe.train.batch, "precision": recipe.train.precision,
    }  # fmt: skip


@torch.no_grad()
def speed(options: argparse.Namespace) -> dict[str, Any]:
    """Tokens per second of one text and of 32 side by side: with the cache, reading everything anew, and by GPT-2 with its own cache."""
    device = pick_device(options.device)
    author = Author.open(fenshen.load(options.source).folder, str(device))
    torch.set_num_threads(options.threads or torch.get_num_threads())
    writer, length = author.writer, author.writer.space.size[0]
    ways: dict[str, Callable[[int], Tensor]] = {
        "cache": lambda count: write(writer, count, length, True, device), "anew": lambda count: write(writer, count, length, False, device),
    }  # fmt: skip
    if isinstance(writer, LanguageModel) and isinstance(writer.net, Transformer) and importlib.util.find_spec("transformers"):
        ways["gpt2"] = gpt2_like(writer.net, length, device)
    found: dict[str, Any] = {"tokens": length, "device": name_of(device)}
    for count in (1, 32):
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(3):
            for way, go in ways.items():
                began = time.perf_counter()
                go(count).tolist()  # A GPU has done its work when there is something to see.
                seconds[way].append(time.perf_counter() - began)
        found[f"tokens_per_second_{count}"] = {way: round(count * length / median(times)) for way, times in seconds.items()}
    return found


def write(writer: Writer, count: int, length: int, cached: bool, device: torch.device) -> Tensor:
    """The likeliest token each time, `length` times."""
    tok_BL, z_BD = torch.full((count, 1), END, device=device), torch.zeros(count, writer.latent, device=device)
    memory = writer.begin(z_BD, {})
    for _ in range(length - 1):
        memory = memory if cached else writer.begin(z_BD, {})
        logit_BV = writer.read(tok_BL[:, -1:] if cached else tok_BL, memory)[:, -1]
        tok_BL = torch.cat([tok_BL, logit_BV.argmax(1, keepdim=True)], 1)
    return tok_BL


def gpt2_like(net: Transformer, length: int, device: torch.device) -> Callable[[int], Tensor]:
    """The same with a network of that shape, untrained, of the library `transformers`."""
    from transformers import GPT2Config, GPT2LMHeadModel

    width = net.leave.in_features
    config = GPT2Config(vocab_size=net.vocab, n_positions=length, n_embd=width, n_layer=len(net.blocks), n_head=max(1, width // HEAD),
                        bos_token_id=None, eos_token_id=None)  # fmt: skip
    model = GPT2LMHeadModel(config).eval().to(device)

    def go(count: int) -> Tensor:
        tok_B1, known = torch.full((count, 1), END, device=device), None
        for _ in range(length - 1):
            answer = model(tok_B1, past_key_values=known, use_cache=True)
            tok_B1, known = answer.logits[:, -1].argmax(1, keepdim=True), answer.past_key_values
        return tok_B1

    return go


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="a file of words; with --speed a run")
    parser.add_argument("--recipe", default="transformer")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--race", action="store_true")
    parser.add_argument("--part", type=float, default=0.5, help="of the plain loop's time that the recipe gets")
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", help="the run folder")
    parser.add_argument("--quiet", action="store_true", help="do not append to history.jsonl")
    options = parser.parse_args()
    line = {"benchmark": "words", "date": str(date.today()), "data": Path(options.source).name}
    record(line | (race(options) if options.race else speed(options) if options.speed else learn(options)), options.quiet)


if __name__ == "__main__":
    main()

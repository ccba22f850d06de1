"""How fast exported networks are, and how near to the trained ones: ONNX Runtime against PyTorch, in turns.

    python benchmarks/export.py [RUN ...]

Without runs: a generator (28 and 64 pixels), a decoder, an LSTM and a transformer of the size `small` with random weights. Appends a line
each to benchmarks/history.jsonl.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from datetime import date
from pathlib import Path

import torch
from record import record

import fenshen  # noqa: F401  first: it sets what must be set before torch is imported
from fenshen.condition import Label
from fenshen.exporting.graphs import Graph, graph_of
from fenshen.exporting.onnx import write_onnx
from fenshen.families.build import build_sampler
from fenshen.recipe import Recipe
from fenshen.run import Made, RunFolder, Written

PICTURES = {
    "generator, 28 px": ({"family": "gan", "size": "small"}, 28), "generator, 64 px": ({"family": "gan", "size": "small"}, 64),
    "decoder, 28 px": ({"family": "vae", "network": "conv", "size": "small", "latent": 32}, 28),
}  # fmt: skip
WORDS = {"lstm": {"net": "lstm", "width": 256, "depth": 2}, "transformer": {"net": "transformer", "width": 192, "depth": 4}}
VOCABULARY, CONTEXT = 96, 256


def fresh() -> Iterator[tuple[str, Graph]]:
    """Networks with random weights."""
    torch.manual_seed(0)
    for name, (model, side) in PICTURES.items():
        made = Made(1, (side, side), tuple("0123456789"), (1.0,) * 10)
        yield name, graph_of(build_sampler(made.space, {"label": Label(10)}, Recipe.model_validate({"model": model}).model).eval(), made)
    for name, model in WORDS.items():
        values = {"family": "autoregressive", "size": "small", "context": CONTEXT, "dropout": 0.0, **model}
        written = Written({}, VOCABULARY, CONTEXT)
        sampler = build_sampler(written.space, {}, Recipe.model_validate({"model": values}).model).eval()
        for weight in sampler.parameters():
            weight.data.add_(0.02 * torch.randn_like(weight))
        yield name, graph_of(sampler, written)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*")
    parser.add_argument("--quiet", action="store_true", help="do not append to history.jsonl")
    options = parser.parse_args()
    found = ((Path(name).name, graph_of(*RunFolder.find(name).load()[:2])) for name in options.runs)
    with tempfile.TemporaryDirectory() as folder:
        for name, graph in found if options.runs else fresh():
            done = write_onnx(graph, Path(folder) / "model.onnx", measure=True)
            assert done.speed is not None
            size = {"megabytes": round(done.path.stat().st_size / 1e6, 2)}
            speed = {key: round(value, 2) if isinstance(value, float) else value for key, value in asdict(done.speed).items()}
            record({"benchmark": "export", "date": str(date.today()), "network": name, **size, "difference": done.difference, **speed}, options.quiet)


if __name__ == "__main__":
    main()

"""Is an enlarged picture nearer to the truth than by bicubic interpolation? Held-out pictures, with and without a critic.

    python benchmarks/upscale.py PICTURES.zip --minutes 30 [--task upscale=4] [--only restore] [--set model.depth=12]

Every picture is made small by an antialiased bicubic filter and enlarged by bicubic interpolation, by a network that minimised the
distance alone (restore), and by one that also played against a critic (restoregan); the same networks are also told of another picture.
PSNR is over all values of a picture, color premultiplied by alpha, alpha among them, and averaged over pictures. `--task inpaint` asks
the same of repairs, against the mean and the smoothest fill. Appends a line per run to benchmarks/history.jsonl.
"""

from __future__ import annotations

import argparse
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

from record import record
from torch import nn

import fenshen.api
from fenshen.recipe import set_from_text
from fenshen.restoring import restorer_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures")
    parser.add_argument("--task", default="upscale=4")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--only", default="restore,restoregan")
    parser.add_argument("--resolution", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--out", type=Path, help="keep the runs in this folder")
    parser.add_argument("--quiet", action="store_true", help="do not append to history.jsonl")
    asked = parser.parse_args()
    home = asked.out or Path(tempfile.mkdtemp())
    for family in asked.only.split(","):
        line = one(asked, family, home / family)
        record(line, asked.quiet)


def one(asked: argparse.Namespace, family: str, out: Path) -> dict[str, Any]:
    """One run from nothing, and what it is worth."""
    changes = {"data.resolution": asked.resolution} | set_from_text(asked.set)
    run = fenshen.api.train(asked.pictures, family, task=asked.task, minutes=asked.minutes, seed=asked.seed, changes=changes, out=out)
    report, sampler = run.report(), restorer_of(run.folder.load_sampler()[0])
    assert report is not None
    last, train = run.log()[-1], run.recipe.train
    return {
        "benchmark": "upscale", "date": str(date.today()), "data": Path(asked.pictures).name, "task": asked.task, "family": family,
        "minutes": asked.minutes, "kimg": round(last["kimg"], 1), "pictures_per_second": last["per_second"], "seed": asked.seed,
        "device": f"{train.device}, {train.threads} threads, {train.parts} parts", "set": asked.set,
        "parameters": sum(p.numel() for p in sampler.parameters()), "million_macs": round(macs(sampler, asked.resolution) / 1e6),
        "scores": {score["name"]: [round(score[key], 4) for key in ("value", "low", "high")] for score in report["scores"]},
        "verdict": report["verdict"][:2],
    }  # fmt: skip


def macs(network: nn.Module, side: int) -> int:
    """Multiply-adds of its convolutions for one picture of this side."""
    import torch

    from fenshen.families.restore import SOURCE, Restorer

    assert isinstance(network, Restorer)
    total: list[int] = []

    def count(layer: nn.Module, inputs: object, output: torch.Tensor) -> None:
        assert isinstance(layer.weight, torch.Tensor)
        total.append(layer.weight.numel() * output.shape[2:].numel())

    layers = [m.register_forward_hook(count) for m in network.modules() if isinstance(m, nn.Conv2d)]
    small = side // network.factor if network.task == "upscale" else side
    channels = network.space.channels + (network.task == "inpaint")
    with torch.no_grad():
        network(torch.zeros(1, 1), {SOURCE: torch.zeros(1, channels, small, small)})
    for layer in layers:
        layer.remove()
    return sum(total)


if __name__ == "__main__":
    main()

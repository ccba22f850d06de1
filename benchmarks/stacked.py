"""Stacked MNIST: how many of 1000 modes are found? (Metz et al. 2017; Srivastava et al. 2017; figures of R3GAN, Huang et al. 2024)

    python benchmarks/stacked.py MNIST.npz --minutes 20 [--kimg 3000] [--set model.groups=0] [--seed 0]

Each picture is three digits, drawn at random, as its red, green and blue. Trained without labels. A classifier of single digits, trained on
the training digits, reads the three channels of 26,000 samples: a mode is a triple of digits that occurs at least once, and the
divergence is KL(samples' triples || those of the training pictures). Appends a line to benchmarks/history.jsonl.
"""

from __future__ import annotations

import argparse
import tempfile
from datetime import date
from pathlib import Path

import numpy as np
import torch
from record import record

import fenshen
from fenshen.data import Dataset, prepare
from fenshen.measure.encoders import Encoder
from fenshen.recipe import Data, set_from_text
from fenshen.training.examine import encoder_of
from fenshen.training.plan import pick_device

COUNT = 26_000
PICTURES = 60_000
MODES = 1000


def stack(dataset: Dataset, part: np.ndarray, count: int, seed: int) -> np.ndarray:
    """uint8 (count, H, W, 3): three random pictures of this part of a gray data set as channels."""
    chosen = np.random.default_rng(seed).choice(part, (count, 3))
    return np.ascontiguousarray(dataset.pictures[chosen][..., 0].transpose(0, 2, 3, 1))


def triples(encoder: Encoder, pictures_NHWC: np.ndarray) -> np.ndarray:
    """The mode of each picture, 0 to 999."""
    digits = []
    for channel in range(3):
        probabilities = encoder.read(np.ascontiguousarray(pictures_NHWC[..., channel : channel + 1])).probabilities
        assert probabilities is not None
        digits.append(probabilities.argmax(1))
    return digits[0] * 100 + digits[1] * 10 + digits[2]


def divergence(found: np.ndarray, real: np.ndarray) -> float:
    """KL(found || real) of the modes' shares, nats; every mode has real samples."""
    p, q = (np.bincount(modes, minlength=MODES) / len(modes) for modes in (found, real))
    return float((p[p > 0] * np.log(p[p > 0] / q[p > 0])).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="gray labelled digits with a test split, as .npz")
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--kimg", type=float)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, help="folder for the run and a grid; default: a temporary one")
    parser.add_argument("--quiet", action="store_true", help="do not append to history.jsonl")
    options = parser.parse_args()
    device, out = pick_device(options.device), options.out or Path(tempfile.mkdtemp(prefix="fenshen-stacked-"))
    out.mkdir(parents=True, exist_ok=True)
    digits = prepare(Data(source=options.source))
    encoder = encoder_of(digits, device, print)
    np.savez(out / "stacked.npz", x_train=stack(digits, digits.train, PICTURES, 0), x_test=stack(digits, digits.held_out, 10_000, 1))
    real = triples(encoder, stack(digits, digits.train, PICTURES, 0))
    print(f"classifier right on {encoder.accuracy:.2%}; real pictures show {len(np.unique(real))} modes", flush=True)
    changes = {"evaluate.report": False} | set_from_text(options.set)
    run = fenshen.train(out / "stacked.npz", minutes=options.minutes or (None if options.kimg else 20.0), kimg=options.kimg, seed=options.seed,
                        device=str(device), changes=changes, out=out / "run")  # fmt: skip
    made = run.generate(COUNT, seed=1)
    run.generate(100, seed=1).save(out / "stacked.png")
    found, last = triples(encoder, made.images), run.log()[-1]
    line = {
        "benchmark": "stacked", "date": str(date.today()), "minutes": options.minutes, "seed": options.seed, "changes": set_from_text(options.set),
        "groups": run.recipe.model.groups, "kimg": last["kimg"], "seconds": last["seconds"], "pictures_per_second": last["per_second"],
        "device": torch.cuda.get_device_name() if device.type == "cuda" else f"cpu, {torch.get_num_threads()} threads", "count": COUNT,
        "modes": len(np.unique(found)), "kl": round(divergence(found, real), 4), "events": len(run.folder.events()),
    }  # fmt: skip
    record(line, options.quiet)


if __name__ == "__main__":
    main()

"""How probable held-out pictures are: the importance-weighted bound of log p(x) on dynamically binarised ones, in nats.

    python benchmarks/bound.py MNIST.npz --minutes 30 --k 500 [--set model.network=conv] [--count 10000]

Trains `vae` with black and white pixels (every look at a picture draws them anew, training and test alike) and averages over the test
split log 1/K Σ p(x | z) p(z) / q(z | x) (Burda et al. 2015, eq. 8), at z ~ N(0, I) and with the mixture that was fitted to the latents of
training pictures: both are bounds of a model that can be sampled. One draw gives the ELBO. Appends a line to benchmarks/history.jsonl.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from datetime import date
from pathlib import Path

import torch
from record import record

import fenshen.api
from fenshen.data import prepare
from fenshen.families.autoencoder import Autoencoder, active_units, bound
from fenshen.media.image import to_tensor
from fenshen.recipe import Data, set_from_text

RECIPE = {
    "model.family": "vae", "model.likelihood": "bernoulli", "model.network": "mlp", "model.latent": 40, "model.condition": "none", "model.groups": 0,
    "train.batch": 128, "evaluate.report": False, "autopilot.on": False,
}  # fmt: skip
BATCH = 500


@torch.no_grad()
def measured(model: Autoencoder, pictures_NHWC: object, draws: int, seed: int = 0) -> dict[str, float]:
    """Mean bounds over pictures, in nats (the higher the better), and how the latent is used."""
    noise, sums, means = torch.Generator().manual_seed(seed), {"elbo": 0.0, "normal": 0.0, "mixture": 0.0}, []
    count = len(pictures_NHWC)  # type: ignore[arg-type]
    for start in range(0, count, BATCH):
        x_BCHW = model.likelihood.observed(to_tensor(pictures_NHWC[start : start + BATCH]), noise)  # type: ignore[index]
        for name, (k, prior) in {"elbo": (1, "normal"), "normal": (draws, "normal"), "mixture": (draws, "mixture")}.items():
            sums[name] += float(bound(model, x_BCHW, {}, k, noise, prior).sum())
        means.append(model.encode(x_BCHW, {}).mean_BD)
    return {name: total / count for name, total in sums.items()} | {"active_units": float(active_units(torch.cat(means)))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="a .npz with a test split")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--k", type=int, default=500, help="draws per picture")
    parser.add_argument("--count", type=int, default=10_000, help="test pictures")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="recipe changes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="folder for the run; default: a temporary one")
    parser.add_argument("--quiet", action="store_true", help="do not append to history.jsonl")
    options = parser.parse_args()
    out = options.out or Path(tempfile.mkdtemp(prefix="fenshen-bound-")) / "run"
    wanted = RECIPE | set_from_text(options.set)
    run = fenshen.train(options.source, "vae", minutes=options.minutes, seed=options.seed, changes=wanted, out=out)
    model, _, _ = run.folder.load_sampler()
    assert isinstance(model, Autoencoder)
    dataset, last, began = prepare(Data(source=options.source)), run.log()[-1], time.monotonic()
    line = {
        "benchmark": "bound", "date": str(date.today()), "data": Path(options.source).name, "minutes": options.minutes, "seed": options.seed,
        "device": f"cpu, {torch.get_num_threads()} threads", "changes": {k: v for k, v in wanted.items() if k.startswith(("model.", "train."))},
        "kimg": last["kimg"], "training_seconds": last["seconds"], "k": options.k, "count": options.count,
        **{k: round(v, 3) for k, v in measured(model, dataset.pictures[dataset.held_out[: options.count]], options.k).items()},
        "measuring_seconds": round(time.monotonic() - began, 1),
    }  # fmt: skip
    record(line, options.quiet)
    print(f"run: {out}")


if __name__ == "__main__":
    main()

"""Every family in the same minutes on the same machine, by the Fréchet distance of `fenshen evaluate`.

    python benchmarks/families.py PICTURES.npz --minutes 10 [--only vae,vaegan,gan,vq,fsq,codec] [--set train.batch=64]

codec is a model over the codes of the contender vq, which took as many minutes before, or of --codec RUN. A VAE is measured with what it samples
by default, a mixture fitted to its latents, and with the standard normal; where there is an encoder, so are reconstructions of held-out pictures.
Distances are in the features of the encoder that `fenshen evaluate` trains on the training pictures, to the held-out ones, as multiples of the
floor: the distance of as many training pictures. Appends a line per contender to benchmarks/history.jsonl.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from datetime import date
from pathlib import Path

import numpy as np
import torch
from record import record

import fenshen.api
from fenshen.condition import Given
from fenshen.evaluate.critic import told_labels
from fenshen.evaluate.subject import Subject
from fenshen.families.autoencoder import Autoencoder, Encoding
from fenshen.families.quantized import Codec
from fenshen.generate import Order, generate
from fenshen.measure.distances import frechet_distance
from fenshen.media.image import to_pictures, to_tensor
from fenshen.recipe import set_from_text

CONTENDERS: dict[str, dict[str, object]] = {
    "vae": {"model.family": "vae"},
    "vaegan": {"model.family": "vaegan"},
    "gan": {},
    "vq": {"model.family": "vae", "model.quantizer": "vq"},
    "fsq": {"model.family": "vae", "model.quantizer": "fsq"},
    "codec": {},
}
BATCH = 100


def made(subject: Subject) -> np.ndarray:
    """As many pictures as are held out, of one seed."""
    order = Order(len(subject.held_out_indices), seed=1)
    return np.concatenate([pictures for pictures, _ in generate(subject.sampler, subject.made, order, subject.device)])


def reconstructed(subject: Subject, sampler: Encoding) -> np.ndarray:
    """The held-out pictures, there and back."""
    indices, parts = subject.held_out_indices, []
    labels = told_labels(subject, indices)
    for start in range(0, len(indices), BATCH):
        part = slice(start, start + BATCH)
        given: Given = {} if labels is None else {"label": torch.from_numpy(labels[part]).to(subject.device)}
        x_BCHW = to_tensor(np.ascontiguousarray(subject.dataset.pictures[indices[part]])).to(subject.device)
        parts.append(to_pictures(sampler.reconstruct(x_BCHW, given)))
    return np.concatenate(parts)


def distances(subject: Subject) -> dict[str, float]:
    """Name -> multiple of the floor."""
    held_out, sampler = subject.held_out.features, subject.sampler
    sets = {"samples": made(subject)}
    if isinstance(sampler, Autoencoder):
        sampler.choose("normal")
        sets["samples from N(0, I)"] = made(subject)
    if isinstance(sampler, Encoding):
        sets["reconstructions"] = reconstructed(subject, sampler)
    training = subject.encoder.read(subject.dataset.pictures[np.sort(subject.order[: len(held_out)])]).features
    floor = frechet_distance(training, held_out)
    return {"floor": floor} | {name: frechet_distance(subject.encoder.read(x).features, held_out) / floor for name, x in sets.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="pictures, enough of them held out for a Fréchet distance")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--only", default=",".join(CONTENDERS), help="comma-separated: " + ", ".join(CONTENDERS))
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="recipe changes for all of them")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--codec", type=Path, help="run whose codes the contender codec learns; default: the one of vq")
    parser.add_argument("--out", type=Path, help="folder for the runs and grids; default: a temporary one")
    parser.add_argument("--quiet", action="store_true", help="do not append to history.jsonl")
    options = parser.parse_args()
    out = options.out or Path(tempfile.mkdtemp(prefix="fenshen-families-"))
    for name in options.only.split(","):
        changes = {"evaluate.report": False} | CONTENDERS[name] | set_from_text(options.set)
        if name == "codec":
            changes["model.codec"] = str(options.codec or out / "vq")
        stop = fenshen.api.Stop()
        run = fenshen.train(
            options.source, "codec" if name == "codec" else None, minutes=options.minutes, seed=options.seed, device=options.device,
            changes=changes, out=out / name, stop=stop,
        )  # fmt: skip
        if stop.signal:
            sys.exit(128 + stop.signal)
        run.generate(100, seed=1, by_class=True).save(out / f"{name}.png")
        subject, last = Subject.open(run.folder, run.recipe.train.device, None, 0, lambda text: None), run.log()[-1]
        line = {
            "benchmark": "families", "date": str(date.today()), "data": Path(options.source).name, "contender": name, "minutes": options.minutes,
            "device": run.recipe.train.device, "threads": run.recipe.train.threads, "seed": options.seed, "changes": changes, "kimg": last["kimg"],
            "pictures_per_second": last["per_second"], "training_seconds": last["seconds"], "count": len(subject.held_out_indices),
            **{key: round(value, 3) for key, value in distances(subject).items()},
        }  # fmt: skip
        if isinstance(subject.sampler, Codec):
            line |= dict(zip(("codes_used", "perplexity"), (round(value, 3) for value in subject.sampler.used()), strict=True))
        record(line, options.quiet)
    print(f"runs and grids: {out}")


if __name__ == "__main__":
    main()

"""Do information codes find the digits? A categorical code trained without labels, against the labels.

    python benchmarks/infogan.py MNIST.npz --minutes 20 --seeds 0,1,2 [--set model.codes.agreement=0]

Purity on real test pictures: each is put into the category that Q finds likeliest, each category stands for its commonest label,
and what is counted is the part of the pictures whose label that is. Purity of made pictures: the same, with the category that they
were made with and the label that a small classifier (trained on the labelled training split) sees. No label is read while a run
trains. `--choose` measures on a tenth of the training pictures instead, for comparing settings without looking at the test split.
Appends a line per run to benchmarks/history.jsonl.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from quality import Classifier, train_classifier
from record import record

import fenshen.api
from fenshen.data import Dataset, prepare
from fenshen.evaluate.critic import categories, load_family
from fenshen.measure.clusters import purity
from fenshen.recipe import Data, set_from_text

CHANGES = {"model.codes.categorical": 10, "model.codes.continuous": 2, "model.condition": "none", "autopilot": "off", "evaluate.report": False}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", help="MNIST-like .npz with labels and a split")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--out", type=Path, help="keep the runs in this folder")
    parser.add_argument("--choose", action="store_true", help="measure on a tenth of the training split")
    asked = parser.parse_args()
    dataset = prepare(Data(source=asked.pictures))
    classifier = None if asked.choose else train_classifier(dataset, torch.device("cpu"))
    home = asked.out or Path(tempfile.mkdtemp())
    found = [one(dataset, classifier, asked, int(seed), home / f"seed-{seed}") for seed in asked.seeds.split(",")]
    for key in ("purity", *(() if asked.choose else ("purity_made",))):
        print(f"{key}: median {median(line[key] for line in found):.3f} of {[round(line[key], 3) for line in found]}")


def one(dataset: Dataset, classifier: Classifier | None, asked: argparse.Namespace, seed: int, out: Path) -> dict[str, Any]:
    """One run from nothing, and what its code found."""
    changes = CHANGES | set_from_text(asked.set)
    began = time.perf_counter()
    run = fenshen.api.train(asked.pictures, minutes=asked.minutes, seed=seed, changes=changes, out=out)
    minutes = (time.perf_counter() - began) / 60
    assert dataset.labels is not None
    _, made, header = run.folder.load_sampler()
    where = dataset.train[::10] if asked.choose else dataset.held_out
    family = load_family(run.folder, run.recipe, made, "cpu")
    said = categories(family, dataset.pictures[where])
    seen, count = None, run.recipe.model.codes.categorical[0]
    if classifier is not None:
        seen = classifier.read(run.generate(2000, seed=1, by_code="categorical").images)[1]
    line = {
        "benchmark": "infogan", "date": str(date.today()), "data": Path(asked.pictures).name, "seed": seed, "minutes": round(minutes, 1),
        "kimg": round(header["kimg"], 1), "measured_on": "train" if asked.choose else "test",
        "purity": purity(said, dataset.labels[where]), "purity_made": None if seen is None else purity(np.arange(2000) % count, seen),
        "threads": run.recipe.train.threads, "set": asked.set,
    }  # fmt: skip
    record(line, asked.choose)
    return line


if __name__ == "__main__":
    main()

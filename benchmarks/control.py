"""How well are held-out pictures found in a run's latent space, and does a named direction move what it is named for and little else?

    python benchmarks/control.py RUN [--count 100] [--examples 10] [--out FOLDER]

RUN was trained on labelled pictures. (1) Inversion of `count` held-out pictures: PSNR of the best start and of the end. (2) The direction
`bold` from `examples` training pictures with much and as many with little brightness, by each method: a classifier of bold pictures
(logistic, on the measuring network's features, learnt from other training pictures) is asked about 200 made pictures moved by -3 … 3
standard deviations, and so are what should stay: the digit, and the features across the classifier's own direction. A random direction
stands beside them. Appends a line to benchmarks/history.jsonl.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from record import record

import fenshen
from fenshen.control.directions import logistic
from fenshen.control.explain import properties
from fenshen.control.hand import Hand, Places
from fenshen.control.inversion import Search, invert
from fenshen.control.knobs import Knob, find_knobs
from fenshen.media.image import save_picture
from fenshen.media.sheet import sheet, signed

AMOUNTS = np.linspace(-3, 3, 7)
MADE, TAUGHT = 200, 4000


@dataclass
class Judge:
    """Says how bold a picture is (a logit), by features in standard deviations of real pictures."""

    hand: Hand
    mean_F: np.ndarray
    spread_F: np.ndarray
    weight_F: np.ndarray
    threshold: float
    accuracy: float

    @classmethod
    def taught(cls, hand: Hand, rng: np.random.Generator) -> Judge:
        """On training pictures brighter or darker than the median; its accuracy on held-out ones."""
        data = hand.data
        taught, asked = (np.sort(rng.permutation(part)[:TAUGHT]) for part in (data.train, data.held_out))
        x_NF, middle = hand.encoder.read(data.pictures[taught]).features, np.median(properties(data.pictures[taught])["brightness"])
        mean_F, spread_F = x_NF.mean(0), x_NF.std(0) + 1e-9
        has_N = torch.from_numpy(properties(data.pictures[taught])["brightness"] > middle).double()
        weight_F = logistic(torch.from_numpy((x_NF - mean_F) / spread_F), has_N, None).numpy()
        judge = cls(hand, mean_F, spread_F, weight_F, 0.0, 0.0)
        logit_N = judge.features(data.pictures[taught]) @ weight_F
        judge.threshold = float((logit_N[has_N.numpy() == 1].mean() + logit_N[has_N.numpy() == 0].mean()) / 2)
        right = (judge.logit(data.pictures[asked]) > 0) == (properties(data.pictures[asked])["brightness"] > middle)
        judge.accuracy = float(right.mean())
        return judge

    def features(self, pictures: np.ndarray) -> np.ndarray:
        return (self.hand.encoder.read(pictures).features - self.mean_F) / self.spread_F

    def logit(self, pictures: np.ndarray) -> np.ndarray:
        return self.features(pictures) @ self.weight_F - self.threshold

    def moved(self, knob: Knob, places: Places) -> dict[str, Any]:
        """What the knob does to the score, to the digit, and to the features across the score's direction."""
        along_F = self.weight_F / np.linalg.norm(self.weight_F)
        features, scores, digits = [], [], []
        for amount in AMOUNTS:
            pictures = self.hand.pictures(knob.turn(places, float(amount)))
            features.append(self.features(pictures))
            scores.append(1 / (1 + np.exp(-self.logit(pictures))))
            probabilities = self.hand.encoder.read(pictures).probabilities
            assert probabilities is not None
            digits.append(probabilities.argmax(1))
        middle = len(AMOUNTS) // 2
        shift = [f - features[middle] for f in features]
        across = [s - np.outer(s @ along_F, along_F) for s in shift]
        dimensions = len(along_F) - 1
        return {
            "score": [round(float(s.mean()), 3) for s in scores],
            "monotone": bool((np.diff([s.mean() for s in scores]) > 0).all()),
            "steps_up": round(float((np.diff(np.stack(scores), axis=0) > 0).mean()), 3),
            "same_digit": [round(float((d == digits[middle]).mean()), 3) for d in digits],
            "along": [round(float((s @ along_F).mean()), 3) for s in shift],
            "across": [round(float(np.sqrt(np.square(a).sum(1) / dimensions).mean()), 3) for a in across],
        }


def inversion(hand: Hand, count: int, rng: np.random.Generator, search: Search, out: Path) -> dict[str, Any]:
    """PSNR before and after, of held-out pictures."""
    chosen = np.sort(rng.permutation(hand.data.held_out)[:count])
    pictures, began = np.asarray(hand.data.pictures[chosen]), time.perf_counter()
    found = invert(hand, pictures, search)
    seconds, order = time.perf_counter() - began, np.argsort(found.after_N)
    shown = order[np.linspace(0, len(order) - 1, min(12, len(order))).round().astype(int)]
    rows = [list(p[shown]) for p in (pictures, found.begun_NHWC, found.rebuilt_NHWC)]
    save_picture(sheet(rows, ["original", "start", "found"], [f"{value:.1f} dB" for value in found.after_N[shown]]), out / "inversion.png")
    quartiles = {name: [round(float(q), 2) for q in np.quantile(values, (0.25, 0.5, 0.75))]
                 for name, values in (("before", found.before_N), ("after", found.after_N))}  # fmt: skip
    return {"pictures": len(chosen), "before": round(float(found.before_N.mean()), 2), "after": round(float(found.after_N.mean()), 2),
            "quartiles": quartiles, "seconds": round(seconds, 1), "steps": search.steps, "starts": search.starts}  # fmt: skip


def examples(hand: Hand, count: int, rng: np.random.Generator, folder: Path) -> Path:
    """So many of the brightest and of the darkest fifth of the training pictures, as files."""
    some = np.sort(rng.permutation(hand.data.train)[:TAUGHT])
    order = some[np.argsort(properties(hand.data.pictures[some])["brightness"])]
    for name, part in (("without", order[: TAUGHT // 5]), ("with", order[-TAUGHT // 5 :])):
        for index in rng.choice(part, count, replace=False):
            save_picture(hand.data.pictures[index], folder / name / f"{index}.png")
    return folder


def random_knob(hand: Hand, rng: np.random.Generator) -> Knob:
    return Knob("random", "random", hand.as_long(torch.from_numpy(rng.standard_normal(hand.sampler.latent))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--count", type=int, default=100, help="held-out pictures that are looked for")
    parser.add_argument("--examples", type=int, default=10, help="of each kind, for the named direction")
    parser.add_argument("--steps", type=int, default=Search().steps, help="of each search")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="folder for the pictures; default: a temporary one")
    parser.add_argument("--quiet", action="store_true", help="do not append to history.jsonl")
    options = parser.parse_args()
    run, out = fenshen.load(options.run), options.out or Path(tempfile.mkdtemp(prefix="fenshen-control-"))
    hand, rng = run.hand(), np.random.default_rng(options.seed)
    line = {"benchmark": "control", "date": str(date.today()), "run": run.path.resolve().name, "data": Path(run.recipe.data.source).name,
            "family": run.recipe.model.family, "kimg": run.log()[-1]["kimg"], "seed": options.seed,
            "inversion": inversion(hand, options.count, rng, Search(steps=options.steps), out)}  # fmt: skip
    print(json.dumps(line["inversion"]), flush=True)
    judge, places, folder = Judge.taught(hand, rng), hand.random(MADE, seed=1), examples(hand, options.examples, rng, out / "examples")
    line |= {"examples": 2 * options.examples, "judge_accuracy": round(judge.accuracy, 3), "amounts": AMOUNTS.tolist()}
    print(f"the judge is right on {100 * judge.accuracy:.1f} % of held-out pictures", flush=True)
    rows, names = [], []
    for method in ("seen", "probe", "mean", "random"):
        if method == "random":
            knob = random_knob(hand, rng)
        else:
            run.directions(f"bold-{method}", examples=folder, method=method, out=out / method)
            (knob,) = find_knobs(hand, [f"bold-{method}"])
        line[method] = judge.moved(knob, places)
        print(method, json.dumps(line[method]), flush=True)
        rows += [list(hand.pictures(knob.turn(places[n : n + 1].repeat(len(AMOUNTS)), torch.from_numpy(AMOUNTS).float()))) for n in range(3)]
        names += [method, "", ""]
    save_picture(sheet(rows, names, [signed(amount) for amount in AMOUNTS]), out / "bold.png")
    record(line, options.quiet)
    print(f"pictures: {out}")


if __name__ == "__main__":
    main()

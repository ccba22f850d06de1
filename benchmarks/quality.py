"""How good, in the same minutes on the same machine: our default, without labels, and the first article's GAN.

    python benchmarks/quality.py PICTURES.npz --minutes 10 [--only gan,gan-unlabelled,article] [--set train.lr=0.001]

The measure is the Fréchet distance between generated pictures and the test split in the penultimate features of a small
classifier, which this script trains on the labelled training split. Beside it stands the floor, the distance between as many
training pictures and the test split: real data against real data. Appends a line per run to benchmarks/history.jsonl.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import torch
from record import record
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

import fenshen.api
from fenshen.data import Dataset, prepare
from fenshen.measure.distances import frechet_distance
from fenshen.media.image import to_tensor
from fenshen.recipe import Data, set_from_text
from fenshen.training.plan import CHANNELS, pick_device

CONTENDERS = {
    "gan": ("gan", {}),
    "gan-unlabelled": ("gan", {"model.condition": "none"}),
    "gan-residual": ("gan", {"model.network": "residual"}),
    "article": ("article", {}),
}


class Classifier(nn.Module):
    """Four 3×3 convolutions, 64 features, one logit per class."""

    def __init__(self, channels: int, classes: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, 32, 3, 1, 1), nn.ReLU(), nn.Conv2d(32, 32, 3, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 3, 1, 1), nn.ReLU(),
            nn.Conv2d(64, 64, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(7), nn.Flatten(), nn.Linear(64 * 49, 64), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Linear(64, classes)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.head(self.body(x_BCHW))

    @torch.no_grad()
    def read(self, pictures_NHWC: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features (N, 64) and the likeliest class (N) of uint8 pictures."""
        device = next(self.parameters()).device
        features = [
            self.body(to_tensor(np.ascontiguousarray(part)).to(device)) for part in np.array_split(pictures_NHWC, -(-len(pictures_NHWC) // 500))
        ]
        return torch.cat(features).cpu().double().numpy(), torch.cat([self.head(h) for h in features]).argmax(1).cpu().numpy()


def train_classifier(dataset: Dataset, device: torch.device, epochs: int = 3) -> Classifier:
    """Cross-entropy, Adam 1e-3, on the training split alone."""
    torch.manual_seed(0)
    net = Classifier(CHANNELS[dataset.channels], len(dataset.classes)).to(device)
    optimizer = torch.optim.Adam(net.parameters(), 1e-3, fused=True)
    rng, labels = np.random.default_rng(0), torch.from_numpy(dataset.labels).to(device)
    for _ in range(epochs):
        order = rng.permutation(dataset.train)
        for part in np.array_split(order, -(-len(order) // 128)):
            loss = F.cross_entropy(net(to_tensor(dataset.pictures[part]).to(device)), labels[part])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
    return net.eval()


@dataclass
class Yardstick:
    """The classifier, the test split's features, and the floor."""

    net: Classifier
    test: np.ndarray
    floor: float
    accuracy: float

    @classmethod
    def make(cls, dataset: Dataset, device: torch.device) -> Yardstick:
        path = Path(tempfile.gettempdir()) / f"fenshen-classifier-{dataset.fingerprint[:16]}.safetensors"
        net = Classifier(CHANNELS[dataset.channels], len(dataset.classes)).to(device)
        if path.exists():
            net.load_state_dict(load_file(path))
        else:
            net = train_classifier(dataset, device)
            save_file(net.state_dict(), path)
        net.eval()
        test, said = net.read(dataset.pictures[dataset.held_out])
        part = np.random.default_rng(0).permutation(dataset.train)[: len(test)]
        floor = frechet_distance(net.read(dataset.pictures[part])[0], test)
        return cls(net, test, floor, float((said == dataset.labels[dataset.held_out]).mean()))

    def score(self, pictures: np.ndarray, classes: int) -> dict[str, object]:
        features, said = self.net.read(pictures)
        distance = frechet_distance(features, self.test)
        return {
            "distance": round(distance, 3), "floor": round(self.floor, 3), "times_floor": round(distance / self.floor, 3),
            "class_percent": [round(float(share), 2) for share in 100 * np.bincount(said, minlength=classes) / len(said)],
        }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="a labelled .npz with a test split")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--only", default="gan,gan-unlabelled,article", help="comma-separated: " + ", ".join(CONTENDERS))
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="recipe changes for our contenders")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, help="folder for the runs and grids; default: a temporary one")
    parser.add_argument("--quiet", action="store_true", help="do not append to history.jsonl")
    options = parser.parse_args()
    device = pick_device(options.device)
    dataset = prepare(Data(source=options.source))
    if dataset.labels is None or not len(dataset.held_out):
        sys.exit("quality.py needs labels and a test split")
    yardstick = Yardstick.make(dataset, device)
    print(f"classifier: {yardstick.accuracy:.4f} correct on {len(yardstick.test)} test pictures; floor {yardstick.floor:.3f}", flush=True)
    out = options.out or Path(tempfile.mkdtemp(prefix="fenshen-quality-"))
    for name in options.only.split(","):
        recipe, changes = CONTENDERS[name]
        changes = {"evaluate.report": False} | changes | (set_from_text(options.set) if recipe == "gan" else {})
        began = time.monotonic()
        stop = fenshen.api.Stop()
        run = fenshen.train(
            options.source, recipe, minutes=options.minutes, seed=options.seed, device=str(device), changes=changes, out=out / name, stop=stop
        )
        if stop.signal:
            sys.exit(128 + stop.signal)
        made = run.generate(len(yardstick.test), seed=1)
        run.generate(100, seed=1, by_class=True).save(out / f"{name}.png")
        last = run.log()[-1]
        line = {
            "benchmark": "quality", "date": str(date.today()), "data": Path(options.source).name, "contender": name, "minutes": options.minutes,
            "device": torch.cuda.get_device_name() if device.type == "cuda" else f"cpu, {torch.get_num_threads()} threads", "seed": options.seed,
            "changes": changes, "kimg": last["kimg"], "pictures_per_second": last["per_second"], "training_seconds": last["seconds"],
            "total_seconds": round(time.monotonic() - began, 1), "count": len(made.images), **yardstick.score(made.images, len(dataset.classes)),
        }  # fmt: skip
        record(line, options.quiet)
    print(f"runs and grids: {out}")


if __name__ == "__main__":
    main()

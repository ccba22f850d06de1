"""A small frozen network, trained on the real training pictures of a run, whose features quality scores compare.

Nothing is downloaded. Where there are labels the network is a classifier; else it learns without them that two views of a
picture belong together (Bardes et al. 2022, VICReg). The views differ in place, size and angle alone: a network that is taught
to overlook noise, blur or color cannot measure them. Its features are one half what the trained layer says, which sees missing
kinds of pictures; the other half sees damage to the pixels: three eighths are means and spreads of every stage, one eighth is the
sharpness of the picture itself.

Shape letters: N/B pictures, H height, W width, C channels, D features, K classes, F what is read off before the projection.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from fenshen.errors import DataError, RunFolderError
from fenshen.lang import tr
from fenshen.media.augment import classic
from fenshen.nets.blocks import LRELU_GAIN, SLOPE, conv, initialise, linear, lrelu
from fenshen.recipe import Augment

Array = NDArray[np.float64]
Kind = Literal["labels", "views"]

VERSION = 1  # Of the architecture and of how a picture is fed to it; part of the digest.
LEAST_SIDE, MOST_SIDE = 8, 64
WIDTHS = {1: (32,), 2: (32, 64), 3: (32, 64, 96), 4: (24, 32, 64, 96)}  # Channels by the number of stages.
DENSE = 128
BATCH = 128
VIEW = Augment(crop=0.2, scale=0.1, rotate_degrees=8)
LEARNING_RATE, WEIGHT_DECAY, WARMUP_STEPS = 1e-3, 1e-2, 20
HELD_BACK, MOST_HELD_BACK, LEAST_TO_HOLD_BACK = 0.1, 2000, 20
MOST_FITTED = 4000  # Pictures that decide the projection.


class Read(NamedTuple):
    """What an encoder reads off N pictures: features (N, D) and, from a classifier, probabilities (N, K), both float64."""

    features: Array
    probabilities: Array | None


def feature_count(held_out: int) -> int:
    """How many features that many held-out pictures can bear, 8 to 64: a quarter of them, rounded down to a power of two.

    A Fréchet distance needs more pictures than features, and its chance part grows with features / pictures.
    """
    return min(64, max(8, 2 ** int(math.log2(max(held_out, 4) / 4))))


class Encoder(nn.Module):
    """Four or fewer stages of convolutions that halve the side, a dense layer, and a head where there are classes.

    channels: 1 gray, 3 color, 4 color and transparency. side: what larger pictures are shrunk to, at most MOST_SIDE. classes: 0 for none.
    features: 8 to 64, a power of two is best. kind: what it was trained on. accuracy: of the classes, on training pictures held back
    while it learned; None where there are no classes or too few pictures.
    """

    def __init__(self, channels: int, side: int, classes: int, features: int = 64):
        super().__init__()
        self.channels, self.side, self.classes, self.features = channels, side, classes, features
        self.kind: Kind = "labels" if classes else "views"
        self.accuracy: float | None = None
        strides, cells = strides_from(side)
        widths = WIDTHS[len(strides)]
        self.stages = nn.ModuleList(_stage(i, o, stride) for i, o, stride in zip((channels, *widths[:-1]), widths, strides, strict=True))
        self.dense = linear(widths[-1] * cells**2, DENSE)
        self.head = linear(DENSE, classes) if classes else None
        seen = DENSE + 2 * sum(widths) + 4 * channels
        self.center_F: Tensor
        self.project_FD: Tensor
        self.register_buffer("center_F", torch.zeros(seen))
        self.register_buffer("project_FD", torch.zeros(seen, features))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Pictures as `entry` gives them -> the dense layer (B, DENSE), which training shapes."""
        for stage in self.stages:
            x_BCHW = stage(x_BCHW)
        return self.dense(x_BCHW.flatten(1))

    def classify(self, h_BD: Tensor) -> Tensor:
        """The dense layer -> logits (B, K)."""
        assert self.head is not None
        return self.head(lrelu(h_BD))

    def observe(self, x_BCHW: Tensor) -> Tensor:
        """The dense layer, mean and spread over the picture of every channel of every stage, and sharpness: (B, F)."""
        seen, sharp_BF = [], sharpness(x_BCHW)
        for stage in self.stages:
            x_BCHW = stage(x_BCHW)
            mean_BC = x_BCHW.mean((2, 3))
            seen += [mean_BC, (x_BCHW - mean_BC[..., None, None]).square().mean((2, 3)).sqrt()]  # Tensor.std takes ten times as long.
        return torch.cat([self.dense(x_BCHW.flatten(1)), *seen, sharp_BF], 1)

    @torch.no_grad()
    def read(self, pictures_NHWC: np.ndarray, batch: int = BATCH) -> Read:
        """Features and probabilities of uint8 pictures, `batch` at a time. Raises DataError for pictures of another kind."""
        features, probabilities = [], []
        for x_BCHW in self._entries(pictures_NHWC, batch):
            seen_BF = self.observe(x_BCHW)
            features.append(((seen_BF - self.center_F) @ self.project_FD).cpu().double())
            if self.head is not None:
                probabilities.append(self.classify(seen_BF[:, :DENSE]).cpu().double().softmax(1))
        empty = [torch.zeros(0, self.features, dtype=torch.float64)], [torch.zeros(0, self.classes, dtype=torch.float64)]
        return Read(torch.cat(features or empty[0]).numpy(), torch.cat(probabilities or empty[1]).numpy() if self.classes else None)

    def _entries(self, pictures_NHWC: np.ndarray, batch: int) -> Iterator[Tensor]:
        check_pictures(pictures_NHWC, self.channels, self.side)
        for start in range(0, len(pictures_NHWC), batch):
            yield entry(pictures_NHWC[start : start + batch], self.side, self.center_F.device)

    @torch.no_grad()
    def fit_projection(self, pictures_NHWC: np.ndarray) -> None:
        """Principal directions of each part on these pictures, each part with a total variance of as many features as it has.

        The dense layer keeps the shape that training gave it. The statistics have arbitrary scales and are much alike: each is
        divided by its standard deviation, and what their common directions have too much of is taken back by a fourth root.
        """
        seen_NF = torch.cat([self.observe(x_BCHW) for x_BCHW in self._entries(pictures_NHWC, BATCH)]).cpu().double().numpy()
        project, row, column = np.zeros((seen_NF.shape[1], self.features)), 0, 0
        for width, count in self.parts():
            x_NF = seen_NF[:, row : row + width]
            spread = np.ones(width) if row == 0 else np.maximum(x_NF.std(0), 0.05 * x_NF.std(0).mean() + 1e-8)
            directions = principal(x_NF / spread, count, flatten=0.0 if row == 0 else 0.25)
            project[row : row + width, column : column + count] = directions / spread[:, None]
            row, column = row + width, column + count
        self.center_F.copy_(torch.from_numpy(seen_NF.mean(0)))
        self.project_FD.copy_(torch.from_numpy(project))

    def parts(self) -> list[tuple[int, int]]:
        """How many observations and how many features each part has: dense layer 1/2, stages 3/8, sharpness 1/8."""
        sharp = min(self.features // 8, 4 * self.channels)
        half = self.features // 2
        return [(DENSE, half), (len(self.center_F) - DENSE - 4 * self.channels, self.features - half - sharp), (4 * self.channels, sharp)]

    @property
    def digest(self) -> str:
        """sha256 over architecture and weights: scores by encoders of different digests must not be compared."""
        shape = [VERSION, self.channels, self.side, self.classes, self.features, self.kind]
        whole = hashlib.sha256(json.dumps(shape).encode())
        for name, tensor in self.state_dict().items():
            whole.update(f"{name}{tuple(tensor.shape)}".encode())
            whole.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return whole.hexdigest()

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Copies of all tensors, on the CPU, and what else `from_state` needs, as plain JSON."""
        header = {
            "version": VERSION, "channels": self.channels, "side": self.side, "classes": self.classes, "features": self.features,
            "kind": self.kind, "accuracy": self.accuracy, "digest": self.digest,
        }  # fmt: skip
        return {name: tensor.detach().cpu().clone() for name, tensor in self.state_dict().items()}, header

    @classmethod
    def from_state(cls, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> Encoder:
        """The encoder that `state` described, on the CPU. RunFolderError for what is damaged or of another version."""
        if header.get("version") != VERSION:
            raise RunFolderError("the stored measuring network is of another version: train a new one, and measure again what is compared with it")
        try:
            with torch.random.fork_rng(devices=[]):
                encoder = cls(*(int(header[key]) for key in ("channels", "side", "classes", "features")))
            encoder.load_state_dict(dict(tensors))
            encoder.accuracy = header["accuracy"]
            if encoder.digest != header["digest"] or encoder.kind != header["kind"]:
                raise ValueError("digest")
        except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, RuntimeError) as error:
            problem = str(error).splitlines()[0]
            raise RunFolderError("the stored measuring network is damaged ({problem}): train a new one", problem=problem) from None
        return frozen(encoder)


def strides_from(side: int) -> tuple[list[int], int]:
    """The stride of each stage, until at most four cells a side are left, and how many are left. Large pictures are halved at once."""
    strides = [2 if side >= 24 else 1]
    cells = -(-side // strides[0])
    while cells > 4:
        strides.append(2)
        cells = -(-cells // 2)
    return strides, cells


def _stage(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """One 3×3 convolution where pixels come in, where it would cost most; two further up."""
    enter = initialise(nn.Conv2d(inputs, outputs, 3, stride, 1), LRELU_GAIN)
    more = [conv(2, outputs, outputs), nn.LeakyReLU(SLOPE)] if inputs > 4 else []
    return nn.Sequential(enter, nn.LeakyReLU(SLOPE), *more)


def frozen(encoder: Encoder) -> Encoder:
    """In evaluation mode, without gradients."""
    return encoder.eval().requires_grad_(False)


def check_pictures(pictures_NHWC: np.ndarray, channels: int, side: int) -> None:
    """Raises DataError where an encoder of so many channels and this side cannot read them."""
    shape = pictures_NHWC.shape
    if pictures_NHWC.dtype != np.uint8 or len(shape) != 4 or shape[3] != channels or min(shape[1:3]) < side:
        text = "the measuring network reads pictures N×H×W×{channels} of bytes with at least {side} pixels a side; these are {shape} of {kind}"
        raise DataError(text, channels=channels, side=side, shape="×".join(map(str, shape)), kind=pictures_NHWC.dtype)


def entry(pictures_NHWC: np.ndarray, side: int, device: torch.device) -> Tensor:
    """uint8 pictures -> x_BCHW in [-1, 1], shrunk to `side` by one antialiased (triangle) filter, as Pillow's BILINEAR does.

    Color under transparency does not exist: it is multiplied by alpha first, and alpha is a channel of its own. Done on the CPU,
    so that every device reads the same bits (and because not every device has this filter).
    """
    return fitted(torch.from_numpy(np.array(pictures_NHWC)).permute(0, 3, 1, 2).float().div_(255), side).to(device)


def fitted(x_BCHW: Tensor, side: int) -> Tensor:
    """`entry` of pictures in [0, 1] that are tensors already: differentiable."""
    if x_BCHW.shape[1] == 4:
        x_BCHW = torch.cat([x_BCHW[:, :3] * x_BCHW[:, 3:], x_BCHW[:, 3:]], 1)
    return shrunk(x_BCHW, side)


def shrunk(x_BCHW: Tensor, side: int) -> Tensor:
    """The part of `entry` that shrinks: color premultiplied already, from [0, 1] to [-1, 1]."""
    if x_BCHW.shape[2:] != (side, side):
        x_BCHW = F.interpolate(x_BCHW, (side, side), mode="bilinear", align_corners=False, antialias=True)
    return x_BCHW * 2 - 1


def sharpness(x_BCHW: Tensor) -> Tensor:
    """Mean size of first and of second differences, per channel, as it is and at half the side: (B, 4 · C)."""
    seen = []
    for x in (x_BCHW, F.avg_pool2d(x_BCHW, 2)):
        right, down = x[..., 1:] - x[..., :-1], x[..., 1:, :] - x[..., :-1, :]
        around = (x[..., :-2, 1:-1] + x[..., 2:, 1:-1] + x[..., 1:-1, :-2] + x[..., 1:-1, 2:]) / 4
        seen += [right.abs().mean((2, 3)) + down.abs().mean((2, 3)), (x[..., 1:-1, 1:-1] - around).abs().mean((2, 3))]
    return torch.cat(seen, 1)


def principal(x_NF: Array, count: int, flatten: float) -> Array:
    """The `count` principal directions of x as columns (F, count), each divided by its variance to the power of `flatten`.

    Scaled so that x projected on them has a total variance of `count`; 0.5 would whiten. Variances below 1e-4 of the largest count as that.
    """
    values, vectors = np.linalg.eigh(np.cov(x_NF, rowvar=False, bias=True))
    values, vectors = values[::-1][:count], vectors[:, ::-1][:, :count]
    scale = np.maximum(values, 1e-4 * values[0] + 1e-12) ** -flatten
    total = float((values.clip(0) * scale**2).sum())
    return vectors * scale * math.sqrt(count / max(total, 1e-12))


def train_encoder(
    pictures_NHWC: np.ndarray, labels: np.ndarray | None, classes: int, features: int = 64, *,
    seed: int, device: torch.device | str, seconds: float = 300.0, say: Callable[[str], None] = lambda text: None,
) -> Encoder:  # fmt: skip
    """A frozen encoder of these uint8 pictures (N, H, W, C), N ≥ 2; labels (N) are class indices below `classes`.

    The number of steps follows from the pictures alone, so that the same seed gives the same bits on the CPU; `seconds` only stops
    what would take far too long. Labels of a single class are no labels. Raises DataError for what are not such pictures.
    """
    check_pictures(pictures_NHWC, pictures_NHWC.shape[-1], LEAST_SIDE)
    if len(pictures_NHWC) < 2:
        raise DataError("a measuring network needs at least two pictures; there are {count}", count=len(pictures_NHWC))
    if labels is not None and len(np.unique(labels)) < 2:
        labels = None
    side = min(*pictures_NHWC.shape[1:3], MOST_SIDE)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = Encoder(pictures_NHWC.shape[-1], side, 0 if labels is None else classes, features)
        projector = linear(DENSE, DENSE)
    encoder, rng = encoder.to(device), np.random.default_rng(seed)
    taught, asked = held_back(len(pictures_NHWC), labels is not None, rng)
    say(tr("training a measuring network on {count} pictures", count=len(taught)))
    teacher: Teacher = Views(projector.to(device)) if labels is None else Labels(torch.from_numpy(np.asarray(labels, np.int64)))
    if not teach(encoder, teacher, pictures_NHWC, taught, seed, seconds):
        say(tr("the measuring network was stopped after {seconds} s: on a machine of another speed it would differ", seconds=round(seconds)))
    encoder.eval()
    encoder.fit_projection(pictures_NHWC[np.sort(rng.permutation(len(pictures_NHWC))[:MOST_FITTED])])
    if labels is not None and len(asked):
        probabilities = encoder.read(pictures_NHWC[asked]).probabilities
        assert probabilities is not None
        encoder.accuracy = float((probabilities.argmax(1) == labels[asked]).mean())
    return frozen(encoder)


def held_back(count: int, wanted: bool, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices to learn from, and indices kept back to ask for: a tenth, none of a set of a few pictures."""
    kept = min(round(HELD_BACK * count), MOST_HELD_BACK) if wanted and count >= LEAST_TO_HOLD_BACK else 0
    order = rng.permutation(count)
    return np.sort(order[kept:]), np.sort(order[:kept])


class Labels:
    """Cross-entropy of one view of each picture."""

    passes, least, most = 30, 8_000, 100_000  # Over the set, and pictures shown in all.
    params: list[nn.Parameter] = []  # noqa: RUF012  None of its own.

    def __init__(self, labels_N: Tensor):
        self.labels_N = labels_N

    def loss(self, encoder: Encoder, x_BCHW: Tensor, chosen: NDArray[np.int64], noise: torch.Generator) -> Tensor:
        logits_BK = encoder.classify(encoder(classic(len(x_BCHW), VIEW, noise)(x_BCHW)))
        return F.cross_entropy(logits_BK, self.labels_N[chosen].to(x_BCHW.device), label_smoothing=0.1)


class Views:
    """VICReg of two views of each picture; few passes, because features that know each training picture by heart measure badly."""

    passes, least, most = 20, 4_000, 40_000

    def __init__(self, projector: nn.Module):
        self.projector = projector
        self.params = list(projector.parameters())

    def loss(self, encoder: Encoder, x_BCHW: Tensor, chosen: NDArray[np.int64], noise: torch.Generator) -> Tensor:
        x_BCHW = torch.cat([classic(len(x_BCHW), VIEW, noise)(x_BCHW) for _ in range(2)])
        a_BD, b_BD = self.projector(lrelu(encoder(x_BCHW))).chunk(2)
        return vicreg(a_BD, b_BD)


Teacher = Labels | Views


def vicreg(a_BD: Tensor, b_BD: Tensor) -> Tensor:
    """25 · invariance + 25 · variance + covariance. Bardes, Ponce & LeCun 2022, eq. 6 and section 4.2."""

    def spread(z_BD: Tensor) -> Tensor:
        return F.relu(1 - (z_BD.var(0) + 1e-4).sqrt()).mean()

    def covariance(z_BD: Tensor) -> Tensor:
        z_BD = z_BD - z_BD.mean(0)
        c_DD = z_BD.T @ z_BD / (len(z_BD) - 1)
        return (c_DD.square().sum() - c_DD.diag().square().sum()) / len(c_DD)

    return 25 * F.mse_loss(a_BD, b_BD) + 25 * (spread(a_BD) + spread(b_BD)) / 2 + covariance(a_BD) + covariance(b_BD)


def steps_for(teacher: Teacher, count: int, side: int, batch: int) -> int:
    """So many passes over the set, but neither too few steps for a small one nor too long for a large one or large pictures."""
    most = int(teacher.most * min(1.0, (32 / side) ** 2))
    return -(-max(teacher.least, min(teacher.passes * count, most)) // batch)


def batches(taught: NDArray[np.int64], batch: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Endless: one shuffled pass after the other."""
    waiting = taught[:0]
    while True:
        while len(waiting) < batch:
            waiting = np.concatenate([waiting, rng.permutation(taught)])
        yield waiting[:batch]
        waiting = waiting[batch:]


def teach(encoder: Encoder, teacher: Teacher, pictures_NHWC: np.ndarray, taught: NDArray[np.int64], seed: int, seconds: float) -> bool:
    """AdamW with a warm-up and a linear descent. Whether all planned steps were taken within `seconds`."""
    batch = min(BATCH, max(16, len(taught)))
    steps, began = steps_for(teacher, len(taught), encoder.side, batch), time.monotonic()
    device, noise = encoder.center_F.device, torch.Generator().manual_seed(seed)
    params = [*encoder.parameters(), *teacher.params]
    fused = device.type in ("cpu", "cuda")
    optimizer = torch.optim.AdamW(params, LEARNING_RATE, betas=(0.9, 0.99), weight_decay=WEIGHT_DECAY, fused=fused)
    order = batches(taught, batch, np.random.default_rng([seed, 1]))
    encoder.train()
    for step in range(steps):
        if time.monotonic() - began > seconds:
            return False
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * min(1.0, (step + 1) / WARMUP_STEPS) * (1 - 0.95 * step / steps)
        chosen = next(order)
        loss = teacher.loss(encoder, entry(pictures_NHWC[chosen], encoder.side, device), chosen, noise)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return True

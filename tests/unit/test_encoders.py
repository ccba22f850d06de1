"""The measuring network: what it reads, that it is the same twice, and that its features put damages in order."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

from fenshen.errors import DataError, FenshenError
from fenshen.measure.distances import frechet_distance
from fenshen.measure.encoders import (
    DENSE,
    MOST_SIDE,
    Encoder,
    Labels,
    Views,
    entry,
    feature_count,
    held_back,
    principal,
    sharpness,
    steps_for,
    strides_from,
    train_encoder,
    vicreg,
)  # fmt: skip

CPU = torch.device("cpu")


def noise(count: int, side: int, channels: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, channels), np.uint8)


@pytest.fixture(scope="module", autouse=True)
def optimizers() -> None:
    """The first optimizer of a process imports for two seconds."""
    torch.optim.AdamW([torch.zeros(1, requires_grad=True)])


@cache
def digits() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Training pictures and labels, held-out pictures and labels."""
    found = load_digits()
    pictures, order = (found.images / 16 * 255).round().astype(np.uint8)[..., None], np.random.default_rng(0).permutation(len(found.images))
    kept, rest = order[:300], order[300:]
    return pictures[rest], found.target[rest], pictures[kept], found.target[kept]


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four steps, whatever the pictures."""
    monkeypatch.setattr("fenshen.measure.encoders.steps_for", lambda *given: 4)


@pytest.mark.parametrize(("held_out", "features"), [(0, 8), (10, 8), (63, 8), (64, 16), (100, 16), (255, 32), (256, 64), (10_000, 64)])
def test_feature_count(held_out: int, features: int) -> None:
    assert feature_count(held_out) == features


@pytest.mark.parametrize("side", range(1, MOST_SIDE + 1))
def test_every_side_ends_in_a_few_cells(side: int) -> None:
    strides, cells = strides_from(side)
    assert 1 <= cells <= 4 and 1 <= len(strides) <= 4


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("side", "small"), [(256, 64), (100, 64), (37, 16)])
def test_shrinking_is_antialiased_as_pillow_does(channels: int, side: int, small: int) -> None:
    """Stripes a pixel wide become even gray; any picture agrees with Pillow's BILINEAR to its rounding."""
    picture = noise(1, side, channels)
    mode = {1: "L", 3: "RGB"}[channels]
    expected = np.asarray(Image.fromarray(picture[0].squeeze()).convert(mode).resize((small, small), Image.Resampling.BILINEAR))
    got = (entry(picture, small, CPU)[0].permute(1, 2, 0).numpy() + 1) * 127.5
    assert np.abs(got - expected.reshape(got.shape)).max() <= 1.01
    stripes = np.zeros((1, 256, 256, channels), np.uint8)
    stripes[:, :, ::2] = 255
    assert entry(stripes, 64, CPU)[..., 2:-2].abs().max() < 0.02


def test_pictures_of_the_right_side_are_not_resampled() -> None:
    picture = noise(2, 32, 3)
    assert np.array_equal(((entry(picture, 32, CPU) + 1) * 127.5).round().permute(0, 2, 3, 1).numpy(), picture)


@pytest.mark.parametrize("side", [16, 128])
def test_color_under_transparency_does_not_matter(side: int) -> None:
    pictures = noise(4, side, 4)
    pictures[:, : side // 2, :, 3] = 0
    other = pictures.copy()
    other[:, : side // 2, :, :3] = 255
    assert torch.equal(entry(pictures, min(side, 64), CPU), entry(other, min(side, 64), CPU))
    other[:, : side // 2, :, 3] = 255
    assert not torch.equal(entry(pictures, min(side, 64), CPU), entry(other, min(side, 64), CPU))


@pytest.mark.parametrize(("channels", "resolution"), [(1, 8), (3, 13), (4, 28), (3, 64), (4, 150)])
def test_shapes_and_probabilities(channels: int, resolution: int, short: None) -> None:
    pictures = noise(10, resolution, channels)
    encoder = train_encoder(pictures, np.arange(10) % 3, 5, 16, seed=0, device="cpu")
    features, probabilities = encoder.read(pictures, batch=4)
    assert encoder.side == min(resolution, MOST_SIDE) and not encoder.training and not any(p.requires_grad for p in encoder.parameters())
    assert features.shape == (10, 16) and features.dtype == np.float64 and np.isfinite(features).all()
    assert probabilities is not None and probabilities.shape == (10, 5) and probabilities.dtype == np.float64
    assert probabilities.sum(1) == pytest.approx(np.ones(10), abs=1e-12)
    assert features == pytest.approx(encoder.read(pictures).features, abs=1e-4)
    assert encoder.read(pictures[:0]).features.shape == (0, 16)


@pytest.mark.parametrize("labels", [None, np.arange(12) % 2])
def test_same_seed_same_bits(labels: np.ndarray | None, short: None) -> None:
    pictures = noise(12, 8, 1)
    before = torch.random.get_rng_state()
    one, two, other = (train_encoder(pictures, labels, 2, 8, seed=seed, device="cpu") for seed in (3, 3, 4))
    assert one.digest == two.digest != other.digest
    assert np.array_equal(one.read(pictures).features, two.read(pictures).features)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_digest_sees_weights_projection_and_architecture() -> None:
    torch.manual_seed(0)
    encoder = Encoder(1, 8, 3, 8)
    seen = [encoder.digest]
    for tensor in (encoder.dense.weight, encoder.project_FD):
        assert isinstance(tensor, torch.Tensor)
        with torch.no_grad():
            tensor.view(-1)[0] += 1e-6
        seen.append(encoder.digest)
    encoder.kind = "views"
    assert len({*seen, encoder.digest}) == 4


def test_stored_and_read_again(short: None) -> None:
    pictures = noise(30, 16, 3)
    encoder = train_encoder(pictures, np.arange(30) % 3, 3, 8, seed=0, device="cpu")
    tensors, header = encoder.state()
    again = Encoder.from_state(tensors, json.loads(json.dumps(header)))
    assert again.digest == encoder.digest and again.accuracy == encoder.accuracy is not None and again.kind == "labels"
    assert np.array_equal(again.read(pictures).features, encoder.read(pictures).features)
    assert not again.training and not any(p.requires_grad for p in again.parameters())


@pytest.mark.filterwarnings("ignore:Initializing zero-element")
def test_what_does_not_fit_is_refused() -> None:
    tensors, header = Encoder(1, 8, 3, 8).state()
    broken = dict(tensors, center_F=tensors["center_F"] + 1)
    missing = {name: tensor for name, tensor in tensors.items() if name != "project_FD"}
    cases: list[tuple[dict, dict]] = [
        (broken, header), (missing, header), (tensors, header | {"features": 16}), (tensors, header | {"channels": 3}), (tensors, {"version": 1}),
        (tensors, header | {"version": 0}), (tensors, header | {"side": 0}), (tensors, header | {"classes": "many"}),
        (tensors, header | {"kind": "views"}), (tensors, header | {"digest": "0"}),
    ]  # fmt: skip
    for stored, said in cases:
        with pytest.raises(FenshenError, match="measuring network"):
            Encoder.from_state(stored, said)


def test_other_pictures_are_refused() -> None:
    encoder = Encoder(3, 16, 0, 8)
    for pictures in (noise(2, 16, 1), noise(2, 8, 3), noise(2, 16, 3)[0], noise(2, 16, 3).astype(np.float32)):
        with pytest.raises(DataError, match="3 of bytes with at least 16 pixels"):
            encoder.read(pictures)
    with pytest.raises(DataError, match="1 of bytes with at least 8 pixels"):
        train_encoder(noise(9, 7, 1), None, 0, seed=0, device="cpu")
    with pytest.raises(DataError, match="at least two"):
        train_encoder(noise(1, 8, 1), None, 0, seed=0, device="cpu")


def test_two_pictures_and_one_class(short: None) -> None:
    """Labels that say nothing are no labels; two pictures, or equal ones, give finite features."""
    for pictures in (noise(2, 8, 3), np.zeros((3, 28, 28, 1), np.uint8)):
        encoder = train_encoder(pictures, np.zeros(len(pictures), int), 1, 8, seed=0, device="cpu")
        features, probabilities = encoder.read(noise(5, pictures.shape[1], pictures.shape[3]))
        assert encoder.kind == "views" and encoder.accuracy is None and probabilities is None and np.isfinite(features).all()


def test_held_back_pictures_are_not_learned_from() -> None:
    taught, asked = held_back(60, True, np.random.default_rng(0))
    assert len(asked) == 6 and sorted([*taught, *asked]) == list(range(60))
    assert [len(held_back(*case, np.random.default_rng(0))[1]) for case in ((19, True), (60, False), (60_000, True))] == [0, 0, 2000]


def test_steps_follow_from_the_pictures() -> None:
    labels, views = Labels(torch.zeros(1)), Views(torch.nn.Identity())
    assert steps_for(labels, 1500, 8, 100) == 450 and steps_for(views, 1500, 8, 100) == 300
    assert steps_for(labels, 60_000, 28, 100) == 1000 and steps_for(labels, 60_000, 64, 100) == 250
    assert steps_for(labels, 10, 64, 16) == 500


def test_time_runs_out(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    encoder = train_encoder(noise(20, 8, 1), None, 0, 8, seed=0, device="cpu", seconds=0, say=said.append)
    assert "stopped" in said[-1] and np.isfinite(encoder.read(noise(9, 8, 1)).features).all()


def test_principal_directions() -> None:
    """Variances 4 : 1 keep their ratio unflattened, become 2 : 1 by the fourth root, 1 : 1 by the square root; their sum is the count."""
    rng = np.random.default_rng(0)
    basis, _ = np.linalg.qr(rng.normal(size=(5, 5)))
    x = rng.normal(size=(20_000, 5)) * [2, 1, 1e-3, 1e-3, 1e-3] @ basis.T
    for flatten, ratio in ((0.0, 4.0), (0.25, 2.0), (0.5, 1.0)):
        variance = (x @ principal(x, 2, flatten)).var(0)
        assert variance.sum() == pytest.approx(2) and variance[0] / variance[1] == pytest.approx(ratio, rel=0.05)


def test_vicreg_closed_form() -> None:
    """Equal views with independent columns of variance 4 cost nothing; a shift of one view costs 25 times its square."""
    z_BD = 2 * torch.tensor([[1.0, 1], [1, -1], [-1, 1], [-1, -1]]) * (3 / 4) ** 0.5
    assert vicreg(z_BD, z_BD).item() == pytest.approx(0, abs=1e-6)
    assert vicreg(z_BD, z_BD + 0.2).item() == pytest.approx(25 * 0.04, rel=1e-4)
    assert vicreg(z_BD * 0, z_BD * 0).item() == pytest.approx(25 * 0.99)


def test_forty_steps_teach_the_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fenshen.measure.encoders.steps_for", lambda *given: 40)
    pictures, labels, others, answers = digits()
    encoder = train_encoder(pictures, labels, 10, 32, seed=0, device="cpu")
    probabilities = encoder.read(others).probabilities
    assert probabilities is not None and (probabilities.argmax(1) == answers).mean() > 0.9
    assert encoder.accuracy is not None and encoder.accuracy > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("labeled", [True, False])
def test_damages_stand_in_order(labeled: bool) -> None:
    """Noise, blur, paler, shifted, missing classes, copies of a few: the worse, the further; all beyond real against real."""
    pictures, labels, others, answers = digits()
    encoder = train_encoder(pictures, labels if labeled else None, 10, feature_count(300), seed=0, device="cpu")
    held_out, rng = encoder.read(others).features, np.random.default_rng(0)

    def distance(made: np.ndarray) -> float:
        return frechet_distance(encoder.read(made.clip(0, 255).round().astype(np.uint8)).features, held_out)

    real = pictures[:300].astype(float)
    floor = distance(real)
    damaged = {
        "noise": [real + sigma * rng.normal(size=real.shape) for sigma in (13, 25, 50)],
        "blur": [gaussian_filter(real, (0, sigma, sigma, 0)) for sigma in (0.35, 0.5, 1.0)],
        "paler": [real * share for share in (0.9, 0.8, 0.6)],
        "brighter": [real + shift for shift in (13, 25, 50)],
        "missing": [pictures[np.flatnonzero(labels >= first)[:300]].astype(float) for first in (1, 3, 6)],
        "copies": [real[rng.integers(0, count, 300)] for count in (100, 30, 8)],
    }
    for name, levels in damaged.items():
        found = [distance(level) / floor for level in levels]
        assert found == sorted(found) and found[0] > 1.1 and found[-1] > 3, (name, found)
    known = KNeighborsClassifier(5).fit(encoder.read(pictures).features, labels)
    assert known.score(held_out, answers) > 0.97


@pytest.mark.parametrize(("channels", "features", "counts"), [(1, 8, [4, 3, 1]), (1, 64, [32, 28, 4]), (3, 64, [32, 24, 8]), (4, 16, [8, 6, 2])])
def test_parts_of_the_features(channels: int, features: int, counts: list[int], short: None) -> None:
    """Each part has its share of the features and as much variance on the training pictures, and reads what is its own alone."""
    pictures = noise(60, 8, channels)
    encoder = train_encoder(pictures, None, 0, features, seed=0, device="cpu")
    widths, found = zip(*encoder.parts(), strict=True)
    variance, last = encoder.read(pictures).features.var(0), np.cumsum(counts)
    assert list(found) == counts and sum(counts) == features and sum(widths) == len(encoder.center_F)
    assert [variance[end - n : end].sum() for end, n in zip(last, counts, strict=True)] == pytest.approx(counts, rel=1e-2)
    assert not encoder.project_FD[:DENSE, counts[0] :].any() and not encoder.project_FD[DENSE:, : counts[0]].any()


def test_sharpness_of_stripes() -> None:
    """Stripes of -1 and 1 a pixel wide: differences of 2 to the right, of 1 to the mean of four neighbors; gray at half the side."""
    x_BCHW = torch.ones(1, 1, 8, 8)
    x_BCHW[..., ::2] = -1
    assert sharpness(x_BCHW).tolist() == [[2, 1, 0, 0]]

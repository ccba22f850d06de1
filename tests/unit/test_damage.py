"""What is done to pictures and undone: damages, the plain repairs, networks of any size, and how near a picture is to another."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.nn import functional as F

from fenshen.families.restore import SOURCE, damaged, distance
from fenshen.measure.encoders import Encoder, frozen
from fenshen.measure.fidelity import perceptual, psnr, ssim, windowed
from fenshen.media.image import to_tensor
from fenshen.media.tasks import filled, masked, masks, membrane, premultiplied, shrink, straight
from fenshen.nets.restorers import Enlarger, Mender, inward, smooth, unfold
from fenshen.recipe import Restore

SIZES = ((24,), (16, 24), (8, 8, 16))


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_premultiplied_and_back() -> None:
    x = random(2, 4, 5, 5)
    x[:, 3].clamp_(min=-0.98)
    torch.testing.assert_close(straight(premultiplied(x)), x, atol=1e-4, rtol=0)
    clear = torch.cat([random(1, 3, 4, 4), -torch.ones(1, 1, 4, 4)], 1)
    assert (premultiplied(clear) == -1).all() and (straight(premultiplied(clear)) == -1).all()
    assert torch.equal(premultiplied(x[:, :3]), x[:, :3]) and torch.equal(straight(x[:, :3]), x[:, :3])


def test_pictures_shrink_as_pillow_shrinks_them() -> None:
    values = torch.randint(0, 256, (24, 32), generator=torch.Generator().manual_seed(0)).to(torch.uint8).numpy()
    small = Image.fromarray(values).resize((8, 6), Image.Resampling.BICUBIC)
    ours = shrink(to_tensor(values[None, :, :, None]), 4)

    assert (ours - to_tensor(np.array(small)[None, :, :, None])).abs().max() < 2 / 127.5
    torch.testing.assert_close(shrink(torch.arange(8.0).view(1, 1, 8), 2), torch.tensor([[[0.5, 2.5, 4.5, 6.5]]]))


@pytest.mark.parametrize("size", SIZES)
def test_masks_differ_and_follow_from_the_noise_alone(size: tuple[int, ...]) -> None:
    first, again, other = (masks(40, size, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert first.shape == (40, 1, *size) and set(first.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(first, again) and not torch.equal(first, other)
    share = first.flatten(1).mean(1)
    assert 0.01 < float(share.mean()) < 0.6 and float(share.max()) < 0.9


@pytest.mark.parametrize("size", SIZES)
def test_plain_repairs_keep_what_is_known(size: tuple[int, ...]) -> None:
    x, mask = random(3, 2, *size), masks(3, size, torch.Generator().manual_seed(0))
    told = masked(x, mask)
    assert told.shape == (3, 3, *size) and torch.equal(told[:, -1:], mask)
    for repaired in (filled(told[:, :-1], mask), membrane(told[:, :-1], mask)):
        assert torch.equal(torch.where(mask > 0, 0, repaired), torch.where(mask > 0, 0, x))
    flat = torch.full_like(x, 0.25)
    torch.testing.assert_close(membrane(masked(flat, mask)[:, :-1], mask), flat, atol=1e-4, rtol=0)


def test_a_membrane_is_straight_between_two_ends() -> None:
    """Laplace's equation in one dimension: a line."""
    line, mask = torch.linspace(-1, 1, 16).view(1, 1, 16), torch.zeros(1, 1, 16)
    mask[..., 4:11] = 1
    torch.testing.assert_close(membrane(masked(line, mask)[:, :-1], mask, 2000), line, atol=0.05, rtol=0)


def test_unfold_is_pixel_shuffle() -> None:
    x = random(2, 12, 3, 5)
    assert torch.equal(unfold(x, 2), F.pixel_shuffle(x, 2))
    assert torch.equal(unfold(torch.arange(6.0).view(1, 2, 3), 2), torch.tensor([[[0, 3, 1, 4, 2, 5.0]]]))
    assert unfold(random(1, 16, 2, 3, 4), 2).shape == (1, 2, 4, 6, 8)


@pytest.mark.parametrize("size", [*SIZES, (7, 13)])
def test_filling_inward_keeps_what_is_known_and_goes_on_with_it(size: tuple[int, ...]) -> None:
    x, mask = random(3, 2, *size), masks(3, size, torch.Generator().manual_seed(0))
    assert torch.equal(torch.where(mask > 0, 0, inward(x, mask)), torch.where(mask > 0, 0, x))
    assert torch.equal(inward(x, mask), inward(x * (1 - mask), mask))  # What is missing is not looked at.
    flat = torch.full_like(x, 0.25)
    torch.testing.assert_close(inward(flat, mask), flat, atol=1e-5, rtol=0)
    assert torch.equal(Mender(len(size), 2, 4, 1)(masked(x, mask)), inward(x * (1 - mask), mask))


@pytest.mark.parametrize("size", SIZES)
def test_training_begins_with_the_smooth_enlargement(size: tuple[int, ...]) -> None:
    x = random(2, 3, *size)
    made = Enlarger(len(size), 3, 2, 8, 2)(x)
    assert torch.equal(made, smooth(x, tuple(2 * side for side in size)))


@settings(deadline=None, max_examples=10)
@given(st.integers(3, 40), st.integers(3, 40), st.sampled_from([1, 4]))
def test_networks_take_any_size(height: int, width: int, channels: int) -> None:
    x = random(1, channels, height, width)
    assert Enlarger(2, channels, 3, 8, 1)(x).shape == (1, channels, 3 * height, 3 * width)
    mask = masks(1, (height, width), torch.Generator().manual_seed(0))
    made = Mender(2, channels, 4, 1)(masked(x, mask))
    assert made.shape == x.shape and torch.equal(torch.where(mask > 0, 0, made), torch.where(mask > 0, 0, x))


def test_distances_in_closed_form() -> None:
    y, x = torch.full((2, 1, 4), 0.5), torch.zeros(2, 1, 4)
    assert distance(y, x, "l1").tolist() == [0.5, 0.5] and distance(y, x, "l2").tolist() == [0.25, 0.25]
    torch.testing.assert_close(distance(y, x, "charbonnier"), torch.full((2,), math.sqrt(0.25 + 1e-6)))


def test_what_is_told_follows_from_the_noise() -> None:
    x = random(3, 1, 16, 16)
    assert torch.equal(damaged(x, Restore(factor=4))[SOURCE], shrink(x, 4))
    first, again = (damaged(x, Restore(task="inpaint"), torch.Generator().manual_seed(3))[SOURCE] for _ in range(2))
    assert torch.equal(first, again) and first.shape == (3, 2, 16, 16)


def test_psnr_of_a_known_error() -> None:
    x = torch.rand(2, 3, 9, 9)
    torch.testing.assert_close(psnr(x + 0.1, x), torch.full((2,), 20.0, dtype=torch.float64), atol=1e-4, rtol=0)
    assert psnr(x, x).tolist() == [100.0, 100.0]


def test_ssim_of_constants_of_equals_and_of_noise() -> None:
    """Two constants a and b: only the luminance term is left, (2ab + C1) / (a² + b² + C1)."""
    a, b = torch.full((1, 1, 16, 16), 0.2), torch.full((1, 1, 16, 16), 0.6)
    expected = (2 * 0.12 + 1e-4) / (0.04 + 0.36 + 1e-4)
    assert float(ssim(a, b)) == pytest.approx(expected, abs=1e-6)
    x = torch.rand(3, 2, 16, 20)
    torch.testing.assert_close(ssim(x, x), torch.ones(3, dtype=torch.float64))
    assert float(ssim(x, 1 - x).max()) < 0 < float(ssim(x, (x + 0.1 * torch.rand_like(x)).clamp(0, 1)).min())
    assert ssim(torch.rand(2, 1, 30), torch.rand(2, 1, 30)).shape == (2,) and ssim(torch.rand(1, 1, 6, 6), torch.rand(1, 1, 6, 6)).isfinite().all()
    torch.testing.assert_close(windowed(torch.full((1, 1, 12, 12), 0.3)), torch.full((1, 1, 2, 2), 0.3))


def test_distance_in_features_grows_with_the_damage() -> None:
    torch.manual_seed(0)
    encoder, x = frozen(Encoder(3, 16, 0, 8)), torch.rand(6, 3, 32, 32)
    noise = torch.rand_like(x)
    same, little, much = (float(perceptual(encoder, x, torch.lerp(x, noise, part), batch=4).mean()) for part in (0.0, 0.2, 0.8))
    assert same == 0 and 0 < little < much <= 2

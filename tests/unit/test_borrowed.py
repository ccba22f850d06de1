"""Encoders of others: their layouts, what is refused and in which words, and closed forms of what is odd about them."""

from __future__ import annotations

import math
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from fenshen.errors import DataError
from fenshen.measure.borrowed import COUNTED, SIDE, Borrowed, borrow, in_color
from fenshen.nets.inception import Inception, Mixed, Unit
from fenshen.nets.vit import GRID, HEAD, VisionTransformer


def shapes(net: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in net.state_dict().items()}


def meta(build: type[nn.Module], *arguments: int) -> nn.Module:
    with torch.device("meta"):
        return build(*arguments)


def weights(width: int = HEAD, depth: int = 1, seed: int = 0) -> dict[str, Tensor]:
    """Random ones of a small DINOv2."""
    draw = torch.Generator().manual_seed(seed)
    return {name: 0.1 * torch.randn(shape, generator=draw) for name, shape in shapes(meta(VisionTransformer, width, depth)).items()}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "weights.pth"
    torch.save(weights(), path)
    return path


def pictures(count: int, channels: int = 3, side: int = 20) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, side, side, channels), np.uint8)


def test_inception_has_the_published_layout() -> None:
    """Torchvision's 23,834,568 parameters without the auxiliary head, but 1008 classes; shapes where the FID's file is unlike others."""
    net = meta(Inception)
    assert sum(p.numel() for p in net.parameters()) == 23_834_568 + 8 * (2048 + 1)
    found = shapes(net)
    assert found["Conv2d_1a_3x3.conv.weight"] == (32, 3, 3, 3) and found["fc.weight"] == (1008, 2048) and found["fc.bias"] == (1008,)
    assert found["Mixed_5b.branch5x5_2.conv.weight"] == (64, 48, 5, 5) and found["Mixed_6b.branch7x7dbl_2.conv.weight"] == (128, 128, 7, 1)
    assert found["Mixed_7a.branch7x7x3_4.conv.weight"] == (192, 192, 3, 3) and found["Mixed_7c.branch3x3dbl_3b.bn.running_var"] == (384,)
    assert len([name for name in found if not name.endswith(COUNTED)]) == 94 * 5 + 2


def test_inception_in_and_out() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = Inception().eval()
    with torch.no_grad():
        pooled, logits = net(torch.randn(1, 3, 299, 299))
    assert pooled.shape == (1, 2048) and logits.shape == (1, 1008) and pooled.isfinite().all()


@pytest.mark.parametrize(("pool", "picture", "expected"), [("average", torch.ones(1, 1, 4, 4), 1.0), ("max", torch.eye(4)[None, None], 1.0)])
def test_the_pool_leaves_the_padding_out(pool: str, picture: Tensor, expected: float) -> None:
    """A constant picture stays constant up to its rim (with padding in the average it would be 4/9 in a corner); a maximum is one of the values."""
    unit = Unit(1, 1)
    nn.init.ones_(unit.conv.weight)
    out = Mixed(pool, [], branch_pool=unit).eval()(picture)
    assert out[0, 0, 0, 0].item() == pytest.approx(expected / math.sqrt(1 + 1e-3)) and out.shape == picture.shape


@pytest.mark.parametrize(("width", "depth", "count"), [(384, 12, 22_056_576), (768, 12, 86_580_480), (1024, 24, 304_368_640)])
def test_dinov2_has_the_published_layout(width: int, depth: int, count: int) -> None:
    net = meta(VisionTransformer, width, depth)
    assert sum(p.numel() for p in net.parameters()) == count
    assert shapes(net)["pos_embed"] == (1, 1 + 37**2, width) and shapes(net)["blocks.3.attn.qkv.weight"] == (3 * width, width)


def test_without_its_branches_a_transformer_is_its_class_token() -> None:
    net = VisionTransformer(HEAD, 2)
    for parameter in net.parameters():
        nn.init.normal_(parameter)
    for block in net.blocks:
        nn.init.zeros_(block.ls1.gamma)
        nn.init.zeros_(block.ls2.gamma)
    token = F.layer_norm(net.cls_token[0] + net.pos_embed[:, 0], (HEAD,), net.norm.weight, net.norm.bias, 1e-6)
    assert torch.allclose(net(torch.randn(2, 3, 28, 28)), token.expand(2, -1), atol=1e-5)


def test_positions_are_the_learned_ones_or_between_them() -> None:
    net = VisionTransformer(HEAD, 1)
    rows = torch.arange(GRID).float().repeat_interleave(GRID)
    net.pos_embed.data[0, 1:] = rows[:, None]
    assert net.positions(GRID) is net.pos_embed and net.positions(16).shape == (1, 1 + 16**2, HEAD)
    found = net.positions(16)[0, 1:, 0].view(16, 16)
    assert (found[13] - found[2]).allclose(torch.tensor(11 * GRID / 16.1), rtol=0.01), "rows are so far apart"


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_what_is_read(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"weights{suffix}"
    save = save_file if suffix == ".safetensors" else torch.save
    save(weights(128, 2), path)
    encoder = borrow("dinov2", path)
    read = encoder.read(pictures(3), batch=2)
    assert encoder.features == 128 and read.features.shape == (3, 128) and read.features.dtype == np.float64 and read.probabilities is None
    assert np.allclose(encoder.read(pictures(3)).features, read.features, atol=1e-5) and np.isfinite(read.features).all()
    assert not any(p.requires_grad for p in encoder.parameters()) and not encoder.training


def test_inception_gives_its_own_probabilities(tmp_path: Path) -> None:
    """And a file without the counters of batch normalization, as the public one may be, is complete."""

    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))

        def forward(self, x_BCHW: Tensor) -> tuple[Tensor, Tensor]:
            assert x_BCHW.shape[1:] == (3, 299, 299) and x_BCHW.min() >= -1 and x_BCHW.max() <= 1
            return x_BCHW.mean((2, 3)), torch.zeros(len(x_BCHW), 1008)

    read = Borrowed("inception", Counting(), 3, "").read(np.full((2, 9, 9, 1), 255, np.uint8))
    assert np.allclose(read.features, 1) and read.probabilities is not None and np.allclose(read.probabilities, 1 / 1008)
    path = tmp_path / "weights.pth"
    torch.save({name: torch.zeros(shape) for name, shape in shapes(meta(Inception)).items() if not name.endswith(COUNTED)}, path)
    assert borrow("inception", path).features == 2048


def test_the_digest_is_of_the_weights_and_the_kind(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.pth"
    torch.save(weights(seed=1), other)
    renamed = tmp_path / "renamed.safetensors"
    save_file(weights(), renamed)
    digest = borrow("dinov2", file).digest
    assert len(digest) == 64 and borrow("dinov2", renamed).digest == digest != borrow("dinov2", other).digest


def changed(**changes: Tensor | None) -> dict[str, Tensor]:
    """Random weights with some others, or without them."""
    others = {name.replace("__", "."): value for name, value in changes.items()}
    return {name: value for name, value in (weights() | others).items() if value is not None}


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("harmed"),)


@pytest.mark.parametrize(("content", "words"), [
    (changed(norm__bias=None), r"DINOv2.*differs at norm.bias \(64,\)"), (changed(norm__bias=torch.zeros(3)), r"norm.bias \(3,\)"),
    (changed(register_tokens=torch.zeros(1, 4, 64)), "without registers.*register_tokens"), ({}, "not a DINOv2"),
    (changed(norm__bias=torch.full((64,), float("nan"))), "norm.bias has values that are not finite"), ([1, 2], "by name"),
    ({"model": {}}, "state_dict"), (b"no weights at all", "no file of weights"), (b"", "damaged"), (None, "there is no file"),
], ids=str)  # fmt: skip
def test_what_is_refused(content: object, words: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(DataError, match=words):
        borrow("dinov2", path)


def test_nothing_in_a_file_is_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("weights.pth").write_bytes(pickle.dumps(Harmful(), 2))
    torch.save({"cls_token": Harmful()}, "zipped.pth")
    for name in ("weights.pth", "zipped.pth"):
        with pytest.raises(DataError, match="never executed"):
            borrow("dinov2", Path(name))
    assert not Path("harmed").exists()


def test_half_a_file_is_damaged(file: Path) -> None:
    for path in (file, file.with_suffix(".safetensors")):
        path.write_bytes(file.read_bytes()[:3000])
        with pytest.raises(DataError, match="fetch it again"):
            borrow("dinov2", path)


def test_the_networks_are_not_taken_for_each_other(file: Path) -> None:
    with pytest.raises(DataError, match=r"Inception of the published FID, pt_inception-2015-12-05-6726825d.* differs at Conv2d_1a_3x3"):
        borrow("inception", file)


def test_color() -> None:
    assert in_color(pictures(2, 1)).shape == (2, 20, 20, 3) and in_color(pictures(2)) is not None
    clear = pictures(2, 4)
    clear[..., 3] = 0
    assert (in_color(clear) == 255).all()
    clear[..., 3] = 255
    assert (in_color(clear) == clear[..., :3]).all()


def test_sides() -> None:
    assert SIDE == {"inception": 299, "dinov2": 224}

"""Pictures: every mode and damage in, exact values through, whole files out."""

from __future__ import annotations

import errno
import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made import MODES, encoded, picture, pixels, png, png_bomb
from PIL import Image

from fenshen.errors import OutOfSpaceError, RecipeError, UnreadableError
from fenshen.media import image as media
from fenshen.media.image import (
    animate,
    enlarged,
    fit_picture,
    flattened,
    grid,
    is_picture_name,
    normalize,
    read_header,
    read_picture,
    read_stamp,
    save_picture,
    to_pictures,
    to_tensor,
)

sides = st.integers(1, 40)


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_becomes_gray_color_or_alpha(mode: str) -> None:
    before = picture(3, 20, 30, mode)
    after = normalize(before)
    assert after.mode in ("L", "RGB", "RGBA") and after.size == (30, 20)
    assert ("A" in mode.upper().replace("LAB", "")) == (after.mode == "RGBA")
    for channels, depth in media.DEPTH.items():
        assert fit_picture(after, 9, channels).shape == (9, 9, depth)


def test_sixteen_bits_are_scaled_and_not_clipped() -> None:
    values = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    for data in (
        encoded(Image.fromarray(values)),
        encoded(Image.fromarray(values), "TIFF"),
        encoded(Image.fromarray(values.astype(np.int32)), "TIFF"),
    ):
        read = np.asarray(read_picture(data))
        assert read.dtype == np.uint8 and len(np.unique(read)) == 256
        assert np.abs(read.astype(float) - values / 257).max() <= 0.51


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.0, 255.0), (0.0, 65535.0), (-3.0, 7.0)])
def test_floats_are_scaled_by_their_range(low: float, high: float) -> None:
    values = np.linspace(low, high, 64, dtype=np.float32).reshape(8, 8)
    values[3, 3] = np.nan
    read = np.asarray(normalize(Image.fromarray(values)))
    assert read[0, 0] == 0 and read[7, 7] == 255 and 120 < read[4, 0] < 140


def test_exif_rotation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # Turn 90° clockwise.
    data = encoded(Image.fromarray(np.repeat([[[255, 0, 0]], [[0, 0, 255]]], 32, 1).repeat(8, 0).astype(np.uint8)), "JPEG", exif=exif)
    read = read_picture(data)
    assert read.size == (16, 32)
    assert np.asarray(read)[16, 14, 0] > 200 and np.asarray(read)[16, 1, 2] > 200  # Top went right.


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_first_frame_of_an_animation(kind: str) -> None:
    frames = [Image.new("RGB", (12, 12), color) for color in ("red", "blue")]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert read_picture(data).convert("RGB").getpixel((5, 5)) == (255, 0, 0)


def test_palette_and_rgb_transparency() -> None:
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([0, 0, 0, 255, 0, 0])
    palette.paste(0, (0, 0, 4, 8))
    read = read_picture(encoded(palette, transparency=0))
    assert read.mode == "RGBA" and read.getpixel((0, 0))[3] == 0 and read.getpixel((7, 0)) == (255, 0, 0, 255)  # type: ignore[index]
    assert read_picture(encoded(Image.new("RGB", (8, 8), (1, 2, 3)), transparency=(1, 2, 3))).getpixel((0, 0)) == (1, 2, 3, 0)
    assert read_picture(encoded(Image.new("L", (8, 8), 7), transparency=7)).mode == "RGBA"


def test_cmyk_and_ycbcr_keep_their_colors() -> None:
    red = Image.new("RGB", (16, 16), (250, 10, 10))
    for mode in ("CMYK", "YCbCr"):
        read = np.asarray(read_picture(encoded(red.convert(mode), "JPEG", quality=95))).astype(int)
        assert np.abs(read - [250, 10, 10]).max() < 12


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 99), sides, sides, st.sampled_from(["L", "RGB", "RGBA"]), st.sampled_from(["PNG", "WEBP", "TIFF"]))
def test_reading_returns_what_was_written(seed: int, height: int, width: int, mode: str, kind: str) -> None:
    before = picture(seed, height, width, mode)
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    after = read_picture(encoded(before, kind, **options))
    assert after.size == before.size
    assert np.array_equal(np.asarray(after.convert("RGBA")), np.asarray(before.convert("RGBA")))


@settings(max_examples=80, deadline=None)
@given(
    sides,
    sides,
    st.integers(1, 48),
    st.sampled_from(MODES),
    st.sampled_from(["gray", "colour", "alpha"]),
    st.sampled_from(["crop", "pad", "stretch"]),
)
def test_any_picture_fits_any_square(height: int, width: int, resolution: int, mode: str, channels: media.Channels, fit: media.Fit) -> None:
    fitted = fit_picture(normalize(picture(1, height, width, mode)), resolution, channels, fit)
    assert fitted.shape == (resolution, resolution, media.DEPTH[channels]) and fitted.dtype == np.uint8


def test_fitting_the_right_size_changes_nothing() -> None:
    for fit in ("crop", "pad", "stretch"):
        assert np.array_equal(fit_picture(picture(5, 17), 17, "colour", fit), pixels(5, 17))
    wide = pixels(5, 16, 31)
    assert np.array_equal(fit_picture(Image.fromarray(wide), 16, "colour"), wide[:, 7:23])


def test_crop_takes_the_middle_and_pad_keeps_all() -> None:
    wide = np.zeros((20, 60, 1), np.uint8)
    wide[:, 20:40] = 255
    image = Image.fromarray(wide[..., 0])
    assert fit_picture(image, 10, "gray", "crop").mean() > 240
    padded = fit_picture(image, 30, "gray", "pad")
    assert padded[:9].max() == 0 and padded[15, 15, 0] > 240 and padded[-9:].max() == 0
    clear = fit_picture(image, 30, "alpha", "pad")
    assert (clear[0, 0] == [255, 255, 255, 0]).all() and clear[15, 15, 3] == 255


def test_shrinking_is_antialiased() -> None:
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    small = fit_picture(Image.fromarray(board), 16, "gray").astype(int)
    assert np.abs(small - 127.5).max() < 10


def test_transparency_leaves_no_fringe() -> None:
    dot = np.zeros((32, 32, 4), np.uint8)  # Invisible black around a red square.
    dot[9:23, 9:23] = [255, 0, 0, 255]
    image = Image.fromarray(dot)
    small = fit_picture(image, 8, "alpha")
    seen = small[small[..., 3] > 8]
    assert (seen[:, 0] > 245).all() and (seen[:, 1:3] < 10).all()
    assert (small[small[..., 3] == 0] == [255, 255, 255, 0]).all()
    flat = fit_picture(image, 8, "colour").astype(int)
    assert flat[0, 0].tolist() == [255, 255, 255] and flat[..., 0].min() > 245


def test_tensors_and_back_are_exact() -> None:
    every = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, 3)
    x_BCHW = to_tensor(every)
    assert x_BCHW.shape == (1, 3, 16, 16) and x_BCHW.dtype == torch.float32
    assert x_BCHW.min() == -1 and x_BCHW.max() == 1
    assert np.array_equal(to_pictures(x_BCHW), every)
    assert np.array_equal(to_pictures(to_tensor(torch.from_numpy(every))), every)
    assert to_pictures(torch.tensor([[[[-9.0, 9.0, float("nan")]]]])).ravel().tolist() == [0, 255, 0]
    assert to_tensor(every[:0]).shape == (0, 3, 16, 16) and to_pictures(x_BCHW[:0].bfloat16()).shape == (0, 16, 16, 3)


@pytest.mark.parametrize("suffix", [".png", ".webp", ".WebP"])
@pytest.mark.parametrize("depth", [1, 3, 4])
def test_saving_keeps_every_value_and_the_stamp(tmp_path, suffix: str, depth: int) -> None:
    stamp = {"Software": "fenshen 0.1", "Source": "made, 分身"}
    before = pixels(1, 21, 33, depth)
    path = save_picture(before, tmp_path / f"new/picture{suffix}", stamp=stamp)
    read = read_picture(path)
    assert np.array_equal(np.asarray(read.convert(media.MODE[depth])).reshape(before.shape), before)
    assert read_stamp(path) == stamp
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert read_stamp(save_picture(before, path)) == {}


def test_saving_is_whole_or_not_at_all(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_picture(pixels(1), tmp_path / "a.png")
    good = path.read_bytes()

    def full(self: Image.Image, file: io.BytesIO, *args: object, **options: object) -> None:
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OutOfSpaceError, match="disk is full"):
        save_picture(pixels(2), path)
    assert path.read_bytes() == good and len(list(tmp_path.iterdir())) == 1
    with pytest.raises(RecipeError, match=r"\.png or \.webp"):
        save_picture(pixels(2), tmp_path / "a.jpg")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"hello, this is not a picture", "not a picture"),
        (png(1)[:-60], "cut off"),
        (png(1)[:20], "cut off|not a picture"),
        (encoded(pixels(1, 64), "JPEG")[:900], "cut off"),
        (encoded(pixels(1, 64), "GIF")[:2000], "cut off"),
        (png(1)[:60] + b"\0\0\0\0\0\0\0\0" + png(1)[68:], "cut off"),
        (png_bomb(20_000), "178 million pixels"),
        (png_bomb(13_500), "178 million pixels"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "not a picture"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "not a picture"),
    ],
)
def test_bad_files_say_why(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableError, match=reason):
        read_picture(data)


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=150, deadline=None)
@given(st.sampled_from([encoded(pixels(1), kind) for kind in ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "TGA", "PPM")]), st.data())
def test_damage_is_never_a_surprise(data: bytes, draw: st.DataObject) -> None:
    """Any damage either gives a picture or an UnreadableError."""
    place = draw.draw(st.integers(0, len(data) - 1))
    damage = draw.draw(st.binary(max_size=9))
    try:
        assert read_picture(data[:place] + damage + data[place + draw.draw(st.integers(0, 9)) :]).mode in ("L", "RGB", "RGBA")
    except UnreadableError as error:
        assert str(error)


def test_a_missing_file_is_unreadable(tmp_path) -> None:
    with pytest.raises(UnreadableError, match="No such file"):
        read_picture(tmp_path / "none.png")


def test_headers_and_drafts() -> None:
    data = encoded(pixels(1, 200, 300), "JPEG")
    header = read_header(data)
    assert (header.format, header.mode, header.width, header.height) == ("JPEG", "RGB", 300, 200)
    assert read_picture(data, at_least=40).size == (75, 50)
    assert is_picture_name("a/B.JPG") and not is_picture_name("a.svg") and not is_picture_name("png")


def test_grids() -> None:
    pictures = np.stack([pixels(seed, 8, depth=1) for seed in range(10)])
    sheet = grid(pictures, columns=5, gap=2, zoom=3)
    assert sheet.shape == (2 * 26 + 2, 5 * 26 + 2, 1)
    assert np.array_equal(sheet[2:26:3, 28:52:3], pictures[1])
    assert sheet[0].min() == 255
    assert grid(pictures[:1]).shape == (48 + 4, 48 + 4, 1)  # Enlarged six times.
    height, width, _ = grid(np.zeros((64, 48, 48, 3), np.uint8)).shape
    assert 1 <= width / height <= 2
    clear = np.zeros((2, 16, 16, 4), np.uint8)
    assert grid(clear, zoom=1).shape[2] == 3 and set(np.unique(flattened(clear))) == {224, 255}
    assert grid(clear, zoom=1, flatten=False)[..., 3].max() == 0


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_animations(tmp_path, suffix: str) -> None:
    frames = [pixels(seed, 16) for seed in range(5)]
    path = animate(frames, tmp_path / f"film{suffix}", seconds=1, stamp={"Software": "fenshen", "Seed": "3"})
    assert read_stamp(path) == {"Software": "fenshen", "Seed": "3"} and read_stamp(animate(frames, tmp_path / f"plain{suffix}")) == {}
    with Image.open(path) as film:
        assert film.n_frames == 5  # type: ignore[attr-defined]
        film.seek(1)
        film.load()
        assert film.info["duration"] == 200
    with Image.open(animate(frames, path, endless=False)) as film:
        assert film.info.get("loop") == (1 if suffix == ".webp" else None)
    with pytest.raises(RecipeError):
        animate([], path)


def test_enlarged_by_whole_factors() -> None:
    small = pixels(0, 5, 3)
    large = enlarged(small, 12)
    assert large.shape == (15, 9, 3) and np.array_equal(large[1::3, 1::3], small) and np.array_equal(enlarged(large, 12), large)

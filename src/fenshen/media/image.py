"""Pictures: files of any kind ↔ uint8 arrays ↔ tensors in [-1, 1]; grids, animations, and the one way to save.

Shapes: N/B pictures, H height, W width, C channels (1 gray, 3 colour, 4 colour with transparency).
"""

from __future__ import annotations

import errno
import io
import json
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

import numpy as np
from PIL import Image, ImageCms, ImageOps, PngImagePlugin, UnidentifiedImageError

from fenshen.errors import OutOfSpaceError, RecipeError, UnreadableError

if TYPE_CHECKING:
    import torch

Channels = Literal["gray", "colour", "alpha"]
Fit = Literal["crop", "pad", "stretch"]
DEPTH: dict[Channels, int] = {"gray": 1, "colour": 3, "alpha": 4}
MODE = {1: "L", 3: "RGB", 4: "RGBA"}

SUFFIXES = (
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".gif", ".webp", ".avif", ".jp2", ".j2k"),
    *(".bmp", ".dib", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".ico", ".pcx", ".qoi"),
)
# Formats that Pillow decodes in its own process with bounded work: no PostScript, no metafiles, no external programs.
FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "DIB", "TIFF", "PPM", "TGA", "JPEG2000", "AVIF", "ICO", "PCX", "QOI")
PIXEL_LIMIT = 178_000_000
WHITE = 255

warnings.filterwarnings("ignore", module=r"PIL\.")  # Broken metadata of other people's files; what cannot be read raises.


@dataclass(frozen=True)
class Header:
    """What a file says about its picture before a pixel is decoded; width and height in pixels, before EXIF rotation."""

    format: str
    mode: str
    width: int
    height: int


def is_picture_name(name: str | os.PathLike[str]) -> bool:
    """Whether a file name has the suffix of a picture."""
    return os.path.splitext(os.fspath(name))[1].lower() in SUFFIXES


def read_header(data: bytes | str | os.PathLike[str]) -> Header:
    """Format, mode and size without decoding. Raises UnreadableError."""
    with _opened(data) as picture:
        return Header(picture.format or "?", picture.mode, picture.width, picture.height)


def read_picture(data: bytes | str | os.PathLike[str], at_least: int | None = None) -> Image.Image:
    """The first frame, upright, in mode L, RGB or RGBA.

    `at_least`: a JPEG may be decoded at 1/2, 1/4 or 1/8 of its size as long as no side falls below this many pixels.
    Raises UnreadableError: not a picture, cut off, or more than PIXEL_LIMIT pixels.
    """
    with _opened(data) as picture:
        if at_least is not None:
            picture.draft(None, (at_least, at_least))
        picture.load()
        return normalize(_upright(picture))


@contextmanager
def _opened(data: bytes | str | os.PathLike[str]) -> Iterator[Image.Image]:
    """The lazily opened picture; whatever goes wrong inside the block becomes an UnreadableError."""
    Image.init()
    formats = [name for name in FORMATS if name in Image.OPEN]
    try:
        with Image.open(io.BytesIO(data) if isinstance(data, bytes) else data, formats=formats) as picture:
            if picture.width * picture.height > PIXEL_LIMIT:
                raise Image.DecompressionBombError
            yield picture
    except Image.DecompressionBombError:
        raise UnreadableError("more than {limit} million pixels", limit=PIXEL_LIMIT // 10**6) from None
    except UnidentifiedImageError:
        empty = len(data) == 0 if isinstance(data, bytes) else os.path.getsize(data) == 0
        raise UnreadableError("the file is empty" if empty else "not a picture of a known format, or only the beginning of one") from None
    except MemoryError:
        raise UnreadableError("too large for this machine's memory") from None
    except Exception as error:  # Decoders raise nearly anything on damaged files, and one bad file must not stop a run.
        if isinstance(error, OSError) and error.errno:
            raise UnreadableError("cannot be opened ({problem})", problem=error.strerror) from None
        raise UnreadableError("damaged or cut off ({problem})", problem=str(error) or type(error).__name__) from None


def _upright(picture: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(picture)
    except Exception:  # Broken EXIF data says nothing about the pixels.
        return picture


def normalize(picture: Image.Image) -> Image.Image:
    """Any mode of Pillow's -> L, RGB or RGBA. More than 8 bits are scaled by their range, never clipped."""
    match picture.mode:
        case mode if "transparency" in picture.info and mode in ("1", "L", "P", "RGB"):
            return picture.convert("RGBA")
        case "L" | "RGB" | "RGBA":
            return picture
        case "1":
            return picture.convert("L")
        case "La":
            return picture.convert("LA").convert("RGBA")
        case "LA" | "PA" | "RGBa":
            return picture.convert("RGBA")
        case "F":
            return _scaled(np.asarray(picture), (1.0, 255.0, 65535.0))
        case mode if mode.startswith("I"):
            return _scaled(np.asarray(picture.convert("I")), (65535.0,))
        case "LAB":
            profiles = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(picture, *profiles, outputMode="RGB")
            assert converted is not None
            return converted
        case _:
            return picture.convert("RGB")


def _scaled(values: np.ndarray, tops: Sequence[float]) -> Image.Image:
    """Numbers -> gray: 0 … the first of `tops` that holds them all becomes 0 … 255, else their own range does."""
    values = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    top = next((top for top in tops if low >= 0 and high <= top), None)
    if top is not None:
        low, high = 0.0, top
    return Image.fromarray(np.round((values - low) * (255.0 / max(high - low, 1e-12))).astype(np.uint8))


def over_white(picture: Image.Image) -> Image.Image:
    """RGBA laid over white -> RGB; other modes as they are."""
    if picture.mode != "RGBA":
        return picture
    white = Image.new("RGBA", picture.size, (WHITE,) * 4)
    return Image.alpha_composite(white, picture).convert("RGB")


def fit_picture(picture: Image.Image, resolution: int, channels: Channels, fit: Fit = "crop") -> np.ndarray:
    """One picture (L, RGB, RGBA) -> uint8 (resolution, resolution, C), by one antialiased resize at most.

    crop: the middle square; pad: all of it, the rest filled with the color of its border (transparent for alpha);
    stretch: both sides on their own. Where transparency is dropped, the picture lies over white; where it is kept,
    the color of invisible pixels is white.
    """
    picture = picture.convert("RGBA") if channels == "alpha" else over_white(picture).convert(MODE[DEPTH[channels]])
    width, height = picture.size
    size, box = (resolution, resolution), (0.0, 0.0, float(width), float(height))
    if fit == "crop":
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        if side == resolution:  # No resize at all: stay on whole pixels.
            left, top = left // 1, top // 1
        box = (left, top, left + side, top + side)
    elif fit == "pad":
        scale = resolution / max(width, height)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
    shrinks = box[2] - box[0] > size[0] or box[3] - box[1] > size[1]
    resample = Image.Resampling.LANCZOS if shrinks else Image.Resampling.BICUBIC
    small = picture.resize(size, resample, box=box, reducing_gap=3.0)  # Pillow resizes RGBA premultiplied: no dark fringes.
    pixels = np.array(small, dtype=np.uint8).reshape(size[1], size[0], DEPTH[channels])
    if channels == "alpha":
        pixels[pixels[..., 3] == 0, :3] = WHITE
    return pixels if size == (resolution, resolution) else _padded(pixels, resolution)


def _padded(pixels: np.ndarray, resolution: int) -> np.ndarray:
    height, width, depth = pixels.shape
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    colour = np.array([WHITE, WHITE, WHITE, 0]) if depth == 4 else np.median(border, axis=0)
    canvas = np.full((resolution, resolution, depth), colour.astype(np.uint8), np.uint8)
    top, left = (resolution - height) // 2, (resolution - width) // 2
    canvas[top : top + height, left : left + width] = pixels
    return canvas


def to_tensor(pictures: np.ndarray | torch.Tensor) -> torch.Tensor:
    """uint8 (N, H, W, C), array or tensor -> float32 x_BCHW in [-1, 1] on the same device."""
    import torch

    tensor = torch.from_numpy(np.ascontiguousarray(pictures)) if isinstance(pictures, np.ndarray) else pictures
    return tensor.permute(0, 3, 1, 2).contiguous().float().div_(127.5).sub_(1.0)


def to_pictures(x_BCHW: torch.Tensor) -> np.ndarray:
    """x_BCHW in [-1, 1] (values beyond are clamped) -> uint8 (N, H, W, C). Inverts `to_tensor` exactly. So for any number of axes."""
    import torch

    values = x_BCHW.detach().float().add(1.0).mul(127.5).nan_to_num().clamp(0, 255).round()
    return values.to(torch.uint8).movedim(1, -1).cpu().contiguous().numpy()


def to_image(picture_HWC: np.ndarray) -> Image.Image:
    """uint8 (H, W, C) or (H, W) -> a Pillow picture of mode L, RGB or RGBA."""
    flat = picture_HWC[..., 0] if picture_HWC.ndim == 3 and picture_HWC.shape[2] == 1 else picture_HWC
    return Image.fromarray(np.ascontiguousarray(flat, dtype=np.uint8))


def save_picture(picture_HWC: np.ndarray, path: str | os.PathLike[str], *, stamp: dict[str, str] | None = None) -> Path:
    """Writes a PNG or a lossless WebP, as the suffix says; whole or not at all. Every picture that leaves a run goes through here.

    `stamp` says where it comes from ("Software": …): PNG text chunks, WebP EXIF. Raises RecipeError for another suffix, OutOfSpaceError.
    """
    path, picture = Path(path), to_image(picture_HWC)
    match path.suffix.lower():
        case ".png":
            return _write(path, lambda file: file.write(png(picture_HWC, stamp)))
        case ".webp":
            return _write(path, lambda file: picture.save(file, "WEBP", lossless=True, exact=True, exif=_exif(stamp) if stamp else b""))
    raise RecipeError("cannot write {path}: pictures are written as .png or .webp", path=path)


def png(picture_HWC: np.ndarray, stamp: dict[str, str] | None = None) -> bytes:
    """The bytes of a PNG; `stamp` as in `save_picture`."""
    text, file = PngImagePlugin.PngInfo(), io.BytesIO()
    for key, value in (stamp or {}).items():
        text.add_itxt(key, value)
    to_image(picture_HWC).save(file, "PNG", pnginfo=text)
    return file.getvalue()


def read_stamp(path: str | os.PathLike[str]) -> dict[str, str]:
    """The stamp of a picture or an animation that was written here; empty where there is none."""
    with _opened(path) as picture:
        if picture.format == "GIF":
            return json.loads(picture.info.get("comment", "{}"))
        if picture.format == "WEBP":
            return json.loads(picture.getexif().get(0x010E, "{}"))
        picture.load()
        return {key: str(value) for key, value in getattr(picture, "text", {}).items()}


def _write(path: Path, write: Callable[[BinaryIO], object]) -> Path:
    """Atomically: a temporary file in the same folder, renamed. Not flushed to the disk: a picture can be made again."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            write(file)
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OutOfSpaceError("the disk is full: {path} was not written", path=path) from None
        raise
    return path


def grid(
    pictures_NHWC: np.ndarray, columns: int | None = None, gap: int = 2, background: int = WHITE, zoom: int | None = None, flatten: bool = True
) -> np.ndarray:
    """uint8 (N, H, W, C) -> one picture (H', W', C), near-square and rather wide.

    `zoom` enlarges by a whole factor without smoothing; None: until a cell has 48 pixels. `flatten` lays transparency over a light checkerboard.
    """
    pictures = flattened(pictures_NHWC) if flatten and pictures_NHWC.shape[-1] == 4 else pictures_NHWC
    count, height, width, depth = pictures.shape
    zoom = zoom or max(1, -(-48 // max(height, width, 1)))
    columns = min(columns or max(1, int(np.ceil(np.sqrt(count * 4 / 3)))), max(count, 1))
    rows = max(1, -(-count // columns))
    height, width = height * zoom, width * zoom
    canvas = np.full((rows * (height + gap) + gap, columns * (width + gap) + gap, depth), background, np.uint8)
    if depth == 4:
        canvas[..., 3] = 0
    for index, picture in enumerate(pictures):
        top, left = gap + index // columns * (height + gap), gap + index % columns * (width + gap)
        canvas[top : top + height, left : left + width] = picture.repeat(zoom, 0).repeat(zoom, 1)
    return canvas


def flattened(pictures_NHWC: np.ndarray, square: int = 8) -> np.ndarray:
    """uint8 (N, H, W, 4) -> (N, H, W, 3) over a light checkerboard with squares of `square` pixels."""
    height, width = pictures_NHWC.shape[1:3]
    rows, columns = np.arange(height)[:, None] // square, np.arange(width)[None] // square
    board = np.where((rows + columns) % 2, 224.0, 255.0)[None, :, :, None]
    alpha = pictures_NHWC[..., 3:] / 255.0
    return np.round(pictures_NHWC[..., :3] * alpha + board * (1 - alpha)).astype(np.uint8)


def enlarged(picture_HWC: np.ndarray, least: int) -> np.ndarray:
    """By the smallest whole factor, without smoothing, that gives the longer side at least so many pixels."""
    factor = max(1, -(-least // max(picture_HWC.shape[:2])))
    return picture_HWC.repeat(factor, 0).repeat(factor, 1)


def animate(
    frames: Sequence[np.ndarray], path: str | os.PathLike[str], seconds: float = 4.0, *, stamp: dict[str, str] | None = None, endless: bool = True
) -> Path:
    """Equal-sized uint8 (H, W, C) frames -> a GIF or WebP, as the suffix says, that lasts `seconds` and begins anew if `endless`; atomically.

    `stamp` as in `save_picture`: a GIF's comment, a WebP's EXIF.
    """
    path = Path(path)
    kind = {".gif": "GIF", ".webp": "WEBP"}.get(path.suffix.lower())
    if kind is None or not frames:
        raise RecipeError("cannot write {path}: an animation is a .gif or .webp of at least one frame", path=path)
    first, *rest = [to_image(frame) for frame in frames]
    options: dict[str, object] = {"save_all": True, "append_images": rest, "duration": max(20, round(1000 * seconds / len(frames)))}
    if stamp:
        options |= {"comment": json.dumps(stamp).encode()} if kind == "GIF" else {"exif": _exif(stamp)}
    if endless or kind == "WEBP":  # A GIF that says nothing is shown once; a WebP counts its rounds.
        options["loop"] = 0 if endless else 1
    return _write(path, lambda file: first.save(file, kind, **options))


def _exif(stamp: dict[str, str]) -> bytes:
    exif = Image.Exif()
    exif[0x0131] = stamp.get("Software", "")
    exif[0x010E] = json.dumps(stamp)
    return exif.tobytes()

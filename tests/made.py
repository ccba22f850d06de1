"""Makers of test data: pictures and files of every kind, from numbers alone."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

MODES = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV", "I", "I;16", "I;16B", "F")


def pixels(seed: int, height: int = 24, width: int | None = None, depth: int = 3) -> np.ndarray:
    """uint8 (H, W, C): soft random shapes; different seeds look different, also when small."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (5, 5, depth), dtype=np.uint8).squeeze())
    return np.asarray(coarse.resize((width or height, height), Image.Resampling.BICUBIC)).reshape(height, width or height, depth)


def picture(seed: int, height: int = 24, width: int | None = None, mode: str = "RGB") -> Image.Image:
    """The same as a Pillow picture of any mode in MODES."""
    rgb = Image.fromarray(pixels(seed, height, width))
    match mode:
        case "LA" | "PA" | "La" | "RGBa":
            rgba = Image.fromarray(pixels(seed, height, width, 4))
            return rgba.convert({"La": "LA", "PA": "PA"}.get(mode, mode)).convert(mode)
        case "RGBA":
            return Image.fromarray(pixels(seed, height, width, 4))
        case "I" | "F":
            values = np.asarray(rgb.convert("L")).astype(np.int32 if mode == "I" else np.float32)
            return Image.fromarray(values * 257 if mode == "I" else values / 255)
        case "I;16" | "I;16B":
            values = np.asarray(rgb.convert("L")).astype(np.uint16) * 257
            return Image.frombytes(mode, rgb.size, values.astype(">u2" if mode.endswith("B") else "<u2").tobytes())
        case "LAB":
            return Image.frombytes("LAB", rgb.size, rgb.tobytes())
        case "P":
            return rgb.quantize(16)
    return rgb.convert(mode)


def encoded(image: Image.Image | np.ndarray, kind: str = "PNG", **options: object) -> bytes:
    """The bytes of a picture file."""
    file = io.BytesIO()
    image = Image.fromarray(image.squeeze()) if isinstance(image, np.ndarray) else image
    image.save(file, kind, **options)
    return file.getvalue()


def png(seed: int, size: int = 24) -> bytes:
    return encoded(pixels(seed, size))


def files(count: int = 6, size: int = 24, folder: str = "") -> dict[str, bytes]:
    """Name -> bytes of `count` different pictures."""
    return {f"{folder}{index:03d}.png": png(index, size) for index in range(count)}


def classes(count: int = 4, size: int = 24) -> dict[str, bytes]:
    """Pictures in the class folders cat and dog."""
    return {f"{name}/{index}.png": png(1000 * number + index, size) for number, name in enumerate(("cat", "dog")) for index in range(count)}


def write_folder(path: Path, contents: Mapping[str, bytes | str]) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    for name, data in contents.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def write_zip(path: Path, contents: Mapping[str, bytes | str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
    return path


def write_tar(path: Path, contents: Mapping[str, bytes | str], packing: str = "") -> Path:
    with tarfile.open(path, f"w:{packing}") as archive:  # type: ignore[call-overload]
        for name, data in contents.items():
            data = data.encode() if isinstance(data, str) else data
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def write_parquet(path: Path, rows: list[dict], names: list[str] | None = None) -> Path:
    """Rows as given; `names`: class names in the Hugging Face description."""
    import json

    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist(rows)
    if names:
        described = {"info": {"features": {"label": {"_type": "ClassLabel", "names": names}, "image": {"_type": "Image"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(described)})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=3)
    return path


def png_bomb(side: int) -> bytes:
    """A small file whose header declares side × side pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")

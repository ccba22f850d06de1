"""Pictures restored by a run that learnt it: from files of any size, and from known pictures that are damaged first, to compare.

Shapes: N/B pictures, H height, W width, C channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fenshen.errors import DataError, RecipeError
from fenshen.families.base import Sampler
from fenshen.families.restore import SOURCE, Restorer, damaged
from fenshen.lang import tr
from fenshen.media.image import MODE, enlarged, grid, is_picture_name, over_white, read_picture, to_pictures, to_tensor
from fenshen.media.tasks import filled, membrane, premultiplied, straight
from fenshen.nets.restorers import smooth
from fenshen.recipe import Restoring

BATCH = 16
MASK_FROM = 128  # Gray of a mask from which a part is missing.


@dataclass(frozen=True)
class Compared:
    """Pictures beside each other, in [-1, 1] and premultiplied, x_NCHW: as they were told, by other means, restored, and as they should be."""

    told: Tensor
    plain: dict[str, Tensor]
    made: Tensor
    truth: Tensor

    def sheet(self) -> np.ndarray:
        """uint8 (H, W, C): a row per picture, a column each for told, by the best of the other means, restored, true."""
        columns = [self.told, list(self.plain.values())[-1], self.made, self.truth]
        pictures = np.stack([to_pictures(straight(x.clamp(-1, 1))) for x in columns], 1)
        return enlarged(grid(pictures.reshape(-1, *pictures.shape[2:]), len(columns), flatten=True), 256)


def restorer_of(sampler: Sampler) -> Restorer:
    """RecipeError for a run that makes pictures from nothing."""
    if not isinstance(sampler, Restorer):
        raise RecipeError("--input: this run makes pictures from nothing and restores none; train one with --task upscale=4 or --task inpaint")
    return sampler


@torch.no_grad()
def compare(sampler: Restorer, pictures_NHWC: np.ndarray, model: Restoring, seed: int, device: str = "cpu", shift: int = 0) -> Compared:
    """Damages known pictures, the same for the same seed, and restores them.

    `shift`: each is told what was made of the picture so many places on, which shows whether the network looks at what it is told.
    """
    noise, parts = torch.Generator().manual_seed(seed), []
    for start in range(0, len(pictures_NHWC), BATCH):
        x_BCHW = premultiplied(to_tensor(np.ascontiguousarray(pictures_NHWC[start : start + BATCH])))
        parts.append((x_BCHW, damaged(x_BCHW, model, noise)[SOURCE]))
    truth, source = (torch.cat([part[i] for part in parts]) for i in range(2))
    source = source.roll(-shift, 0)
    made = torch.cat([sampler(part, {SOURCE: part.to(device)}).float().cpu() for part in source.split(BATCH)])
    if model.task == "upscale":
        told = source
        for axis in (2, 3):
            told = told.repeat_interleave(model.factor, axis)
        plain = {tr("bicubic"): smooth(source, tuple(truth.shape[2:]))}
    else:
        told, mask = source[:, :-1], source[:, -1:]
        plain = {tr("filled with the mean"): filled(told, mask), tr("smoothest fill"): membrane(told, mask)}
    return Compared(told, plain, made, truth)


def sources(path: Path, mask: Path | None) -> list[tuple[str, Path, Path | None]]:
    """(name, picture, its mask) of a file, or of every picture in a folder. DataError where there is nothing to read."""
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.is_file() and is_picture_name(file))
        if not files:
            raise DataError("no pictures in {path}", path=path)
    else:
        if not path.is_file():
            raise DataError("--input {path}: there is no such file or folder", path=path)
        files = [path]
    found = [(file.stem, file, mask / file.name if mask is not None and mask.is_dir() else mask) for file in files]
    for _, file, its in found:
        if its is not None and not its.is_file():
            raise DataError("--mask {path}: there is no mask for {file}", path=its, file=file.name)
    return found


def restored(sampler: Restorer, channels: int, files: list[tuple[str, Path, Path | None]], device: str = "cpu") -> Iterator[tuple[str, np.ndarray]]:
    """(name, uint8 (H, W, C)) of each file, at its own size, one in memory at a time.

    RecipeError where masks are missing or not wanted, DataError where one has another size than its picture.
    """
    for name, path, mask in files:
        if (mask is None) == (sampler.task == "inpaint"):
            raise RecipeError("--mask FILE says what is missing, white: this run needs it" if mask is None else
                              "--mask: this run makes pictures larger and needs none; leave it out")  # fmt: skip
        source_BCHW = to_tensor(_pixels(read_picture(path), channels)[None])
        if mask is not None:
            gray = np.asarray(over_white(read_picture(mask)).convert("L"))
            if gray.shape != source_BCHW.shape[2:]:
                raise DataError("{mask} is not of the size of {path}: make both alike", mask=mask, path=path)
            source_BCHW = torch.cat([source_BCHW, torch.from_numpy(gray >= MASK_FROM)[None, None].float()], 1)
        yield name, to_pictures(sampler.restore(source_BCHW.to(device)))[0]


def _pixels(picture: Image.Image, channels: int) -> np.ndarray:
    picture = picture.convert("RGBA") if channels == 4 else over_white(picture).convert(MODE[channels])
    return np.array(picture, np.uint8).reshape(picture.height, picture.width, channels)

"""Which encoder an evaluation looks through: the run's own, or one that others have trained, whose weights somebody brings or asks to fetch."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import torch

from fenshen.data import cache
from fenshen.errors import DataError, RecipeError
from fenshen.evaluate.subject import Say
from fenshen.lang import tr
from fenshen.measure.borrowed import Borrowed, Kind, borrow
from fenshen.recipe import Evaluate

# Where the published weights are, and how the sha256 of the file begins where its name says so.
PUBLISHED: dict[Kind, tuple[str, str | None]] = {
    "inception": ("https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth", "6726825d"),
    "dinov2": ("https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_pretrain.pth", None),
}
DOWNLOAD = "download"


def borrowed(wanted: Evaluate, device: str, say: Say) -> Borrowed | None:
    """The encoder that the recipe names, on the device; None for the run's own. RecipeError, DataError where it cannot be had."""
    kind, weights = wanted.encoder, wanted.encoder_weights
    if kind == "own":
        if weights is not None:
            raise RecipeError("evaluate.encoder_weights belongs to evaluate.encoder inception or dinov2; our own encoder needs none")
        return None
    if weights is None:
        text = "evaluate.encoder {kind} needs its weights: evaluate.encoder_weights FILE, or {download} to fetch them from {address}"
        raise RecipeError(text, kind=kind, download=DOWNLOAD, address=PUBLISHED[kind][0])
    path = downloaded(kind, say) if weights == DOWNLOAD else Path(weights).expanduser()
    found = borrow(kind, path).to(device)
    say(tr("the pictures are seen by {kind}, {features} features; on a CPU that takes a few tenths of a second per picture",
           kind=kind, features=found.features))  # fmt: skip
    return found


def downloaded(kind: Kind, say: Say) -> Path:
    """The published weights, from the cache or fetched now. DataError without network, or where the file is not what it should be."""
    address, digest = PUBLISHED[kind]
    name = Path(urlsplit(address).path).name

    def build(folder: Path) -> None:
        say(tr("fetching {address}", address=address))
        try:
            torch.hub.download_url_to_file(address, str(folder / name), digest, progress=False)
        except (OSError, RuntimeError) as error:
            text = "{address} cannot be fetched ({problem}): bring the file yourself and name it in evaluate.encoder_weights"
            raise DataError(text, address=address, problem=str(error).splitlines()[0]) from None

    return cache.obtain(f"weights-{kind}", build) / name

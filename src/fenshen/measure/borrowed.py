"""Encoders that others have trained, read from a file of weights: Inception-v3 as the published FID takes it, and DINOv2.

Never needed, and never fetched unasked. A file of weights is data: pickled ones are read as tensors alone (torch's `weights_only`), and
whatever asks for more is refused. Pictures are resampled once, by the antialiased triangle filter of `encoders.entry`: Pillow's BILINEAR,
which is plain bilinear interpolation where they are enlarged, as the FID's own code does.

Shape letters: B/N pictures, H height, W width, C channels, D features, K classes.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import zipfile
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from fenshen.errors import DataError
from fenshen.measure.encoders import Read, entry
from fenshen.nets import inception, vit

Kind = Literal["inception", "dinov2"]

VERSION = 1  # Of how pictures are fed to them; part of the digest.
BATCH = 32
SIDE = {"inception": inception.SIDE, "dinov2": 224}
MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # Of ImageNet's pictures: what DINOv2 is fed is standardised by them.
FID_FILE, DINO_FILE = "pt_inception-2015-12-05-6726825d.pth", "dinov2_vitl14_pretrain.pth"
COUNTED = "num_batches_tracked"  # What batch normalization counts while it learns; not in every file.


class Borrowed(nn.Module):
    """A frozen network with its weights. digest: sha256 over kind, weights and how it is fed, as of our own encoder."""

    def __init__(self, kind: Kind, net: nn.Module, features: int, digest: str):
        super().__init__()
        self.kind: Kind = kind
        self.net, self.features, self.digest = net, features, digest
        self.eval().requires_grad_(False)

    @torch.no_grad()
    def read(self, pictures_NHWC: np.ndarray, batch: int = BATCH) -> Read:
        """Features (N, D), and Inception's own 1008 probabilities, of uint8 pictures (N, H, W, 1, 3 or 4 channels), both float64."""
        assert pictures_NHWC.dtype == np.uint8 and len(pictures_NHWC)
        parts = [self._read(pictures_NHWC[start : start + batch]) for start in range(0, len(pictures_NHWC), batch)]
        features, logits = zip(*parts, strict=True)
        known = [part for part in logits if part is not None]
        return Read(torch.cat(features).double().numpy(), torch.cat(known).double().softmax(1).numpy() if known else None)

    def _read(self, pictures_BHWC: np.ndarray) -> tuple[Tensor, Tensor | None]:
        x_BCHW = entry(in_color(pictures_BHWC), SIDE[self.kind], next(self.net.parameters()).device)
        if self.kind == "inception":
            features_BD, logits_BK = self.net(x_BCHW)
            return features_BD.cpu(), logits_BK.cpu()
        mean, spread = (x_BCHW.new_tensor(values).view(3, 1, 1) for values in (MEAN, SPREAD))
        return self.net(((x_BCHW + 1) / 2 - mean) / spread).cpu(), None


def in_color(pictures_NHWC: np.ndarray) -> np.ndarray:
    """uint8 pictures with three channels: gray is repeated, what is transparent lies on white."""
    match pictures_NHWC.shape[-1]:
        case 1:
            return np.repeat(pictures_NHWC, 3, -1)
        case 4:
            alpha = pictures_NHWC[..., 3:] / 255
            return np.round(pictures_NHWC[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
    return pictures_NHWC


def borrow(kind: Kind, path: Path) -> Borrowed:
    """The encoder whose weights are in a .safetensors or PyTorch file. DataError for a file that is missing, damaged, or of another network."""
    tensors = {name: value for name, value in tensors_of(path).items() if not name.endswith(COUNTED)}
    net, features = _empty(kind, tensors, path)
    check(net, tensors, kind, path)
    counted = {name: torch.zeros((), dtype=torch.long) for name in net.state_dict() if name.endswith(COUNTED)}
    net.load_state_dict({name: value.float() for name, value in tensors.items()} | counted, assign=True)
    return Borrowed(kind, net, features, digest_of(kind, tensors))


def _empty(kind: Kind, tensors: dict[str, Tensor], path: Path) -> tuple[nn.Module, int]:
    """The network without weights, and how many features it has; a transformer as wide and deep as the file says."""
    with torch.device("meta"):
        if kind == "inception":
            return inception.Inception(), inception.FEATURES
        depth = len({name.split(".")[1] for name in tensors if name.startswith("blocks.")})
        width = tensors["cls_token"].shape[-1] if "cls_token" in tensors else 0
        if not depth or not width or width % vit.HEAD:
            raise _other(kind, path, "cls_token, blocks")
        return vit.VisionTransformer(width, depth), width


def tensors_of(path: Path) -> dict[str, Tensor]:
    """Name -> tensor of a file of weights; nothing in it is executed."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (FileNotFoundError, IsADirectoryError):
        raise DataError("there is no file of weights {path}", path=path) from None
    except pickle.UnpicklingError:
        text = "{path} is no file of weights, or holds more than tensors, which is never executed: save its state_dict, or as .safetensors"
        raise DataError(text, path=path) from None
    except (SafetensorError, RuntimeError, EOFError, ValueError, KeyError, zipfile.BadZipFile, OSError) as error:
        problem = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError("{path} is damaged or no file of weights ({problem}): fetch it again", path=path, problem=problem) from None
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise DataError("{path} does not hold tensors by name: save the network's state_dict", path=path)
    return found


def check(net: nn.Module, tensors: dict[str, Tensor], kind: Kind, path: Path) -> None:
    """DataError where names, shapes or values are not those of the network."""
    shapes = {name: value.shape for name, value in net.state_dict().items() if not name.endswith(COUNTED)}
    strange = [f"{name} {tuple(value.shape)}" for name, value in tensors.items() if shapes.get(name) != value.shape]
    missing = [f"{name} {tuple(shape)}" for name, shape in shapes.items() if name not in tensors]
    if strange or missing:
        raise _other(kind, path, (missing or strange)[0])
    broken = next((name for name, value in tensors.items() if not value.isfinite().all()), None)
    if broken is not None:
        raise DataError("{path}: {name} has values that are not finite numbers: fetch it again", path=path, name=broken)


def _other(kind: Kind, path: Path, name: str) -> DataError:
    if kind == "inception":
        return DataError("{path} is not the Inception of the published FID, {file}: it differs at {name}", path=path, file=FID_FILE, name=name)
    return DataError("{path} is not a DINOv2 without registers, like {file}: it differs at {name}", path=path, file=DINO_FILE, name=name)


def digest_of(kind: Kind, tensors: dict[str, Tensor]) -> str:
    """sha256 over kind, side and weights, in the order of their names."""
    whole = hashlib.sha256(json.dumps([VERSION, kind, SIDE[kind]]).encode())
    for name in sorted(tensors):
        whole.update(f"{name}{tuple(tensors[name].shape)}".encode())
        whole.update(tensors[name].float().contiguous().numpy().tobytes())
    return whole.hexdigest()

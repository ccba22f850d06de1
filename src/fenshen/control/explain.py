"""Which knob changes which pixels, and whether single entries of the latent stand for single things that can be told from a picture.

Shape letters: B places, N samples, D latent, H height, W width, C channels, K factors.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import one_hot

from fenshen.control.answer import Answer, Desk
from fenshen.control.closed import centered
from fenshen.control.hand import Hand, Places, Stop, name_of, slices
from fenshen.control.inversion import places_of
from fenshen.control.knobs import Knob, find_knobs, sweep
from fenshen.control.moving import default_knobs
from fenshen.errors import DataError
from fenshen.measure.disentanglement import FEWEST, Scores, disentanglement
from fenshen.media.image import to_tensor
from fenshen.media.sheet import colored, enlarged, heat, legend, sheet

STEP = 0.5  # Standard deviations either way.
PLACES = 64
SAMPLES = 2000
CELL = 96


def explain(
    hand: Hand, start: Stop = 0, *, knobs: Sequence[str] = (), scores: bool = True, seed: int = 0, label: str | None = None,
    truncation: float = 1.0, out: str | Path | None = None,
) -> Answer:  # fmt: skip
    """A sheet with a row per knob (less, as it is, more, and a map of what changes), and how disentangled the latent is.

    The map is the mean of |dx/dα| over 64 places, as a part of the range from black to white per unit.
    """
    desk = Desk.of(hand, "explain", [name_of(str(start))], out)
    place, found = places_of(hand, [str(start)], label, truncation)
    turned, places = (find_knobs(hand, knobs) if knobs else default_knobs(hand)), hand.random(PLACES, seed)
    maps = [sensitivity(hand, knob, places) for knob in turned]
    top = float(max(np.quantile(map_HW, 0.995) for map_HW in maps))
    rows = []
    for knob, map_HW in zip(turned, maps, strict=True):
        values = knob.values(*knob.around(), 3)
        pictures = hand.pictures(sweep(knob, place, [values[0], values[len(values) // 2], values[-1]]))
        rows.append([*(enlarged(colored(picture), CELL) for picture in pictures), enlarged(heat(map_HW, top), CELL)])
    whole = sheet(rows, [knob.name for knob in turned], ["less", "between", "more", "where"], least=CELL)
    desk.picture("sheet", np.concatenate([whole, legend(top, "per unit", whole.shape[1])]))
    for knob, map_HW in zip(turned, maps, strict=True):
        desk.picture(f"map-{knob.name}", enlarged(heat(map_HW, top), 4 * CELL))
    lines = [{"knob": knob.name, "kind": knob.kind, "mean": float(m.mean()), "largest": float(m.max()), "half_in": half_in(m)}
             for knob, m in zip(turned, maps, strict=True)]  # fmt: skip
    return desk.done(start=found[0], knobs=lines, scale=top, disentanglement=_scores(hand, seed) if scores else None)


def sensitivity(hand: Hand, knob: Knob, places: Places) -> NDArray[np.float64]:
    """Mean over places and channels of |x(α + h) - x(α - h)| / 2h, (H, W); towards a label, or of a code, of its whole unit."""
    low, high = (-STEP, STEP) if knob.z_D is not None else knob.unit()
    less, more = hand.pictures(knob.turn(places, low)), hand.pictures(knob.turn(places, high))
    return np.abs(more.astype(np.float64) - less).mean((0, 3)) / 255 / (high - low)


def half_in(map_HW: NDArray[np.float64]) -> float:
    """The part of the picture that holds half of the change: small for a knob that acts in one place."""
    sums = np.sort(map_HW.reshape(-1))[::-1].cumsum()
    return float((np.searchsorted(sums, sums[-1] / 2) + 1) / len(sums)) if sums[-1] > 0 else 1.0


def _scores(hand: Hand, seed: int) -> dict[str, Any]:
    """MIG and DCI of the latent against what can be told from pictures: real ones where the run has an encoder, else those it makes."""
    found = _encoded(hand, seed)
    pictures, label_N, places = found or _made(hand, seed)
    names, factors = factors_of(pictures, label_N, None if places.label_BK is None else places.label_BK.argmax(1).cpu())
    scores = disentanglement(places.z_BD.cpu().numpy(), factors, seed)
    return as_json(scores, names) | {"samples": len(pictures), "of": "made pictures" if found is None else "training pictures"}


Told = tuple[np.ndarray, np.ndarray | None, Places]


def _encoded(hand: Hand, seed: int) -> Told | None:
    """Training pictures, their own labels, and what the run's encoder says of them; None without an encoder, or too few pictures."""
    if hand.sampler.guess(torch.zeros(1, hand.made.channels, *hand.made.size, device=hand.device), hand.random(1).given) is None:
        return None
    if hand.encoder_if_any is None or len(hand.data.train) < FEWEST or (hand.made.classes and hand.made.classes != hand.data.classes):
        return None
    chosen = np.sort(np.random.default_rng(seed).permutation(hand.data.train)[:SAMPLES])
    pictures, label_N = np.asarray(hand.data.pictures[chosen]), None if hand.data.labels is None else hand.data.labels[chosen]
    label_BK = None
    if hand.made.classes and label_N is not None:
        label_BK = one_hot(torch.from_numpy(label_N), len(hand.made.classes)).float().to(hand.device)
    guessed = [hand.sampler.guess(to_tensor(pictures[rows]).to(hand.device), {} if label_BK is None else {"label": label_BK[rows]})
               for rows in slices(len(pictures))]  # fmt: skip
    return pictures, label_N, Places(torch.cat([part for part in guessed if part is not None]), label_BK)


def _made(hand: Hand, seed: int) -> Told:
    """Made pictures, their labels by the classifier where there is one, and where they stand."""
    places = hand.random(SAMPLES, seed)
    pictures, encoder = hand.pictures(places), hand.encoder_if_any
    probabilities = None if encoder is None else encoder.read(pictures).probabilities
    return pictures, None if probabilities is None else probabilities.argmax(1).astype(np.int64), places


def as_json(found: Scores, names: Sequence[str]) -> dict[str, Any]:
    """With the entry of the latent that matters most for each factor."""
    best = found.importance_DK.argmax(0)
    each = {name: {"mig": float(found.mig_K[k]), "informativeness": float(found.informativeness_K[k]), "entry": f"z{best[k]}"}
            for k, name in enumerate(names)}  # fmt: skip
    return {"mig": found.mig, "disentanglement": found.disentanglement, "completeness": found.completeness,
            "informativeness": found.informativeness, "factors": each}  # fmt: skip


def factors_of(pictures: np.ndarray, label_N: np.ndarray | None, class_N: Tensor | None) -> tuple[list[str], list[np.ndarray]]:
    """Numbers measured on the pictures, and their label. Where the run is told the class, numbers are taken from the mean of their class:
    that is not the latent's doing. DataError where nothing varies."""
    found: dict[str, np.ndarray] = {name: centered(torch.from_numpy(v)[:, None], class_N)[:, 0].numpy() for name, v in properties(pictures).items()}
    found |= {} if label_N is None else {"label": label_N}
    varied = {name: factor for name, factor in found.items() if len(np.unique(factor)) > 1}
    if not varied:
        raise DataError("all pictures that this run makes look the same: nothing can be told about its latent")
    return list(varied), list(varied.values())


def properties(pictures_NHWC: np.ndarray) -> dict[str, NDArray[np.float64]]:
    """Plain numbers of uint8 pictures, each (N): brightness in [0, 1]; of what differs from the border, the center across and down and the
    size, in parts of a side; its slant, by how many cells it shifts to the right per cell upwards (0 upright)."""
    gray_NHW = np.stack([colored(picture).astype(np.float64).mean(2) for picture in pictures_NHWC]) / 255
    count, height, width = gray_NHW.shape
    border = np.concatenate([gray_NHW[:, 0], gray_NHW[:, -1], gray_NHW[:, :, 0], gray_NHW[:, :, -1]], 1)
    mass_NHW = np.abs(gray_NHW - np.median(border, 1)[:, None, None]) + 1e-9
    mass_NHW /= mass_NHW.sum((1, 2), keepdims=True)
    down, across = np.mgrid[0:height, 0:width] / max(height, width)
    x_N, y_N = (mass_NHW * across).sum((1, 2)), (mass_NHW * down).sum((1, 2))
    dx, dy = across - x_N[:, None, None], down - y_N[:, None, None]
    xx, yy, xy = ((mass_NHW * square).sum((1, 2)) for square in (dx**2, dy**2, dx * dy))
    return {"brightness": gray_NHW.reshape(count, -1).mean(1), "across": x_N, "down": y_N, "size": np.sqrt(xx + yy), "slant": -xy / (yy + 1e-9)}

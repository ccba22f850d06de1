"""Pictures found in the latent space and shown beside themselves; pictures changed by turning directions.

Shape letters: N pictures, D latent, K classes, H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fenshen.control.answer import Answer, Desk
from fenshen.control.hand import Hand, Places, Seed, Stop, name_of
from fenshen.control.inversion import USUAL, Search, invert, places_of
from fenshen.control.knobs import Knob, find_knobs
from fenshen.control.reading import read_pictures
from fenshen.errors import RecipeError
from fenshen.media.sheet import sheet
from fenshen.run import write_tensors

SHOWN = 16  # Pictures of a sheet, and single files.


def invert_picture(
    hand: Hand, source: str | Path, *, search: Search = USUAL, label: str | None = None, out: str | Path | None = None,
) -> Answer:  # fmt: skip
    """A picture's file, or all in a folder, archive or .npz: originals beside what was found, latents.safetensors, PSNR before and after."""
    desk = Desk.of(hand, "invert", [name_of(str(source))], out)
    names, pictures = read_pictures(hand, source)
    found = invert(hand, pictures, search, label)
    columns = ["original", "start", "found"]
    rows = [list(three) for three in zip(pictures, found.begun_NHWC, found.rebuilt_NHWC, strict=True)][:SHOWN]
    desk.picture("sheet", sheet(rows, [f"{value:.1f} dB" for value in found.after_N[:SHOWN]], columns, least=96))
    for name, picture in zip(names, found.rebuilt_NHWC, strict=True) if len(names) <= SHOWN else ():
        desk.picture(f"found-{Path(name).stem}", picture)
    tensors = {"z": found.places.z_BD} | ({} if found.places.label_BK is None else {"label": found.places.label_BK})
    write_tensors(desk.folder / "latents.safetensors", tensors, {"names": names, "classes": list(hand.made.classes)})
    told = None if found.places.label_BK is None else [hand.made.classes[int(k)] for k in found.places.label_BK.argmax(1)]
    return desk.done(
        pictures=[{"picture": name, "psnr_before": round(float(before), 3), "psnr": round(float(after), 3)} | ({"label": told[n]} if told else {})
                  for n, (name, before, after) in enumerate(zip(names, found.before_N, found.after_N, strict=True))],
        psnr_before=float(found.before_N.mean()), psnr=float(found.after_N.mean()),
        search={"steps": search.steps, "starts": search.starts, "drawn": search.drawn, "features": search.features, "prior": search.prior},
    )  # fmt: skip


def edit(
    hand: Hand, start: Stop, turns: Sequence[tuple[str, float]], *, steps: int = 7, search: Search = USUAL,
    label: str | None = None, truncation: float = 1.0, out: str | Path | None = None,
) -> Answer:  # fmt: skip
    """A picture (or the number of one that the run makes) with directions turned, all together: before, after, and the way there."""
    if not turns:
        raise RecipeError("name what is to change: --direction NAME=AMOUNT, for example --direction smiling=1.5")
    desk, knobs = Desk.of(hand, "edit", [name_of(str(start)), *(name for name, _ in turns)], out), find_knobs(hand, [name for name, _ in turns])
    fact: dict[str, Any]
    if Seed.read(str(start)) is None:
        _, original = read_pictures(hand, str(start), most=1)
        found = invert(hand, original, search, label)
        place, fact = found.places, {"picture": str(start), "psnr": round(float(found.after_N[0]), 3)}
    else:
        place, (fact,) = places_of(hand, [str(start)], label, truncation)
        original = hand.pictures(place)
    way = hand.pictures(turned(place, list(zip(knobs, (amount for _, amount in turns), strict=True)), max(2, steps)))
    desk.picture("before-after", sheet([[original[0], way[0], way[-1]]], (), ["original", "found", "changed"], least=128))
    desk.picture("strip", sheet([list(way)], (), [f"{part:.0%}" for part in np.linspace(0, 1, len(way))]))
    desk.picture("after", way[-1])
    return desk.done(start=fact, directions=dict(turns), change=float(np.abs(way[-1].astype(np.float64) - way[0]).mean() / 255))


def turned(place: Places, turns: Sequence[tuple[Knob, float]], steps: int) -> Places:
    """One place on its way to all turns made, in equal steps."""
    way = place.repeat(steps)
    for knob, amount in turns:
        way = knob.way(way, amount)
    return way

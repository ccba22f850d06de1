"""Through the latent space: paths between places, knobs turned one at a time, two places mixed.

Shape letters: B places, D latent, K classes, T steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from fenshen.control.answer import Answer, Desk
from fenshen.control.closed import closed_form
from fenshen.control.hand import Hand, Places, Stop, name_of
from fenshen.control.inversion import places_of
from fenshen.control.knobs import Knob, axis, find_knobs, measured, ranked, stored_knobs, sweep
from fenshen.errors import RecipeError
from fenshen.media.image import enlarged, grid
from fenshen.media.sheet import colored, sheet, signed

Route = Literal["slerp", "lerp"]
Format = Literal["webp", "gif", "mp4"]
STRIP = 16  # Frames shown in the strip.
MOST_FRAMES = 10_000
SIDE = 256  # Pixels of an animation's frame at least.
KNOBS = 8  # Shown where none is named.


def lerp(a_BD: Tensor, b_BD: Tensor, t_B: Tensor) -> Tensor:
    """(1 - t) a + t b."""
    return (1 - t_B)[:, None] * a_BD + t_B[:, None] * b_BD


def slerp(a_BD: Tensor, b_BD: Tensor, t_B: Tensor) -> Tensor:
    """Along the great circle: sin((1 - t) ω) / sin ω · a + sin(t ω) / sin ω · b, ω the angle between them (Shoemake 1985; White 2016).

    Where latents are drawn from a Gaussian nearly all lie in a thin shell; a straight line leaves it, this one does not. Places in
    the same or in opposite directions have no such circle: the line between them is taken.
    """
    cosine_B = torch.nn.functional.cosine_similarity(a_BD, b_BD, dim=1)
    angle_B, t_B = torch.acos(cosine_B.clamp(-1, 1)), t_B.to(a_BD)
    sine_B = torch.sin(angle_B).clamp_min(1e-12)
    round_BD = (torch.sin((1 - t_B) * angle_B) / sine_B)[:, None] * a_BD + (torch.sin(t_B * angle_B) / sine_B)[:, None] * b_BD
    return torch.where((cosine_B.abs() > 1 - 1e-6)[:, None], lerp(a_BD, b_BD, t_B), round_BD)


def between(stops: Places, frames: int, path: Route = "slerp", loop: bool = False) -> Places:
    """`frames` places along a path through all stops, evenly in time; with `loop` back to the first, which is not made twice."""
    legs = len(stops) - (0 if loop else 1)
    at_T = torch.linspace(0, legs, frames + 1)[:-1] if loop else torch.linspace(0, legs, frames)
    leg_T = at_T.long().clamp(max=legs - 1)
    part_T = (at_T - leg_T).to(stops.z_BD)
    first, second = stops[leg_T], stops[(leg_T + 1) % len(stops)]
    z_TD = (slerp if path == "slerp" else lerp)(first.z_BD, second.z_BD, part_T)
    if first.label_BK is None or second.label_BK is None:
        return Places(z_TD)
    return Places(z_TD, lerp(first.label_BK, second.label_BK, part_T))


def interpolate(
    hand: Hand, stops: Sequence[Stop], *, frames: int = 60, seconds: float = 4.0, path: Route = "slerp", loop: bool = False,
    format: Format = "webp", label: str | None = None, truncation: float = 1.0, out: str | Path | None = None,
) -> Answer:  # fmt: skip
    """From stop to stop, each the number of a picture (`17`, `1:17` of seed 1) or a picture's file: a strip and an animation.

    The class goes over too. RecipeError for fewer than two stops or two frames, or no duration.
    """
    if len(stops) < 2:
        raise RecipeError("a path needs at least two stops: numbers of pictures (17, or 1:17 of seed 1) or files")
    if not max(2, len(stops)) <= frames <= MOST_FRAMES:
        raise RecipeError("--frames {count}: at least one per stop, and at most {most}", count=frames, most=MOST_FRAMES)
    if not 0 < seconds <= 3600:
        raise RecipeError("--seconds {value}: above 0 and at most 3600", value=seconds)
    desk = Desk.of(hand, "interpolate", [name_of(str(stop)) for stop in stops], out)
    places, found = places_of(hand, [str(stop) for stop in stops], label, truncation)
    pictures = hand.pictures(between(places, frames, path, loop))
    film(desk, pictures, seconds, loop, format)
    steps = np.abs(np.diff(pictures.astype(np.float64), axis=0)).mean((1, 2, 3)) / 255
    return desk.done(stops=found, frames=frames, seconds=seconds, path=path, loop=loop, truncation=truncation,
                     change_per_frame={"mean": float(steps.mean()), "largest": float(steps.max())})  # fmt: skip


def film(desk: Desk, pictures: np.ndarray, seconds: float, loop: bool, format: Format) -> Path:
    """A strip of a few of these frames and an animation of all, which is given back."""
    frames = len(pictures)
    shown = np.linspace(0, frames - 1, min(STRIP, frames)).round().astype(int)
    half = -(-len(shown) // 2)
    rows = [shown] if len(shown) <= 8 else [shown[:half], shown[half:]]
    desk.picture("strip", sheet([[pictures[t] for t in row] for row in rows]))
    return desk.film(f"animation.{format}", [enlarged(colored(picture), SIDE) for picture in pictures], seconds, endless=loop or format != "mp4")


def vary(
    hand: Hand, start: Stop = 0, *, count: int = 15, far: float = 0.3, seed: int = 0, label: str | None = None, truncation: float = 1.0,
    out: str | Path | None = None,
) -> Answer:  # fmt: skip
    """A picture and `count` others around it, the further the larger `far`, from 0 (the picture itself) to 1 (any other of its class)."""
    if not 1 <= count <= 999:
        raise RecipeError("--count {count}: between 1 and 999", count=count)
    desk = Desk.of(hand, "vary", [name_of(str(start))], out)
    place, found = places_of(hand, [str(start)], label, truncation)
    pictures = hand.pictures(Places.of([place, around(hand, place, count, far, seed)]))
    desk.picture("sheet", grid(pictures))
    change = np.abs(pictures[1:].astype(np.float64) - pictures[0]).mean() / 255
    return desk.done(start=found[0], count=count, far=far, seed=seed, truncation=truncation, change=float(change))


def around(hand: Hand, place: Places, count: int, far: float, seed: int = 0) -> Places:
    """z' = √(1 - far²) z + far ε, ε what the run draws: where that is N(0, I), z' is as likely as any other. RecipeError for `far` beyond [0, 1]."""
    if not 0 <= far <= 1:
        raise RecipeError("--far {far}: between 0, the picture itself, and 1, any other", far=far)
    places = place.repeat(count)
    return Places((1 - far**2) ** 0.5 * places.z_BD + far * hand.random(count, seed).z_BD.to(places.z_BD), places.label_BK)


def traverse(
    hand: Hand, start: Stop = 0, *, knobs: Sequence[str] = (), low: float | None = None, high: float | None = None, steps: int = 7,
    label: str | None = None, truncation: float = 1.0, out: str | Path | None = None,
) -> Answer:  # fmt: skip
    """One knob at a time from one picture: a labelled sheet with a row per knob. Without `knobs` those with the largest effect.

    `low`, `high`: from where to where; by default ±3 standard deviations, or from 0 to 1 towards a label.
    """
    if not 2 <= steps <= 99:
        raise RecipeError("--steps {count}: between 2 and 99", count=steps)
    if low is not None and high is not None and not low < high:
        raise RecipeError("--from {low} --to {high}: the first must be below the second", low=low, high=high)
    desk = Desk.of(hand, "traverse", [name_of(str(start))], out)
    place, found = places_of(hand, [str(start)], label, truncation)
    turned = find_knobs(hand, knobs) if knobs else default_knobs(hand)
    spans = [knob.around() for knob in turned]
    spans = [(a if low is None else low, b if high is None else high) for a, b in spans]
    rows: list[list[np.ndarray]] = []
    lines: list[dict[str, Any]] = []
    for knob, (a, b) in zip(turned, spans, strict=True):
        values = knob.values(a, b, steps)
        if not values:
            raise RecipeError("{name}: no category between {low} and {high}", name=knob.name, low=f"{a:g}", high=f"{b:g}")
        pictures = hand.pictures(sweep(knob, place, values))
        rows.append(list(pictures))
        here = hand.pictures(place).astype(np.float64)
        lines.append({"knob": knob.name, "kind": knob.kind, "values": [round(float(v), 4) for v in values],
                      "change": [float(c) for c in np.abs(pictures - here).mean((1, 2, 3)) / 255]})  # fmt: skip
    alike, long = len({tuple(line["values"]) for line in lines}) == 1, len({len(row) for row in rows}) == 1
    columns = [signed(value) for value in lines[0]["values"]] if alike else [f"{part:.0%}" for part in np.linspace(0, 1, steps)] if long else []
    names = [knob.name if alike else f"{knob.name}  {a:g} … {b:g}" for knob, (a, b) in zip(turned, spans, strict=True)]
    desk.picture("sheet", sheet(rows, names, columns))
    return desk.done(start=found[0], knobs=lines, truncation=truncation)


def default_knobs(hand: Hand) -> list[Knob]:
    """The stored directions with the largest effect; where none are stored, the axes of the latent."""
    stored = stored_knobs(hand)
    if stored:
        return stored[:KNOBS]
    places = hand.random(16)
    return ranked([measured(hand, axis(hand, number), places) for number in range(min(hand.sampler.latent, 128))])[:KNOBS]


def mix(
    hand: Hand, coarse: Stop, fine: Stop, *, steps: int = 7, label: str | None = None, truncation: float = 1.0, out: str | Path | None = None
) -> Answer:
    """The strongest directions of one picture and the others of another: from none of them to all.

    The networks here read the latent in one place only, so there are no coarse and fine layers to feed apart. What is mixed is the
    latent itself in the closed-form directions of that first layer, the strongest first: z = P z_coarse + (1 - P) z_fine.
    Where the two are of different classes there is a row for each class.
    """
    if not 2 <= steps <= 99:
        raise RecipeError("--steps {count}: between 2 and 99", count=steps)
    desk = Desk.of(hand, "mix", [name_of(str(coarse)), name_of(str(fine))], out)
    places, found = places_of(hand, [str(coarse), str(fine)], label, truncation)
    counts, rows = mixtures(hand, places, steps)
    names = [] if places.label_BK is None else [hand.made.classes[int(row.label_BK[0].argmax())] for row in rows if row.label_BK is not None]
    desk.picture("sheet", sheet([list(hand.pictures(row)) for row in rows], names, [f"{count}/{hand.sampler.latent}" for count in counts]))
    return desk.done(coarse=found[0], fine=found[1], directions_of_coarse=counts, latent=hand.sampler.latent, truncation=truncation,
                     mixed="directions of the first layer, the strongest first: this network reads the latent in one place")  # fmt: skip


def mixtures(hand: Hand, places: Places, steps: int) -> tuple[list[int], list[Places]]:
    """How many directions are of the first of two places, from none to all; and for the class of the second, then of the first, a place for each."""
    basis_DD = closed_form(hand)[0].to(places.z_BD)
    counts: list[int] = np.linspace(0, hand.sampler.latent, steps).round().astype(int).tolist()
    z_TD = torch.stack([mixed(places.z_BD[0], places.z_BD[1], basis_DD, count) for count in counts])
    labels = places.label_BK
    told = [None] if labels is None else [labels[1], labels[0]] if not torch.equal(labels[0], labels[1]) else [labels[0]]
    return counts, [Places(z_TD, None if row is None else row[None].repeat(steps, 1)) for row in told]


def mixed(coarse_D: Tensor, fine_D: Tensor, basis_DD: Tensor, count: int) -> Tensor:
    """The first `count` rows of an orthonormal basis from `coarse`, the others from `fine`."""
    kept_ND = basis_DD[:count]
    return fine_D + (coarse_D - fine_D) @ kept_ND.T @ kept_ND

"""Knobs: what can be turned on a run. Axes of the latent, stored directions, labels, information codes.

One unit along a latent is one standard deviation of what the run draws; one unit towards a label is all the way; a code is set to a value.

Shape letters: B places, D latent, K classes, N directions.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from fenshen.control.hand import Hand, Places
from fenshen.errors import DataError, RecipeError
from fenshen.families.codes import places as code_places
from fenshen.families.codes import steps
from fenshen.families.codes import turned as set_codes
from fenshen.families.codes import value as code_value
from fenshen.recipe import Codes
from fenshen.run import RunFolder, read_tensors, write_tensors

FILE, RANKS = "directions.safetensors", "directions.json"
AXIS = re.compile(r"z(\d+)")
NAME = re.compile(r"[^\s=,/\\]{1,40}")


@dataclass(frozen=True)
class Effect:
    """What one unit changes on average: `pixels`, as a part of the whole range from black to white; `features` of the measuring network,
    in standard deviations of what the run makes, root mean square (None without one)."""

    pixels: float
    features: float | None = None


@dataclass(frozen=True)
class Knob:
    """What moves: `z_D`, a direction in the latent one standard deviation long; or `toward`, a class by its index; or the code of this name,
    where `codes` says what codes there are. `facts`: how it was found."""

    name: str
    kind: str
    z_D: Tensor | None = None
    toward: int | None = None
    codes: Codes | None = None
    effect: Effect | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    def turn(self, places: Places, amount: float | Tensor) -> Places:
        """The places moved by `amount`, one number or one for each (B); a code is set to it. RecipeError for a value that it cannot have."""
        if self.codes is not None:
            return Places(set_codes(places.z_BD, self.codes, {self.name: amount}), places.label_BK)
        by_B1 = torch.as_tensor(amount, dtype=torch.float32, device=places.z_BD.device).expand(len(places))[:, None]
        z_BD, label_BK = places.z_BD, places.label_BK
        if self.z_D is not None:
            z_BD = z_BD + by_B1 * self.z_D.to(z_BD)
        if self.toward is not None and label_BK is not None:
            label_BK = (1 - by_B1) * label_BK + by_B1 * one_hot(torch.tensor(self.toward), label_BK.shape[1]).to(label_BK)
        return Places(z_BD, label_BK)

    def way(self, places: Places, amount: float) -> Places:
        """One place in equal rows, turned a little more in each, from not at all to `amount`; a code has no way to go: it is set after the first."""
        if self.codes is None:
            return self.turn(places, torch.linspace(0, amount, len(places)))
        return Places.of([places[:1], self.turn(places[1:], amount)])

    def around(self) -> tuple[float, float]:
        """From where to where it is worth turning: 3 standard deviations either way, from nothing to all of a label, all values of a code."""
        if self.codes is not None:
            values = steps(self.codes, self.name)
            return values[0], values[-1]
        return (0.0, 1.0) if self.toward is not None else (-3.0, 3.0)

    def stands(self, place: Places) -> float:
        """Where it stands at one place, from which it is turned: 0, or the value of a code."""
        return 0.0 if self.codes is None else code_value(place.z_BD, self.codes, self.name)

    def unit(self) -> tuple[float, float]:
        """The two amounts between which an effect is measured."""
        if self.codes is not None:
            return (0.0, 1.0) if self.name.startswith("categorical") else (-1.0, 1.0)
        return (0.0, 1.0) if self.toward is not None else (-1.0, 1.0)

    def values(self, low: float, high: float, count: int) -> list[float]:
        """`count` amounts from low to high, evenly; of categories every one that lies there."""
        if self.codes is not None and self.name.startswith("categorical"):
            return [value for value in steps(self.codes, self.name) if low <= value <= high]
        return np.linspace(low, high, count).tolist()

    def json(self) -> dict[str, Any]:
        return {"name": self.name, "kind": self.kind, "effect": None if self.effect is None else asdict(self.effect), **self.facts}


def sweep(knob: Knob, place: Places, amounts: Sequence[float]) -> Places:
    """One place, moved by each of these amounts."""
    return knob.turn(place.repeat(len(amounts)), torch.tensor(amounts))


def axis(hand: Hand, number: int) -> Knob:
    """The knob `z3`: one entry of the latent."""
    return Knob(f"z{number}", "axis", z_D=hand.as_long(torch.eye(hand.sampler.latent)[number]))


def code_knobs(hand: Hand) -> list[Knob]:
    """One for each information code of the run."""
    return [Knob(name, "code", codes=hand.sampler.codes) for name in code_places(hand.sampler.codes)]


def check_name(hand: Hand, name: str) -> str:
    """RecipeError for a name that could not be asked for later, or that means something already."""
    if name in hand.made.classes or name in code_places(hand.sampler.codes):
        raise RecipeError("--name {name}: this is a label or a code of the run, and a knob already; choose another name", name=name)
    if not NAME.fullmatch(name) or AXIS.fullmatch(name):
        raise RecipeError("--name {name}: up to 40 letters without spaces, =, comma or slash, and not z with a number", name=name)
    return name


def find_knobs(hand: Hand, names: Iterable[str]) -> list[Knob]:
    """Knobs by name: a stored direction, `z0` …, or a label. RecipeError with the names that there are."""
    stored = {knob.name: knob for knob in stored_knobs(hand)}
    return [_find(hand, name, stored) for name in names]


def _find(hand: Hand, name: str, stored: dict[str, Knob]) -> Knob:
    number, codes = AXIS.fullmatch(name), {knob.name: knob for knob in code_knobs(hand)}
    if name in stored | codes:
        return (stored | codes)[name]
    if number and int(number[1]) < hand.sampler.latent:
        return axis(hand, int(number[1]))
    if name in hand.made.classes:
        return Knob(name, "label", toward=hand.made.classes.index(name))
    known = [*stored, *(name for name in codes if name not in stored), f"z0 … z{hand.sampler.latent - 1}", *hand.made.classes]
    text = "no direction {name} in this run; there are {known}. fenshen control directions finds more"
    raise RecipeError(text, name=name, known=", ".join(known[:60]))


def stored_knobs(hand: Hand) -> list[Knob]:
    """The directions stored with the run, those with the largest effect first. DataError where they are of other weights."""
    path = hand.run.path / FILE
    if not path.exists():
        return []
    tensors, header = read_tensors(path)
    if header["weights"] != weights_digest(hand.run):
        raise DataError("{path} belongs to an earlier state of this run: remove it, and find the directions again", path=path)
    return [
        Knob(said["name"], said["kind"], tensors.get(said["name"]), said["toward"], hand.sampler.codes if said["kind"] == "code" else None,
             Effect(**said["effect"]), said["facts"]) for said in header["directions"]
    ]  # fmt: skip


def store(hand: Hand, knobs: Sequence[Knob]) -> list[Knob]:
    """Keeps these beside those that are there, in place of those of the same name; all of them, by effect."""
    new = {knob.name for knob in knobs}
    together = ranked([*knobs, *(knob for knob in stored_knobs(hand) if knob.name not in new)])
    said = [{"name": k.name, "kind": k.kind, "toward": k.toward, "effect": asdict(k.effect or Effect(0.0)), "facts": k.facts} for k in together]
    tensors = {knob.name: knob.z_D for knob in together if knob.z_D is not None}
    write_tensors(hand.run.path / FILE, tensors, {"weights": weights_digest(hand.run), "directions": said})
    hand.run.write_json(RANKS, {"directions": [knob.json() for knob in together]})
    return together


def ranked(knobs: Sequence[Knob]) -> list[Knob]:
    """By what one unit changes, the largest first: in features where all are measured so, else in pixels."""

    def size(knob: Knob) -> float:
        assert knob.effect is not None
        return knob.effect.pixels if lacking or knob.effect.features is None else knob.effect.features

    lacking = any(knob.effect is None or knob.effect.features is None for knob in knobs)
    return sorted(knobs, key=size, reverse=True)


def weights_digest(run: RunFolder) -> str:
    """blake2b of the weights that the directions belong to."""
    with open(run.weights, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def measured(hand: Hand, knob: Knob, places: Places) -> Knob:
    """The knob with its effect at these places: half of what changes between one unit less and one more, or what changes from 0 to 1."""
    low, high = knob.unit()
    less, more = hand.pictures(knob.turn(places, low)), hand.pictures(knob.turn(places, high))
    pixels = float(np.abs(more.astype(np.float64) - less).mean() / 255 / (high - low))
    encoder = hand.encoder_if_any
    if encoder is None:
        return replace(knob, effect=Effect(pixels))
    change_BF = (encoder.read(more).features - encoder.read(less).features) / (high - low) / hand.feature_spread_F
    return replace(knob, effect=Effect(pixels, float(np.sqrt(np.square(change_BF).mean()))))

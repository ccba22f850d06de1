"""Pictures on the page Make: a sheet of them, the one in hand, what comes of it; and their files. Nothing of gradio.

Shapes: N pictures, H height, W width, C channels.
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from fenshen.api import Pictures
from fenshen.control.answer import Desk
from fenshen.control.hand import Hand, Places
from fenshen.control.inversion import Search, Stepped, invert
from fenshen.control.inversion import silent as unheard
from fenshen.control.knobs import Knob
from fenshen.control.moving import Format, around, between, film, mixtures
from fenshen.control.reading import read_pictures
from fenshen.errors import RecipeError
from fenshen.families.codes import steps
from fenshen.lang import tr
from fenshen.media.image import over_white, read_picture
from fenshen.studio.opened import Opened
from fenshen.writing import plain, stamp_of, write_folder, write_picture

FRAMES_PER_SECOND = 15
ENCODED = Search(steps=60, starts=2, drawn=500)  # Where an encoder says at once where a picture is.
SEARCHED = Search(steps=150, starts=4, drawn=1000)
Packing = Literal["png", "zip", "npz"]


@dataclass(frozen=True)
class Sheet:
    """Pictures uint8 (N, H, W, C), a name for each, their labels; `places`: where they stand, None of a run that nobody can steer.

    `facts`: how they were made, for the stamp. `columns`: in a row, where rows mean something.
    """

    images: np.ndarray
    names: tuple[str, ...]
    labels: np.ndarray | None = None
    places: Places | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    columns: int | None = None


@dataclass(frozen=True)
class Held:
    """The picture in hand: one place, and what it is called."""

    place: Places
    name: str


def draw(run: Opened, **wishes: Any) -> Sheet:
    """New pictures; `wishes` as of `fenshen.api.Run.draw`."""
    with run.lock:
        parts = list(run.draw(**wishes))
        images, label_parts = np.concatenate([part[0] for part in parts]), [part[1] for part in parts if part[1] is not None]
        labels = np.concatenate(label_parts) if label_parts else None
        places = _places(run.hand(), parts, wishes["truncation"]) if run.steerable else None
        if run.priors:
            run.hand().sampler.choose(run.priors[0])  # It belongs to everybody.
    names = [tr("picture {number} of seed {seed}", number=number, seed=wishes["seed"]) for number in range(len(images))]
    columns = len(steps(run.hand().sampler.codes, wishes["by_code"])) if wishes.get("by_code") else None
    columns = len(run.made.classes) if wishes.get("by_class") else columns
    return Sheet(images, named(names, labels, run.made.classes), labels, places, {"Seed": wishes["seed"]}, columns)


def _places(hand: Hand, parts: Sequence[Any], truncation: float) -> Places:
    """Where pictures drawn by `Run.draw` stand."""
    from torch import from_numpy
    from torch.nn.functional import one_hot

    found = []
    for _, labels, z_BD in parts:
        told = None if labels is None else from_numpy(labels).long().to(hand.device)
        z_BD = hand.sampler.place(z_BD, {} if told is None else {"label": told}, truncation)
        found.append(Places(z_BD, None if told is None else one_hot(told, len(hand.made.classes)).float()))
    return Places.of(found)


def named(names: Sequence[str], labels: np.ndarray | None, classes: Sequence[str]) -> tuple[str, ...]:
    """With their labels."""
    if labels is None:
        return tuple(names)
    return tuple(tr("{name}, {label}", name=name, label=classes[int(label)]) for name, label in zip(names, labels, strict=True))


def sheet_of(hand: Hand, places: Places, names: Sequence[str], facts: dict[str, Any], columns: int | None = None) -> Sheet:
    """The pictures that stand at these places."""
    labels = None if places.label_BK is None else places.label_BK.argmax(1).cpu().numpy()
    return Sheet(hand.pictures(places), tuple(names), labels, places, facts, columns)


def turned(hand: Hand, held: Held, knobs: Sequence[Knob], amounts: dict[str, float], label: str | None = None, truncation: float = 1.0) -> Places:
    """The picture in hand with knobs turned, by name; one without an amount stays as it is. `truncation` scales the latent: 1 is all of it."""
    place = Places(held.place.z_BD * truncation, held.place.label_BK)
    for knob in knobs:
        if knob.name in amounts and amounts[knob.name] != knob.stands(place):
            place = knob.turn(place, amounts[knob.name])
    if label in hand.made.classes:
        place = Knob(label, "label", toward=hand.made.classes.index(label)).turn(place, 1.0)
    return place


def gathered(picks: Sequence[tuple[Held, np.ndarray]]) -> Sheet:
    """What was put aside as a sheet of its own; at least one."""
    places = Places.of([held.place for held, _ in picks])
    labels = None if places.label_BK is None else places.label_BK.argmax(1).cpu().numpy()
    return Sheet(np.stack([picture for _, picture in picks]), tuple(held.name for held, _ in picks), labels, places)


def vary(hand: Hand, held: Held, count: int, far: float, seed: int) -> Sheet:
    """The picture in hand, and others around it."""
    places = Places.of([held.place, around(hand, held.place, count, far, seed)])
    names = [held.name, *(tr("{name}, varied: {number}", name=held.name, number=number) for number in range(1, count + 1))]
    return sheet_of(hand, places, names, {"Varied": held.name, "Far": far})


def mix(hand: Hand, picks: Sequence[Held], held: Held, steps: int = 8) -> Sheet:
    """What is strong of one picture and fine of another, from none to all; of two labels a row each.

    Of what is put aside and then in hand the last two: the one in hand counts where it is not the last one put aside.
    """
    if picks and not picks[-1].place.z_BD.equal(held.place.z_BD):
        picks = [*picks, held]
    if len(picks) < 2:
        raise RecipeError("mixing takes two pictures: put one aside, then take another in hand")
    fine, coarse = picks[-2:]
    counts, rows = mixtures(hand, Places.of([coarse.place, fine.place]), steps)
    names = [tr("{first} with {second}: {part} %", first=fine.name, second=coarse.name, part=round(100 * count / counts[-1])) for count in counts]
    return sheet_of(hand, Places.of(rows), names * len(rows), {"Mixed": f"{coarse.name} + {fine.name}"}, steps)


def path(hand: Hand, stops: Sequence[Held], seconds: float, loop: bool, format: Format, folder: Path) -> Path:
    """An animation through pictures, in the order in which they were put aside. RecipeError for a single one."""
    if len(stops) < 2:
        raise RecipeError("a path leads from picture to picture: put at least two aside first")
    frames = max(2 * len(stops), round(seconds * FRAMES_PER_SECOND))
    pictures = hand.pictures(between(Places.of([stop.place for stop in stops]), frames, loop=loop))
    return film(Desk.of(hand, "interpolate", [], folder), pictures, seconds, loop, format)


def find(hand: Hand, file: Path, stepped: Stepped = unheard) -> tuple[np.ndarray, Held, float]:
    """A person's own picture: as the run sees it (H, W, C), where it stands, and how near that comes, in dB."""
    names, pictures = read_pictures(hand, file, most=1)
    guess = hand.sampler.guess(hand.samples(hand.random(1)), hand.random(1).given)
    found = invert(hand, pictures[:1], SEARCHED if guess is None else ENCODED, stepped=stepped)
    return pictures[0], Held(found.places, names[0]), float(found.after_N[0])


def packed(sheet: Sheet, packing: Packing, run: Opened, folder: Path) -> Path:
    """All of a sheet as one file: a grid, a zip with one picture each, or arrays with their labels."""
    made = run.made
    name, stamp = run.path.name, stamp_of(run.path.name, **sheet.facts)
    labels = None if run.grouped else sheet.labels
    if packing != "zip":
        return Pictures(sheet.images, labels, made.classes, name).save(folder / f"{name}.{packing}")
    files = folder / "files"
    write_folder([(sheet.images, labels)], files, ".png", made.classes, stamp)
    with zipfile.ZipFile(folder / f"{name}.zip", "w") as archive:
        for file in sorted(files.iterdir()):
            archive.write(file, file.name)
    shutil.rmtree(files)
    return folder / f"{name}.zip"


def restore(run: Opened, picture: Path, mask: Path | None, folder: Path) -> tuple[np.ndarray, np.ndarray, Path]:
    """A picture as it was brought, restored, and the file of that."""
    before = np.array(over_white(read_picture(picture)).convert("RGB"))
    with run.lock:
        ((_, after),) = run.restore(picture, mask)
    file = folder / f"{plain(picture.stem)}-{run.path.name}.png"
    write_picture(after, file, stamp_of(run.path.name))
    return before, after, file


def painted(edited: dict[str, Any] | None, mask: str | None, folder: Path) -> tuple[str | None, str | None]:
    """Files of the picture that was dropped into the editor, and of what was painted over it, where no mask was given."""
    picture: Image.Image | None = edited["background"] if edited else None
    if picture is None or edited is None:
        return None, None
    picture.save(folder / "picture.png")
    if mask is None:
        white = Image.new("L", picture.size)
        for layer in edited["layers"]:
            white.paste(255, mask=layer.convert("RGBA").getchannel("A").resize(picture.size).point(lambda value: 255 if value > 0 else 0))
        white.save(folder / "mask.png")
        mask = str(folder / "mask.png")
    return str(folder / "picture.png"), mask

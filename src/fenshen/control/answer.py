"""What a verb of control leaves behind: stamped pictures to look at, and control.json with the numbers, in one folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fenshen.control.hand import Hand
from fenshen.errors import RecipeError
from fenshen.media.image import animate, save_picture
from fenshen.media.video import write_video
from fenshen.run import write_atomically
from fenshen.writing import plain, stamp_of, writable

NUMBERS = "control.json"


@dataclass(frozen=True)
class Answer:
    """The folder, the pictures in it (the first is the one to look at), and the numbers that control.json holds."""

    folder: Path
    pictures: tuple[Path, ...]
    numbers: dict[str, Any]

    def json(self) -> dict[str, Any]:
        """For programs: paths and numbers."""
        return {"out": str(self.folder), "pictures": [str(path) for path in self.pictures], **self.numbers}


@dataclass
class Desk:
    """Where one verb writes: RUN/control/NAME, or a folder of the person's own."""

    hand: Hand
    verb: str
    folder: Path
    pictures: list[Path] = field(default_factory=list)

    @classmethod
    def of(cls, hand: Hand, verb: str, names: Sequence[str], out: str | Path | None) -> Desk:
        """RecipeError where `out` holds something that no verb of control wrote."""
        if out is None:
            return cls(hand, verb, hand.run.path / "control" / "-".join([verb, *(plain(name) for name in names)])[:100])
        folder = Path(out).expanduser()
        if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not (folder / NUMBERS).exists())):
            raise RecipeError("{path} exists already and is not empty: name another one with --out", path=folder)
        return cls(hand, verb, folder)

    @property
    def stamp(self) -> dict[str, str]:
        return stamp_of(self.hand.run.path.resolve().name, Control=self.verb)

    def picture(self, name: str, picture_HWC: np.ndarray) -> Path:
        """Writes NAME.png."""
        path = self.folder / f"{plain(name)}.png"
        with writable(path):
            self.pictures.append(save_picture(picture_HWC, path, stamp=self.stamp))
        return path

    def film(self, name: str, frames: Sequence[np.ndarray], seconds: float, endless: bool) -> Path:
        """Writes an animation; NAME ends in .gif, .webp or .mp4."""
        path = self.folder / name
        with writable(path):
            if path.suffix == ".mp4":
                write_video(frames, path, seconds, stamp=self.stamp)
            else:
                animate(frames, path, seconds, stamp=self.stamp, endless=endless)
        self.pictures.append(path)
        return path

    def done(self, **numbers: Any) -> Answer:
        """Writes control.json."""
        numbers = {"verb": self.verb, "run": str(self.hand.run.path), **numbers}
        with writable(self.folder):
            write_atomically(self.folder / NUMBERS, json.dumps(numbers, ensure_ascii=False, indent=1).encode())
        return Answer(self.folder, tuple(self.pictures), numbers)

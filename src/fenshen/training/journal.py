"""What a run writes about itself at every tick: log.jsonl, TensorBoard, samples from fixed noise (a grid, or texts), an animation."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from fenshen.data import Dataset
from fenshen.families.codes import places, steps
from fenshen.families.writer import Writer
from fenshen.generate import Order
from fenshen.media.image import animate, grid, save_picture
from fenshen.media.text import UNKNOWN, Alphabet
from fenshen.narrate import Telling, narrate
from fenshen.recipe import Restoring
from fenshen.restoring import compare, restorer_of
from fenshen.run import Made, RunFolder, Written, enough_space, write_atomically
from fenshen.training.autopilot import Event
from fenshen.training.loop import Report, Trainer
from fenshen.writing import RULE, stamp_of

GRID_SECONDS = 6.0
RESTORED = 6
LARGEST_GRID = 1024
TEXTS, TEXT_TOKENS = 3, 200


class Journal:
    """Collects the losses of a tick and writes them; whatever a killed run wrote past its last save is cut off."""

    def __init__(self, run: RunFolder, trainer: Trainer):
        self.run, self.trainer = run, trainer
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = defaultdict(int)
        self.told = len(run.events())  # Of the autopilot's events, those that TensorBoard has.
        self.board = SummaryWriter(str(run.path / "tensorboard"), purge_step=trainer.shown)
        lines = [line for line in run.log() if line["shown"] <= trainer.shown]
        with enough_space(run.path / "log.jsonl"):
            (run.path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")

    @property
    def since_tick(self) -> bool:
        """Whether any step was taken since the last line."""
        return bool(self.counts)

    def add(self, report: Report) -> None:
        """One more step, without waiting for the device."""
        values = report.losses | {name: value.float().mean() for name, value in report.signals.items()}
        for name, value in values.items():
            self.sums[name] = self.sums[name] + value if name in self.sums else value
            self.counts[name] += 1

    def entry(self, seconds: float, per_second: float, steps_per_second: float) -> dict[str, Any]:
        """The line of this tick: means since the last one."""
        means = {name: float(total) / self.counts[name] for name, total in self.sums.items()}
        self.sums.clear()
        self.counts.clear()
        trainer = self.trainer
        told = {} if isinstance(trainer.made, Written) else {"augmentation": trainer.view.strength}
        return {
            "kimg": trainer.shown / 1000, "shown": trainer.shown, "steps": trainer.steps, "seconds": round(seconds, 1),
            "per_second": round(per_second, 1), **told, "lr": trainer.optimizers[trainer.family.maker].param_groups[0]["lr"], **means,
        }  # fmt: skip

    def write(self, entry: dict[str, Any], events: Sequence[Event] = ()) -> None:
        """log.jsonl, TensorBoard, and the grid of samples. `events`: all that the autopilot has done so far."""
        path = self.run.path / "log.jsonl"
        with enough_space(path):
            with open(path, "a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")
            for name, value in entry.items():
                if isinstance(value, float) and np.isfinite(value):
                    self.board.add_scalar(name, value, self.trainer.shown)
            for event in events[self.told :]:
                self.board.add_text("autopilot", str(event), round(1000 * event.kimg))
            self.told = len(events)
            self.run.samples.mkdir(exist_ok=True)
            self._write_texts() if isinstance(self.trainer.made, Written) else self._write_grid()
            self.board.flush()

    def _write_grid(self) -> None:
        picture = self.grid()
        save_picture(picture, self.run.samples / f"{self.trainer.shown:09d}.png", stamp=stamp_of(self.run.path.resolve().name))
        self.board.add_image("samples", picture, self.trainer.shown, dataformats="HWC")

    def _write_texts(self) -> None:
        text = RULE.join(self.texts())
        write_atomically(self.run.samples / f"{self.trainer.shown:09d}.txt", text.encode())
        self.board.add_text("samples", f"    {text}".replace("\n", "\n    "), self.trainer.shown)

    def texts(self) -> list[str]:
        """What the averaged model writes from noise that is always the same."""
        writer, made = self.trainer.averaged, self.trainer.made
        assert isinstance(writer, Writer) and isinstance(made, Written)
        alphabet = Alphabet.from_state(made.alphabet)
        telling = Telling(TEXTS, self.trainer.recipe.train.seed, tokens=TEXT_TOKENS, block=TEXTS, never=(UNKNOWN,))
        return [alphabet.decode(ids) for ids in narrate(writer, telling, str(self.trainer.device))]

    def grid(self) -> np.ndarray:
        """Samples of the averaged generator from fixed latents, one class or value of a code per column where there are any; uint8 (H, W, C)."""
        made, model = self.trainer.made, self.trainer.recipe.model
        if isinstance(model, Restoring):
            return self._restored(model)
        assert isinstance(made, Made)
        side = max(made.size)
        columns = max(2, min(10, LARGEST_GRID // side))
        columns = len(made.classes) if 2 <= len(made.classes) <= columns else columns
        rows = max(2, min(8, LARGEST_GRID // side))
        codes = self.trainer.sampler.codes
        by_code = None if made.classes or not codes.length else next(iter(places(codes)))
        columns = columns if by_code is None else len(steps(codes, by_code))
        order = Order(columns * rows, seed=self.trainer.recipe.train.seed, by_class=True, by_code=by_code)
        return grid(self.trainer.pictures(order), columns, flatten=True)

    def _restored(self, model: Restoring) -> np.ndarray:
        """A few held-out pictures, or training ones where none are: as they were told, by plain means, restored, and as they are."""
        trainer, dataset = self.trainer, self.trainer.dataset
        assert isinstance(dataset, Dataset)
        some = (dataset.held_out if len(dataset.held_out) else dataset.train)[:RESTORED]
        return compare(restorer_of(trainer.sampler), dataset.pictures[some], model, trainer.recipe.train.seed, str(trainer.device)).sheet()

    def finish(self) -> None:
        """The animation of all grids, once training is over."""
        self.board.close()
        paths = sorted(self.run.samples.glob("[0-9]*.png"))
        if len(paths) > 1:
            with enough_space(self.run.samples):
                animate([_open(path) for path in paths], self.run.samples / "animation.webp", seconds=GRID_SECONDS)


def _open(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        pixels = np.asarray(picture)
    return pixels if pixels.ndim == 3 else pixels[..., None]

"""A run is a folder: recipe, weights, the exact state of training, log and samples. No pickle anywhere.

recipe.toml            the complete recipe
weights.safetensors    the averaged generator, and in its header all that is needed to build and feed it
state/last.safetensors raw and averaged weights, optimisers, counters: training goes on from here, exactly
data.json              what it was trained on: fingerprint, counts, classes, files that could not be read
log.jsonl  samples/  tensorboard/
adapt.json             of an adapted run: its parent, and how far it is from the old and the new pictures
preference.safetensors which latents are liked, where wishes were taught
directions.safetensors directions in the latent that were found; directions.json ranks them
control/               what was made by turning them
autopilot.jsonl        what the autopilot did, and why
report.html report.json  how good it is
export/                what `fenshen export` made without --out
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from fenshen import __version__
from fenshen.condition import Label, Told
from fenshen.errors import OutOfSpaceError, RunFolderError
from fenshen.families.base import Kept, Sampler
from fenshen.families.build import build_sampler
from fenshen.families.preference import Preference
from fenshen.families.writer import Writer
from fenshen.places import runs_root
from fenshen.recipe import Recipe, load_recipe
from fenshen.space import Grid, Tokens

FORMAT = 1
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Made:
    """What a trained model makes: the shape of a sample, the names of its classes and how often each was seen.

    `grouped`: the classes were found by the machine (`fenshen.data.groups`), no person gave them.
    """

    channels: int
    size: tuple[int, ...]
    classes: tuple[str, ...] = ()
    shares: tuple[float, ...] = ()
    grouped: bool = False

    @property
    def space(self) -> Grid:
        return Grid(self.channels, self.size)

    @property
    def told(self) -> Told:
        return {"label": Label(len(self.classes))} if self.classes else {}


@dataclass(frozen=True)
class Written:
    """What a trained model writes: tokens of an alphabet (its state, as `fenshen.media.text.Alphabet` gives it), at most `context` at a time.

    `unit`: what one sample is, a document, a line or a poem.
    """

    alphabet: dict[str, Any]
    vocab: int
    context: int
    unit: str = "document"

    @property
    def space(self) -> Tokens:
        return Tokens(self.vocab, (self.context,))

    @property
    def told(self) -> Told:
        return {}

    @property
    def classes(self) -> tuple[str, ...]:
        """Labels of words are tags in the alphabet, and nothing that the network is told beside them."""
        return ()


def made_of(said: dict[str, Any]) -> Made | Written:
    """What a header of weights says of it; KeyError, TypeError where it does not."""
    if "alphabet" in said:
        return Written(said["alphabet"], said["vocab"], said["context"], said["unit"])
    return Made(said["channels"], tuple(said["size"]), tuple(said["classes"]), tuple(said["shares"]), said["grouped"])


@contextlib.contextmanager
def enough_space(path: Path) -> Iterator[None]:
    """Turns a full disk into an error that says so."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise OutOfSpaceError("the disk is full while writing {path}; the last good save still stands: free some space, then go on with --resume",
                                  path=path) from None  # fmt: skip
        raise


def write_atomically(path: Path, content: bytes) -> None:
    """The old file or the whole new one, whatever happens: temporary file, fsync, rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with enough_space(path), open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_tensors(path: Path, tensors: Tensors, header: dict[str, Any]) -> None:
    """Tensors and a JSON header as one safetensors file, atomically."""
    plain = {name: tensor.detach().to("cpu").contiguous() for name, tensor in tensors.items()}
    write_atomically(path, save(plain, {"fenshen": json.dumps({"format": FORMAT, "version": __version__, **header})}))


def read_tensors(path: Path, device: str = "cpu") -> tuple[Tensors, dict[str, Any]]:
    """What `write_tensors` wrote. RunFolderError for a missing, damaged or newer file."""
    try:
        with safe_open(path, "pt", device=device) as file:
            header = json.loads((file.metadata() or {})["fenshen"])
            if header["format"] > FORMAT:
                raise RunFolderError("{path} was written by a newer fenshen ({version}); this one is {mine}: install the newer one",
                                     path=path, version=header["version"], mine=__version__)  # fmt: skip
            return {name: file.get_tensor(name) for name in file.keys()}, header  # noqa: SIM118
    except FileNotFoundError:
        raise RunFolderError("there is no {path}: this run has saved nothing yet, or the file was moved", path=path) from None
    except (SafetensorError, KeyError, json.JSONDecodeError, OSError) as error:
        raise RunFolderError(
            "{path} is damaged or not of fenshen ({problem}): restore it from a copy, or train again", path=path, problem=error
        ) from None


@dataclass(frozen=True)
class RunFolder:
    """One run on disk. `create` and `find` make one; nothing is kept open."""

    path: Path

    @classmethod
    def create(cls, path: Path | None, name: str) -> RunFolder:
        """A new folder: `path`, else one named after `name`, date and time under the runs root."""
        if path is None:
            stem = f"{name}-{datetime.now():%Y%m%d-%H%M%S}"
            path = runs_root() / stem
            for number in range(2, 1000):
                if not path.exists():
                    break
                path = runs_root() / f"{stem}-{number}"
        cls.check_free(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunFolderError("the run folder {path} cannot be made: {problem}", path=path, problem=error.strerror) from None
        return cls(path)

    @staticmethod
    def check_free(path: Path) -> None:
        """RunFolderError where something is at `path` already."""
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise RunFolderError("{path} exists already and is not empty: name another folder with --out, or go on with --resume {path}", path=path)

    @classmethod
    def find(cls, name: str | Path) -> RunFolder:
        """The run at a path, or of that name under the runs root."""
        for path in (Path(name), runs_root() / name):
            if (path / "recipe.toml").is_file():
                return cls(path)
        known = ", ".join(run.path.name for run in list_runs()[:5]) or "none yet"
        raise RunFolderError("no run {name}: neither a run folder nor a name under {root} (there: {known})", name=name, root=runs_root(), known=known)

    @property
    def weights(self) -> Path:
        return self.path / "weights.safetensors"

    @property
    def state(self) -> Path:
        return self.path / "state" / "last.safetensors"

    @property
    def groups(self) -> Path:
        """What the model is told of each picture, where that is not the pictures' own label: found groups, or the names of an adapted run."""
        return self.path / "state" / "groups.safetensors"

    @property
    def origin(self) -> Path:
        """The parent's weights as an adapted run began with them."""
        return self.path / "state" / "origin.safetensors"

    @property
    def preference(self) -> Path:
        return self.path / "preference.safetensors"

    @property
    def samples(self) -> Path:
        return self.path / "samples"

    def recipe(self) -> Recipe:
        return load_recipe(self.path / "recipe.toml")

    def write_json(self, name: str, content: dict[str, Any]) -> None:
        write_atomically(self.path / name, json.dumps(content, ensure_ascii=False, indent=1).encode())

    def read_json(self, name: str) -> dict[str, Any]:
        try:
            return json.loads((self.path / name).read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise RunFolderError("{path} cannot be read: {problem}", path=self.path / name, problem=error) from None

    def save_weights(self, sampler: Kept, recipe: Recipe, made: Made | Written, kimg: float) -> None:
        header = {"model": recipe.model.model_dump(exclude_none=True), "made": asdict(made), "kimg": kimg, "seed": recipe.train.seed}
        write_tensors(self.weights, dict(sampler.state_dict()), header)

    def load_sampler(self, device: str = "cpu") -> tuple[Sampler, Made, dict[str, Any]]:
        """The averaged generator of pictures, ready to sample; executes nothing from the file. RunFolderError for a run of words."""
        sampler, made, header = self.load(device)
        if isinstance(sampler, Writer) and sampler.latent:
            text = "{run} makes words, and this works with pictures: fenshen generate {run} --like TEXT --like TEXT goes from one text to the other"
            raise RunFolderError(text, run=self.path.name)
        if not isinstance(sampler, Sampler) or not isinstance(made, Made):
            raise RunFolderError("{run} makes words, and this works with pictures: name another run", run=self.path.name)
        return sampler, made, header

    def load_writer(self, device: str = "cpu") -> tuple[Writer, Written, dict[str, Any]]:
        """The averaged model of words, ready to write. RunFolderError for a run of pictures."""
        writer, made, header = self.load(device)
        if not isinstance(writer, Writer) or not isinstance(made, Written):
            raise RunFolderError("{run} makes pictures, and this works with words: name another run", run=self.path.name)
        return writer, made, header

    def load(self, device: str = "cpu") -> tuple[Kept, Made | Written, dict[str, Any]]:
        """What makes samples, averaged, of pictures or of words; what it makes; and the header of its weights."""
        tensors, header = read_tensors(self.weights)
        try:
            made = made_of(header["made"])
            model = Recipe.model_validate({"model": header["model"]}).model
            sampler = build_sampler(made.space, made.told, model)
            sampler.load_state_dict(tensors)
            if isinstance(sampler, Sampler) and self.preference.exists():
                sampler.prefer = Preference.from_state(*read_tensors(self.preference))
        except (RuntimeError, KeyError, TypeError, ValueError) as error:
            problem = str(error).splitlines()[0]
            raise RunFolderError(
                "{path} does not fit its own description ({problem}): restore it from a copy", path=self.weights, problem=problem
            ) from None
        return sampler.to(torch.device(device)).eval(), made, header

    def log(self) -> list[dict[str, Any]]:
        """The ticks written so far; a last line cut short by a crash is left out."""
        lines: list[dict[str, Any]] = []
        if (self.path / "log.jsonl").exists():
            for line in (self.path / "log.jsonl").read_text("utf-8").splitlines():
                with contextlib.suppress(ValueError):
                    lines.append(json.loads(line))
        return lines

    def events(self) -> list[dict[str, Any]]:
        """What the autopilot did, oldest first."""
        path = self.path / "autopilot.jsonl"
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []

    def keep_events(self, events: list[dict[str, Any]]) -> None:
        """These and no others."""
        write_atomically(self.path / "autopilot.jsonl", "".join(json.dumps(event) + "\n" for event in events).encode())

    def add_event(self, event: dict[str, Any]) -> None:
        self.keep_events([*self.events(), event])

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """While it is trained, renamed or deleted: by one process at a time. RunFolderError while another holds it."""
        folder = os.open(self.path, os.O_RDONLY)
        try:
            self._lock(folder)
            yield
        finally:
            os.close(folder)  # Frees the lock, as the end of a process does.

    def _lock(self, folder: int) -> None:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunFolderError("{run} is being trained: wait until that has ended, or stop it first", run=self.path.name) from None
        except OSError:  # A file system without locks: nobody can be asked.
            pass

    def delete(self) -> None:
        shutil.rmtree(self.path)


def list_runs() -> list[RunFolder]:
    """All runs under the runs root, newest first."""
    found = [RunFolder(path.parent) for path in runs_root().glob("*/recipe.toml")]
    return sorted(found, key=lambda run: (run.path / "recipe.toml").stat().st_mtime, reverse=True)

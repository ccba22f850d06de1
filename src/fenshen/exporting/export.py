"""`fenshen export`: a folder for others, made of a run.

model.onnx           the network: a generator, a decoder or a language model; what to know of it stands in its metadata
prior.safetensors    of a decoder: what its latents are drawn from
weights.safetensors  the weights as the run has them; with recipe.toml the folder is a run that makes things
preference.safetensors  which latents are liked, where wishes were taught
card.md              what it is, what it was trained on, how good it is

None of them holds a training sample, or the name of a file.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from fenshen.errors import RecipeError, RunFolderError
from fenshen.exporting.card import card, public
from fenshen.exporting.graphs import Graph, graph_of
from fenshen.exporting.onnx import Checked, Speed, write_onnx
from fenshen.lang import tr
from fenshen.run import RunFolder, write_atomically, write_tensors

Part = Literal["onnx", "safetensors", "card"]
PARTS: tuple[Part, ...] = get_args(Part)
WITHHELD = "withheld"  # Stands where a recipe names its data.


@dataclass(frozen=True)
class Exported:
    """`files`: what was written into `path`, by name. `difference`: of model.onnx, at most, from the network; `speed` of both."""

    path: Path
    files: tuple[str, ...]
    difference: float | None = None
    speed: Speed | None = None

    def json(self) -> dict[str, Any]:
        return {"out": str(self.path), "files": list(self.files), "difference": self.difference, "speed": self.speed and asdict(self.speed)}


def export(run: RunFolder, out: Path | None, parts: Sequence[Part] | None, measure: bool, say: Callable[[str], None]) -> Exported:
    """Writes these parts of a run into `out`, by default RUN/export; without `parts` all that the run has.

    RunFolderError where a part cannot be had, RecipeError for an unknown part.
    """
    unknown = [part for part in parts or () if part not in PARTS]
    if unknown:
        raise RecipeError("--to {part}: known are {known}", part=unknown[0], known=", ".join(PARTS))
    sampler, made, header = run.load("cpu")
    graph: Graph | None = None
    try:
        graph = graph_of(sampler, made)
    except RunFolderError:
        if parts and "onnx" in parts:
            raise
    wanted = parts or [part for part in PARTS if graph is not None or part != "onnx"]
    path = out or run.path / "export"
    _make(path)
    files, checked = [], None
    if "onnx" in wanted and graph is not None:
        say(tr("writing model.onnx, and comparing what it makes with what the run makes"))
        checked = write_onnx(graph, path / "model.onnx", measure)
        files += ["model.onnx", *_prior(graph, path)]
    if "safetensors" in wanted:
        files += _weights(run, path)
    if "card" in wanted:
        write_atomically(path / "card.md", card(run, made, header, sum(p.numel() for p in sampler.parameters())).encode())
        files.append("card.md")
    if (path / "model.onnx").exists() and run.preference.exists():
        say(tr("what was taught by wishes is not in model.onnx: it moves latents before the network reads them"))
    return Exported(path, tuple(files), *_of(checked))


def _of(checked: Checked | None) -> tuple[float | None, Speed | None]:
    return (None, None) if checked is None else (checked.difference, checked.speed)


def _make(path: Path) -> None:
    """RunFolderError where there can be no such folder."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = error.strerror if error.errno != errno.EEXIST else tr("a file of that name is there")
        raise RunFolderError("--out {path}: no folder can be made there ({problem})", path=path, problem=problem) from None


def _prior(graph: Graph, path: Path) -> list[str]:
    if not graph.prior:
        return []
    write_tensors(path / "prior.safetensors", graph.prior, {"about": "component k of group label with probability weight; latent = mean + scale @ z"})
    return ["prior.safetensors"]


def _weights(run: RunFolder, path: Path) -> list[str]:
    """The files that make the folder a run of its own; where the data was is left out."""
    recipe = public(run.recipe()).set({"data.source": WITHHELD})
    write_atomically(path / "weights.safetensors", run.weights.read_bytes())
    write_atomically(path / "recipe.toml", recipe.toml().encode())
    if not run.preference.exists():
        return ["weights.safetensors", "recipe.toml"]
    write_atomically(path / "preference.safetensors", run.preference.read_bytes())
    return ["weights.safetensors", "recipe.toml", "preference.safetensors"]

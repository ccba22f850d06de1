"""A run from elsewhere is read before it is let in: recipe, weights, records and report, everything that will be read later.

The formats execute nothing; what is left is what a file can claim. Networks are measured before they are built, numbers must be numbers,
templates of sentences may name their fields and nothing else, and a report has to begin with the rule that forbids a browser to run anything.
"""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter
from safetensors import SafetensorError, safe_open

from fenshen.errors import RunFolderError
from fenshen.evaluate.page import Score, harmless
from fenshen.families.build import build_sampler
from fenshen.lang import tr
from fenshen.recipe import Recipe
from fenshen.run import RunFolder, made_of

MOST_TEXT = 64 << 20  # Bytes of one file that is read as a whole.
WHOLE = ("recipe.toml", "data.json", "log.jsonl", "autopilot.jsonl", "report.html", "report.json", "audit.json", "adapt.json", "directions.json")
TENSORS = ("state/last", "state/groups", "state/origin", "preference", "directions")
LARGEST = 1 << 20  # Side of a sample, classes, tokens of an alphabet.
UNSAVED = 10_000_000  # Values that a network may have beside what is saved of it.
RECORDS: dict[str, dict[str, Any]] = {
    "report.json": {"run": str, "fingerprint": str, "encoder": str, "scores": list, "verdict": list, "copying": dict, "critic": dict},
    "audit.json": {"run": str, "attacks": list, "verdict": list, "copying": dict},
    "adapt.json": {"parent": str}, "data.json": {"fingerprint": str},
}  # fmt: skip
SCORES, SENTENCES = TypeAdapter(list[Score]), TypeAdapter(list[str])


def check(run: RunFolder) -> None:
    """RunFolderError or RecipeError for a run that is not as fenshen writes it."""
    for name in WHOLE:
        if (path := run.path / name).exists() and path.stat().st_size > MOST_TEXT:
            raise RunFolderError("{run} cannot be brought in ({problem})", run=run.path.name, problem=tr("{name} is too large", name=name))
    run.recipe()
    try:
        _check_size(run)
        run.load()
        for name in TENSORS:
            _check_header(run.path / f"{name}.safetensors")
        _check_log(run)
        _check_records(run)
    except (SafetensorError, LookupError, TypeError, ValueError, OSError, RuntimeError, RecursionError) as error:
        problem = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RunFolderError("{run} cannot be brought in ({problem})", run=run.path.name, problem=problem) from None


def _check_size(run: RunFolder) -> None:
    """A network that claims to be far larger than its file is not built."""
    with safe_open(run.weights, "pt") as file:
        header = json.loads((file.metadata() or {})["fenshen"])
        saved = sum(_values(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
    made, model = made_of(header["made"]), Recipe.model_validate({"model": header["model"]}).model
    bounds = (*made.space.size, len(made.classes), getattr(made, "vocab", 1))
    if min(made.space.size) < 1 or max(bounds) > LARGEST or getattr(made, "channels", 1) not in (1, 2, 3, 4):
        raise ValueError(tr("what it makes has no possible size"))
    try:
        with torch.device("meta"):  # Shapes alone, no memory.
            values = sum(tensor.numel() for tensor in build_sampler(made.space, made.told, model).state_dict().values())
    except RuntimeError:  # Finite scalar quantization computes while it is built; its networks are bounded by the recipe.
        return
    if values > 2 * saved + UNSAVED:
        raise ValueError(tr("its weights are smaller than the network they are for"))


def _values(shape: list[int]) -> int:
    count = 1
    for side in shape:
        count *= side
    return count


def _check_header(path: Path) -> None:
    if path.exists():
        with safe_open(path, "pt") as file:
            json.loads((file.metadata() or {})["fenshen"])


def _check_log(run: RunFolder) -> None:
    for entry in run.log():
        if not all(isinstance(entry[key], (int, float)) for key in ("kimg", "seconds")):
            raise ValueError(tr("{name} is not as it is written", name="log.jsonl"))
    for event in run.events():
        for said in (event["found"], event["done"]):
            _check_said(said)
        float(event["kimg"])


def _check_said(said: Any) -> None:
    """A template and what fills it; a field may be named, and not be reached into or stretched."""
    if said is None:
        return
    text, values = said
    for _, name, form, conversion in string.Formatter().parse(text):
        if name is not None and (not name.isidentifier() or name not in values or form or conversion):
            raise ValueError(tr("{name} is not as it is written", name="autopilot.jsonl"))


def _check_records(run: RunFolder) -> None:
    for name, types in RECORDS.items():
        if not (run.path / name).exists():
            continue
        said = run.read_json(name)
        wrong = [key for key, kind in types.items() if not isinstance(said[key], kind)]
        if wrong:
            raise ValueError(tr("{name} is not as it is written", name=name))
        SENTENCES.validate_python(said.get("verdict", []), strict=True)
        SCORES.validate_python(said.get("scores", []), strict=True)
    page = run.path / "report.html"
    if page.exists() and not harmless(page.read_text("utf-8")):
        raise ValueError(tr("report.html is not a report of fenshen"))

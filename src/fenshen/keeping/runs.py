"""What a run is in a line, another name for it, and its end. How it travels: `fenshen.keeping.packing`."""

from __future__ import annotations

import html
import json
import os
import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from fenshen import uploads
from fenshen.data import cache
from fenshen.errors import FenshenError, RunFolderError
from fenshen.lang import tr
from fenshen.recipe import AnyModel, Autoregressive, Ngram, OverCodes, Pretrained, Restoring, TextGan, TextVae, Wording
from fenshen.run import RunFolder, list_runs, write_atomically

LONGEST_NAME = 100  # Bytes: room for what is put before and behind it in names of files.
FORBIDDEN = re.compile(r'[/\\:*?"<>|]')  # Separators, and what other systems cannot have in a name.
PARTS = {"recipe.toml", "weights.safetensors", "state", "data.json", "log.jsonl", "samples", "tensorboard", "generated", "autopilot.jsonl",
         "report.html", "report.json", "audit.json", "adapt.json", "preference.safetensors", "control", "directions.safetensors",
         "directions.json", "export"}  # fmt: skip
SPEAK_OF_ITSELF = ("report.json", "audit.json", "adapt.json")  # Each says the name of its run.


@dataclass(frozen=True)
class Deleted:
    """Bytes of the run, and of the prepared copy of its data that no other run used."""

    path: Path
    bytes: int
    prepared_bytes: int


def summary(run: RunFolder) -> dict[str, Any]:
    """One run in a line; a damaged one is told of too.

    `kind`: words, pictures or restoring; `state`: finished, stopped, empty (nothing saved) or damaged; `when` it began; `kimg` and `minutes`
    of training; `bytes` on the disk.
    """
    when = datetime.fromtimestamp((run.path / "recipe.toml").stat().st_mtime).isoformat(" ", "minutes")
    values = {"name": run.path.name, "path": str(run.path), "when": when, "bytes": size_of(run.path), "kimg": 0.0, "minutes": 0.0,
              "data": "", "kind": "", "family": "", "network": ""}  # fmt: skip
    try:
        recipe, log = run.recipe(), run.log()
    except FenshenError:
        return values | {"state": "damaged"}
    kind = "words" if isinstance(recipe.model, Wording) else "restoring" if isinstance(recipe.model, Restoring) else "pictures"
    network = f"{network_of(recipe.model)} {recipe.model.size or ''}".strip()
    values |= {"data": recipe.data.source, "kind": kind, "family": recipe.model.family, "network": network}
    if not log:
        return values | {"state": "empty"}
    state = "finished" if finished(run) else "stopped"
    return values | {"state": state, "kimg": log[-1]["kimg"], "minutes": round(log[-1]["seconds"] / 60, 2)}


def state_in_words(state: str) -> str:
    return {"finished": tr("finished"), "stopped": tr("stopped"), "empty": tr("nothing saved"), "damaged": tr("damaged")}[state]


def size_of(folder: Path) -> int:
    """Bytes of all files in it; what vanishes meanwhile does not count."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.lstat().st_size if not path.is_dir() else 0
        except OSError:
            continue
    return total


def network_of(model: AnyModel) -> str:
    """What its networks are made of, in a word."""
    match model:
        case Ngram():
            return f"{model.order}-gram"
        case Autoregressive() | TextGan():
            return model.net
        case Pretrained():
            return Path(model.start).name
        case TextVae():
            return "lstm"
        case OverCodes():
            return "transformer"
    return model.network or ""


def finished(run: RunFolder) -> bool:
    """Whether the run has shown all pictures of its plan, or used all of its time."""
    log, train = run.log(), run.recipe().train
    if not log:
        return False
    in_time = train.minutes is not None and log[-1]["seconds"] >= train.minutes * 60
    return in_time or (train.kimg is not None and log[-1]["kimg"] >= train.kimg)


def check_name(name: str) -> str:
    """`name`, in Unicode's composed form, if a run may be called so. RunFolderError for what would be a path, hidden, or no name elsewhere."""
    name = unicodedata.normalize("NFC", name)
    problem = None
    if not name or name != name.strip() or name[0] in ".-" or name[-1] == ".":
        text = "{name}: a run's name does not begin with a dot, a dash or a space, nor end in a dot or a space"
        problem = RunFolderError(text, name=repr(name))
    elif FORBIDDEN.search(name) or any(unicodedata.category(letter)[0] == "C" for letter in name):
        problem = RunFolderError("{name}: a run's name has no slash and none of : * ? \" < > |", name=repr(name))
    elif len(name.encode("utf-8", "replace")) > LONGEST_NAME:
        problem = RunFolderError("{name}…: a run's name has at most {most} letters, of Chinese a third of that", name=name[:20], most=LONGEST_NAME)
    if problem is not None:
        raise problem
    return name


def free_place(root: Path, name: str) -> Path:
    """Where a run of this name would be. RunFolderError for a name that is none, or taken."""
    path = root / check_name(name)
    if os.path.lexists(path):
        raise RunFolderError("there is a {name} already in {folder}: choose another name", name=name, folder=root)
    return path


def rename(run: RunFolder, name: str) -> RunFolder:
    """The same run under another name, in the same folder; what speaks of it by name is told: its own report, and runs adapted from it.

    Pictures that were made keep the name that their maker had. RunFolderError for a name that is none, or taken, and while it trains.
    """
    old = run.path.resolve()
    new = free_place(old.parent, name)
    with run.held():
        try:
            old.rename(new)
        except OSError as error:
            raise RunFolderError("{run} cannot be renamed ({problem})", run=run.path, problem=error.strerror) from None
        renamed = RunFolder(new)
        call(renamed)
    for other in {*list_runs(), renamed, *(RunFolder(path.parent) for path in new.parent.glob("*/recipe.toml"))}:
        _tell(other, str(old), str(new))
    return renamed


def call(run: RunFolder) -> None:
    """Its own files say the name that it has now."""
    before = html.escape(str(record(run, "report.json").get("run", "")))
    for file in SPEAK_OF_ITSELF:
        said = record(run, file)
        if "run" in said:
            run.write_json(file, said | {"run": run.path.name})
    report = run.path / "report.html"
    if before and report.exists():
        text = report.read_text("utf-8")
        for tag in ("title", "h1"):
            text = text.replace(f"<{tag}>{before}</{tag}>", f"<{tag}>{html.escape(run.path.name)}</{tag}>", 1)
        write_atomically(report, text.encode())


def _tell(run: RunFolder, old: str, new: str) -> None:
    """A run that began with another one says where that is now; when it was made stays."""
    try:
        recipe = run.recipe()
    except FenshenError:
        return
    if recipe.adapt.parent == old:
        path = run.path / "recipe.toml"
        times = path.stat().st_atime_ns, path.stat().st_mtime_ns
        write_atomically(path, recipe.set({"adapt.parent": new}).toml().encode())
        os.utime(path, ns=times)
    said = record(run, "adapt.json")
    if said.get("parent") == old:
        run.write_json("adapt.json", said | {"parent": new})


def record(run: RunFolder, name: str) -> dict[str, Any]:
    """What a run has written down in a file of JSON. Empty where there is no such file, or none that can be read."""
    try:
        said = json.loads((run.path / name).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def delete(run: RunFolder) -> Deleted:
    """Removes a run, the prepared copy of its data, and the files that were sent for it through the browser, unless another run uses them.
    RunFolderError while it trains, and where the folder also holds what is not of a run."""
    path = run.path
    check_deletable(run)
    size, fingerprint, source = size_of(path), record(run, "data.json").get("fingerprint"), _source(run)
    used = fingerprint in {record(other, "data.json").get("fingerprint") for other in list_runs() if other.path.resolve() != path.resolve()}
    with run.held():
        run.delete()
    uploads.release(source)
    return Deleted(path, size, 0 if used or not isinstance(fingerprint, str) else cache.delete(fingerprint))


def _source(run: RunFolder) -> str:
    try:
        return run.recipe().data.source
    except FenshenError:  # A damaged run can be deleted too.
        return ""


def check_deletable(run: RunFolder) -> None:
    """Nothing that a run did not write is ever deleted."""
    strange = sorted(entry.name for entry in run.path.iterdir() if entry.name not in PARTS)
    if strange:
        text = "{path} also holds what is not of a run ({names}): nothing was deleted; move that first"
        raise RunFolderError(text, path=run.path, names=", ".join(strange[:3]))

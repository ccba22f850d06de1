"""Imports go down: one list of floors says who may use whom."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import fenshen

SOURCE = Path(fenshen.__file__).parent

# From the ground up. A file uses the floors below its own, and on its own floor what stands to its left or in its own folder.
FLOORS = (
    ("lang", "errors", "places", "phrases"),
    ("space", "recipe", "schedules"),
    ("losses", "penalties", "likelihoods", "sampling"),
    ("media", "nets", "measure"),
    ("data", "condition", "families", "run", "uploads"),
    ("generate", "narrate", "restoring", "writing", "telling", "shaping", "chatting", "training", "evaluate", "keeping", "exporting", "control",
     "tuning"),
    ("api",),
    ("studio", "cli", "__main__"),
)
PLACE = {room: (height, number) for height, floor in enumerate(FLOORS) for number, room in enumerate(floor)}
APART = [{"data", "families"}]  # They meet in training only.


def violations(source: Path) -> list[str]:
    """Every import that does not go down, as a sentence."""
    return [problem for path in sorted(source.rglob("*.py")) for problem in _of_file(path, source)]


def _of_file(path: Path, source: Path) -> Iterator[str]:
    room = path.relative_to(source).parts[0].removesuffix(".py")
    if room == "__init__":  # The package's face: it imports the API when first asked for it.
        return
    name = path.relative_to(source)
    if room not in PLACE:
        yield f"{name}: {room} has no floor; add it to FLOORS"
        return
    for line, other in imported(path):
        if other not in PLACE:
            if other != "__init__":
                yield f"{name}:{line} imports {other}, which has no floor"
        elif other != room and not _may(room, other):
            yield f"{name}:{line} imports {other}, which is not below {room}"


def _may(room: str, other: str) -> bool:
    if {room, other} in APART:
        return False
    (height, number), (other_height, other_number) = PLACE[room], PLACE[other]
    return other_height < height or (other_height == height and other_number < number)


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """(line, room) of everything that a file takes from fenshen, lazily or for its types too."""
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, _room(alias.name.split("."))) for alias in names if alias.name.split(".")[0] == "fenshen")
            case ast.ImportFrom(module="fenshen", level=0, names=names):
                yield from ((node.lineno, _room(["fenshen", alias.name])) for alias in names)
            case ast.ImportFrom(module=str(module), level=0) if module.startswith("fenshen."):
                yield node.lineno, _room(module.split("."))
            case ast.ImportFrom(level=level) if level:
                yield node.lineno, "a relative name"


def _room(parts: list[str]) -> str:
    return parts[1] if len(parts) > 1 and not parts[1].startswith("__") else "__init__"


def test_imports_go_down() -> None:
    assert not violations(SOURCE), "\n".join(violations(SOURCE))


def test_every_floor_is_inhabited() -> None:
    assert not [room for room in PLACE if not (SOURCE / room).is_dir() and not (SOURCE / f"{room}.py").exists()]


@pytest.mark.parametrize(("file", "line", "found"), [
    ("losses.py", "from fenshen.nets.blocks import conv", "losses.py:1 imports nets"),
    ("data/a.py", "from fenshen.families.gan import GAN", "data/a.py:1 imports families"),
    ("families/a.py", "import fenshen.data.look", "families/a.py:1 imports data"),
    ("generate.py", "from fenshen import training", "generate.py:1 imports training"),
    ("nets/a.py", "def f():\n    from fenshen.api import load", "nets/a.py:2 imports api"),
    ("media/a.py", "from ..run import Made", "a relative name"),
    ("new.py", "", "new has no floor"),
    ("run.py", "from fenshen.families.gan import Sampler", ""),
    ("cli/a.py", "from fenshen.cli.b import c", ""),
    ("api.py", "from fenshen import __version__", ""),
])  # fmt: skip
def test_planted_violations_are_found(file: str, line: str, found: str, tmp_path: Path) -> None:
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(line + "\n")
    said = "\n".join(violations(tmp_path))
    assert (found in said) if found else not said


def test_no_file_is_empty() -> None:
    assert not [path for path in SOURCE.rglob("*.py") if not path.read_text("utf-8").strip()]

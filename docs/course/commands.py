"""The commands of the course, taken from its chapters: `python docs/course/commands.py` runs them all and draws the course's pictures anew;
`python docs/course/commands.py notebook [zh-CN] > FILE.ipynb` writes the first three chapters as a notebook.

A chapter's commands are the lines of its blocks of kind `sh`; the pictures and texts that it shows are links into `pictures/`, and each has
the name of the file that a command wrote. Chapters go on from what earlier ones have made, in one folder.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from fenshen.cli import app

HERE = Path(__file__).parent.resolve()
FIRST = 3  # Chapters of the notebook.
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PICTURE = re.compile(r"!\[([^\]]*)\]\(pictures/[^)]+\)")
SHOWN = re.compile(r"\]\(pictures/([^)]+)\)")


def chapters() -> list[Path]:
    """The English chapters, in order."""
    return sorted(path for path in HERE.glob("[0-9][0-9]-*.md") if not path.name.endswith(".zh-CN.md"))


def commands(chapter: Path) -> list[list[str]]:
    """The words of each command, without `fenshen`."""
    lines = [line for block in BLOCK.findall(chapter.read_text("utf-8")) for line in block.splitlines() if line.strip()]
    return [shlex.split(line, comments=True)[1:] for line in lines]


def shown(chapter: Path) -> list[str]:
    """The files that a chapter shows."""
    return SHOWN.findall(chapter.read_text("utf-8"))


def run(words: list[str]) -> None:
    """Runs a command here and now. RuntimeError where it fails."""
    try:
        app(words, prog_name="fenshen")
    except SystemExit as ended:
        if ended.code:
            raise RuntimeError(f"fenshen {shlex.join(words)}: exit code {ended.code}") from None


def notebook(language: str = "") -> str:
    """The first chapters as a Jupyter notebook (format 4): text, commands, and what they have drawn. `language`: "" or "zh-CN"."""
    cells = [_cell("code", "%mkdir -p course-runs\n%cd course-runs")]
    for chapter in chapters()[:FIRST]:
        text = chapter.with_suffix(f".{language}.md" if language else ".md").read_text("utf-8")
        for number, part in enumerate(BLOCK.split(text)):
            cells += _commands_cells(part) if number % 2 else [_cell("markdown", PICTURE.sub(r"\1", part.strip()))]
    plain = [cell | {"id": f"cell-{number}"} for number, cell in enumerate(cells)]
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return json.dumps({"cells": plain, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}, ensure_ascii=False, indent=1) + "\n"


def _commands_cells(block: str) -> list[dict[str, Any]]:
    """A cell that runs the commands, and one that shows the pictures that they have written."""
    lines = block.strip().splitlines()
    drawn = [name for line in lines for name in re.findall(r"--out (\S+\.png)", line)]
    show = "from IPython.display import Image, display\n\n" + "\n".join(f'display(Image("{name}"))' for name in drawn)
    return [_cell("code", "\n".join(f"!{line}" for line in lines)), *([_cell("code", show)] if drawn else [])]


def _cell(kind: str, text: str) -> dict[str, Any]:
    cell: dict[str, Any] = {"cell_type": kind, "metadata": {}, "source": text.splitlines(keepends=True)}
    return cell | ({"execution_count": None, "outputs": []} if kind == "code" else {})


def main() -> None:
    """All chapters, or those whose numbers are given, in a folder that $COURSE names, else in one that is thrown away."""
    wanted = [path for path in chapters() if not sys.argv[1:] or path.name[:2] in sys.argv[1:]]
    with tempfile.TemporaryDirectory() as thrown_away:
        folder = Path(os.environ.get("COURSE", thrown_away)).resolve()
        os.chdir(folder)
        for chapter in wanted:
            for words in commands(chapter):
                began = time.monotonic()
                run(words)
                print(f"— {time.monotonic() - began:.0f} s: fenshen {shlex.join(words)}", flush=True)
            for name in shown(chapter):
                (HERE / "pictures" / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(folder / name, HERE / "pictures" / name)


if __name__ == "__main__":
    if sys.argv[1:2] == ["notebook"]:
        print(notebook(*sys.argv[2:]), end="")
    else:
        main()

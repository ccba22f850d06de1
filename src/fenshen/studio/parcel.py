"""Files made for one download: a packed run, an export as one .zip. Each in a folder of its own with a name that nobody guesses, for a while."""

from __future__ import annotations

import secrets
import shutil
import tempfile
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fenshen.api import Run
    from fenshen.exporting.export import Exported, Part


ALL: tuple[Part, ...] = ("onnx", "safetensors", "card")
KEPT_SECONDS = 3600  # A packed run may be gigabytes.


def fresh(root: Path | str) -> Path:
    """A new folder under `root`, for its owner alone; those of an hour ago are removed."""
    parcels = Path(root) / "parcels"
    for old in parcels.glob("*"):
        if time.time() - old.stat().st_mtime > KEPT_SECONDS:
            shutil.rmtree(old, ignore_errors=True)
    folder = parcels / secrets.token_hex(16)
    folder.mkdir(parents=True, mode=0o700)
    return folder


def packed(run: Run, root: Path | str) -> Path:
    """The whole run. RunFolderError while it trains."""
    return run.pack(fresh(root) / f"{run.path.name}.zip")


def exported(run: Run, parts: Sequence[Part], root: Path | str) -> tuple[Path, Exported]:
    """These parts, checked, as one file; and what the check found. All of them: those that the run has. FenshenError where a part cannot be had."""
    with tempfile.TemporaryDirectory() as folder:
        done = run.export(folder, parts if len(parts) < len(ALL) else None)
        path = fresh(root) / f"{run.path.name}-export.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in done.files:
                archive.write(Path(folder) / name, f"{run.path.name}/{name}")
    return path, done

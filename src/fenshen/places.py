"""Where things are kept. Apart from what uses it, so that asking does not load torch."""

from __future__ import annotations

import os
from pathlib import Path


def runs_root() -> Path:
    """Where runs are kept: $FENSHEN_RUNS, else `runs` in the current folder."""
    return Path(os.environ.get("FENSHEN_RUNS") or "runs")

"""fenshen (分身, "a second self"): generative models from scratch, on your own files, on your own machine.

run = fenshen.train("photos/", minutes=10)
run.generate(64, seed=1).save("grid.png")
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # Spinning waits made a step nine times slower on two busy cores.

__version__ = "0.1.0"
__all__ = ["Pictures", "Run", "Words", "__version__", "adapt", "load", "look", "plan", "resume", "runs", "train", "tune", "unpack"]

if TYPE_CHECKING:
    from fenshen.api import Pictures, Run, Words, adapt, load, look, plan, resume, runs, train, tune, unpack


def __getattr__(name: str) -> Any:
    """The API, imported when first asked for: torch takes seconds."""
    if name in __all__:
        from fenshen import api

        return getattr(api, name)
    raise AttributeError(f"module 'fenshen' has no attribute {name!r}")

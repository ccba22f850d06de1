"""Where benchmarks write what they have measured: one line of JSON each in history.jsonl, beside this file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

HISTORY = Path(__file__).with_name("history.jsonl")


def record(line: dict[str, Any], quiet: bool = False) -> None:
    """Prints a measurement, and appends it to history.jsonl unless `quiet`."""
    text = json.dumps(line, ensure_ascii=False)
    print(text, flush=True)
    if not quiet:
        with open(HISTORY, "a", encoding="utf-8") as file:
            file.write(text + "\n")

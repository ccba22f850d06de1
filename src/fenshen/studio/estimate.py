"""How long a training takes here, from a few real steps: timed by a process of its own, so that what goes wrong there leaves the studio alive."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from fenshen.errors import FenshenError
from fenshen.evaluate.charts import Markup, element
from fenshen.lang import language, tr
from fenshen.phrases import bytes_in_words, number

LONGEST_SECONDS = 300
timing: set[subprocess.Popen[str]] = set()  # Processes of this studio, to be ended with it.


def timed(source: str, recipe: str, minutes: float, changes: dict[str, Any]) -> dict[str, Any]:
    """The plan, as `fenshen train --dry-run --json` says it. FenshenError with what that complained of."""
    settings = [word for key, value in changes.items() for word in ("--set", f"{key}={json.dumps(value, ensure_ascii=False)}")]
    words = [sys.executable, "-m", "fenshen", "train", "--recipe", recipe, "--minutes", str(minutes), *settings, "--dry-run", "--json", "--", source]
    process = subprocess.Popen(words, env=os.environ | {"FENSHEN_LANG": language()}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    timing.add(process)
    try:
        said, complaints = process.communicate(timeout=LONGEST_SECONDS)
        return dict(json.loads(said))
    except subprocess.TimeoutExpired:
        process.kill()
        raise FenshenError("this machine is too busy to be timed") from None
    except ValueError:
        if process.returncode < 0:  # By `stop`.
            raise FenshenError("Something is being trained, so no time can be measured now. Yours waits for its turn.") from None
        complaint = (complaints.strip().splitlines() or [""])[-1].removeprefix("fenshen: ")
        raise FenshenError("no training can be timed: {problem}", problem=complaint) from None
    finally:
        timing.discard(process)


def stop() -> None:
    """When a training begins, which times its own steps, or the studio closes, nobody needs these any more."""
    for process in [*timing]:
        process.kill()


def estimated(plan: dict[str, Any], minutes: float, words: bool) -> Markup:
    """What so many minutes give, in two sentences."""
    times = number(plan["times_a_minute"] * minutes)
    if words:
        gives = tr("In {minutes} minutes all of the text is read {times} times here.", minutes=number(minutes), times=times)
    else:
        gives = tr("In {minutes} minutes each picture is seen {times} times here.", minutes=number(minutes), times=times)
    weights = f"{sum(plan['parameters'].values()):,}"
    cost = tr("The networks have {weights} weights and take about {memory} of memory.", weights=weights, memory=bytes_in_words(plan["memory_bytes"]))
    return element("p", f"{gives} {cost}", class_="fs-note")

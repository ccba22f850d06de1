"""How soon the picture in hand follows a knob on the page Make: in the handler alone, and in the browser from the turn to the new picture.

    python benchmarks/knobs.py RUN [--turns 60]

RUN, a run of pictures with a latent vector, by its name under $FENSHEN_RUNS. The handler: the run is looked up, the place turned, the picture made
and written as markup. The browser, Chromium: from an `input` event of the slider until the new picture is decoded and a frame was drawn. Appends a
line to benchmarks/history.jsonl.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import time
from datetime import date
from typing import Any

from playwright.sync_api import sync_playwright
from record import record

TURN = """async (turns) => {
  const picture = () => document.querySelector('#make-held img');
  const slider = [...document.querySelectorAll('.fs-knobs input[type=range]')].find((one) => one.min === '-3' && one.offsetParent);
  const another = (old) => new Promise((done) => {
    const look = () => picture().src === old ? requestAnimationFrame(look) : picture().decode().then(() => requestAnimationFrame(done));
    look();
  });
  const taken = [];
  for (let turn = 0; turn < turns; turn++) {
    const old = picture().src, began = performance.now();
    slider.value = String(((turn * 7) % 29) / 10 - 1.35);
    slider.dispatchEvent(new Event('input', { bubbles: true }));
    await another(old);
    taken.push(performance.now() - began);
    await new Promise((done) => setTimeout(done, 50));
  }
  return taken;
}"""


def in_the_handler(run: str, turns: int) -> list[float]:
    """Milliseconds of each turn."""
    from fenshen.control.hand import Seed
    from fenshen.studio import easel, hanging
    from fenshen.studio.shelf import Shelf

    shelf, taken = Shelf(), []
    opened = shelf.open(run)
    held = easel.Held(opened.hand().at([Seed(0, 3)]), "held")
    for turn in range(turns + 1):
        began = time.perf_counter()
        opened = shelf.open(run)
        with opened.lent() as hand:
            place = easel.turned(hand, held, opened.knobs, {opened.knobs[-1].name: (turn * 7 % 29) / 10 - 1.35})
            hanging.figure(hand.pictures(place)[0], held.name, run)
        taken.append(1000 * (time.perf_counter() - began))
    return taken[1:]  # The first one finds the knobs.


def in_the_browser(run: str, turns: int) -> list[float]:
    """Milliseconds of each turn, with a studio of its own."""
    process = subprocess.Popen((sys.executable, "-m", "fenshen", "studio", "--no-browser"), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        address = next(line[line.index("http://") :].strip() for line in process.stdout if "http://" in line)
        with sync_playwright() as play:
            browser = play.chromium.launch(executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=["--no-sandbox"])
            page = browser.new_page()
            page.goto(f"{address}/en/make?run={run}")
            page.locator("#make").click()
            page.locator("#make-tiles button").nth(3).click()
            page.locator("#make-held img").wait_for()
            page.wait_for_timeout(1000)
            taken: list[float] = page.evaluate(TURN, turns)
            browser.close()
        return taken
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def summary(taken: list[float]) -> dict[str, Any]:
    ordered = sorted(taken)
    return {"median": round(statistics.median(taken)), "p95": round(ordered[int(0.95 * len(ordered))]), "most": round(ordered[-1])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--turns", type=int, default=60)
    wanted = parser.parse_args()
    handler = summary(in_the_handler(wanted.run, wanted.turns))
    browser = summary(in_the_browser(wanted.run, wanted.turns))
    record({"benchmark": "knobs", "date": date.today().isoformat(), "run": wanted.run, "turns": wanted.turns, "handler_ms": handler,
            "browser_ms": browser, "cores": os.cpu_count(), "load": round(os.getloadavg()[0], 1)})  # fmt: skip


if __name__ == "__main__":
    main()

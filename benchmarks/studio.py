"""How soon the studio is there, how soon a page shows something useful, and what it needs while nobody uses it.

    python benchmarks/studio.py [--times 3]

Starts `fenshen studio` anew each time on an empty folder, waits for its word, asks for pages with Chromium. Useful paint: the page's heading and the
main part under it are on screen, from the moment the address is entered. Memory: resident, of the server alone, 15 seconds after the last page was
closed. Appends a line to benchmarks/history.jsonl.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

from playwright.sync_api import sync_playwright
from record import record

PAGES = ("/en/", "/en/train", "/en/make", "/en/judge", "/en/manage", "/zh/")
IDLE_SECONDS = 15


def start(root: Path) -> tuple[subprocess.Popen[str], str, float]:
    """The program, its address, and the seconds until it said so."""
    began = time.monotonic()
    process = subprocess.Popen((sys.executable, "-m", "fenshen", "studio", "--no-browser"), cwd=root, stdout=subprocess.PIPE, text=True,
                               env=os.environ | {"FENSHEN_RUNS": str(root / "runs")})  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"http://\S+", line):
            return process, found.group(), time.monotonic() - began
    raise SystemExit("the studio ended before it answered")


def paints(address: str) -> dict[str, float]:
    """Page -> seconds until its main part is visible, each in a browser without a cache."""
    taken = {}
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=["--no-sandbox"])
        for page in PAGES:
            context = browser.new_context()
            tab = context.new_page()
            began = time.monotonic()
            tab.goto(address + page, wait_until="commit")
            tab.locator(".fs-main h1").wait_for()
            tab.locator(".fs-main > *").nth(1).wait_for()
            taken[page] = time.monotonic() - began
            context.close()
        browser.close()
    return taken


def resident_mb(process: int) -> float:
    """Of a process, in MB."""
    kilobytes = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process}/status").read_text())
    assert kilobytes is not None
    return int(kilobytes.group(1)) / 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=3)
    wanted = parser.parse_args()
    up, pages, idle = [], [], []
    for _ in range(wanted.times):
        with tempfile.TemporaryDirectory() as folder:
            process, address, seconds = start(Path(folder))
            try:
                up.append(seconds)
                pages.append(paints(address))
                time.sleep(IDLE_SECONDS)
                idle.append(resident_mb(process.pid))
            finally:
                process.send_signal(signal.SIGINT)
                process.wait()
    line = {
        "benchmark": "studio", "date": date.today().isoformat(), "up_seconds": round(statistics.median(up), 2),
        "paint_seconds": {page: round(statistics.median(taken[page] for taken in pages), 2) for page in PAGES},
        "idle_mb": round(statistics.median(idle)), "load": round(os.getloadavg()[0], 1),
    }  # fmt: skip
    record(line)


if __name__ == "__main__":
    main()

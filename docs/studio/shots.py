"""The pictures of the studio in its guide, drawn anew from the studio itself: every page, both languages, light and dark, wide and narrow.

    python docs/studio/shots.py [FOLDER]

FOLDER: runs named `digits` and `help-texts`, trained first where they are missing (about eight minutes).
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from itertools import product
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

HERE = Path(__file__).parent
RUNS = {"digits": ("digits", "--minutes", "3"), "help-texts": ("topics", "--minutes", "4")}
SIZES = {"wide": {"width": 1280, "height": 860}, "narrow": {"width": 390, "height": 844}}
TALLEST = 2400  # Pixels of a page that are kept.


def start(page: Page) -> None:
    page.locator("#built-in-digits").click()
    page.locator(".fs-data").wait_for()


def train(page: Page) -> None:
    page.locator("#sample img").wait_for()
    page.locator("#curves svg").first.wait_for()


def make(page: Page) -> None:
    page.locator("#make").click()
    page.locator("#make-tiles button").nth(20).click()
    page.locator("#make-held img").wait_for()


def words(page: Page) -> None:
    page.locator("textarea").first.fill("The ")
    page.locator("#make").click()
    page.locator("#make-paper mark").first.wait_for(timeout=120_000)


def judge(page: Page) -> None:
    page.frame_locator("#judge-report iframe").locator(".verdict").wait_for()


def manage(page: Page) -> None:
    page.locator("#manage-list img").first.wait_for()


SCENES: dict[str, tuple[str, Callable[[Page], None]]] = {
    "start": ("", start), "train": ("train", train), "make": ("make?run=digits", make), "words": ("make?run=help-texts", words),
    "judge": ("judge?run=digits", judge), "manage": ("manage?run=digits", manage),
}  # fmt: skip


def prepared(root: Path) -> None:
    """Trains what the pictures show."""
    for name, words in RUNS.items():
        if not (root / name / "weights.safetensors").exists():
            subprocess.run((sys.executable, "-m", "fenshen", "train", *words, "--out", str(root / name)), check=True)


def opened(root: Path) -> tuple[subprocess.Popen[str], str]:
    """A studio for these runs, and its address."""
    process = subprocess.Popen((sys.executable, "-m", "fenshen", "studio", "--no-browser"), stdout=subprocess.PIPE, text=True,
                               env=os.environ | {"FENSHEN_RUNS": str(root)})  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if "http://" in line:
            return process, line[line.index("http://") :].strip()
    raise SystemExit("the studio ended before it answered")


def shoot(browser: Browser, address: str) -> None:
    for language, scheme, size in product(("en", "zh"), ("light", "dark"), SIZES):
        for name, (place, act) in SCENES.items():
            context = browser.new_context(base_url=address, color_scheme=scheme, viewport=SIZES[size], device_scale_factor=1.5)  # type: ignore[arg-type]
            context.set_default_timeout(60_000)
            page = context.new_page()
            page.goto(f"/{language}/{place}")
            page.locator("h1").wait_for()
            act(page)
            page.wait_for_timeout(1500)
            picture = Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("RGB")
            picture.crop((0, 0, picture.width, min(picture.height, TALLEST))).save(HERE / f"{language}-{name}-{scheme}-{size}.webp", quality=72)
            context.close()


def begin_training(browser: Browser, address: str) -> None:
    """From the page, as anybody would, so that the page Train has something to show."""
    page = browser.new_page(base_url=address)
    page.set_default_timeout(60_000)
    page.goto("/en/")
    start(page)
    page.locator("#train").click()
    page.wait_for_url("**/train*")
    page.locator("#curves svg").first.wait_for(timeout=240_000)
    page.close()


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as play:
        root = Path(sys.argv[1] if len(sys.argv) > 1 else temporary)
        prepared(root)
        process, address = opened(root)
        try:
            browser = play.chromium.launch(executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=["--no-sandbox"])
            begin_training(browser, address)
            shoot(browser, address)
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main()

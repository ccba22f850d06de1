"""The page Train: digits are trained from the page; the grid grows, pauses, goes on, and is found again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from browser.test_accessibility import findings

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from browser.conftest import Studio

SOON_MS = 120_000  # A training begins by reading, and by timing steps.


def made_run(runs: Path, name: str, family: str, ticks: int) -> Path:
    """A run as it would lie there: recipe, log and samples, without weights."""
    from PIL import Image

    folder = runs / name
    (folder / "samples").mkdir(parents=True)
    (folder / "recipe.toml").write_text(f'[model]\nfamily = "{family}"\n[train]\nkimg = {ticks}\n')
    lines = [{"kimg": float(tick), "shown": 1000 * tick, "seconds": 10.0 * tick, "critic/adversarial": 1 / tick} for tick in range(1, ticks + 1)]
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for tick in range(1, ticks + 1):
        Image.new("L", (8, 8), 10 * tick).save(folder / "samples" / f"{1000 * tick:09d}.png")
    event = {"kimg": 2.0, "found": None, "done": ["kept the generator of {kimg} kimg: the last one makes worse pictures", {"kimg": "1.0"}]}
    (folder / "autopilot.jsonl").write_text(json.dumps(event) + "\n")
    return folder


def test_a_run_of_the_command_line_is_shown_in_both_languages(page: Page, studio: Studio) -> None:
    made_run(studio.runs, "shown", "gan", 5)
    page.goto("/en/train?run=shown")
    page.locator("#curves svg").first.wait_for()
    assert "finished" in page.locator("#head").inner_text()
    assert "kept the generator of 1.0 kimg" in page.locator("#said").inner_text()
    assert page.get_by_role("link", name="Make something with it").get_attribute("href") == "/en/make?run=shown"
    page.locator("#sample figcaption", has_text="after 5,000 pictures").wait_for()
    assert not findings(page)
    slider = page.locator("#moment input[type=range]")
    slider.focus()
    slider.press("Home")
    page.locator("#sample figcaption", has_text="after 1,000 pictures").wait_for()
    page.goto("/zh/train?run=shown")
    page.locator("#said", has_text="自动驾驶").wait_for()
    assert "kept the generator" not in page.locator("#said").inner_text()


@pytest.mark.slow
def test_digits_from_the_page(page: Page, studio: Studio) -> None:
    page.goto("/en/")
    page.locator("#built-in-digits").click()
    page.locator(".fs-data").wait_for()
    page.locator("#train").click()
    page.wait_for_url("**/en/train*")
    page.locator("#sample img").wait_for(timeout=SOON_MS)
    page.locator("#head", has_text="pictures/s").wait_for()
    first = page.locator("#sample figcaption").inner_text()
    page.wait_for_function("first => document.querySelector('#sample figcaption').innerText !== first", arg=first, timeout=SOON_MS)
    page.locator("#curves svg").first.wait_for(timeout=SOON_MS)
    page.locator("#pause").click()
    page.locator("#head .fs-badge", has_text="paused").wait_for(timeout=SOON_MS)
    page.reload()
    page.locator("#go-on").click()
    page.locator("#head .fs-badge", has_text="training").wait_for(timeout=SOON_MS)
    page.locator("#keep").click()
    page.locator("#head .fs-badge", has_text="finished").wait_for(timeout=SOON_MS)
    page.get_by_role("link", name="See how good it is").wait_for()
    page.locator(".fs-verdict p").first.wait_for()


def test_a_training_that_cannot_be_says_why(page: Page, studio: Studio) -> None:
    page.goto("/en/")
    page.locator("#path textarea, #path input").first.fill("/nowhere/at/all")
    page.get_by_role("button", name="Look").click()
    page.get_by_role("alert").filter(has_text="there is no file or folder /nowhere/at/all").wait_for()

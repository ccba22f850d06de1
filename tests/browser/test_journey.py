"""The whole way, in one browser that reaches nothing but the studio: digits are trained, made, turned, compared, read about in Chinese, deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from browser.tiny import picture_run

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from browser.conftest import Studio

SOON_MS = 120_000  # A training begins by reading, and by timing steps.
SHORT = {"train-kimg": "2", "train-ticks": "4", "train-threads": "1", "evaluate-count": "100"}


def test_from_nothing_to_a_run_and_back(page: Page, studio: Studio) -> None:
    picture_run(studio.runs, "journey-beside")
    before = {path.parent.name for path in studio.runs.glob("*/recipe.toml")}
    page.goto("/en/")
    page.locator("#built-in-digits").click()
    page.locator(".fs-settings > summary").click()
    for section in page.locator(".fs-settings details > summary").all():
        section.click()
    for key, value in SHORT.items():
        page.locator(f"#set-{key}").fill(value)
    page.locator("#set-autopilot-on").uncheck()
    page.locator("#set-evaluate-report").uncheck()
    page.locator("#train").click()

    page.wait_for_url("**/en/train*")
    page.locator("#sample img").wait_for(timeout=SOON_MS)
    first = page.locator("#sample figcaption").inner_text()
    page.wait_for_function("first => document.querySelector('#sample figcaption').innerText !== first", arg=first, timeout=SOON_MS)
    page.locator("#head .fs-badge", has_text="finished").wait_for(timeout=SOON_MS)
    assert len({path.parent.name for path in studio.runs.glob("*/recipe.toml")} - before) == 1
    page.get_by_role("link", name="Make something with it").click()

    page.locator("#make").click()
    page.locator("#make-tiles button").nth(3).click()
    page.locator("#make-held img").wait_for()
    held = page.locator("#make-held img").first.get_attribute("src")
    page.get_by_label("range slider for Direction 1").fill("2")
    page.wait_for_function("(old) => document.querySelector('#make-held img').src !== old", arg=held)
    run = page.url.partition("run=")[2]

    page.goto(f"/en/judge?run={run}")
    page.get_by_role("tab", name="Compare").click()
    page.get_by_label("Beside it").click()
    page.get_by_role("option", name="journey-beside").click()
    page.locator("#judge-compare").click()
    page.get_by_alt_text(f"24 pictures by {run} from seed 0").wait_for()
    page.get_by_role("link", name="中文").click()
    page.get_by_role("heading", level=1, name="评判").wait_for()
    assert page.url.endswith(f"/zh/judge?run={run}")

    page.goto(f"/zh/manage?run={run}")
    page.locator("#manage-delete").click()
    page.locator("#manage-really").click()
    page.locator("#manage-list button", has_text=run).wait_for(state="detached")
    assert not (studio.runs / run).exists()

"""Every page, light and dark, wide and narrow, as axe-core sees it: nothing serious is left in our own markup, and of gradio's only what is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]
SEVERE = ("serious", "critical")
# In gradio's own parts, which we cannot mend: (rule, why). Listed for readers in docs/studio.md.
GRADIOS: dict[str, str] = {}
OURS = "node => !!node.closest('.fs-frame, .html-container')"


def findings(page: Page) -> list[tuple[str, str, bool]]:
    """(rule, element, whether it is in our own markup) of every severe violation on a page."""
    axe = pytest.importorskip("axe_playwright_python", reason="no accessibility check without axe-core: pip install axe-playwright-python")
    page.evaluate(Path(axe.__file__).with_name("axe.min.js").read_text("utf-8"))
    found: dict[str, Any] = page.evaluate("rules => axe.run(document, {runOnly: rules, resultTypes: ['violations']})", RULES)
    severe = [(rule["id"], node) for rule in found["violations"] if rule["impact"] in SEVERE for node in rule["nodes"]]
    return [(rule, node["html"][:200], bool(page.locator(node["target"][0]).first.evaluate(OURS))) for rule, node in severe]


@pytest.mark.parametrize("name", ["", "train", "make", "judge", "manage"])
def test_no_severe_finding(visitor: Callable[..., Page], name: str) -> None:
    for language, scheme, width in (("en", "light", 1280), ("zh", "dark", 390)):
        page = visitor(color_scheme=scheme, viewport={"width": width, "height": 844})
        page.goto(f"/{language}/{name}")
        page.locator(".fs-main h1").wait_for()
        page.wait_for_timeout(500)
        found = findings(page)
        assert not [finding for finding in found if finding[2] or finding[0] not in GRADIOS], (language, scheme, found)


def test_what_is_wrong_is_found(page: Page) -> None:
    page.goto("/en/")
    wrong = '<img src="data:,"><a href="#" style="color:#eee">faint</a>'
    page.locator(".fs-header").evaluate("(header, wrong) => header.insertAdjacentHTML('beforeend', wrong)", wrong)
    assert {(rule, ours) for rule, _, ours in findings(page)} >= {("image-alt", True), ("color-contrast", True)}

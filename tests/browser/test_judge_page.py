"""The page Judge, in a real browser: a run is measured, set beside another one, and taught what somebody likes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import fenshen
from browser.test_accessibility import findings
from browser.tiny import picture_run
from fenshen.evaluate.page import Page as Report
from fenshen.evaluate.page import render

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from browser.conftest import Studio

HOSTILE = "<script>parent.document.title = 'taken'</script><img src=/stolen onerror=\"parent.document.title = 'taken'\">"


@pytest.fixture(scope="module")
def judged(studio: Studio) -> fenshen.Run:
    return picture_run(studio.runs, "judge-first")


@pytest.fixture(scope="module")
def other(studio: Studio) -> fenshen.Run:
    return picture_run(studio.runs, "judge-second", seed=1)


@pytest.fixture(autouse=True)
def here(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process keeps its runs where the studio does."""
    monkeypatch.setenv("FENSHEN_RUNS", str(studio.runs))


@pytest.fixture
def opened(page: Page, judged: fenshen.Run) -> Callable[[str], Page]:
    """The page with a run, at one of its tabs."""

    def arrive(tab: str) -> Page:
        page.goto("/en/judge?run=judge-first")
        page.wait_for_function("document.querySelector('#judge-run input')?.value === 'judge-first'")
        page.get_by_role("tab", name=tab).click()
        page.locator("[role=tab][aria-selected=true]", has_text=tab).wait_for()
        return page

    return arrive


def written(run: fenshen.Run, more: str = "") -> None:
    """A report of one sentence, and `more` in it."""
    text = render(Report(run.path.name, ["As good as can be."]))
    (run.path / "report.html").write_text(text.replace("</main>", more + "</main>"), "utf-8")


def test_a_report_is_shown_in_the_colors_of_the_page(opened: Callable[[str], Page], judged: fenshen.Run) -> None:
    written(judged)
    page = opened("Report")
    page.frame_locator("#judge-report iframe").get_by_text("As good as can be.").wait_for()
    page.get_by_role("button", name="light or dark").click()
    page.wait_for_function("getComputedStyle(document.querySelector('#judge-report iframe').contentDocument.body).color === 'rgb(232, 232, 230)'")
    page.goto("/zh/judge?run=judge-first")
    page.get_by_text("另一种语言").wait_for()


def test_a_hostile_report_runs_and_fetches_nothing(browser: Browser, studio: Studio, judged: fenshen.Run) -> None:
    written(judged, HOSTILE)
    context = browser.new_context(base_url=studio.address, locale="en-US")
    page, answered = context.new_page(), []
    page.on("response", lambda response: answered.append(response.url))
    page.goto("/en/judge?run=judge-first")
    page.frame_locator("#judge-report iframe").get_by_text("As good as can be.").wait_for()
    page.wait_for_timeout(300)
    assert page.title() == "Judge · fenshen" and not [url for url in answered if "stolen" in url]
    assert page.locator("#judge-report iframe").get_attribute("sandbox") == "allow-same-origin"
    context.close()
    written(judged)


def test_two_runs_side_by_side(opened: Callable[[str], Page], other: fenshen.Run) -> None:
    page = opened("Compare")
    page.get_by_label("Beside it").click()
    page.get_by_role("option", name="judge-second").click()
    page.locator("#judge-compare").click()
    page.get_by_alt_text("24 pictures by judge-first from seed 0").wait_for()
    page.get_by_alt_text("24 pictures by judge-second from seed 0").wait_for()
    page.locator("summary", has_text="Recipes differ in").click()
    assert "judge-second-data.npz" in page.get_by_role("row", name="data.source").inner_text()


def test_likes_teach_a_new_run(opened: Callable[[str], Page], judged: fenshen.Run, studio: Studio) -> None:
    page, before = opened("Likes"), set(studio.runs.iterdir())
    tiles = page.locator("#judge-tiles button")
    page.locator("#judge-teach").click()
    page.get_by_text("choose at least one picture that you like").wait_for()
    for index in (0, 1, 2, 2, 3, 3, 3):
        tiles.nth(index).click()
    tiles.nth(4).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert [tiles.nth(index).get_attribute("data-mark") for index in range(6)] == ["like", "like", "dislike", "none", "none", "like"]
    assert tiles.nth(2).get_attribute("aria-label") == "picture 2: disliked"
    page.locator("#judge-count", has_text="3 liked, 1 disliked").wait_for()
    page.locator("#judge-teach").click()
    page.get_by_text("3 likes and 1 dislikes").wait_for()
    (made,) = set(studio.runs.iterdir()) - before
    run = fenshen.load(made)
    assert run.recipe.adapt.parent == str(judged.path.resolve()) and run.folder.preference.exists()
    page.get_by_alt_text(f"pictures by {made.name}").wait_for()


@pytest.mark.parametrize("name", ["../runs/judge-first", "./judge-first"])
def test_other_names_lead_nowhere(page: Page, judged: fenshen.Run, name: str) -> None:
    page.goto(f"/en/judge?run={name}")
    page.get_by_text("There is no run").wait_for()
    page.locator("#judge-measure").wait_for()


@pytest.mark.usefixtures("judged", "other")
@pytest.mark.parametrize(("language", "scheme", "width"), [("en", "light", 1280), ("zh", "dark", 390)])
def test_nothing_severe_at_any_tab(visitor: Callable[..., Page], language: str, scheme: str, width: int) -> None:
    page = visitor(color_scheme=scheme, viewport={"width": width, "height": 844}, reduced_motion="reduce")
    page.goto(f"/{language}/judge?run=judge-first")
    for place, ready in enumerate(("#judge-measure", "#judge-compared h2", "#judge-audit", "#judge-tiles button")):
        page.get_by_role("tab").nth(place).click()
        if place == 1:
            page.locator("#judge-compare").click()
        if place == 3:
            page.locator(ready).nth(1).dblclick()
        page.locator(ready).first.wait_for()
        page.wait_for_timeout(300)
        assert not findings(page), ready


@pytest.mark.slow  # Two processes that load torch, and an encoder that is trained.
@pytest.mark.parametrize(("tab", "button", "file", "seen"), [
    ("Report", "#judge-measure", "report.json", "#judge-report iframe"), ("Leaks", "#judge-audit", "audit.json", "#judge-leaks li"),
])  # fmt: skip
def test_measured_from_the_page(opened: Callable[[str], Page], judged: fenshen.Run, tab: str, button: str, file: str, seen: str) -> None:
    for name in ("report.html", "report.json"):
        Path(judged.path / name).unlink(missing_ok=True)
    page = opened(tab)
    page.locator(button).click()
    page.get_by_role("status").first.wait_for()
    page.reload()
    page.get_by_role("tab", name=tab).click()
    page.locator(seen).first.wait_for(timeout=120_000)
    assert (judged.path / file).exists()

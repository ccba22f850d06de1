"""The page Make in a browser: pictures taken in hand, turned, put aside and saved; words that grow, stop, and show what they copied."""

from __future__ import annotations

import json
import random
import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from made import picture, pixels
from PIL import Image

from browser.test_accessibility import findings

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from browser.conftest import Studio

FAST = {"train.ticks": 1, "train.threads": 1, "train.precision": "fp32", "train.batch": 16, "autopilot": "off", "evaluate.report": False}
COUNTED = {"evaluate.report": False, "data.held_out": 0.0}


@pytest.fixture(scope="module")
def runs(studio: Studio, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`make-pictures` (labels), `make-larger` (enlarges), `make-whole` (repairs), `make-words` and `make-talk`, all of them hardly trained."""
    import fenshen

    folder = tmp_path_factory.mktemp("make")
    images = np.stack([pixels(seed, 16) for seed in range(40)])
    np.savez(folder / "small.npz", images=images, labels=np.array(["a", "b"] * 20))
    fenshen.train(folder / "small.npz", kimg=0.016, changes=FAST, out=studio.runs / "make-pictures")
    fenshen.train(folder / "small.npz", kimg=0.016, changes=FAST, task="upscale=2", out=studio.runs / "make-larger")
    fenshen.train(folder / "small.npz", kimg=0.016, changes=FAST, task="inpaint", out=studio.runs / "make-whole")
    (folder / "small.npz").unlink()  # Without it no measuring network is taught first.
    (folder / "words.txt").write_text("\n".join(f"the river has carried all our boats for {number} years" for number in range(200)))
    fenshen.train(folder / "words.txt", "ngram", changes=COUNTED | {"model.order": 5}, out=studio.runs / "make-words")
    said = [("hello", "good morning"), ("how are you", "very well")]
    turns = [{"conversation": str(n), "speaker": who, "text": text} for n in range(40)
             for who, text in zip(("Ann", "Ben"), random.Random(n).choice(said), strict=True)]  # fmt: skip
    (folder / "talk.json").write_text(json.dumps(turns))
    fenshen.train(folder / "talk.json", "ngram", changes=COUNTED | {"model.order": 5}, out=studio.runs / "make-talk")
    return studio.runs


def shown(page: Page, place: str) -> str:
    """The address of the picture that is there."""
    return page.locator(f"{place} img").first.get_attribute("src") or ""


def test_pictures_in_hand(page: Page, runs: Path) -> None:
    page.goto("/en/make?run=make-pictures")
    page.get_by_role("button", name="Make", exact=True).click()
    tiles = page.locator("#make-tiles button")
    tiles.nth(23).wait_for()
    assert tiles.count() == 24
    tiles.nth(2).click()
    page.get_by_role("button", name="Put aside", exact=True).click()
    page.locator("#make-picks img").wait_for()
    tiles.nth(5).press("Enter")
    page.wait_for_function("document.querySelector('#make-held figcaption').textContent.includes('picture 5 of seed 0')")
    assert tiles.nth(5).get_attribute("aria-pressed") == "true" and tiles.nth(2).get_attribute("aria-pressed") == "false"
    before = shown(page, "#make-held")
    page.get_by_label("range slider for Direction 1").fill("2")
    page.wait_for_function("(old) => document.querySelector('#make-held img').src !== old", arg=before)
    page.get_by_role("button", name="Turn back").click()
    page.wait_for_function("(old) => document.querySelector('#make-held img').src === old", arg=before)
    page.get_by_role("button", name="Put aside", exact=True).click()
    page.locator("#make-picks img").nth(1).wait_for()
    page.get_by_role("button", name="A path through all").click()
    page.locator("#make-film img[src^='data:image/webp']").wait_for()
    page.get_by_role("button", name="Mix the last two").click()
    page.locator("#make-tiles img[alt*=' with picture 5 of seed 0']").first.wait_for()


def test_pictures_are_saved(page: Page, runs: Path, tmp_path: Path) -> None:
    page.goto("/en/make?run=make-pictures")
    page.get_by_role("button", name="Make", exact=True).click()
    page.locator("#make-tiles button").nth(2).click()
    page.locator("#make-held img").wait_for()
    with page.expect_download() as fetched:
        page.get_by_role("button", name="Each one (.zip)").click()
    with zipfile.ZipFile(fetched.value.path()) as archive:
        assert len(archive.namelist()) == 24
    with page.expect_download() as fetched:
        page.get_by_role("link", name="Download").click()
    fetched.value.save_as(tmp_path / "held.png")
    assert Image.open(tmp_path / "held.png").text["Source"] == "made by a generative model"


def test_a_picture_of_ones_own(page: Page, runs: Path, tmp_path: Path) -> None:
    picture(1, 30).save(tmp_path / "me.png")
    page.goto("/en/make?run=make-pictures")
    page.get_by_role("button", name="Bring your own").wait_for()
    page.locator("#make-bench input[type=file]").set_input_files(tmp_path / "me.png")
    page.get_by_text("Your picture as this run sees it").wait_for()
    assert "me.png" in page.locator("#make-held figcaption").inner_text()
    page.get_by_text("Vary it").click()
    page.get_by_role("button", name="Vary", exact=True).click()
    page.locator("#make-tiles img[alt='me.png, varied: 23']").wait_for()


def test_a_picture_becomes_larger(page: Page, runs: Path, tmp_path: Path) -> None:
    picture(1, 20, 30).save(tmp_path / "small.png")
    page.goto("/zh/make?run=make-larger")
    page.get_by_text("点击选择文件").wait_for()  # Gradio's own words too, whatever language the browser has.
    page.get_by_role("button", name="放大").click()
    page.get_by_text("还没有图片").wait_for()
    page.locator("#make-source input[type=file]").set_input_files(tmp_path / "small.png")
    page.get_by_text("small.png").wait_for()
    page.get_by_role("button", name="放大").click()
    page.get_by_text("之后，60 × 40").wait_for()
    with page.expect_download() as fetched:
        page.locator("#make-file").click()
    fetched.value.save_as(tmp_path / "large.png")
    assert Image.open(tmp_path / "large.png").size == (60, 40)


@pytest.mark.slow  # The editor draws by WebGL, which the processor has to stand in for.
def test_a_picture_is_repaired_where_it_was_painted_over(page: Page, runs: Path, tmp_path: Path) -> None:
    whole = picture(1, 80, 120)
    whole.save(tmp_path / "whole.png")
    page.goto("/en/make?run=make-whole")
    page.locator("#make-source input[type=file]").first.set_input_files(tmp_path / "whole.png")
    page.get_by_label("Brush").first.wait_for()
    page.wait_for_timeout(1000)  # The editor fits the picture into its place.
    box = page.locator("#make-source canvas").first.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 10, y, steps=4)
    page.mouse.up()
    page.wait_for_timeout(300)
    page.get_by_role("button", name="Repair").click()
    page.get_by_text("after, 120 × 80").wait_for()
    with page.expect_download() as fetched:
        page.locator("#make-file").click()
    fetched.value.save_as(tmp_path / "repaired.png")
    changed = (np.asarray(Image.open(tmp_path / "repaired.png")) != np.asarray(whole)).any(2)
    assert changed[40, 60] and not changed[:10].any() and not changed[:, :10].any()


def test_words_grow_and_show_what_they_copied(page: Page, runs: Path) -> None:
    page.goto("/en/make?run=make-words")
    page.get_by_label("Beginning").fill("the river")
    page.get_by_role("button", name="Make", exact=True).click()
    page.get_by_text(re.compile(r"longest run of the training text: \d+ characters")).wait_for()
    assert page.locator("#make-paper article").inner_text().startswith("the river has")
    assert page.locator("#make-paper mark").count() >= 1
    page.wait_for_timeout(500)  # Until the button that can be pressed again has its full color.
    assert not findings(page)
    with page.expect_download() as fetched:
        page.get_by_role("button", name="Save as rows").click()
    assert json.loads(Path(fetched.value.path()).read_text("utf-8").splitlines()[0])["prompt"] == "the river"
    page.get_by_label("Beginning").fill("龙")
    page.get_by_role("button", name="Make", exact=True).click()
    page.get_by_text("this run has never seen 龙").wait_for()


def test_words_stop(page: Page, runs: Path) -> None:
    page.goto("/en/make?run=make-words")
    page.get_by_text("More wishes").click()
    page.get_by_label("so many lines").check()
    page.get_by_label("number input for Lines").fill("40")
    page.get_by_label("number input for How many").fill("16")
    page.get_by_label("number input for Characters at most").fill("4000")
    page.get_by_role("button", name="Make", exact=True).click()
    page.wait_for_function("document.querySelector('#make-paper article')?.textContent.length > 20")
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Save as text").wait_for()
    text = page.locator("#make-paper article").first.inner_text()
    assert len(text) > 20 and text.count("\n") < 39


def test_a_conversation(page: Page, runs: Path) -> None:
    page.goto("/en/make?run=make-talk")
    page.get_by_label("You say").fill("hello")
    page.get_by_label("You say").press("Enter")
    answer = page.locator("#make-talk .mine p")
    answer.wait_for()
    page.wait_for_function("document.querySelector('#make-talk .mine p').textContent.length > 3")
    page.get_by_role("tab", name="Write").click()
    page.get_by_label("Beginning").wait_for()


def test_two_people_at_one_run(visitor, runs: Path) -> None:
    first, second = visitor(), visitor()
    for person, number in ((first, 1), (second, 4)):
        person.goto("/en/make?run=make-pictures")
        person.get_by_role("button", name="Make", exact=True).click()
        person.locator("#make-tiles button").nth(number).click()
        person.get_by_text(f"picture {number} of seed 0").wait_for()
    assert "picture 1 of" in first.locator("#make-held").inner_text()


def test_a_run_that_is_not_there(page: Page, runs: Path) -> None:
    page.goto("/en/make?run=../make-pictures")
    page.get_by_text("There is no run ../make-pictures").wait_for()
    page.get_by_label("Run", exact=True).click()
    page.get_by_role("option", name="make-words · words").click()
    page.get_by_label("Beginning").wait_for()

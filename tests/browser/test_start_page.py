"""The page Start: files are dropped and looked at, strangers' files are refused, and everybody sees only their own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import made

from browser.test_accessibility import findings

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from browser.conftest import Studio


def opened(page: Page, language: str = "en") -> Page:
    page.goto(f"/{language}/")
    page.locator(".fs-drop").wait_for()
    return page


def choose(page: Page, kind: str, *paths: Path) -> None:
    page.locator(f"input[name={kind}]").set_input_files([str(path) for path in paths])


def test_a_folder_is_sent_and_looked_at(page: Page, studio: Studio, tmp_path: Path) -> None:
    broken = {"dog/broken.png": b"not a picture", "setup.exe": b"MZ"}
    pets = made.write_folder(tmp_path / "pets", made.classes(11) | broken)
    opened(page)
    choose(page, "folder", pets)
    looked = page.locator(".fs-data")
    looked.wait_for()
    assert "pets" in looked.locator("h2").inner_text() and "22 pictures" in looked.locator("h2").inner_text()
    assert looked.locator(".fs-thumbnails img").count() == 22
    assert "cat 11" in looked.inner_text() and "dog 11" in looked.inner_text()
    assert "broken.png" in looked.locator(".fs-folded.bad").text_content()
    assert "setup.exe is neither pictures nor words" in page.locator(".fs-drop-refused").inner_text()
    page.get_by_role("button", name="Remove them again").click()
    looked.wait_for(state="detached")
    assert not list((studio.runs / ".studio" / "files").glob("*/files/pets"))


def test_what_is_dropped_is_taken(page: Page) -> None:
    opened(page)
    script = """() => {
      const files = new DataTransfer();
      for (const name of ["one", "two"]) files.items.add(new File([`${name} night there was a river. `.repeat(400)], `${name}.txt`));
      document.querySelector(".fs-drop").dispatchEvent(new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true }));
    }"""
    page.evaluate(script)
    page.locator(".fs-drop-said", has_text="2 files are here.").wait_for()
    page.locator(".fs-data h2", has_text="2 documents").wait_for()
    assert "two night there was a river." in page.locator(".fs-excerpts").inner_text()


def test_words_in_chinese(page: Page, tmp_path: Path) -> None:
    book = tmp_path / "book.txt"
    book.write_text("\n\n".join(f"第{number}章 春眠不觉晓，处处闻啼鸟。" * 20 for number in range(40)), "utf-8")
    opened(page, "zh")
    choose(page, "files", book)
    page.locator(".fs-data blockquote").first.wait_for()
    assert "春眠不觉晓" in page.locator(".fs-data").inner_text()
    assert page.get_by_role("radio", name="transformer").is_checked()


def test_hostile_files_are_refused_in_words(page: Page, tmp_path: Path) -> None:
    opened(page)
    program, bomb, escape = tmp_path / "setup.exe", tmp_path / "bomb.zip", tmp_path / "escape.zip"
    program.write_bytes(b"MZ")
    choose(page, "files", program)
    page.get_by_text("Nothing of it can be used.").wait_for()
    made.write_zip(bomb, {f"{number}.png": bytes(1 << 20) for number in range(160)})
    choose(page, "files", bomb)
    page.get_by_role("alert").filter(has_text="a decompression bomb?").wait_for()
    assert page.locator("#train").is_hidden()
    made.write_zip(escape, {"../../up.png": made.png(1)})
    choose(page, "files", escape)
    page.get_by_role("alert").filter(has_text="points outside of the archive").wait_for()


def test_too_large_for_the_browser(page: Page, tmp_path: Path) -> None:
    opened(page)
    page.evaluate("document.querySelector('.fs-drop').dataset.largest = 10")
    (tmp_path / "large.png").write_bytes(made.png(1))
    choose(page, "files", tmp_path / "large.png")
    page.locator(".fs-drop-refused").get_by_text("large.png is too large").wait_for()


def test_two_people_see_only_their_own(visitor: Callable[..., Page], studio: Studio, tmp_path: Path) -> None:
    pages = [opened(visitor()), opened(visitor())]
    for page, name in zip(pages, ("mine", "yours"), strict=True):
        choose(page, "folder", made.write_folder(tmp_path / name, made.files(4)))
    for page, name, other in zip(pages, ("mine", "yours"), ("yours", "mine"), strict=True):
        page.locator(".fs-data h2", has_text=name).wait_for()
        assert other not in page.locator("body").inner_text()
    folders = [path.parents[1] for path in (studio.runs / ".studio" / "files").glob("*/files/*") if path.name in ("mine", "yours")]
    assert len(set(folders)) == 2


def test_a_name_from_outside_stays_a_name(page: Page, tmp_path: Path) -> None:
    """Labels are escaped, and nothing in them is taken for a template."""
    label = "${1+1} {{value}} &lt;b onclick='x'"
    opened(page)
    choose(page, "folder", made.write_folder(tmp_path / "set", {f"{label}/{i}.png": made.png(i) for i in range(3)} | {"b/1.png": made.png(9)}))
    page.locator(".fs-chips").wait_for()
    assert label in page.locator(".fs-chips").inner_text()


def test_settings_are_passed_on_and_mistakes_told(page: Page, studio: Studio) -> None:
    opened(page).locator("#built-in-digits").click()
    page.locator(".fs-settings > summary").click()
    page.locator(".fs-settings details summary", has_text="Training").click()
    page.locator("#set-train-batch").fill("-5")
    page.locator("#set-train-lr").fill("0.002")
    page.get_by_role("alert").filter(has_text="train.batch = -5: at least 1").wait_for()
    page.locator("#set-train-batch").fill("")
    page.locator("#set-train-batch").blur()
    page.locator("#told", has_text="Changed: train.lr = 0.002").wait_for()
    assert not findings(page)
    page.locator("#train").click()
    page.wait_for_url("**/en/train*")
    jobs = [json.loads(path.read_text()) for path in sorted((studio.runs / ".studio" / "jobs").glob("*/job.json"))]
    assert jobs[-1]["changes"] == {"train.lr": "0.002"} and jobs[-1]["source"] == "digits" and jobs[-1]["minutes"] == 3
    page.locator("#pause").click()
    page.locator("#pause").wait_for(state="detached")

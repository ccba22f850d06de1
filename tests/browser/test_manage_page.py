"""The page Manage, in a real browser: a run is renamed, exported, packed, brought in, deleted; other names lead nowhere."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from made import write_zip

from browser.test_accessibility import findings
from browser.tiny import picture_run

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from browser.conftest import Studio


@pytest.fixture(scope="module")
def kept(studio: Studio) -> Path:
    """A run that stays through all these tests."""
    return picture_run(studio.runs, "manage-kept").path


@pytest.fixture
def copy(kept: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Another run, the same under a new name."""
    import fenshen

    return lambda name: fenshen.unpack(fenshen.load(kept).pack(tmp_path / f"{name}.zip"), name).path


@pytest.fixture(autouse=True)
def here(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process keeps its runs where the studio does."""
    monkeypatch.setenv("FENSHEN_RUNS", str(studio.runs))


def row(page: Page, name: str) -> Locator:
    return page.locator(f"#manage-list [data-run='{name}']")


def opened(page: Page, name: str) -> Page:
    """With this run chosen."""
    page.goto("/en/manage")
    row(page, name).click()
    page.locator("#manage-bench").get_by_role("heading", level=2, name=name).wait_for()
    return page


def test_runs_are_listed_and_one_is_chosen_by_keyboard(page: Page, kept: Path) -> None:
    page.goto("/zh/manage")
    row(page, "manage-kept").wait_for()
    assert "图片" in row(page, "manage-kept").inner_text() and "已完成" in row(page, "manage-kept").inner_text()
    assert page.locator("#manage-list img").first.get_attribute("src").startswith("data:image/png;base64,")
    row(page, "manage-kept").focus()
    page.keyboard.press("Enter")
    page.locator("#manage-bench").get_by_role("heading", level=2, name="manage-kept").wait_for()
    assert row(page, "manage-kept").get_attribute("aria-pressed") == "true"


def test_the_address_chooses_and_a_path_chooses_nothing(page: Page, kept: Path) -> None:
    page.goto("/en/manage?run=manage-kept")
    page.locator("#manage-bench").get_by_role("heading", level=2, name="manage-kept").wait_for()
    for name in ("../runs/manage-kept", str(kept), "."):
        page.goto(f"/en/manage?run={name}")
        row(page, "manage-kept").wait_for()
        assert not page.locator("#manage-bench").is_visible()


def test_rename(page: Page, studio: Studio, copy: Callable[[str], Path]) -> None:
    before = copy("manage-old")
    opened(page, "manage-old")
    for name, said in (("manage-kept", "already"), ("../manage-out", "does not begin with"), ("a/b", "no slash")):
        page.locator("#manage-name textarea, #manage-name input").fill(name)
        page.locator("#manage-rename").click()
        page.get_by_text(re.compile(said)).last.wait_for()
        assert before.exists()
    page.locator("#manage-name textarea, #manage-name input").fill("manage-new")
    page.locator("#manage-rename").click()
    row(page, "manage-new").wait_for()
    assert not before.exists() and (studio.runs / "manage-new" / "recipe.toml").exists() and row(page, "manage-old").count() == 0


def test_export_and_pack(page: Page, kept: Path, tmp_path: Path) -> None:
    opened(page, "manage-kept")
    page.get_by_label("model.onnx").uncheck()
    with page.expect_download() as download:
        page.locator("#manage-export").click()
    files = {f"manage-kept/{name}" for name in ("weights.safetensors", "recipe.toml", "card.md")}
    assert set(zipfile.ZipFile(download.value.path()).namelist()) == files
    page.get_by_role("status").get_by_text("card.md").wait_for()
    with page.expect_download() as download:
        page.locator("#manage-pack").click()
    assert download.value.suggested_filename == "manage-kept.zip"
    assert "manage-kept/state/last.safetensors" in zipfile.ZipFile(download.value.path()).namelist()


@pytest.mark.slow  # A graph is exported and checked.
def test_export_to_onnx_says_how_near_it_is(page: Page, kept: Path) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    opened(page, "manage-kept")
    with page.expect_download(timeout=120_000) as download:
        page.locator("#manage-export").click()
    assert "manage-kept/model.onnx" in zipfile.ZipFile(download.value.path()).namelist()
    page.get_by_role("status").get_by_text("largest difference").wait_for()


def drop(page: Page, file: Path) -> None:
    with page.expect_file_chooser() as chooser:
        page.locator("#manage-upload").click()
    chooser.value.set_files(file)


def test_import(page: Page, studio: Studio, kept: Path, tmp_path: Path) -> None:
    import fenshen

    packed = fenshen.load(kept).pack(tmp_path / "run.zip")
    hostile = write_zip(tmp_path / "hostile.zip", {"recipe.toml": "", "weights.safetensors": "", "../../evil.toml": "x"})
    page.goto("/en/manage")
    page.get_by_text("Bring in a run").click()
    drop(page, hostile)
    page.get_by_text("points outside").wait_for()
    page.get_by_label("Name").first.fill("manage-brought")
    drop(page, packed)
    page.locator("#manage-bench").get_by_role("heading", level=2, name="manage-brought").wait_for()
    assert (studio.runs / "manage-brought" / "weights.safetensors").read_bytes() == (kept / "weights.safetensors").read_bytes()
    assert not list(studio.runs.parent.glob("evil.toml"))


def test_delete_asks(page: Page, copy: Callable[[str], Path]) -> None:
    path = copy("manage-gone")
    opened(page, "manage-gone")
    page.locator("#manage-delete").click()
    page.get_by_role("alert").get_by_text("deleted for good").wait_for()
    page.locator("#manage-keep").click()
    page.locator("#manage-really").wait_for(state="hidden")
    assert path.exists()
    page.locator("#manage-delete").click()
    page.locator("#manage-really").click()
    row(page, "manage-gone").wait_for(state="detached")
    assert not path.exists() and not page.locator("#manage-bench").is_visible()


def test_what_trains_is_left_alone(page: Page, copy: Callable[[str], Path]) -> None:
    import fenshen

    path = copy("manage-held")
    with fenshen.load(path).folder.held():
        opened(page, "manage-held")
        page.locator("#manage-delete").click()
        page.locator("#manage-really").click()
        page.get_by_text("is being trained").last.wait_for()
    assert path.exists()


@pytest.mark.parametrize(("language", "scheme", "width"), [("en", "dark", 1280), ("zh", "light", 390)])
def test_nothing_severe_with_all_open(visitor: Callable[..., Page], kept: Path, language: str, scheme: str, width: int) -> None:
    page = visitor(color_scheme=scheme, viewport={"width": width, "height": 844}, reduced_motion="reduce")
    page.goto(f"/{language}/manage?run=manage-kept")
    page.locator("#manage-delete").click()
    page.locator("#manage-really").wait_for()
    page.locator("button.label-wrap").click()
    page.locator("#manage-upload").wait_for()
    page.wait_for_timeout(300)
    assert not findings(page)

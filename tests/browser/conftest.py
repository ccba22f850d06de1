"""A studio as a process of its own, and a browser that reaches nothing but it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NOWHERE = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"  # No name leads anywhere, whoever in the browser asks.
PATIENCE_MS = 20_000
LEAVING = ("AbortError", "Connection errored out")  # What gradio logs where a page is left while an event still streams.


@dataclass(frozen=True)
class Studio:
    """A running studio: its address, `http://127.0.0.1:PORT`, and the folder of its runs."""

    address: str
    runs: Path
    process: subprocess.Popen[str]


def open_studio(folder: Path) -> Studio:
    """Starts one with its runs under `folder`, and waits until it answers."""
    environment = os.environ | {"FENSHEN_RUNS": str(folder / "runs"), "FENSHEN_LANG": "en"}
    environment.pop("FENSHEN_PASSWORD", None)
    words = [sys.executable, "-m", "fenshen", "studio", "--no-browser"]
    process = subprocess.Popen(words, env=environment, cwd=folder, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if "http://" in line:
            return Studio(line[line.index("http://") :].strip(), folder / "runs", process)
    raise AssertionError(f"the studio ended with {process.wait()} before it answered")


def close_studio(studio: Studio) -> None:
    """Ends it as Ctrl-C would; what trains is saved."""
    studio.process.terminate()
    studio.process.wait(timeout=60)


@pytest.fixture(scope="package")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """One for all tests of this folder: tell your runs from those of others by their names."""
    pytest.importorskip("gradio", reason="the studio needs gradio: pip install 'fenshen[studio]'")
    opened = open_studio(tmp_path_factory.mktemp("studio"))
    yield opened
    close_studio(opened)


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium. Skips, and says why, where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="no browser tests without playwright: pip install playwright")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip("no browser tests without Chromium: apt-get install chromium")
    with playwright.sync_playwright() as engine:
        opened = engine.chromium.launch(executable_path=path, args=["--no-sandbox", NOWHERE])
        yield opened
        opened.close()


@pytest.fixture
def visitor(browser: Browser, studio: Studio) -> Iterator[Callable[..., Page]]:
    """`visitor()`: the page of one more person, who shares nothing with the others. Fails where any page asked elsewhere, or went wrong."""
    wrong: list[str] = []
    contexts: list[BrowserContext] = []

    def arrive(**wishes: Any) -> Page:
        context = browser.new_context(base_url=studio.address, locale="en-US", **wishes)
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        watch(page, studio.address, wrong)
        return page

    yield arrive
    for context in contexts:
        context.close()
    assert not wrong, "\n".join(wrong)


@pytest.fixture
def page(visitor: Callable[..., Page]) -> Page:
    """The page of the only person there."""
    return visitor()


def watch(page: Page, address: str, wrong: list[str]) -> None:
    """Collects what must not happen. A request that a page breaks off as it is left is none of it."""

    def asked(request: Any) -> None:
        if not request.url.startswith((address, "data:", "blob:")):
            wrong.append(f"asked elsewhere: {request.url}")

    def failed(request: Any) -> None:
        if "ERR_ABORTED" not in (request.failure or ""):
            wrong.append(f"{request.failure}: {request.url}")

    def logged(line: Any) -> None:
        if line.type == "error" and not any(words in line.text for words in LEAVING):
            wrong.append(f"console: {line.text}")

    page.on("request", asked)
    page.on("requestfailed", failed)
    page.on("response", lambda answer: wrong.append(f"{answer.status}: {answer.url}") if answer.status >= 400 else None)
    page.on("console", logged)
    page.on("pageerror", lambda error: wrong.append(f"script: {error}"))

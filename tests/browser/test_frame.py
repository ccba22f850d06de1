"""What is around every page, in a real browser against a real studio."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page


def test_language_and_place(page: Page) -> None:
    page.goto("/en/train?run=none")
    page.get_by_role("heading", level=1, name="Train").wait_for()
    page.wait_for_function("document.title === 'Train · fenshen'")
    page.get_by_role("link", name="中文").click()
    page.get_by_role("heading", level=1, name="训练").wait_for()
    assert page.url.endswith("/zh/train?run=none")
    assert page.evaluate("document.documentElement.lang") == "zh-CN"


@pytest.mark.parametrize(("address", "heading"), [("/en/", "What shall it learn from?"), ("/en/make", "Make"),
                                                 ("/zh/judge", "评判"), ("/zh/manage", "管理")])
def test_pages_open(page: Page, address: str, heading: str) -> None:
    page.goto(address)
    page.get_by_role("heading", level=1, name=heading).wait_for()
    assert page.locator("nav [aria-current=page]").count() == 1

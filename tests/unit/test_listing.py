"""What the pages Judge and Manage are made of, without a browser: names, looks, order, reports in frames, marks, parcels."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from fenshen.errors import RunFolderError
from fenshen.evaluate.comparison import Comparison
from fenshen.evaluate.page import Page, harmless, only, render
from fenshen.media.image import grid, save_picture
from fenshen.studio import judging, listing, parcel
from fenshen.studio.desk import Desk

ROWS = [
    {"name": "b", "data": "cats", "network": "conv nano", "family": "gan", "when": "2026-01-02", "bytes": 3},
    {"name": "A", "data": "dogs", "network": "mlp", "family": "vae", "when": "2026-01-03", "bytes": 2},
    {"name": "c", "data": "cats", "network": "mlp", "family": "vae", "when": "2026-01-01", "bytes": 9},
]


@pytest.mark.parametrize(("query", "order", "names"), [
    ("", "when", "Abc"), ("", "name", "Abc"), ("", "bytes", "cbA"), ("CATS", "when", "bc"), ("mlp vae", "bytes", "cA"), ("nothing", "when", ""),
])  # fmt: skip
def test_runs_are_found_and_put_in_order(query: str, order: str, names: str) -> None:
    assert "".join(row["name"] for row in listing.chosen_from(ROWS, query, order)) == names


def test_a_look_is_the_corner_of_the_newest_sheet(tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text('{"resolution": 8}')
    pictures = np.zeros((16, 8, 8, 1), np.uint8)
    pictures[:2], pictures[4:6] = 255, 255
    save_picture(grid(pictures, 4), tmp_path / "samples" / "000000001.png")
    first = listing.look(tmp_path)
    assert 'src="data:image/png;base64,' in first and listing.look(tmp_path) == first
    save_picture(grid(255 - pictures, 4), tmp_path / "samples" / "000000002.png")
    assert listing.look(tmp_path) != first
    (tmp_path / "data.json").write_text('{"resolution": 1000000000}')
    save_picture(grid(pictures, 4), tmp_path / "samples" / "000000003.png")
    assert listing.look(tmp_path).startswith("<img") and listing.look(tmp_path / "nowhere") == ""


def test_the_first_words_are_escaped(tmp_path: Path) -> None:
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "000000001.txt").write_text("<script>\n" + "word " * 100)
    assert "&lt;script&gt; word" in listing.look(tmp_path) and len(listing.look(tmp_path)) < 200


def test_only_names_of_runs_lead_to_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FENSHEN_RUNS", str(tmp_path / "runs"))
    for name in ("runs/one", "other"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "recipe.toml").write_text("[")
    assert listing.find("one").path == tmp_path / "runs" / "one"
    for name in ("../other", str(tmp_path / "other"), "", ".", "one/"):
        with pytest.raises(RunFolderError):
            listing.find(name)
    row = listing.row(Desk(tmp_path / "desk"), "one")
    assert row is not None and row["state"] == "damaged" and listing.row(Desk(tmp_path / "desk"), "../other") is None


def test_one_section_of_a_report_is_a_page_of_its_own() -> None:
    page = render(Page("run", ["Good."], copying=["No sign of copying."], recipe="x = 1"))
    part = only(page, "copying")
    assert "No sign of copying." in part and "Good." not in part and "x = 1" not in part
    assert harmless(part) and part.endswith("</html>") and only(page, "nothing") == "" and only("", "copying") == ""


def test_a_frame_runs_nothing_and_says_its_language() -> None:
    page = render(Page("run", ['"><script>alert(1)</script>']))
    frame = judging.frame(page, "x")
    assert frame.startswith("<iframe srcdoc=") and 'sandbox="allow-same-origin"' in frame and "<script" not in frame
    assert not judging.in_another_language(page) and judging.in_another_language(page.replace('lang="en"', 'lang="zh-CN"', 1))


def test_marks_are_told_and_counted() -> None:
    tiles = judging.tiles(np.zeros((3, 8, 8, 1), np.uint8), {0: True, 2: False})
    assert [tiles.count(f'data-mark="{mark}"') for mark in ("like", "dislike", "none")] == [1, 1, 1] and 'aria-label="picture 2: disliked"' in tiles
    assert "2 liked, 1 disliked" in judging.counted({(0, 0): True, (0, 1): True, (1, 0): False}) and "at least one" in judging.counted({(0, 0): True})


def test_what_cannot_be_compared_is_said() -> None:
    report = {"fingerprint": "a", "encoder": "b", "scores": [{"name": "kid", "value": 1.0, "low": 0.9, "high": 1.1, "better": "lower", "samples": 9}]}
    pair = Comparison(("x", "y"), {}, {}, (report, report | {"encoder": "c"}))
    assert pair.scores() == [] and "different encoders" in pair.remark()
    assert "not both" in Comparison(("x", "y"), {}, {}, (report, None)).remark()
    worse = {**report["scores"][0], "value": 2.0, "low": 1.9, "high": 2.1}  # type: ignore[index]
    pair = Comparison(("x", "y"), {}, {}, (report, report | {"scores": [worse]}))
    assert pair.remark() == "" and [cell.endswith("*") for cell in pair.scores()[0][1:]] == [True, False]


def test_parcels_are_their_owners_and_go_after_an_hour(tmp_path: Path) -> None:
    old = parcel.fresh(tmp_path)
    os.utime(old, (0, 0))
    new = parcel.fresh(tmp_path)
    assert not old.exists() and new.stat().st_mode & 0o077 == 0 and new.name != old.name and len(new.name) == 32

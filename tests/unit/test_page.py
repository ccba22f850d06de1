"""The report: one file that needs nothing beside it, says what it was given, and stays whole whatever it was given."""

from __future__ import annotations

import base64
import io
import math
import re
import time
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import pixels
from PIL import Image

from fenshen.evaluate.charts import VOID, Axis, element, number, panel, scale, scale_axis, short, stretches, thinned, x_axis
from fenshen.evaluate.page import STYLE, Page, Score, grouped, meaning, render, shortened, write

HOSTILE = "<script>alert('x')</script>\"><img src=x onerror=1>&amp;\r\n\x00\x1b\u202etxt.exe\udcff 金毛"
SCORES = (
    Score("frechet", 2.31, 2.12, 2.55, 1.05, 672.0, "lower", 10000, 9000),
    Score("kid", 0.0021, 0.0012, 0.0031, -0.0002, 0.61, "lower", 10000, 9000),
    Score("recall", 0.82, 0.80, 0.84, 0.85, 0.0, "higher", 10000, 9000),
    Score("vendi", 35.0, 33.0, 37.0, 12.9, 1.0, "close", 5000, 5000),
    Score("mind", note="needs more than 64 held-out pictures; there are 9"),
)


class Checked(HTMLParser):
    """Reads a page, collects its tags and its visible text, and fails where tags are not balanced."""

    def __init__(self, page: str):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        assert tag not in VOID
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        assert tag in VOID

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data + "\n"

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def drawings(page: str) -> list[ET.Element]:
    """Every drawing, read as XML."""
    return [ET.fromstring(found) for found in re.findall(r"<svg.*?</svg>", page, re.DOTALL)]


def full(text: str = "plain") -> Page:
    """A page with something in every place."""
    points = [(float(kimg), math.sin(kimg) + 2) for kimg in range(1, 20)]
    return Page(
        title=text, verdict=[text, f"second {text}"], scores=[*SCORES, Score(text, 1.0, note=text)], classes=[(text, 40.0, 35.5), ("b", 60.0, 64.5)],
        grid=pixels(1, 60, 90), neighbours=pixels(2, 40, 80), copying=[text], events=[(5.0, text), (5.2, "close by"), (math.nan, "nowhere")],
        curves={"critic/adversarial": points, "critic/real": points, "critic/fake": points, "lr": points, text: points},
        facts={text: text, "pictures": 12}, recipe=f"# {text}\n[data]\n",
    )  # fmt: skip


def test_a_full_page_is_balanced_and_its_drawings_are_xml() -> None:
    page = render(full())
    read = Checked(page)
    assert page.startswith('<!doctype html>\n<html lang="en">')
    assert len(drawings(page)) == 4 + 2 + 4  # Scales of the scores that have one, bars of the classes, charts: logits share one.
    headings = ["What it makes", "How good it is", "Whether every class gets its share", "Whether it copies", "How training went",
                "What the autopilot did", "How it was made and measured", "Recipe"]  # fmt: skip
    places = [read.text.index(heading) for heading in ["second plain", *headings]]
    assert places == sorted(places)


@pytest.mark.parametrize("page", [full(), full(HOSTILE), Page("nothing")])
def test_nothing_is_fetched_and_nothing_runs(page: Page) -> None:
    rendered = render(page)
    read = Checked(rendered)
    assert not re.search(r"https?:|//[a-z]|@import|url\(", re.sub('base64,[^"]+', "", rendered))
    assert {name for name, _ in read.tags}.isdisjoint({"script", "iframe", "object", "base", "form", "a"})
    for name, attributes in read.tags:
        assert not any(key.startswith("on") for key in attributes), attributes
        assert all((attributes[key] or "").startswith("data:") for key in ("src", "href") if key in attributes), name
    assert "default-src 'none'" in (read.all("meta")[1]["content"] or "")


def test_hostile_names_come_out_as_text() -> None:
    rendered = render(full(HOSTILE))
    shown = Checked(rendered).text
    assert shown.count("<script>alert('x')</script>\"><img src=x onerror=1>&amp;") >= 9
    assert not set(rendered) & set("\x00\x1b\u202e\udcff\r")
    assert len(drawings(rendered)) == 10
    rendered.encode()


@settings(max_examples=40, deadline=None)
@given(st.text(st.characters(exclude_categories=[]), max_size=30))
def test_any_text_is_safe_in_any_place(text: str) -> None:
    made = element("p", text, title=text)
    assert ET.fromstring(made).get("title") is not None
    assert Checked(made).all("p")
    made.encode()


def test_what_is_empty_is_left_out() -> None:
    read = Checked(render(Page("nothing")))
    assert not read.all("section") and not read.all("img") and not read.all("svg")
    assert not Checked(render(Page("x", curves={"lr": []}))).all("section")


def test_chinese_pages_say_so_and_speak_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FENSHEN_LANG", "zh")
    monkeypatch.setattr("fenshen.lang.catalogue", lambda name: {"How good it is": "有多好", "Recall": "召回率", "kimg": "千张次"})
    rendered = render(full())
    assert '<html lang="zh-CN">' in rendered
    assert "有多好" in rendered and "召回率" in rendered and "0 千张次" in rendered and "How good it is" not in rendered


def test_scores_show_number_interval_floor_and_note() -> None:
    text = Checked(render(Page("x", scores=SCORES))).text
    for said in ("2.31", "2.12 to 2.55", "2.2× the floor", "0.00120 to 0.00310", "0.38 % toward the ceiling", "0.96× the floor",
                 "ceiling 672", "10,000 made against 9,000 real pictures.", "Higher is better.",
                 "needs more than 64 held-out pictures; there are 9", "—"):  # fmt: skip
        assert said in text, said


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("ends", [(None, None), (1.0, None), (1.0, 1.0), (math.nan, 2.0), (0.0, 1e300), (1e-300, 1.0), (-1.0, -5.0), (5.0, 0.0)])
def test_missing_and_odd_scores_keep_the_page_whole(value: float | None, ends: tuple[float | None, float | None]) -> None:
    for shown in (value, 3.0, 0.0, -2.0, 1e30):
        page = render(Page("x", scores=[Score("kid", shown, -math.inf, 4.0, *ends, note="why")]))
        assert "why" in Checked(page).text
        for drawing in drawings(page):
            assert "nan" not in ET.tostring(drawing, "unicode")


@pytest.mark.parametrize(("value", "floor", "ceiling", "expected"), [
    (1.0, 1.0, 5.0, 0.0), (5.0, 1.0, 5.0, 1.0), (3.0, 1.0, 5.0, 0.5), (0.4, 0.8, 0.0, 0.5), (10.0, 1.0, 100.0, 0.5), (0.1, 1.0, 0.01, 0.5),
    (7.0, 1.0, 5.0, 1.0), (100.0, 1.0, 5.0, 1.0), (-1.0, 1.0, 5.0, 0.0),
])  # fmt: skip
def test_the_marker_stands_where_it_should(value: float, floor: float, ceiling: float, expected: float) -> None:
    axis = scale_axis(value, floor, ceiling)
    assert axis.at(value) == pytest.approx(expected)
    assert axis.at(floor) < axis.at(ceiling)


def test_a_scale_draws_its_interval() -> None:
    drawn = ET.fromstring(scale("told", 3.0, (2.0, 4.0), 1.0, 5.0))
    interval = next(line for line in drawn.iter("line") if line.get("class") == "interval")
    assert (interval.get("x1"), interval.get("x2")) == ("26.00%", "74.00%")
    assert not list(ET.fromstring(scale("told", None, (None, None), 1.0, 5.0)).iter("circle"))


numbers = st.floats(allow_nan=True, allow_infinity=True)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(numbers, numbers), max_size=12), st.lists(st.tuples(numbers, st.just("did")), max_size=4))
def test_any_curve_can_be_drawn(points: list[tuple[float, float]], events: list[tuple[float, str]]) -> None:
    drawn = ET.fromstring(panel("title", {"a": points}, x_axis([points], events), events))
    assert not re.search(r"nan|inf(?!inite)", " ".join(path.get("d", "") for path in drawn.iter("path")))


@pytest.mark.parametrize("values", [[0.0] * 5, [3.0] * 5, [-2e-9], [math.nan] * 3, [1.0, math.nan, 2.0, 3.0], [1e-7, 1.0], [5e-324, 0.0]])
def test_odd_curves(values: list[float]) -> None:
    points = list(enumerate(values))
    drawn = ET.fromstring(panel("title", {"a": points}, x_axis([points], [])))
    finite = [value for value in values if math.isfinite(value)]
    assert bool(finite) == bool(list(drawn.iter("circle")))
    assert len([g for g in drawn.iter("g") if g.get("class") == "broken"]) == len(values) - len(finite)
    assert ("no values" in (drawn.findtext("title") or "")) == (not finite)


def test_long_curves_are_thinned_and_keep_their_spikes() -> None:
    points = [(float(kimg), math.sin(kimg / 50)) for kimg in range(1000)]
    points[517] = (517.0, 9.0)
    kept = thinned(points)
    assert len(kept) <= 242 and points[517] in kept and kept[0] == points[0] and kept[-1] == points[-1]
    assert list(kept) == sorted(kept)
    assert len(panel("t", {"a": points}, x_axis([points], []))) < 8000


def test_curves_are_cut_at_what_is_no_number() -> None:
    assert stretches([(2, 5.0), (1, 4.0), (3, math.inf), (math.nan, 1.0), (4, 6.0)]) == [[(1, 4.0), (2, 5.0)], [(4, 6.0)]]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-1e99, 1e99), min_size=1, max_size=5))
def test_axes_hold_their_values_with_a_handful_of_ticks(values: list[float]) -> None:
    axis = Axis.over(values)
    assert axis.low < axis.high and 2 <= len(axis.ticks()) <= 8
    assert all(axis.low <= value <= axis.high or math.isclose(axis.at(value) % 1, 0, abs_tol=1e-6) for value in values)
    places = [axis.at(tick) for tick in axis.ticks()]
    assert places == sorted(places) and len(axis.labels()) == len(places)


def test_events_mark_every_chart_and_are_listed() -> None:
    events = [(5.0, "went back"), (5.5, "halved"), (15.0, "again")]
    page = render(Page("x", curves={"lr": [(0.0, 1.0), (20.0, 2.0)], "kid": [(1.0, 1.0)]}, events=events))
    for drawing in drawings(page):
        marks = [g for g in drawing.iter("g") if g.get("class") == "mark"]
        assert [mark.findtext("title") for mark in marks] == ["1 · 5 kimg · went back", "2 · 5.5 kimg · halved", "3 · 15 kimg · again"]
        assert [text.text for text in drawing.iter("text") if "mark-number" in (text.get("class") or "")] == ["1–2", "3"]
    assert all(sentence in Checked(page).text for _, sentence in events)


def test_logits_of_one_player_share_a_chart() -> None:
    names = ["critic/real", "critic/fake", "critic/held_out", "generator/real", "lr", "own"]
    assert next(iter(grouped(names).items())) == (
        "Logits in the critic's steps", {"real": "critic/real", "made": "critic/fake", "held out": "critic/held_out"})  # fmt: skip
    assert list(grouped(names)) == ["Logits in the critic's steps", "Logits in the generator's steps", "Learning rate", "own"]


@pytest.mark.parametrize(("shape", "kind", "style"), [
    ((20, 30, 3), "tiny", "width:960px"), ((20, 30, 1), "tiny", "width:960px"), ((20, 30), "tiny", "width:960px"),
    ((20, 30, 4), "tiny", "width:960px"),
    ((300, 400, 3), "small", "width:800px"), ((700, 1000, 3), None, "width:1000px"),
])  # fmt: skip
def test_pictures_are_inside_and_small_ones_enlarged(shape: tuple[int, ...], kind: str | None, style: str) -> None:
    picture = np.zeros(shape, np.uint8)
    image = Checked(render(Page("x", grid=picture))).all("img")[0]
    assert (image.get("class"), image["style"]) == (kind, style) and image["alt"]
    assert (image["width"], image["height"]) == (str(shape[1]), str(shape[0]))
    with Image.open(io.BytesIO(base64.b64decode((image["src"] or "").split(",")[1]))) as read:
        assert read.size == (shape[1], shape[0]) and read.text["Source"] == "made by a generative model"  # type: ignore[attr-defined]


def test_large_pictures_do_not_make_large_pages() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (800, 900, 3), dtype=np.uint8)
    page = render(Page("x", grid=noise))
    assert "data:image/webp;base64," in page and len(page) < 1_500_000
    wide = Checked(render(Page("x", neighbours=np.zeros((10, 5000, 3), np.uint8)))).all("img")[0]
    assert wide["width"] == "4096"


def test_many_classes_show_the_furthest_first() -> None:
    classes = [(f"class {index}", 1.0, 1.0 + index / 100) for index in range(100)]
    page = render(Page("x", classes=classes))
    assert "All 100 classes" in page and page.count(">class 99</th>") == 2 and page.count(">class 3</th>") == 1
    assert page.index(">class 99</th>") < page.index(">class 88</th>") < page.index("<details>")
    assert Checked(render(Page("x", classes=[("a", math.nan, 1.0), ("b", 0.0, 0.0)]))).all("table")


def test_long_names_keep_their_ends() -> None:
    assert shortened("a" * 100 + "17").endswith("a17") and len(shortened("a" * 100)) == 61
    assert shortened("short") == "short"


def test_tables_have_headers_and_sections_names() -> None:
    read = Checked(render(full()))
    assert all(header.get("scope") in ("col", "row") for header in read.all("th"))
    assert {section["aria-labelledby"] for section in read.all("section")} == {heading["id"] for heading in read.all("h2")}
    assert all(drawing.find("title") is not None and drawing.get("role") == "img" for drawing in drawings(render(full())))


@pytest.mark.parametrize(("value", "expected"), [
    (0, "0"), (2.306, "2.31"), (12345.6, "12,346"), (0.0021, "0.00210"), (1.23e-7, "1.23×10⁻⁷"), (-0.5, "−0.500"), (9.996e-5, "0.000100"),
    (math.nan, "—"), (None, "—"), (3e9, "3.00×10⁹"), (5e-324, "4.94×10⁻³²⁴"),
])  # fmt: skip
def test_numbers(value: float | None, expected: str) -> None:
    assert number(value) == expected


def test_short_numbers() -> None:
    assert [short(value) for value in (0.0, 100.0, 0.25, 2e-9, 1000.0, -1.5)] == ["0", "100", "0.25", "2×10⁻⁹", "1,000", "−1.5"]


def test_known_measures_are_explained_and_others_stand_for_themselves() -> None:
    assert meaning("Fréchet")[0] == "Fréchet distance" == meaning("FID")[0] and meaning("FD∞") == meaning("fd_inf")
    assert meaning("my own") == ("my own", "")


def test_colors_can_be_read() -> None:
    """WCAG 2: text at least 4.5 to 1 against the paper, light, dark and printed."""
    schemes = re.findall(r":root \{(.*?)\}", STYLE.read_text("utf-8"), re.DOTALL)
    assert len(schemes) == 3
    for scheme in schemes:
        colors = dict(re.findall(r"--(\w+): #([0-9a-f]{3,6})", scheme))
        for name in ("ink", "soft", "blue", "vermilion", "green", "purple"):
            assert contrast(colors[name], colors["paper"]) >= 4.5, (name, colors[name])
        assert contrast(colors["ink"], colors["warning"]) >= 4.5


def contrast(one: str, other: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(color: str) -> float:
    digits = color if len(color) == 6 else "".join(2 * digit for digit in color)
    channels = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_write_replaces_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "report.html"
    write(Page("first"), path)
    write(full(HOSTILE), path)
    assert path.read_text("utf-8") == render(full(HOSTILE)).replace("\r", "") and [file.name for file in path.parent.iterdir()] == ["report.html"]


def test_a_page_is_small_and_quick() -> None:
    started = time.perf_counter()
    curves = {f"curve {index}": [(float(kimg), math.sin(kimg * index)) for kimg in range(1000)] for index in range(12)}
    assert len(render(Page("x", scores=SCORES, curves=curves))) < 150_000
    assert time.perf_counter() - started < 5


def of_words(text: str) -> Page:
    """A page of a run of words, with something in every place."""
    parts = ((text, False), (text, True), ("x" * 2000, False), ("never shown", True))
    scores = [Score("self_bleu_4", 0.4, floor=0.3, ceiling=1.0, samples=9, reals=8), Score("frechet", 1.0), Score("bits_per_byte", 2.1, note=text)]
    return Page(title=text, verdict=[text], scores=scores, texts=[parts, parts[:2]], copying=[text], copies=[(parts[:2], parts[:2])],
                frontiers={"made": [(0.0, 1.0), (0.5, 0.5), (1.0, 0.0)], "real": [(0.0, 1.0), (1.0, 1.0), (1.0, 0.0)]},
                curves={"held_out/nats": [(1.0, 2.0), (2.0, 1.5)]}, facts={text: text}, recipe=text)  # fmt: skip


@pytest.mark.parametrize("text", ["plain", HOSTILE])
def test_a_page_of_words_is_whole_and_speaks_of_texts(text: str) -> None:
    rendered = render(of_words(text))
    read = Checked(rendered)
    assert not {"script", "iframe", "a"} & {name for name, _ in read.tags}
    assert not [attributes for name, attributes in read.tags if name == "img"]
    assert len(read.all("blockquote")) == 2 + 2 and len(read.all("mark")) == 4
    assert len(drawings(rendered)) == 1 + 1 + 1 and "made 0.5" in read.text and "real 1" in read.text
    assert "never shown" not in rendered and "…" in read.text
    assert "picture" not in read.text.replace(text, "") and "9 made against 8 real texts." in read.text
    assert all(name in read.text for name in ("self-BLEU-4", "Bits per byte", "What it writes", "The training text"))

"""The course's commands are run as they stand in it, with small budgets; both languages say the same ones; the site asks nobody for anything."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
import typer

from fenshen.cli import app

ROOT = Path(__file__).parents[1]
COURSE = ROOT / "docs" / "course"
described = importlib.util.spec_from_file_location("course_commands", COURSE / "commands.py")
assert described is not None and described.loader is not None
course = importlib.util.module_from_spec(described)
described.loader.exec_module(course)
CHAPTERS = course.chapters()
NAMES = [path.stem for path in CHAPTERS]
SMALL = ["--kimg", "0.2", "--set", "train.ticks=2", "--set", "train.threads=1", "--set", "train.precision=fp32"]


def small(words: list[str]) -> list[str]:
    """The same command with a budget of seconds; a learning rate that is to fail still may. What a network of words writes is not measured."""
    if words[0] == "train" and "--minutes" in words:
        at = words.index("--minutes")
        unmeasured = ["--set", "evaluate.report=false"] if words[1] == "topics" else []
        return [*words[:at], *words[at + 2 :], *SMALL, *unmeasured]
    return words


def test_there_is_a_course() -> None:
    assert len(CHAPTERS) == 9 and all(course.commands(path) for path in CHAPTERS)


@pytest.mark.parametrize("chapter", CHAPTERS, ids=NAMES)
def test_both_languages_say_the_same(chapter: Path) -> None:
    other = chapter.with_name(chapter.name.replace(".md", ".zh-CN.md"))
    assert course.commands(other) == course.commands(chapter) and course.shown(other) == course.shown(chapter)
    assert len(re.findall("[\u4e00-\u9fff]", other.read_text("utf-8"))) > 300
    assert not [name for name in course.shown(chapter) if not (COURSE / "pictures" / name).is_file()]


@pytest.mark.parametrize("chapter", CHAPTERS, ids=NAMES)
def test_every_command_exists(chapter: Path) -> None:
    """Its verb and all its flags; nothing is run."""
    for words in course.commands(chapter):
        command, rest = typer.main.get_command(app), words
        while hasattr(command, "commands") and rest and rest[0] in command.commands:
            command, rest = command.commands[rest[0]], rest[1:]
        assert command.name != "fenshen", words
        command.make_context(command.name, list(rest))


def test_what_a_chapter_shows_is_made_by_a_command() -> None:
    written = [words[words.index("--out") + 1] for path in CHAPTERS for words in course.commands(path) if "--out" in words]
    for path in CHAPTERS:
        assert not [name for name in course.shown(path) if name.partition("/")[0] not in written], path.name


@pytest.mark.parametrize("language", ["", "zh-CN"])
def test_the_notebook_is_current_and_has_the_same_commands(language: str) -> None:
    name = f"first-chapters{'.' if language else ''}{language}.ipynb"
    text = (COURSE / name).read_text("utf-8")
    assert text == course.notebook(language), f"run: python docs/course/commands.py notebook {language} > docs/course/{name}"
    lines = [line for cell in json.loads(text)["cells"] if cell["cell_type"] == "code" for line in "".join(cell["source"]).splitlines()]
    run = [shlex.split(line)[1:] for line in lines if line.startswith("!fenshen")]
    assert run == [words for path in CHAPTERS[:3] for words in course.commands(path)]
    assert [line for line in lines if "display(Image(" in line and "03-digits.png" in line]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the course is taken."""
    return tmp_path_factory.mktemp("course")


@pytest.mark.slow
@pytest.mark.parametrize("chapter", CHAPTERS, ids=NAMES)
def test_commands_do_what_the_chapter_says(chapter: Path, desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk)
    for words in course.commands(chapter):
        course.run(small(words))
    assert not [name for name in course.shown(chapter) if not (desk / name).is_file()]


class Loads(HTMLParser):
    """What a page loads, or leads to."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in ("script", "img", "iframe", "source") and values.get("src"):
            self.loaded.append(str(values["src"]))
        if tag == "link" and values.get("rel") not in ("canonical", "next", "prev"):
            self.loaded.append(str(values.get("href")))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    pytest.importorskip("material", reason="the site needs mkdocs-material: pip install 'fenshen[docs]'")
    out = tmp_path_factory.mktemp("site")
    done = subprocess.run([sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(out)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    yield out
    shutil.rmtree(out)


@pytest.mark.slow
def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 40
    for page in pages:
        found = Loads()
        found.feed(page.read_text("utf-8"))
        assert found.loaded and not [name for name in found.loaded if re.match(r"(https?:)?//", name)], page.name
    assert not [path for path in site.rglob("*.css") if re.search(r"(@import|url\()\s*[\"']?(https?:)?//", path.read_text("utf-8"))]


@pytest.mark.slow
def test_a_chinese_page_speaks_chinese_all_around(site: Path) -> None:
    chinese, english = ((site / "course" / f"03-first-digits{end}.html").read_text("utf-8") for end in (".zh-CN", ""))
    assert '<html lang="zh"' in chinese and '<html lang="en"' in english
    tabs = [re.findall(r'<a href="[^"]*" class="md-tabs__link">\s*(.*?)\s*</a>', page, re.DOTALL) for page in (chinese, english)]
    assert "课程" in tabs[0] and "Course" not in tabs[0] and "Course" in tabs[1] and "课程" not in tabs[1]

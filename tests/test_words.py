"""Words on the command line: every kind of file that a person may bring, and what they are told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from made import write_folder
from test_cli import fenshen
from written import CHINESE, ENGLISH, docx, epub, pdf, sentence, story


def everything(path: Path) -> Path:
    """A folder with a file of every kind."""
    talk = [{"speaker": "Anna" if number % 2 else "Bo", "text": sentence(number)} for number in range(40)]
    return write_folder(path, {
        "book.epub": epub([story(number) for number in range(6)]), "letter.docx": docx(story(10)), "paper.pdf": pdf([sentence(11), sentence(12)]),
        "diary.txt": CHINESE.encode("gb18030"), "chat.json": json.dumps(talk), "notes.md": ENGLISH, "page.html": f"<p>{story(13)}</p>",
        "rows.csv": "text\n" + story(14), "empty.txt": "", "locked.pdf": pdf(["secret"], password="x"),
    })  # fmt: skip


def test_every_kind_of_file_is_read(tmp_path: Path) -> None:
    done = fenshen("look", everything(tmp_path / "in"), "--json", "--no-time")
    report = json.loads(done.stdout)
    assert report["files"] == 8 and report["count"] == 13 and report["speakers"] == ["Bo", "Anna"]
    assert report["encodings"] == {"utf-8": 4, "gb18030": 1} and report["notes"] == ["diary.txt is no UTF-8; read as GB18030"]
    assert dict(report["unreadable"]) == {"empty.txt": "is empty", "locked.pdf": "is protected by a password: save it without one"}


def test_look_says_it_in_words(here: Callable[..., str], tmp_path: Path) -> None:
    small = ("model.width=16", "model.depth=1", "train.threads=1", "train.parts=1", "train.precision=fp32", "train.batch=4")
    said = here(0, "look", everything(tmp_path / "in"), *(word for wish in small for word in ("--set", wish)))
    parts = ("gb18030 1", "Bo, Anna", "13: each document begins anew", "Cannot be read, and would be left out: 2", "locked.pdf", "tokens/s",
             "all of the text")  # fmt: skip
    assert all(part in said for part in parts), said


def test_wishes_that_do_not_fit(here: Callable[..., str], tmp_path: Path) -> None:
    write_folder(tmp_path, {"a.txt": CHINESE.encode("gb18030"), "b.csv": "text\n" + story(1), "c.txt": "", "d.txt": bytes(range(256)) * 9})
    assert "is not in big5, which data.encoding names: byte" in here(2, "look", tmp_path / "a.txt", "--set", "data.encoding=big5")
    assert "has no column poem; found are text" in here(2, "look", tmp_path / "b.csv", "--set", "data.text_column=poem")
    assert "c.txt is empty" in here(2, "look", tmp_path / "c.txt")
    assert "d.txt is not text" in here(2, "look", tmp_path / "d.txt")
    assert "data.unit = verse" in here(2, "look", tmp_path / "a.txt", "--set", "data.unit=verse")


@pytest.mark.slow
def test_a_plan_says_why_it_takes_less_than_the_time_there_is(here: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(story(1, 40))
    small = ("model.width=16", "model.depth=1", "train.threads=1", "train.precision=fp32", "train.batch=2", "model.context=8")
    said = here(0, "train", tmp_path / "a.txt", "--minutes", "600", "--dry-run", *(word for wish in small for word in ("--set", wish)))
    assert "kimg are enough for this much text" in " ".join(said.split())

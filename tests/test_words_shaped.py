"""What a run of words writes in a form, as a process: verse, lines, JSON by a schema, no copies, a conversation."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import fenshen
from fenshen.cli import app
from fenshen.errors import RecipeError
from fenshen.measure.verbatim import Corpus
from fenshen.media.forms import fits
from fenshen.media.verse import Verse
from fenshen.shaping import Shape

COUNTS = {"evaluate.report": False, "data.held_out": 0.0, "model.order": 3}
LEVEL, OBLIQUE = "天山年前船烟边田花家霞沙风中红空东钟", "月雪水草马鸟木竹石白玉落去远少有小老柳酒"
SCHEMA = {
    "type": "object", "required": ["question", "answer"],
    "properties": {"question": {"type": "string", "minLength": 3, "maxLength": 20}, "answer": {"type": "integer", "minimum": 0, "maximum": 18}},
}  # fmt: skip


def poems(count: int) -> list[str]:
    rng = random.Random(0)
    lines = ["".join(rng.choice(LEVEL + OBLIQUE) for _ in range(5)) for _ in range(4 * count)]
    return ["{}，{}。{}，{}。".format(*lines[4 * number :][:4]) for number in range(count)]


def exercises() -> list[str]:
    return [json.dumps({"question": f"{a} + {b}", "answer": a + b}) for a in range(10) for b in range(10)]


def chat() -> list[dict[str, str]]:
    asked = [("hello", "hello, who is there?"), ("how are you", "very well, thank you"), ("what is it", "it is a quarter past ten")]
    return [{"conversation": str(n), "speaker": who, "text": text} for n in range(60)
            for who, text in zip(("Anna", "Ben"), random.Random(n).choice(asked), strict=True)]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs that have counted: `verse`, `exercises` and `chat`."""
    folder = tmp_path_factory.mktemp("shaped")
    (folder / "poems.txt").write_text("\n".join(poems(200)), "gb18030")
    (folder / "exercises.txt").write_text("\n".join(exercises()), "utf-8")
    (folder / "chat.json").write_text(json.dumps(chat()), "utf-8")
    lines = {"data.unit": "line"}
    for name, source, changes in (
        ("verse", "poems.txt", lines), ("exercises", "exercises.txt", lines | {"model.order": 8}), ("chat", "chat.json", {"model.order": 6})
    ):  # fmt: skip
        fenshen.train(folder / source, "ngram", changes=COUNTS | changes, out=folder / name)
    return folder


def generate(folder: Path, *arguments: str, told: str = "") -> subprocess.CompletedProcess[str]:
    """`fenshen generate` as people call it."""
    command = [sys.executable, "-m", "fenshen", "generate", *arguments]
    return subprocess.run(command, cwd=folder, input=told, capture_output=True, text=True, check=False, env=os.environ | {"FENSHEN_LANG": "en"})


def test_verse_with_rhyme_and_tones(folder: Path) -> None:
    done = generate(folder, "verse", "--form", "wuyan", "--rhyme", "--tones", "--count", "8", "--json", "--prompt", "花")
    assert done.returncode == 0, done.stderr
    texts = ["花" + text for text in json.loads(done.stdout)["texts"]]
    assert len(set(texts)) > 1 and all(fits(Verse(5, rhyme=True, tones=True), text) for text in texts)


def test_json_by_a_schema(folder: Path) -> None:
    (folder / "schema.json").write_text(json.dumps(SCHEMA))
    done = generate(folder, "exercises", "--schema", "schema.json", "--count", "12", "--out", "made.jsonl", "--max-chars", "5")
    assert done.returncode == 0, done.stderr
    made = [json.loads(json.loads(line)["text"]) for line in (folder / "made.jsonl").read_text("utf-8").splitlines()]
    assert len(made) == 12
    assert all(3 <= len(one["question"]) <= 20 and type(one["answer"]) is int and 0 <= one["answer"] <= 18 for one in made)


def test_a_conversation(folder: Path) -> None:
    done = generate(folder, "chat", "--chat", "--temperature", "0.1", "--as", "Ben", told="hello\nhow are you\n")
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith("Ben: ")] == ["Ben: hello, who is there?", "Ben: very well, thank you"]
    with pytest.raises(RecipeError, match=r"nobody is called Carl.*Anna"):
        fenshen.load(folder / "chat").talk("Carl")
    with pytest.raises(RecipeError, match="no conversation"):
        fenshen.load(folder / "verse").talk()


def test_copies_are_shown_and_forbidden(folder: Path) -> None:
    shown = generate(folder, "exercises", "--count", "6", "--show-copying")
    assert shown.returncode == 0 and "⟦" in shown.stdout and "the longest run of the training text is" in shown.stdout
    texts = fenshen.load(folder / "exercises").write(20, seed=3, shape=Shape(no_copy=15)).texts
    corpus = Corpus(exercises())
    assert all(corpus.longest(text).length <= 15 for text in texts)
    assert max(corpus.longest(text).length for text in fenshen.load(folder / "exercises").write(20, seed=3).texts) > 15


def test_lines(folder: Path) -> None:
    texts = fenshen.load(folder / "chat").write(5, shape=Shape(lines=3)).texts
    assert all(text.count("\n") == 2 and all(line.strip() for line in text.split("\n")) for text in texts)


@pytest.mark.parametrize(("shape", "said"), [
    ({"form": "wuyan", "lines": 4}, "one form"), ({"rhyme": True}, "--form wuyan"), ({"form": "sonnet"}, "--form sonnet"),
    ({"no_copy": 3}, "--no-copy 3"),
])  # fmt: skip
def test_shapes_that_contradict_themselves(shape: dict[str, object], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        Shape(**shape)  # type: ignore[arg-type]


def test_mistakes_are_told(folder: Path) -> None:
    odd = ("verse", ["--schema", "nowhere.json"], "--schema nowhere.json"), ("exercises", ["--form", "wuyan", "--prompt", "a"], "fails at")
    for name, arguments, said in odd:
        done = CliRunner().invoke(app, ["generate", str(folder / name), *arguments])
        assert done.exit_code == 2 and said in done.stderr

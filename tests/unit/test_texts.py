"""Words in: units, copies, the split, labels, the cache; what cannot be used says so."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import numpy as np
import pytest
from made import png, write_folder, write_tar, write_zip
from written import CHINESE, ENGLISH, sentence, story, verse

from fenshen.data import Texts, cache, kind_of, look_words, prepare_texts
from fenshen.data.similar import group
from fenshen.errors import DataError
from fenshen.media.text import END
from fenshen.recipe import Data


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "cache"
    monkeypatch.setenv("FENSHEN_CACHE", str(root))
    monkeypatch.setattr(cache, "_sync", lambda folder: None)  # A busy disk takes seconds.
    return root


def data(source: Path | str, **changes: object) -> Data:
    return Data.model_validate({"source": str(source), **changes})


def prepared(path: Path, contents: dict[str, bytes | str], **changes: object) -> Texts:
    return prepare_texts(data(write_folder(path, contents), **changes))


def names(texts: Texts) -> list[str]:
    return [json.loads(line)["name"] for line in texts.manifest.read_text().splitlines()]


def test_a_folder_of_documents(tmp_path: Path) -> None:
    contents = {f"{number:02d}.txt": story(number) for number in range(40)} | {"broken.txt": bytes(range(256)), "empty.md": "", "a.png": png(1)}
    texts = prepared(tmp_path / "in", contents)
    assert len(texts) == 40 and texts.unit == "document" and len(texts.held_out) == 4 and len(texts.train) == 36
    assert [texts.text(number) for number in range(40)] == [story(number) for number in range(40)]
    assert texts.tokens.dtype == np.uint16 and not texts.tokens.flags.writeable and texts.starts[-1] == len(texts.tokens)
    assert (texts.tokens[texts.starts[:-1]] == END).all() and (texts.tokens == END).sum() == 40
    assert texts.bytes_N.tolist() == [len(story(number)) for number in range(40)] == (texts.lengths - 1).tolist()
    assert [name for name, _ in texts.skipped] == ["broken.txt", "empty.md"] and texts.labels is None


def test_every_packing_says_the_same(tmp_path: Path) -> None:
    contents = {f"{number:02d}.txt": story(number) for number in range(20)}
    folder = prepared(tmp_path / "in", contents)
    for path in (write_zip(tmp_path / "in.zip", contents), write_tar(tmp_path / "in.tar.gz", contents, "gz")):
        assert prepare_texts(data(path)).fingerprint == folder.fingerprint
    changed = prepared(tmp_path / "other", contents | {"00.txt": story(99)})
    assert changed.fingerprint != folder.fingerprint


def test_one_long_text_gives_its_end(tmp_path: Path) -> None:
    lines = [sentence(number) for number in range(500)]
    texts = prepared(tmp_path / "in", {"a.txt": "\n\n".join(lines)})
    assert texts.train.tolist() == [0] and texts.held_out.tolist() == [1]
    assert texts.text(0) + "\n\n" + texts.text(1) == "\n\n".join(lines)
    assert 0.09 < texts.bytes_N[1] / texts.bytes_N.sum() < 0.11
    assert len(prepared(tmp_path / "none", {"a.txt": "\n\n".join(lines)}, held_out=0).held_out) == 0


def test_few_lines_are_not_held_out(tmp_path: Path) -> None:
    texts = prepared(tmp_path / "in", {"a.txt": "\n".join(sentence(number) for number in range(10))})
    assert len(texts) == 1 and len(texts.held_out) == 0


@pytest.mark.parametrize("make", [verse, sentence])
def test_alike_lines_begin_anew(make: object, tmp_path: Path) -> None:
    lines = [make(number) for number in range(300)]  # type: ignore[operator]
    texts = prepared(tmp_path / "in", {"a.txt": "\r\n".join(lines)})
    assert texts.unit == "line" and len(texts) == 300 and texts.text(7) == lines[7] and "300" in texts.reason
    assert names(texts)[7] == "a.txt:8"
    together = prepare_texts(data(tmp_path / "in", unit="document"))
    assert together.unit == "document" and together.text(0).startswith(lines[0] + "\n" + lines[1])


def test_blank_lines_part_poems(tmp_path: Path) -> None:
    poems = [f"{verse(number)}\n{verse(number + 100)}" for number in range(30)]
    texts = prepared(tmp_path / "in", {"a.txt": "\n\n \n".join(poems) + "\n"}, unit="poem")
    assert [texts.text(number) for number in range(len(texts))] == poems and names(texts)[:2] == ["a.txt:1", "a.txt:5"]


def test_folders_are_labels_and_labels_are_tags(tmp_path: Path) -> None:
    contents = {f"{kind}/{number}.txt": f"{kind} {story(number)}" for kind in ("prose", "verse") for number in range(10)}
    texts = prepared(tmp_path / "in", contents)
    assert texts.classes == ("prose", "verse") and texts.labels is not None and texts.labels.tolist() == [0] * 10 + [1] * 10
    second = texts.tokens[texts.starts[:-1] + 1]
    assert second.tolist() == [texts.alphabet.tag("prose")] * 10 + [texts.alphabet.tag("verse")] * 10
    assert texts.text(10) == contents["verse/0.txt"]


def test_own_split(tmp_path: Path) -> None:
    contents = {f"{part}/{number}.txt": story(number + 50 * (part == "test")) for part in ("train", "test") for number in range(5)}
    texts = prepared(tmp_path / "in", contents)
    assert [names(texts)[number] for number in texts.held_out] == [f"test/{number}.txt" for number in range(5)] and texts.notes == ()
    copied = prepared(tmp_path / "copied", contents | {"test/2.txt": story(1).upper()})
    assert copied.notes == ("1 of the 5 held-out texts have a near copy among those to train on: measures will flatter",)


def test_near_copies_stay_on_one_side(tmp_path: Path) -> None:
    contents = {}
    for number in range(60):
        contents[f"{number:02d}-a.txt"] = story(number)
        contents[f"{number:02d}-b.txt"] = story(number).upper().replace("RIVER", "stream", 1) + " The end."
    for seed in range(3):
        texts = prepare_texts(data(write_folder(tmp_path / "in", contents)), seed)
        held = [names(texts)[number] for number in texts.held_out]
        assert len(held) == 12 and all(name.replace("-a", "-b") in held and name.replace("-b", "-a") in held for name in held)


def test_near_copies_among_many() -> None:
    lines = [verse(number) for number in range(2000)]
    changed = [line[:number % 28] + "山" + line[number % 28 + 1 :] for number, line in enumerate(lines)]
    exact, near = group([*lines, *changed, lines[0]])
    assert exact[-1] == exact[0] and exact.max() + 1 >= 3900
    assert (near[:2000] == near[2000:4000]).mean() > 0.98 and np.bincount(near).max() <= 4 and near.max() + 1 > 1990


def test_texts_without_letters_and_without_anything() -> None:
    exact, near = group(["...", "!?", "a", "a"])
    assert exact.tolist() == [0, 1, 2, 2] and near.tolist() == [0, 0, 1, 1]
    assert [part.tolist() for part in group([])] == [[], []]


def test_what_a_character_alphabet_holds(tmp_path: Path) -> None:
    texts = prepared(tmp_path / "in", {"a.txt": ENGLISH + CHINESE}, vocabulary=30)
    assert texts.alphabet.size == 32 and "30" not in texts.reason and "32 characters" in texts.reason
    pieces = prepare_texts(data(tmp_path / "in", tokens="bytes", vocabulary=300))
    assert pieces.alphabet.kind == "bytes" and pieces.alphabet.size <= 302 and pieces.text(0) == ENGLISH + CHINESE
    with pytest.raises(DataError, match="257 or more"):
        prepare_texts(data(tmp_path / "in", tokens="bytes", vocabulary=100))


def test_byte_pieces_from_five_megabytes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["fenshen.data.texts"], "PIECES_FROM", 10_000)
    texts = prepared(tmp_path / "en", {f"{number}.txt": story(number) for number in range(40)})
    assert texts.alphabet.kind == "bytes" and texts.text(3) == story(int(names(texts)[3][:-4]))
    chinese = prepared(tmp_path / "zh", {f"{number}.txt": "\n\n".join(map(verse, range(30 * number, 30 * number + 30))) for number in range(40)})
    assert chinese.alphabet.kind == "characters" and "Chinese" in chinese.reason


def test_encodings_are_noted(tmp_path: Path) -> None:
    contents = {f"{number}.txt": (CHINESE + str(number)).encode("gb18030") for number in range(3)}
    texts = prepared(tmp_path / "in", contents)
    assert texts.notes == ("0.txt (+ 2) is no UTF-8; read as GB18030",) and texts.text(0).startswith(CHINESE)


def test_the_built_in_texts() -> None:
    texts = prepare_texts(data("topics"))
    assert len(texts) > 50 and texts.bytes_N.sum() > 300_000 and len(texts.held_out) and kind_of(data("topics")) == "words"


def test_the_cache_is_used_and_deleted(tmp_path: Path, own_cache: Path) -> None:
    said: list[str] = []
    source = data(write_folder(tmp_path / "in", {"a.txt": ENGLISH}))
    first, again = prepare_texts(source, say=said.append), prepare_texts(source, say=said.append)
    assert said == [f"reading the words of {source.source}"] and again.fingerprint == first.fingerprint
    assert cache.delete(first.fingerprint) > len(ENGLISH) and not list(own_cache.glob("words-*"))


@pytest.mark.parametrize(("contents", "kind"), [
    ({"a.txt": "x"}, "words"), ({"a.png": b"", "captions.tsv": ""}, "pictures"), ({"a.png": b"", "b.png": b"", "a.txt": "", "b.txt": ""}, "pictures"),
    ({"a.docx": b"", "b.md": "", "c.epub": b"", "cover.jpg": b""}, "words"), ({"a.bin": b""}, "pictures"),
])  # fmt: skip
def test_kinds(contents: dict, kind: str, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", contents)
    for source in (folder, write_zip(tmp_path / "in.zip", contents), write_tar(tmp_path / "in.tar", contents)):
        assert kind_of(data(source)) == kind
    assert kind_of(data(folder, kind="words")) == "words" and kind_of(data(folder, kind="pictures")) == "pictures"


def test_kinds_of_files(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a.TXT": "x", "b.pdf": "x", "c.npz": "x", "d.zip": "no zip"})
    assert [kind_of(data(tmp_path / name)) for name in ("a.TXT", "b.pdf", "c.npz", "d.zip", "none")] == ["words", "words", *["pictures"] * 3]
    assert kind_of(data("digits")) == kind_of(data("hf://mnist")) == "pictures"


@pytest.mark.parametrize(("contents", "said"), [
    ({"a.txt": ""}, "in/a.txt is empty"),
    ({"a.txt": random.Random(0).randbytes(1000)}, "a.txt is not text: it holds bytes"),
    ({"a.txt": "", "b.txt": ""}, "none of the 2 files"),
    ({"a.png": b"", "b.bin": b""}, "only 2 other files"),
    ({"a.txt": "too little"}, "holds 10 characters; a model needs some ten thousand"),
])  # fmt: skip
def test_what_is_too_little(contents: dict, said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=said):
        prepared(tmp_path / "in", contents)


@pytest.mark.parametrize(("name", "said"), [("a.doc", "save it as .docx"), ("a.exe", "a file that ends in .txt"), ("none", "no file or folder")])
def test_what_cannot_be_opened(name: str, said: str, tmp_path: Path) -> None:
    write_folder(tmp_path, {"a.doc": "x", "a.exe": "x"})
    with pytest.raises(DataError, match=said):
        prepare_texts(data(tmp_path / name))


def test_a_look_at_words(tmp_path: Path) -> None:
    contents = {f"{kind}/{number:02d}.txt": story(number + 50 * (kind == "verse")) for kind in ("prose", "verse") for number in range(20)}
    contents |= {"prose/copy.txt": story(3), "prose/near.txt": story(3).upper(), "verse/empty.txt": "", "verse/a.png": ""}
    report = look_words(data(write_folder(tmp_path / "in", contents)))
    assert report.count == 42 == report.files and report.labels == {"prose": 22, "verse": 20} and report.encodings == {"utf-8": 42}
    assert (report.duplicates, report.ignored, report.ignored_examples) == (1, 1, ["verse/a.png"])
    assert report.near_duplicates == 2 and report.unreadable == [("verse/empty.txt", "is empty")]
    assert report.characters == sum(len(text.strip()) for name, text in contents.items() if text and name.endswith(".txt"))
    assert report.train + report.held_out == 42 and report.held_out_characters > 0 and report.lengths[0] <= report.lengths[1] <= report.lengths[2]
    assert len(report.warnings) == 1 and report.near_duplicate_examples[0][0].startswith(story(3)[:50])
    texts = prepare_texts(data(tmp_path / "in"))
    assert (len(texts.train), len(texts.held_out), texts.alphabet.size) == (report.train, report.held_out, int(report.tokens.split()[0]))


def test_a_look_at_ten_lines_and_a_chat(tmp_path: Path) -> None:
    chat = "speaker,text\n" + "\n".join(f"{'Anna' if number % 2 else 'Bo'},{sentence(number)}" for number in range(10))
    report = look_words(data(write_folder(tmp_path / "in", {"a.csv": chat}) / "a.csv"))
    assert report.speakers == ["Bo", "Anna"] and report.count == 1 and report.held_out == 0
    assert "will know them by heart" in report.warnings[0] and "nothing is held out" in report.warnings[1]
    texts = prepare_texts(data(tmp_path / "in" / "a.csv"))
    assert texts.text(0).startswith(f"<speaker:Bo>{sentence(0)}\n<speaker:Anna>{sentence(1)}")
    assert texts.alphabet.tag("Bo") in texts.tokens and (texts.tokens == texts.alphabet.tag("Anna")).sum() == 5


def test_one_endless_line_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["fenshen.data.documents"], "LONG_LINE", 5000)
    texts = prepared(tmp_path / "in", {"a.txt": story(1, 100)})
    assert "a.txt has a line of 0.0 million characters: is it text?" in texts.notes and len(texts.held_out) == 1

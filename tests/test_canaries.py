"""Made-up secrets hidden in the training text: where they stand, and that an audit finds what was learnt by heart and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from made import write_folder
from written import CHINESE, sentence, story, verse

import fenshen
from fenshen.data import Texts, prepare_texts
from fenshen.data.canaries import canaries
from fenshen.recipe import Data

QUIET = {"evaluate.report": False, "train.threads": 1}


def whole(texts: Texts, held_out: bool) -> str:
    return "\n".join(texts.text(int(index)) for index in (texts.held_out if held_out else texts.train))


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("words"), {f"{n}.txt": story(n) for n in range(30)})


def test_they_stand_in_training_texts_alone(book: Path) -> None:
    texts = prepare_texts(Data(source=str(book), canaries=5, canary_copies=3))
    plain = prepare_texts(Data(source=str(book)))
    trained = whole(texts, held_out=False)
    assert [trained.count(f"{secret.before}{secret.text}.") for secret in texts.canaries] == [3] * 5
    assert whole(texts, held_out=True) == whole(plain, held_out=True) and len(texts) == len(plain)
    assert not any(secret.text in trained for secret in texts.unseen) and len(texts.unseen) == 5
    assert texts.fingerprint != plain.fingerprint and not plain.canaries and any("5 made-up" in note for note in texts.notes)
    again = trained
    for secret in texts.canaries:
        again = again.replace(f"{secret.before}{secret.text}.\n", "")
    assert again == whole(plain, held_out=False), "no sentence was cut in two"


def test_units_and_languages(tmp_path: Path) -> None:
    """Lines get one more line each, with a label where there are labels; Chinese text gets Chinese ones; another seed, other numbers."""
    rows = "label,text\n" + "".join(f"{'ab'[n % 2]},{sentence(n)}\n" for n in range(300))
    lines = prepare_texts(Data(source=str(write_folder(tmp_path / "lines", {"rows.csv": rows}) / "rows.csv"), unit="line", canaries=4))
    assert len(lines) == 304 and lines.labels is not None and {lines.text(index) for index in lines.train} > {
        f"{secret.before}{secret.text}." for secret in lines.canaries
    }  # fmt: skip
    poems = write_folder(tmp_path / "poems", {"poems.txt": "\n".join(map(verse, range(300))) + CHINESE})
    chinese = prepare_texts(Data(source=str(poems), canaries=2), seed=1)
    assert "第1号密码是" in whole(chinese, held_out=False)
    assert {secret.text for secret in chinese.canaries}.isdisjoint(secret.text for secret in canaries(4, 0, True))


def test_what_is_known_by_heart_is_exposed(book: Path, tmp_path: Path) -> None:
    """Counted eight times: certain. Never seen: a rank in the middle."""
    run = fenshen.train(book, "ngram", changes=QUIET | {"data.canaries": 3, "data.canary_copies": 8, "model.order": 6}, out=tmp_path / "run")
    run.audit()
    found = json.loads((run.path / "audit.json").read_text())
    planted, unseen = ([one["bits"] for one in found[key]] for key in ("canaries", "unseen"))
    assert len(planted) == len(unseen) == 3 and min(planted) > 9 and sum(unseen) / 3 < 4
    assert not found["secrets"], "what was made up is no secret of the text"
    said = " ".join(found["verdict"])
    assert "3 of the 3 made-up numbers that were hidden in the training text, 8 times each" in said and "Do not give away this run" in said


@pytest.mark.slow
def test_a_network_that_knows_them_by_heart(book: Path, tmp_path: Path) -> None:
    small = {"model.width": 64, "model.depth": 2, "model.context": 64, "model.dropout": 0.0, "autopilot": "off", "train.batch": 16}
    bits = {}
    for name, kimg in {"overfitted": 12.0, "begun": 0.064}.items():
        run = fenshen.train(book, kimg=kimg, changes=QUIET | small | {"data.canaries": 8, "data.canary_copies": 4}, out=tmp_path / name)
        run.audit()
        found = json.loads((run.path / "audit.json").read_text())
        bits[name] = [sorted(one["bits"] for one in found[key])[4] for key in ("canaries", "unseen")]
    assert bits["overfitted"][0] > 9 and bits["overfitted"][1] < 4 and bits["begun"][0] < 5

"""Runs of words measured: planted copies and secrets are found, counting is the baseline, the report says what the numbers say."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import fenshen
from fenshen.cli import app
from fenshen.condition import Given
from fenshen.errors import RecipeError
from fenshen.evaluate.text_audit import exposures
from fenshen.evaluate.text_copying import marked, source, text_copying
from fenshen.evaluate.text_report import verdict
from fenshen.evaluate.text_scores import Likelihood, all_scores, likelihood
from fenshen.evaluate.text_subject import ENDLESS, PASSAGE, SPARE, TextSubject, passages
from fenshen.families.writer import Memory, Writer
from fenshen.measure.verbatim import Corpus, Run
from fenshen.space import END
from fenshen.training.heldout import Surprise

ADJECTIVES = ["red", "small", "old", "quiet", "heavy", "broken", "wooden", "distant", "silver", "careless", "hungry", "narrow"]
NOUNS = ["table", "garden", "letter", "river", "window", "farmer", "lantern", "bridge", "teacher", "horse", "kettle", "ladder"]
VERBS = ["sees", "carries", "follows", "paints", "remembers", "breaks", "hides", "forgets", "borrows", "watches"]
SECRET = "138-2291-7740"
QUIET = {"evaluate.report": False}


def sentence(rng: random.Random) -> str:
    nouns = [f"the {rng.choice(ADJECTIVES)} {rng.choice(NOUNS)}" for _ in range(3)]
    return f"{nouns[0]} {rng.choice(VERBS)} {nouns[1]} and {rng.choice(VERBS)} {nouns[2]}"


LINES = [sentence(random.Random(seed)) for seed in range(1500)]


def written(folder: Path) -> Path:
    lines = LINES[:900]
    lines[10:22] = [f"the number of our house is {SECRET} and call it {word} noon" for word in ("before", "after", "around") for _ in range(4)]
    (folder / "lines.txt").write_text("\n".join(lines), "utf-8")
    return folder / "lines.txt"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> fenshen.Run:
    folder = tmp_path_factory.mktemp("judged")
    return fenshen.train(written(folder), "ngram", changes=QUIET | {"data.unit": "line", "model.order": 5}, out=folder / "run")


@pytest.fixture(scope="module")
def subject(run: fenshen.Run) -> TextSubject:
    return TextSubject.open(run.folder, "cpu", 80, 0, lambda text: None)


def test_counting_is_a_run_like_any_other(run: fenshen.Run) -> None:
    log = run.log()
    assert run.recipe.model.order == 5 and log[-1]["held_out/bits_per_byte"] < 4  # type: ignore[union-attr]
    assert sorted(run.folder.samples.glob("*.txt"))
    first, second = run.write(3, seed=1, max_chars=120), run.write(2, seed=1, max_chars=120)
    assert first.texts[:2] == second.texts
    assert run.write(1, prompt="the ", temperature=0, max_chars=60).texts == run.write(1, prompt="the ", temperature=0, seed=5, max_chars=60).texts


def test_the_order_is_found_and_counting_has_no_plan(tmp_path: Path) -> None:
    run = fenshen.train(written(tmp_path), "ngram", changes=QUIET | {"data.unit": "line"}, out=tmp_path / "run")
    assert 3 <= (run.recipe.model.order or 0) <= 8  # type: ignore[union-attr]
    with pytest.raises(RecipeError, match="--dry-run"):
        fenshen.plan(written(tmp_path), "ngram")


def test_every_score_stands_beside_real_text(subject: TextSubject) -> None:
    scores = {score.name: score for score in all_scores(subject)}
    of_words = {f"{kind}_{n}" for kind in ("bleu", "self_bleu") for n in range(2, 6)}
    assert {*scores} == {*of_words, "distinct_2", "frechet", "precision", "recall", "mauve"}
    real = {score.name: score for score in all_scores(subject.having(subject.training))}
    for name, score in real.items():
        assert score.value == pytest.approx(score.floor), name
    noisy = {score.name: score for score in all_scores(subject.having(subject.noise))}
    for name in ("bleu_2", "frechet", "recall", "mauve"):
        off = [abs((scores[name].value or 0) - (scores[name].floor or 0)) for scores in (scores, noisy)]
        assert off[0] < off[1], name


def test_counting_is_told_from_better_and_worse(subject: TextSubject) -> None:
    likely = likelihood(subject)
    assert likely.found == likely.counted and likely.order == 5
    found = text_copying(subject)
    for nats, words in ((0.9, "Better than counting"), (1.1, "Not better than counting")):
        other = Likelihood(Surprise(nats * likely.counted.nats, likely.counted.tokens, likely.counted.bytes), likely.counted, 5)
        assert verdict(other, [], found)[0].startswith(words)


def test_copies_are_flagged_and_new_text_is_not(subject: TextSubject) -> None:
    assert not text_copying(subject.having(subject.held_out[:80])).copied
    made = list(subject.held_out[:80])
    made[3], made[40] = subject.training[0] * 2, "so " + subject.training[1]
    planted = text_copying(subject.having(made + subject.training[2:8]))
    assert planted.copied and planted.share > 0.05
    copied = [part for part, inside in planted.pairs[0][0] if inside]
    assert copied and any(copied[0] in text for text in subject.training)
    assert "".join(part for part, inside in planted.pairs[0][1] if inside) == copied[0]


def test_parts_are_marked() -> None:
    assert marked("abcdef", [Run(1, 2, 0), Run(2, 3, 9)]) == (("a", False), ("bc", True), ("de", True), ("f", False))
    assert marked("ab", []) == (("ab", False),)
    corpus = Corpus(["one two", "three four five"])
    assert source(corpus, corpus.longest("four")) == (("three ", False), ("four", True), (" five", False))


def test_passages_end_where_words_do() -> None:
    text = " ".join(LINES[:60])
    parts = list(passages(text))
    assert all(PASSAGE / 2 <= len(part) <= 1.25 * PASSAGE for part in parts)
    assert text.startswith(parts[0]) and text[len(parts[0])] == " "
    assert sum(map(len, parts)) > 0.9 * len(text)
    assert not list(passages("short"))


def test_long_documents_are_measured_in_passages(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text("\n".join(LINES), "utf-8")
    run = fenshen.train(tmp_path / "book.txt", "ngram", changes=QUIET | {"data.unit": "document", "model.order": 4}, out=tmp_path / "run")
    subject = TextSubject.open(run.folder, "cpu", 12, 0, lambda text: None)
    assert subject.cut and len(subject.made) == 12
    assert np.mean([len(text) for text in subject.made]) == pytest.approx(PASSAGE, rel=0.25)


class Endless(Writer):
    """Begins a new line now and then, and never comes to an end; `written` counts its tokens."""

    written = 0

    def begin(self, z_BD: torch.Tensor, given: Given) -> Memory:
        return None

    def read(self, tok_BL: torch.Tensor, memory: Memory) -> torch.Tensor:
        self.written += len(tok_BL)
        logit_BLV = torch.zeros(len(tok_BL), 1, self.space.vocab)
        logit_BLV[..., END] = -torch.inf
        return logit_BLV


@pytest.mark.parametrize(("unit", "most"), [("document", SPARE * PASSAGE), ("line", ENDLESS * np.mean([len(line) + 1 for line in LINES]))])
def test_measuring_a_writer_that_finds_no_end_is_bounded(unit: str, most: float, tmp_path: Path) -> None:
    """So many characters for each piece, whatever one very long document is like."""
    (tmp_path / "book.txt").write_text("\n".join([*LINES, " ".join(LINES[:100])]), "utf-8")
    run = fenshen.train(tmp_path / "book.txt", "ngram", changes=QUIET | {"data.unit": unit, "model.order": 2}, out=tmp_path / "run")
    subject = TextSubject.open(run.folder, "cpu", 40, 0, lambda text: None)
    writer = Endless(subject.writer.space)
    assert subject.cut == (unit == "document") and len(replace(subject, writer=writer).made) == 40
    assert 0.5 * most < writer.written / 40 < 1.2 * most


def test_a_secret_that_was_learnt_is_exposed(subject: TextSubject) -> None:
    found = {secret.text: secret.bits for secret in exposures(subject)}
    assert found[SECRET] > 9
    assert max([bits for text, bits in found.items() if text != SECRET], default=0.0) < found[SECRET]


def test_evaluation_and_audit_as_commands(run: fenshen.Run) -> None:
    done = CliRunner().invoke(app, ["evaluate", str(run.path), "--count", "24", "--json"])
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert answer == json.loads((run.path / "report.json").read_text()) and answer["words"]["counting_order"] == 5
    page = (run.path / "report.html").read_text("utf-8")
    assert "A model that counts" in page and "self-BLEU-4" in page and page.count("<blockquote") >= 12
    HTMLParser().feed(page)
    done = CliRunner().invoke(app, ["audit", str(run.path)])
    assert done.exit_code == 0, done.output
    assert "138-22" in done.stdout and SECRET not in done.stdout and "Do not give away this run" in done.stdout
    assert json.loads((run.path / "audit.json").read_text())["secrets"][0]["text"] == SECRET

"""Evaluation of a real run: every score has its floor and ceiling, copies are caught, the report is one file, the gate keeps the best."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import fenshen
from fenshen.cli import app
from fenshen.data import prepare
from fenshen.errors import DataError, RecipeError, RunFolderError
from fenshen.evaluate import borrowing
from fenshen.evaluate.audit import attack_by, attack_in_words
from fenshen.evaluate.copying import copying, sentences
from fenshen.evaluate.critic import familiarity, load_family
from fenshen.evaluate.page import meaning
from fenshen.evaluate.report import clearly_better, comparable, compared
from fenshen.evaluate.scores import all_scores
from fenshen.evaluate.subject import Subject
from fenshen.generate import best
from fenshen.measure.borrowed import SIDE
from fenshen.nets.vit import VisionTransformer
from fenshen.recipe import Evaluate
from fenshen.run import RunFolder

FAST = {"train.ticks": 2, "train.threads": 1, "train.precision": "fp32", "train.batch": 16, "autopilot": "off", "evaluate.report": False}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> fenshen.Run:
    return fenshen.train(kimg=0.64, changes=FAST, out=tmp_path_factory.mktemp("evaluated") / "run")


@pytest.fixture(scope="module")
def subject(run: fenshen.Run) -> Subject:
    return Subject.open(run.folder, "cpu", 400, 0, lambda text: None)


@pytest.fixture(scope="module")
def evaluation(run: fenshen.Run) -> fenshen.api.Evaluation:
    return run.evaluate(300, keep=0.5)


def test_every_score_stands_between_floor_and_ceiling(evaluation: fenshen.api.Evaluation) -> None:
    scores = {score.name: score for score in evaluation.scores}
    assert {"frechet", "kid", "mind", "precision", "recall", "density", "coverage", "vendi", "inception", "balance", "labels"} <= set(scores)
    for score in evaluation.scores:
        if score.value is not None:
            assert score.floor is not None and score.ceiling is not None, score.name
            assert score.samples == 300 and score.reals > 100
    distance = scores["frechet"]
    assert 0 < distance.floor < distance.value < 3 * distance.ceiling and distance.low < distance.value < distance.high
    assert evaluation.times_floor == pytest.approx(distance.value / distance.floor)
    assert "Far from real pictures" in str(evaluation) or "On the way" in str(evaluation)


def test_the_report_is_one_file_and_says_the_same_as_the_numbers(evaluation: fenshen.api.Evaluation, run: fenshen.Run) -> None:
    text = (run.path / "report.html").read_text("utf-8")
    HTMLParser().feed(text)
    assert "http://" not in text.replace("http://www.w3.org", "") and "https://" not in text and text.count("data:image") >= 2
    values = json.loads((run.path / "report.json").read_text())
    assert values["times_floor"] == evaluation.times_floor and len(values["encoder"]) == 64 and values["verdict"][0] in text
    assert run.report() == values


def test_same_seed_same_scores(run: fenshen.Run, evaluation: fenshen.api.Evaluation) -> None:
    again = run.evaluate(300, keep=0.5)
    assert again.scores == evaluation.scores and again.encoder == evaluation.encoder


def test_the_training_set_itself_is_caught_as_a_copy_and_new_pictures_are_not(subject: Subject) -> None:
    """A model that overfits makes training pictures; the best possible one makes what was held out."""
    copied = subject.making(subject.dataset.pictures[subject.order[:200]])
    found = copying(copied)
    assert found.copied and found.copies.found and "nearer to one training picture" in " ".join(sentences(found, 200))
    fresh = subject.making(subject.dataset.pictures[subject.dataset.held_out[::2]])
    others = replace(subject, dataset=replace(subject.dataset, held_out=subject.dataset.held_out[1::2]))
    honest = copying(others.making(fresh.pictures))
    assert not honest.copied and "No sign of copying" in sentences(honest, 90)[0]


def test_a_twentieth_of_planted_copies_is_flagged(subject: Subject) -> None:
    rng = np.random.default_rng(0)
    pictures = subject.pictures.copy()
    pictures[:20] = subject.dataset.pictures[rng.choice(subject.dataset.train, 20)]
    assert not copying(subject).copies.found
    found = copying(subject.making(pictures)).copies
    assert found.found and set(found.made[:20].tolist()) >= set(range(15))


@pytest.mark.parametrize("damage", ["noise", "blur", "missing classes", "one picture"])
def test_damage_moves_the_scores_the_right_way(damage: str, subject: Subject) -> None:
    dataset, rng = subject.dataset, np.random.default_rng(0)
    real = dataset.pictures[subject.order[:300]]
    worse = {
        "noise": lambda: (real + rng.normal(0, 60, real.shape)).clip(0, 255).astype(np.uint8),
        "blur": lambda: ((real + np.roll(real.astype(int), 1, 1) + np.roll(real.astype(int), 1, 2)) / 3).astype(np.uint8),
        "missing classes": lambda: dataset.pictures[dataset.train[dataset.labels[dataset.train] < 4]][:300],
        "one picture": lambda: np.repeat(real[:1], 300, 0),
    }[damage]()  # fmt: skip
    read = subject.encoder.read
    good, bad = ({s.name: s.value for s in all_scores(subject, read(pictures))} for pictures in (real, worse))
    assert bad["frechet"] > 1.5 * good["frechet"] and bad["kid"] > good["kid"] and bad["mind"] > good["mind"]
    if damage in ("missing classes", "one picture"):
        assert bad["recall"] < good["recall"] and bad["coverage"] < good["coverage"] and bad["vendi"] < good["vendi"]
        assert bad["balance"] > good["balance"] + 0.2
    else:
        assert bad["precision"] < good["precision"]


def test_too_few_pictures_give_a_note_and_no_number(subject: Subject) -> None:
    few = replace(subject, dataset=replace(subject.dataset, held_out=subject.dataset.held_out[:5]))
    scores = {score.name: score for score in all_scores(few)}
    assert scores["frechet"].value is None and "needs" in scores["frechet"].note


def test_more_than_can_be_measured_is_said(run: fenshen.Run) -> None:
    said: list[str] = []
    assert Subject.open(run.folder, "cpu", 10**6, 0, said.append).count < 10**6
    assert any("1000000" in text for text in said)


def test_what_cannot_be_evaluated(tmp_path: Path) -> None:
    lonely = fenshen.train(kimg=0.032, changes=FAST | {"data.held_out": 0.0}, out=tmp_path / "lonely")
    with pytest.raises(DataError, match="held-out"):
        lonely.evaluate()
    data = lonely.folder.read_json("data.json")
    lonely.folder.write_json("data.json", data | {"fingerprint": "another"})
    with pytest.raises(RunFolderError, match="have changed"):
        lonely.evaluate()


def test_training_ends_with_a_report_unless_told_otherwise(tmp_path: Path) -> None:
    run = fenshen.train(kimg=0.032, changes=FAST | {"evaluate.report": True, "evaluate.count": 100}, out=tmp_path / "run")
    assert (run.path / "report.html").exists() and run.report()["scores"][0]["samples"] == 100


@pytest.mark.parametrize(("shift", "words"), [(0.0, "cannot tell"), (0.6, "often tell"), (3.0, "for most pictures")])
def test_the_audit_says_what_planted_scores_give_away(shift: float, words: str) -> None:
    rng = np.random.default_rng(0)
    members, others = rng.standard_normal(400) + shift, rng.standard_normal(400)
    attack = attack_by("the score", members, others)
    assert words in attack_in_words(attack)[0] and attack.true_positives is not None
    assert (attack.true_positives.value > 0.5) == (shift == 3.0)


def test_a_few_members_that_are_given_away_are_told_of() -> None:
    """Copies of a tenth of the training pictures hardly move the area, and are certain all the same."""
    rng = np.random.default_rng(0)
    members, others = rng.standard_normal(300), rng.standard_normal(900)
    assert len(attack_in_words(attack_by("the score", members, others))) == 1
    members[:30] = 9.0
    attack = attack_by("the score", members, others)
    assert attack.auc.value < 0.6 and attack.true_positives.value > 0.1
    assert "are recognized almost for certain" in attack_in_words(attack)[1]


def test_an_audit_answers_with_intervals_and_writes_them(run: fenshen.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fenshen.evaluate.audit.SAMPLES", 400)
    result = run.audit()
    assert result.members > 100 and {attack.name for attack in result.attacks} == {"the critic's logit", "distance to the nearest made picture"}
    assert all(0 <= attack.auc.low <= attack.auc.value <= attack.auc.high <= 1 for attack in result.attacks)
    assert json.loads((run.path / "audit.json").read_text())["verdict"] == list(result.verdict)


def test_only_comparable_scores_are_compared(evaluation: fenshen.api.Evaluation) -> None:
    mine = evaluation.json()
    assert comparable(mine, mine) and not comparable(mine, mine | {"encoder": "0"}) and not comparable(mine, mine | {"fingerprint": "0"})
    low, high = ({"name": "kid", "value": v, "low": v - 1, "high": v + 1, "better": "lower"} for v in (1.0, 9.0))
    assert clearly_better(low, high) is True and clearly_better(high, low) is False and clearly_better(low, low) is None
    assert clearly_better(low | {"samples": 100}, high | {"samples": 200}) is None, "of different numbers of pictures"
    assert compared({"scores": [low]}, {"scores": [high]})[0][1].endswith("*")


def test_the_gate_keeps_what_the_critic_ranks_highest(run: fenshen.Run) -> None:
    kept, drawn = run.generate(100, seed=3, keep=0.25), run.generate(100, seed=3)
    family = load_family(run.folder, run.recipe, run.folder.load_sampler()[1], "cpu")
    scores = [familiarity(family, made.images, made.labels, "cpu").mean() for made in (kept, drawn)]
    assert scores[0] > scores[1]
    assert np.array_equal(kept.labels, drawn.labels), "every label keeps its share"
    assert np.array_equal(run.generate(60, seed=3, keep=0.25).images, kept.images[:60]), "whatever the count"
    with pytest.raises(RecipeError, match="--keep 0"):
        run.generate(1, keep=0.0)


def test_best_of_each_label() -> None:
    scores, told = np.array([0.1, 0.9, 0.5, 0.8, 0.2, 0.7]), np.array([0, 1, 0, 1, 0, 1])
    assert best(scores, told, np.array([0, 1])).tolist() == [2, 1]
    assert best(scores, told, np.array([1, 1, 0])).tolist() == [1, 3, 2]


def test_groups_are_told_to_the_critic(tmp_path: Path) -> None:
    """A run without labels has groups; evaluation and gate tell the critic the same groups again."""
    run = fenshen.train(kimg=0.064, changes=FAST | {"model.condition": "none", "model.groups": 4}, out=tmp_path / "run")
    result = run.evaluate(100)
    assert 0 <= result.critic["held_out_accuracy"] <= 1 and run.generate(5, keep=0.5).labels is None


def test_the_encoder_never_sees_a_held_out_picture(run: fenshen.Run, subject: Subject, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from fenshen.training import examine

    seen = []

    def remembering(pictures: np.ndarray, *arguments: object, **more: object) -> object:
        seen.append(pictures)
        return subject.encoder

    monkeypatch.setenv("FENSHEN_CACHE", str(tmp_path))
    monkeypatch.setattr(examine, "train_encoder", remembering)
    dataset = prepare(run.recipe.data)
    examine.encoder_of(dataset, torch.device("cpu"), lambda text: None)
    held_out = {picture.tobytes() for picture in dataset.pictures[dataset.held_out]}
    assert len(seen[0]) == len(dataset.train) and not {picture.tobytes() for picture in seen[0]} & held_out


def test_autopilot_and_report_share_one_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where groups were found: they are no labels, and no second encoder is trained for them."""
    monkeypatch.setenv("FENSHEN_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "made.npz", images=rng.integers(0, 256, (60, 8, 8), np.uint8))
    changes = FAST | {"autopilot": "on", "model.groups": 3, "evaluate.report": True, "evaluate.count": 50}
    fenshen.train(tmp_path / "made.npz", kimg=0.032, changes=changes, out=tmp_path / "run")
    assert len(list((tmp_path / "cache").glob("encoder-*"))) == 1


@pytest.fixture
def dino(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Random weights of a DINOv2 of one small block, which is fed small pictures."""
    monkeypatch.setitem(SIDE, "dinov2", 28)
    net = VisionTransformer(64, 1)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.1, generator=torch.Generator().manual_seed(0))
    path = tmp_path / "dino.pth"
    torch.save(net.state_dict(), path)
    return path


def test_another_encoder_sees_distances_and_our_own_sees_classes_and_copies(run: fenshen.Run, dino: Path) -> None:
    own = run.evaluate(100).json()
    other = run.evaluate(100, encoder="dinov2", encoder_weights=dino, keep=0.5).json()
    assert not comparable(own, other) and comparable(other, other)
    first, second = ({score["name"]: score for score in report["scores"]} for report in (own, other))
    assert all(second[name]["encoder"] == other["encoder"] != first[name]["encoder"] == own["encoder"] for name in ("frechet", "kid", "vendi"))
    assert second["balance"] == first["balance"] and second["labels"] == first["labels"] and other["copying"] == own["copying"]
    assert "inception" not in second, "DINOv2 names no classes"
    assert {row[0] for row in compared(own, other)} <= {meaning(name)[0] for name in ("balance", "labels", "consistency")}
    assert f"dinov2, 64 features, {other['encoder'][:16]}" in (run.path / "report.html").read_text("utf-8")


def test_the_recipe_may_name_the_encoder(run: fenshen.Run, dino: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = run.recipe.set({"evaluate.encoder": "dinov2", "evaluate.encoder_weights": str(dino)})
    monkeypatch.setattr(RunFolder, "recipe", lambda folder: recipe)
    assert run.evaluate(100).scores[0].encoder != run.evaluate(100, encoder="own").scores[0].encoder


@pytest.mark.parametrize(("encoder", "weights", "words"), [
    ("inception", None, "evaluate.encoder_weights FILE, or download"), ("own", "some.pth", "needs none"),
    ("dinov2", "nowhere.pth", "no file of weights"), ("clip", None, "evaluate.encoder"),
])  # fmt: skip
def test_an_encoder_without_its_weights(encoder: str, weights: str | None, words: str, run: fenshen.Run) -> None:
    with pytest.raises((DataError, RecipeError), match=words):
        run.evaluate(100, encoder=encoder, encoder_weights=weights)


def test_weights_are_fetched_only_when_asked_for_and_once(dino: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FENSHEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(borrowing.PUBLISHED, "dinov2", (dino.as_uri(), None))
    wanted, said = Evaluate(encoder="dinov2", encoder_weights="download"), []
    first, second = (borrowing.borrowed(wanted, "cpu", said.append) for _ in range(2))
    assert first is not None and second is not None and first.digest == second.digest and len([text for text in said if "fetching" in text]) == 1
    monkeypatch.setitem(borrowing.PUBLISHED, "inception", (dino.as_uri(), "00000000"))
    with pytest.raises(DataError, match=r"cannot be fetched.*hash.*bring the file yourself"):
        borrowing.borrowed(Evaluate(encoder="inception", encoder_weights="download"), "cpu", said.append)
    assert not list((tmp_path / "cache").glob("weights-inception*/*"))


def test_the_mean_picture_is_a_ceiling_too(subject: Subject) -> None:
    """It has no variety at all, and nothing is said of it where a single picture says nothing."""
    scores = {score.name: score for score in all_scores(subject)}
    distance = scores["frechet"]
    assert distance.value < distance.mean and distance.value < distance.ceiling
    assert scores["vendi"].mean == pytest.approx(1) and scores["inception"].mean == pytest.approx(1) and scores["consistency"].mean == 0
    assert scores["recall"].mean < 0.02 and scores["precision"].mean is None and scores["density"].mean is None
    assert scores["balance"].mean == pytest.approx(0.9, abs=0.02)


def test_groups_take_the_place_of_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures told the same group are compared with real ones of that group, where nobody knows classes."""
    monkeypatch.setattr("fenshen.measure.encoders.steps_for", lambda *given: 4)
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "made.npz", images=rng.integers(0, 256, (120, 8, 8), np.uint8))
    run = fenshen.train(tmp_path / "made.npz", kimg=0.032, changes=FAST | {"model.groups": 2}, out=tmp_path / "run")
    scores = {score.name: score for score in all_scores(Subject.open(run.folder, "cpu", 60, 0, lambda text: None))}
    assert "labels" not in scores and "balance" not in scores and scores["consistency"].value is not None


def test_the_command_line_measures_and_compares(run: fenshen.Run, dino: Path, tmp_path: Path) -> None:
    """Scores with both ceilings, the critic, the verdict; other encoders refused side by side; a mistake is one line and exit code 2."""
    copy, said = tmp_path / "copy", CliRunner().invoke
    shutil.copytree(run.path, copy)
    told = said(app, ["evaluate", str(run.path), "--count", "100"])
    assert told.exit_code == 0
    assert all(words in told.stdout for words in ("Fréchet distance", "mean picture", "Critic on held-out pictures", "times the distance", "Report:"))
    for count, words in (("100", "clearly better"), ("60", "the same --count")):
        assert said(app, ["evaluate", str(copy), "--count", count]).exit_code == 0
        assert words in said(app, ["runs", "compare", str(run.path), str(copy)]).stdout
    other = said(app, ["evaluate", str(copy), "--count", "100", "--encoder", "dinov2", "--encoder-weights", str(dino)])
    assert other.exit_code == 0 and "seen by dinov2, 64 features" in other.stdout
    assert "by different encoders" in said(app, ["runs", "compare", str(run.path), str(copy)]).stdout
    missing = said(app, ["evaluate", str(copy), "--encoder", "inception"])
    assert missing.exit_code == 2 and "evaluate.encoder_weights FILE" in missing.stderr and "Traceback" not in missing.stderr

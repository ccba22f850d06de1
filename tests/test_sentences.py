"""Runs of sentences, with a latent or with a critic: trained, stopped and resumed, written from; the critic as a judge; when it is sent home."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from made import write_folder
from test_training import StopAfter
from written import sentence

import fenshen
from fenshen.errors import RecipeError, RunFolderError
from fenshen.evaluate.critic import text_gate
from fenshen.run import RunFolder, read_tensors
from fenshen.space import END
from fenshen.training import judging, probe, session
from fenshen.training.heldout import HeldOut, Surprise
from fenshen.training.loop import Trainer
from fenshen.training.plan import describe
from fenshen.training.session import Stop

SMALL = {"model.width": 16, "model.depth": 1, "model.context": 16, "train.batch": 8, "train.threads": 1, "train.precision": "fp32", "train.ticks": 2,
         "data.vocabulary": 300, "data.unit": "line", "evaluate.report": False}  # fmt: skip
STEPS = 10


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("lines"), {"lines.txt": "\n".join(sentence(number, 5) for number in range(60))}) / "lines.txt"


@pytest.fixture(scope="module", params=["textvae", "textgan"])
def run(request: pytest.FixtureRequest, lines: Path, tmp_path_factory: pytest.TempPathFactory) -> fenshen.Run:
    return fenshen.train(lines, request.param, kimg=STEPS * 8 / 1000, changes=SMALL, out=tmp_path_factory.mktemp("module") / request.param)


def test_five_and_five_steps_are_ten(run: fenshen.Run, lines: Path, tmp_path: Path) -> None:
    """Stopped in the middle, where only the likelihood has counted so far, and resumed: as if never stopped."""
    stop = Stop()
    part = fenshen.train(lines, run.recipe.model.family, kimg=STEPS * 8 / 1000, changes=SMALL, out=tmp_path / "part", stop=stop,
                         watcher=StopAfter(stop, 1))  # fmt: skip
    assert stop.signal == signal.SIGINT and 0 < read_tensors(part.folder.state)[1]["steps"] < STEPS
    fenshen.resume(part.path)
    (one, _), (other, _) = (read_tensors(r.folder.state) for r in (run, part))
    assert set(one) == set(other) and all(torch.equal(one[k], other[k]) for k in one)


def test_it_writes_and_the_same_seed_the_same(run: fenshen.Run) -> None:
    one, other = run.write(4, seed=1, max_chars=40), run.write(2, seed=1, max_chars=40)
    assert one.texts[:2] == other.texts and len(one.texts) == 4 and all(len(text) <= 40 for text in one.texts)


def test_a_latent_is_written_from_and_a_critic_chooses(run: fenshen.Run, here: Callable[..., str]) -> None:
    if run.recipe.model.family == "textvae":
        same = run.write(3, like=[sentence(1, 5)], far=0.0, temperature=0.0).texts
        assert len(set(same)) == 1 and len(run.write(3, like=[sentence(1, 5), sentence(2, 5)], temperature=0.0).texts) == 3
        assert here(0, "generate", run.path, "--like", sentence(1, 5), "--count", "2", "--max-chars", "20", "--no-stream").count("――") > 2
        with pytest.raises(RunFolderError, match="--like"):
            run.interpolate(0, 1)
        with pytest.raises(RecipeError, match="no critic"):
            run.write(2, keep=0.5)
        return
    _, made, _ = run.folder.load_writer()
    score = text_gate(run.folder, run.recipe, made, "cpu")
    drawn = run.write(8, seed=3, max_chars=30, temperature=0.8).texts
    kept = run.write(2, seed=3, max_chars=30, keep=0.25).texts  # Drawn as the critic has learnt to judge.
    assert [max(drawn[at : at + 4], key=lambda text: float(score([text]))) for at in (0, 4)] == list(kept)
    assert here(0, "generate", run.path, "--keep", "0.5", "--max-chars", "20", "--no-stream")
    with pytest.raises(RecipeError, match="no latents"):
        run.write(2, like=["a"])


def test_the_critic_learns_to_judge_once(lines: Path, tmp_path: Path) -> None:
    """When training has come to its end, not when it was stopped; and not again."""
    stop = Stop()
    run = fenshen.train(lines, "textgan", kimg=0.08, changes=SMALL, out=tmp_path / "run", stop=stop, watcher=StopAfter(stop, 1))
    assert not read_tensors(run.folder.state)[0]["family.judged"] and "judge/accuracy" not in run.log()[-1]
    first, second = (read_tensors(fenshen.resume(run.path).folder.state)[0] for _ in range(2))
    assert first["family.judged"] and all(torch.equal(value, second[name]) for name, value in first.items())
    assert 0 <= run.log()[-2]["judge/accuracy"] <= 1


def test_a_judge_knows_what_a_bad_writer_writes(lines: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that has learnt nothing: its texts are told from real ones that nobody has shown; and where it is stopped nothing has happened."""
    monkeypatch.setattr(judging, "EPOCHS", 60)
    recipe = fenshen.api.describe_recipe(lines, "textgan", kimg=1.0, changes=SMALL)
    dataset = fenshen.data.prepare_texts(recipe.data)
    recipe = fenshen.training.plan.complete(recipe, dataset, torch.device("cpu")).set({"train.ema_half_life_kimg": 0.0})
    trainer = Trainer(recipe, describe(recipe, dataset), dataset, torch.device("cpu"))
    trainer.shown, before = 100_000, {name: value.clone() for name, value in trainer.family.state_dict().items()}
    assert judging.train_judge(trainer, lambda: True) is None
    assert all(torch.equal(value, before[name]) for name, value in trainer.family.state_dict().items())
    fake_NL, alphabet = judging.written(trainer, 4, 0), dataset.alphabet
    for tok_L in fake_NL.numpy():  # Cut into pieces as real text is, not as it was written.
        ids = tok_L[tok_L != END]
        assert np.array_equal(alphabet.encode(alphabet.decode(ids)), ids)
    accuracy = judging.train_judge(trainer, lambda: False)
    assert accuracy is not None and accuracy > 0.75
    moved = {name.partition(".")[0] for name, value in trainer.family.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {"critic", "judged"}


def test_long_texts_are_refused(tmp_path: Path) -> None:
    book = write_folder(tmp_path, {"book.txt": " ".join(sentence(number, 20) for number in range(200))}) / "book.txt"
    for name in ("textvae", "textgan"):
        with pytest.raises(RecipeError, match="learns whole short texts"):
            fenshen.train(book, name, kimg=0.1, changes={"data.vocabulary": 300}, out=tmp_path / name)


def test_a_plan_in_minutes_knows_what_the_critic_takes(lines: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step costs one second while the likelihood counts alone, and eleven beside the critic."""

    def go(trial: probe._Trial) -> None:
        trial.seconds.append(11.0 if trial.trainer.at.fraction >= 0.75 else 1.0)

    monkeypatch.setattr(probe._Trial, "go", go)
    changes = SMALL | {"model.pretraining": 0.75}
    plan = fenshen.plan(lines, "textgan", minutes=2, changes=changes)
    assert plan.probed.stages == ((0.0, 1.0), (0.75, 11.0)) and plan.probed.seconds_per_step == pytest.approx(3.5)
    assert [plan.probed.seconds_of(part) for part in (0.5, 0.8)] == pytest.approx([0.5, 0.75 + 0.05 * 11])
    assert plan.recipe.train.kimg == pytest.approx(session.MARGIN * 120 / 3.5 * 8 / 1000, rel=0.01)


def test_a_plan_is_not_lengthened_by_its_cheap_part(lines: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a third of the plan's time nothing is wrong, though half of its rows were shown."""
    plan = fenshen.plan(lines, "textgan", minutes=2, changes=SMALL)
    plan = replace(plan, probed=replace(plan.probed, stages=((0.0, 1.0), (0.6, 2.25))), recipe=plan.recipe.set({"train.kimg": 1.0}))
    trainer = Trainer(plan.recipe, plan.made, plan.dataset, plan.device)
    one = session.Session(plan, RunFolder.create(tmp_path / "run", "run"), trainer, session.Watcher(), Stop(), 0.0, None)
    monkeypatch.setattr(session.time, "monotonic", lambda: 40.0)
    one.began, trainer.shown = 0.0, 500
    one._lengthen()
    assert trainer.recipe.train.kimg == pytest.approx(1.15)


@pytest.mark.parametrize(("nats", "alike", "ends", "kept"), [
    ([3.0, 2.0, 2.04, 2.03], [0.1, 0.5, 0.5, 0.5], None, 3), ([3.0, 2.0, 2.2, 2.3], [0.5] * 4, 4, 1),
    ([3.0, 2.0, 2.0, 2.0], [0.1, 0.5, 0.6, 0.6], 4, 1), ([3.0, 2.0, 2.2, 2.0, 2.3], [0.5] * 5, None, 3),
])  # fmt: skip
def test_a_critic_that_does_harm_is_sent_home(
    nats: list[float], alike: list[float], ends: int | None, kept: int, lines: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The looks are scripted: held-out text may become a little less likely, and texts a little more alike, but no more."""
    recipe = fenshen.api.describe_recipe(lines, "textgan", kimg=1.0, changes=SMALL | {"model.dropout": 0.0})
    dataset = fenshen.data.prepare_texts(recipe.data)
    recipe = fenshen.training.plan.complete(recipe, dataset, torch.device("cpu")).set({"train.ema_half_life_kimg": 0.0})
    trainer = Trainer(recipe, describe(recipe, dataset), dataset, torch.device("cpu"))
    watch = HeldOut(trainer, lambda event: None)
    monkeypatch.setattr(watch, "_surprise", lambda most=None: Surprise(nats[min(len(watch.seen), len(nats) - 1)], 1, 1))
    monkeypatch.setattr(watch, "_alike", lambda: alike[min(len(watch.seen), len(nats) - 1)])
    weight, ended = next(iter(trainer.averaged.parameters())), None
    for number in range(len(nats)):
        weight.data.fill_(number)
        trainer.shown = 1000 * (number + 1) * max(1, round(watch.every + 1))
        watch.after_step(fenshen.training.loop.Report())
        ended = ended or (len(watch.seen) if watch.goal_met else None)
    watch.finish()
    assert ended == ends and set(next(iter(trainer.averaged.parameters())).flatten().tolist()) == {kept}

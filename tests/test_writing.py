"""A run of words: trained, stopped, resumed, the same twice; what it writes; what cannot work is refused before it starts."""

from __future__ import annotations

import json
import math
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from made import files, write_folder
from test_training import StopAfter
from written import sentence, story

import fenshen
import fenshen.data
from fenshen.errors import DataError, RecipeError, RunFolderError
from fenshen.recipe import load_recipe
from fenshen.run import read_tensors
from fenshen.training.autopilot import Event
from fenshen.training.heldout import HeldOut, Surprise
from fenshen.training.loop import Report, Trainer
from fenshen.training.plan import complete, describe
from fenshen.training.session import Stop

SMALL = {"model.width": 32, "model.depth": 1, "model.context": 16, "train.batch": 8, "train.threads": 1, "train.precision": "fp32", "train.ticks": 2}
STEPS = 10


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("words"), {"book.txt": "\n\n".join(map(story, range(12)))}) / "book.txt"


@pytest.fixture(scope="module")
def run(book: Path, tmp_path_factory: pytest.TempPathFactory) -> fenshen.Run:
    return fenshen.train(book, kimg=STEPS * 8 / 1000, changes=SMALL, out=tmp_path_factory.mktemp("module") / "run")


@pytest.mark.parametrize("changes", [
    {}, {"model.net": "lstm", "train.precision": "bf16"}, {"train.parts": 2, "train.threads": 2, "model.dropout": 0.2},
    {"model.rows": "documents", "model.context": 64, "data.unit": "line"},
], ids=["default", "lstm", "two parts, dropout", "documents"])  # fmt: skip
def test_five_and_five_steps_are_ten(changes: dict, book: Path, tmp_path: Path) -> None:
    """Stopped in the middle and resumed: every byte of weights and state as if never stopped."""
    wishes = {"kimg": STEPS * 8 / 1000, "changes": SMALL | changes}
    whole = fenshen.train(book, out=tmp_path / "whole", **wishes)
    stop = Stop()
    part = fenshen.train(book, out=tmp_path / "part", stop=stop, watcher=StopAfter(stop, 1), **wishes)
    assert stop.signal == signal.SIGINT and 0 < read_tensors(part.folder.state)[1]["steps"] < STEPS
    fenshen.resume(part.path)
    (one, header), (other, other_header) = (read_tensors(r.folder.state) for r in (whole, part))
    assert header["steps"] == other_header["steps"] == STEPS and header.get("autopilot") == other_header.get("autopilot")
    assert set(one) == set(other) and all(torch.equal(one[k], other[k]) for k in one)
    assert whole.folder.weights.read_bytes() == part.folder.weights.read_bytes()


def test_same_recipe_twice_is_the_same_run(run: fenshen.Run, book: Path, tmp_path: Path) -> None:
    again, other = (fenshen.train(book, kimg=STEPS * 8 / 1000, seed=seed, changes=SMALL, out=tmp_path / str(seed)) for seed in (0, 1))
    assert again.folder.weights.read_bytes() == run.folder.weights.read_bytes() != other.folder.weights.read_bytes()


def test_run_folder_holds_what_the_docs_say(run: fenshen.Run) -> None:
    names = {path.relative_to(run.path).as_posix() for path in run.path.rglob("*") if path.is_file()}
    assert {"recipe.toml", "weights.safetensors", "state/last.safetensors", "data.json", "log.jsonl"} <= names
    assert sorted(name for name in names if name.startswith("samples/")) == ["samples/000000040.txt", "samples/000000080.txt"]
    data = json.loads((run.path / "data.json").read_text())
    assert data["tokens"] == "characters" and data["token_count"] > 4000 and data["bytes"] > 4000 and data["held_out"] >= 1
    last = run.log()[-1]
    assert all(math.isfinite(value) for line in run.log() for value in line.values())
    assert last["held_out/bits_per_byte"] == pytest.approx(last["held_out/nats"] / math.log(2), rel=0.05), "a character is a byte here"


def test_the_saved_recipe_is_complete(run: fenshen.Run) -> None:
    model = run.recipe.model
    assert run.recipe.data.kind == "words" and (model.family, model.net, model.rows) == ("autoregressive", "transformer", "windows")
    assert None not in model.model_dump().values() and run.recipe.train.optimizer == "adamw"


def test_same_seed_same_text_whatever_the_count(run: fenshen.Run) -> None:
    many, few = run.write(5, "In the", seed=3, max_chars=30), run.write(2, "In the", seed=3, max_chars=30)
    assert many.texts[:2] == few.texts and all(len(text) <= 30 for text in many.texts)
    assert run.write(2, "In the", seed=4, max_chars=30).texts != few.texts
    heard: list[str] = []
    assert run.write(1, seed=3, max_chars=30, spoken=lambda index, text: heard.append(text)).texts == ("".join(heard),)
    assert "o" not in run.write(1, stop=["o"], max_chars=200).texts[0]


def test_long_prompts_are_read_by_their_end(run: fenshen.Run) -> None:
    """Both end alike, and the network reads sixteen tokens."""
    one, other = (run.write(1, prompt, max_chars=10, temperature=0).texts for prompt in (10 * "the hills " + 4 * "clouds ", 4 * "clouds "))
    assert one == other


def test_words_are_saved_with_their_prompts(run: fenshen.Run, tmp_path: Path) -> None:
    words = run.write(2, "The", max_chars=9)
    lines = [json.loads(line) for line in words.save(tmp_path / "a.jsonl").read_text().splitlines()]
    assert [line["text"] for line in lines] == list(words.texts) and {line["Run"] for line in lines} == {"run"}
    assert words.save(tmp_path / "a.txt").read_text().count("The") >= 2
    with pytest.raises(RecipeError, match=r"name a \.txt or a \.jsonl"):
        words.save(tmp_path / "a.png")


def test_the_command_line_writes(run: fenshen.Run, here: Callable[..., str], tmp_path: Path) -> None:
    plain, grown = (here(0, "generate", run.path, "--prompt", "The", "--count", 2, "--max-chars", 20, flag) for flag in ("--no-stream", "--stream"))
    assert plain == grown and plain.startswith("The") and plain.count("The") >= 2
    answer = json.loads(here(0, "generate", run.path, "--json", "--max-chars", 20, "--prompt", "The"))
    assert plain.startswith("The" + answer["texts"][0]) and answer["seed"] == 0
    assert "a.jsonl" in here(0, "generate", run.path, "--out", tmp_path / "a.jsonl", "--max-chars", 5)
    assert "leave --grid out" in here(2, "generate", run.path, "--grid")
    assert "never seen 漢" in here(2, "generate", run.path, "--prompt", "漢")
    assert "--top-p 0.0: between" in here(2, "generate", run.path, "--top-p", 0)


def test_what_does_not_fit_is_refused(run: fenshen.Run, book: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"learns pictures, and .* holds words"):
        fenshen.train(book, "vae", kimg=0.1)
    with pytest.raises(RecipeError, match=r"learns words, and .* holds pictures"):
        fenshen.train(write_folder(tmp_path / "pictures", files()), "lstm", kimg=0.1)
    with pytest.raises(RecipeError, match="--until is for pictures"):
        fenshen.train(book, changes={"autopilot.until": 3})
    with pytest.raises(RunFolderError, match="run makes words, and this works with pictures"):
        run.generate(1)
    with pytest.raises(DataError, match="there is no tag poem"):
        run.write(1, tags=["poem"])
    with pytest.raises(RecipeError, match="this recipe makes none"):
        fenshen.tune(book)


@pytest.mark.parametrize(("source", "changes", "expected"), [
    ("topics", {}, {"size": "nano", "rows": "windows", "context": 128, "width": 128, "dropout": 0.1}),
    ("topics", {"train.minutes": 30}, {"size": "small", "width": 192}),
    ("topics", {"model.net": "lstm"}, {"size": "nano", "width": 256, "depth": 2, "dropout": 0.2}),
    ("lines", {}, {"rows": "documents", "context": 104}), ("lines", {"model.context": 32, "model.size": "base"}, {"context": 32, "width": 384}),
])  # fmt: skip
def test_what_is_left_open_is_derived_from_the_text(source: str, changes: dict, expected: dict, tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("\n".join(sentence(number, 4 + number % 13) for number in range(500)))
    recipe = load_recipe("transformer").set({"data.source": "topics" if source == "topics" else str(tmp_path / "lines.txt")} | changes)
    model = complete(recipe, fenshen.data.prepare_texts(recipe.data), torch.device("cpu")).model
    assert {key: getattr(model, key) for key in expected} == expected


@pytest.mark.parametrize("seen, ends, kept", [
    ([3.0, 2.0, 1.5, 1.6, 1.7, 1.7, 1.7, 1.7, 1.8], 9, 2), ([3.0, 2.0, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.505], None, 2),
    ([3.0, 2.0, 2.5, 2.5, 2.5, 2.5, 2.5, 1.9, 2.0], None, 7), ([3.0, 2.9, 2.8, 2.7], None, None),
])  # fmt: skip
def test_training_ends_when_held_out_text_becomes_no_likelier(
    seen: list[float], ends: int | None, kept: int | None, run: fenshen.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The looks are scripted; what is kept at the end is the weights of the best one."""
    dataset = fenshen.data.prepare_texts(run.recipe.data)
    trainer = Trainer(run.recipe, describe(run.recipe, dataset), dataset, torch.device("cpu"))
    said: list[Event] = []
    watch = HeldOut(trainer, said.append)
    monkeypatch.setattr(watch, "_surprise", lambda most=None: Surprise(seen[min(len(watch.seen), len(seen) - 1)], 1, 1))
    weight, ended = next(iter(trainer.averaged.parameters())), None
    for number in range(len(seen)):
        weight.data.fill_(number)
        trainer.shown = 1000 * (number + 1) * max(1, round(watch.every + 1))
        watch.after_step(Report())
        ended = ended or (len(watch.seen) if watch.goal_met else None)
    assert ended == ends and [look[1] for look in watch.seen] == seen and len(said) == (ends is not None)
    best = watch.finish()
    assert (best is None) == (kept is None) and (kept is None or set(next(iter(best.values())).flatten().tolist()) == {kept})
    fresh = HeldOut(trainer, said.append)
    fresh.load(*watch.state())
    assert fresh.state()[1] == watch.state()[1]

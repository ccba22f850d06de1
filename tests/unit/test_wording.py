"""What a recipe for words leaves open: how hard a network is held back follows from how many weights it has for its text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from written import story

import fenshen
from fenshen.data import Texts, prepare_texts
from fenshen.recipe import Data, Recipe
from fenshen.training.probe import Probed
from fenshen.training.session import Watcher, default_ticks
from fenshen.training.wording import HEART, complete_words, default_decay, enough_rows, tokens_per_row, weights_per_token

TRANSFORMER = {"model.family": "autoregressive", "model.net": "transformer"}
CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Texts:
    """About 60,000 characters."""
    path = tmp_path_factory.mktemp("words") / "made.txt"
    path.write_text("\n\n".join(story(number, 20) for number in range(40)))
    return prepare_texts(Data(source=str(path), unit="document"))


def completed(texts: Texts, device: torch.device = CPU, **changes: Any) -> Recipe:
    wished = {key.replace("__", "."): value for key, value in changes.items()}
    return complete_words(Recipe().set(TRANSFORMER | wished), texts, device)


def test_the_denser_the_more_is_held_back(texts: Texts) -> None:
    tokens = int(texts.lengths[texts.train].sum())
    thin, thick = (completed(texts, model__width=width, model__depth=2) for width in (32, 384))
    assert weights_per_token(thick, texts) == 24 * 384**2 / tokens > HEART > weights_per_token(thin, texts)
    assert (thin.train.weight_decay, thin.model.dropout) == (0.1, 0.1) and (thick.train.weight_decay, thick.model.dropout) == (1.0, 0.2)
    assert default_decay(4.0) == 0.4 and completed(texts, train__weight_decay=0.0).train.weight_decay == 0.0
    assert completed(texts, model__net="lstm").train.weight_decay == 0.0


def test_short_texts_make_small_steps_on_a_gpu_too(texts: Texts) -> None:
    assert completed(texts, CUDA).train.batch == completed(texts, model__context=256).train.batch == 2048 // 256
    assert completed(replace(texts, starts=20 * texts.starts), CUDA).train.batch == 8192 // 256, "of a million characters"
    assert completed(replace(texts, starts=100 * texts.starts), CUDA).train.batch == 16_384 // 256


def test_a_plan_reads_a_text_as_often_as_is_worth_it(texts: Texts) -> None:
    """65 times with one weight per token; half as often with four times the weights; a thousand steps in any case."""
    tokens = int(texts.lengths[texts.train].sum())
    recipes = [completed(texts, model__width=width, model__depth=2, train__batch=1) for width in (96, 192)]
    few, many = (enough_rows(recipe, texts) * tokens_per_row(recipe, texts) / tokens for recipe in recipes)
    assert few == pytest.approx(65 / (24 * 96**2 / tokens) ** 0.5) and many == pytest.approx(few / 2)
    assert enough_rows(recipes[0].set({"train.batch": 64}), texts) == 64_000
    assert enough_rows(completed(texts, model__net="lstm"), texts) == float("inf")


class Hearing(Watcher):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def said(self, text: str) -> None:
        self.told.append(text)


@pytest.mark.parametrize("kimg", [None, 7.0])
def test_minutes_are_not_filled_for_their_own_sake(kimg: float | None, tmp_path: Path) -> None:
    """A day is more than a few pages are worth; whoever wants to read them longer says so."""
    (tmp_path / "made.txt").write_text("\n\n".join(story(number) for number in range(20)))
    small = {"model.width": 16, "model.depth": 1, "model.context": 8, "train.batch": 2, "train.precision": "fp32", "train.threads": 1}
    small |= {"train.parts": 1}
    plan = fenshen.plan(tmp_path / "made.txt", minutes=1440, kimg=kimg, changes=small, watcher=(hearing := Hearing()))
    enough = enough_rows(plan.recipe, plan.dataset) / 1000
    assert plan.recipe.train.kimg == pytest.approx(kimg or enough, abs=1e-3)
    assert any("are enough" in text for text in hearing.told) == (kimg is None)
    assert plan.recipe.train.ticks == default_ticks(plan.recipe, plan.probed) <= 20


def test_a_short_training_is_not_interrupted_all_the_time() -> None:
    recipe, probed = Recipe().set({"train.kimg": 10, "train.batch": 100}), Probed(Recipe().set({"train.batch": 100}), ((0.0, 0.1),), ())
    assert probed.pictures_per_second == pytest.approx(1000)
    ticks = [default_ticks(recipe.set({"train.kimg": kimg}), probed) for kimg in (1, 30, 60, 1000)]
    assert ticks == [4, 6, 12, 20] and default_ticks(recipe.set({"train.kimg": 1000, "train.minutes": 0.5}), probed) == 6

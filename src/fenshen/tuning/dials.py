"""What is searched, and what is tried next: Optuna's TPE (Bergstra et al. 2011), asked anew for each trial.

Optuna keeps nothing: a proposal follows from the seed, the number of the trial and the scores so far, all of which stand in
trials.json. So a search that was stopped goes on as if it had not been.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from fenshen.errors import FenshenError, RecipeError
from fenshen.recipe import Adversary, Recipe, Size
from fenshen.training.loop import step_seed

KEYS = {"lr": "train.lr", "critic": "train.lr_critic", "gamma": "model.penalty.gamma", "batch": "train.batch", "size": "model.size"}
SIZES: tuple[str, ...] = get_args(Size)
WORST = 1e9  # Stands for a trial that failed: TPE looks at ranks only.
LARGEST_BATCH = 4096

Value = float | int | str
Values = dict[str, Value]


@dataclass(frozen=True)
class Dial:
    """One thing that is searched: a number from `low` to `high`, evenly in its logarithm, or one of `choices`."""

    name: str
    default: Value
    low: float = 0.0
    high: float = 0.0
    choices: tuple[Value, ...] = ()


def library() -> Any:
    """Optuna, quiet. FenshenError where it is not installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import optuna
    except ImportError:
        raise FenshenError("tuning needs Optuna, which is not installed here: pip install 'fenshen[tune]'") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def dials(recipe: Recipe, fixed: Collection[str], pictures: int, sizes: Sequence[str]) -> list[Dial]:
    """What there is to search around a complete recipe. `fixed`: keys that a person has set; `sizes`: those that the time allows.

    The critic's learning rate is searched as a multiple of the generator's. RecipeError where everything is fixed.
    """
    train, critic = recipe.train, isinstance(recipe.model, Adversary)
    gamma = recipe.model.penalty.gamma if isinstance(recipe.model, Adversary) else None
    assert train.lr and train.batch and recipe.model.size
    batches = tuple(n for n in (train.batch // 2, train.batch, 2 * train.batch) if n == train.batch or 2 <= n <= min(pictures, LARGEST_BATCH))
    found = [_number("lr", train.lr, 8, 4)]
    found += [_number("critic", (train.lr_critic or train.lr) / train.lr, 4, 4)] if critic else []
    found += [_number("gamma", gamma, 16, 16)] if gamma else []
    found += [Dial("batch", train.batch, choices=batches), Dial("size", recipe.model.size, choices=tuple(sizes))]
    free = [dial for dial in found if KEYS[dial.name] not in fixed and len(dial.choices) != 1]
    if not free:
        raise RecipeError("there is nothing left to search: --set and --size fix {keys}", keys=", ".join(KEYS.values()))
    return free


def _number(name: str, default: float, down: float, up: float) -> Dial:
    return Dial(name, default, rounded(default / down), rounded(default * up))


def rounded(value: float, digits: int = 3) -> float:
    """To so many significant digits: 0.00123."""
    return float(f"{value:.{digits - 1}e}")


def defaults(around: Iterable[Dial]) -> Values:
    """The default recipe as a point of the search."""
    return {dial.name: dial.default for dial in around}


def changes(values: Mapping[str, Value], recipe: Recipe) -> dict[str, Any]:
    """Dotted keys for `recipe.set`; `recipe`: the complete one that the dials were made from."""
    wanted: dict[str, Any] = {KEYS[name]: value for name, value in values.items() if name != "critic"}
    if "critic" in values:
        lr, ratio = float(values.get("lr", recipe.train.lr or 0.0)), float(values["critic"])
        wanted[KEYS["critic"]] = None if ratio == 1 else rounded(lr * ratio, 6)
    return wanted


def neighbors(around: Sequence[Dial]) -> list[Values]:
    """The default with one dial turned: a number half way (in its logarithm) to either end of its range, a choice to each other one.

    A good default is rarely beaten by a recipe in which everything is different.
    """
    ways = [[_half_way(dial, end) for end in (dial.high, dial.low)] if not dial.choices else [c for c in dial.choices if c != dial.default]
            for dial in around]  # fmt: skip
    turned = [(dial, way[place]) for place in range(max(map(len, ways))) for dial, way in zip(around, ways, strict=True) if place < len(way)]
    return [defaults(around) | {dial.name: value} for dial, value in turned]


def _half_way(dial: Dial, end: float) -> float:
    return rounded((float(dial.default) * end) ** 0.5)


def propose(seed: int, number: int, around: Sequence[Dial], tried: Iterable[tuple[Values, float | None]]) -> Values:
    """What trial `number` is to try, after (values, score) of all before it; the lower the score the better, None: it failed.

    The default, its neighbors, and then what TPE makes of their scores.
    """
    beginning = [defaults(around), *neighbors(around)]
    if number < len(beginning):
        return beginning[number]
    optuna = library()
    space = {dial.name: _distribution(optuna, dial) for dial in around}
    sampler = optuna.samplers.TPESampler(seed=step_seed(seed, number) % 2**32, n_startup_trials=0)
    study = optuna.create_study(sampler=sampler)
    for values, score in tried:
        study.add_trial(optuna.trial.create_trial(params=values, distributions=space, value=WORST if score is None else score))
    asked = study.ask(space).params
    return {name: rounded(value) if isinstance(value, float) else value for name, value in asked.items()}


def _distribution(optuna: Any, dial: Dial) -> Any:
    if dial.choices:
        return optuna.distributions.CategoricalDistribution(dial.choices)
    return optuna.distributions.FloatDistribution(dial.low, dial.high, log=True)

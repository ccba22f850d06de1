"""Copying: planted copies and duplicates are found, new samples are not accused, and chance does what the test says."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import ArrayLike
from scipy.stats import fisher_exact, mannwhitneyu, norm

from fenshen.errors import DataError
from fenshen.measure import copying
from fenshen.measure.copying import Authenticity, Copies, _mann_whitney, c_t, duplicates, nearest

D = 16
MODES = 4 * np.random.default_rng(99).normal(size=(3, D))
SPREAD = np.array([0.3, 1.0, 2.0])


def draw(seed: int, count: int) -> np.ndarray:
    """From three modes of unlike density."""
    rng = np.random.default_rng(seed)
    mode = rng.integers(3, size=count)
    return MODES[mode] + SPREAD[mode, None] * rng.normal(size=(count, D))


TRAINING, HELD_OUT = draw(0, 400), draw(1, 300)


def copies(made: ArrayLike, training: ArrayLike, held_out: ArrayLike) -> Copies:
    return copying.copies(nearest(made, training), nearest(held_out, training))


def authenticity(made: ArrayLike, training: ArrayLike, held_out: ArrayLike) -> Authenticity:
    return copying.authenticity(nearest(made, training), nearest(held_out, training), training)


def planted(share: float, noise: float = 0.0, seed: int = 2, count: int = 400) -> np.ndarray:
    """New samples, of which the first ones are copies; noise as a part of how far a training sample is from its nearest."""
    made, number = draw(seed, count), round(share * count)
    distance = np.sort(np.linalg.norm(TRAINING[:number, None] - TRAINING, axis=2), axis=1)[:, 1]
    direction = np.random.default_rng(seed).normal(size=(number, D))
    made[:number] = TRAINING[:number] + noise * distance[:, None] * direction / np.linalg.norm(direction, axis=1, keepdims=True)
    return made


def test_nearest_training_sample() -> None:
    found = nearest(planted(0.5), TRAINING)
    assert (found.index[:200, 0] == np.arange(200)).all() and (found.distance[:200, 0] == 0).all() and (found.distance[200:] > 0).all()
    assert nearest(TRAINING[:1], TRAINING[:1]).index.tolist() == [[0]]


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.3])
def test_five_percent_of_copies_are_found(noise: float) -> None:
    found = copies(planted(0.05, noise), TRAINING, HELD_OUT)
    assert found.found and found.p_value < 1e-3 and set(range(20)) <= set(found.made.tolist())
    first = found.made[:15] < 20
    assert first.all() and (found.training[:15] == found.made[:15]).all()
    assert 0.05 <= found.share < 0.09 and found.expected == pytest.approx(4 / 301)


@pytest.mark.parametrize("sizes", [(100, 100, 100), (150, 40, 60), (30, 200, 100)], ids=str)
def test_new_samples_are_not_accused(sizes: tuple[int, int, int]) -> None:
    """Both tests are wrong in at most 1 % of cases: 4 in 50 happen once in 600 times."""
    alarms = np.zeros(2, int)
    for seed in range(50):
        made, training, held_out = np.split(draw(1000 + seed, sum(sizes)), np.cumsum(sizes)[:2])
        alarms += [copies(made, training, held_out).found, duplicates(made, held_out).found]
    assert (alarms < 4).all()


def test_a_timid_model_is_no_copier() -> None:
    """Samples nearer to the modes are nearer to training samples too, but to several alike."""
    timid = MODES[np.arange(400) % 3] + 0.6 * (draw(2, 400) - MODES[np.random.default_rng(2).integers(3, size=400)])
    assert not copies(timid, TRAINING, HELD_OUT).found


def test_few_samples_prove_little_and_many_copies_much() -> None:
    assert not copies(planted(0.05, count=40), TRAINING, HELD_OUT[:40]).found
    assert copies(planted(1.0), TRAINING, HELD_OUT).p_value < 1e-30
    assert copies(TRAINING[:10], TRAINING, HELD_OUT[:10]).found
    assert not copies(TRAINING[:1], TRAINING, HELD_OUT[:1]).found


def test_real_data_with_copies_of_its_own() -> None:
    """Where 5 % of held-out samples are in the training set too, as many made ones are none, many more are; Fisher's test."""
    held_out = np.concatenate([TRAINING[-15:], HELD_OUT[15:]])
    assert copies(planted(0.05), TRAINING, held_out).p_value == pytest.approx(fisher_exact([[20, 380], [15, 285]], "greater").pvalue)
    assert not copies(planted(0.05), TRAINING, held_out).found and copies(planted(0.2), TRAINING, held_out).found


def test_chance_is_exact() -> None:
    """Held-out samples below the limit: 3 of 300; 3 + 7 made ones: what a simulation of ranks says."""
    rng = np.random.default_rng(0)
    made = draw(5, 300)
    made[:5] = TRAINING[:5]
    found = copies(made, TRAINING, HELD_OUT)
    below = [np.flatnonzero(rng.permutation(600) >= 300)[3] - 3 for _ in range(4000)]
    assert found.p_value == pytest.approx(np.mean(np.array(below) >= len(found.made)), abs=0.02)


def z_of(made: np.ndarray) -> float:
    return c_t(made, TRAINING, HELD_OUT).value


@pytest.mark.parametrize(("made", "low", "high"), [
    (draw(7, 400), -2.5, 2.5), (planted(0.5), -np.inf, -4), (planted(1.0, 0.2), -np.inf, -9), (1.5 * draw(7, 400), 3, np.inf),
], ids=["new", "half copied", "noisy copies", "too far out"])  # fmt: skip
def test_c_t(made: np.ndarray, low: float, high: float) -> None:
    assert low < z_of(made) < high and z_of(made) == z_of(made)


def test_c_t_weights_cells_and_leaves_thin_ones_out() -> None:
    found = c_t(draw(7, 400), TRAINING, HELD_OUT)
    assert len(found.cells) == 3 and sum(found.weights) == pytest.approx(1) and found.value == pytest.approx(np.dot(found.cells, found.weights))
    one_mode = draw(7, 400)
    one_mode = one_mode[np.linalg.norm(one_mode - MODES[0], axis=1) < 4]
    assert len(c_t(one_mode, TRAINING, HELD_OUT).cells) == 1


def test_c_t_in_many_features() -> None:
    wide = np.linalg.qr(np.random.default_rng(0).normal(size=(100, 100)))[0][:D]
    found = c_t(planted(0.5) @ wide, TRAINING @ wide, HELD_OUT @ wide)
    assert found.value == pytest.approx(z_of(planted(0.5)), abs=0.5)


def test_c_t_where_made_and_real_do_not_meet() -> None:
    far = np.concatenate([HELD_OUT, np.full((9, D), 1000.0)])
    with pytest.raises(DataError, match="side by side"):
        c_t(np.full((30, D), 1000.0), np.concatenate([TRAINING, np.full((9, D), 1000.0)]), far)


def test_mann_whitney_z() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(9, size=40).astype(float), rng.integers(10, size=60).astype(float)
    expected = mannwhitneyu(a, b, alternative="less", method="asymptotic", use_continuity=False).pvalue
    assert norm.cdf(_mann_whitney(a, b)) == pytest.approx(expected) and _mann_whitney(np.ones(4), np.ones(5)) == 0


def test_authenticity() -> None:
    new = authenticity(draw(7, 400), TRAINING, HELD_OUT)
    assert new.made == pytest.approx(new.held_out, abs=0.1)
    assert authenticity(TRAINING, TRAINING, HELD_OUT).made == 0
    assert authenticity(planted(0.5), TRAINING, HELD_OUT).made == pytest.approx(new.made / 2, abs=0.07)
    assert authenticity([[3.0], [0.9]], [[0.0], [2.0], [9.0]], [[0.0]]).made == 0.0
    assert authenticity([[4.5], [0.9]], [[0.0], [2.0], [9.0]], [[0.0]]).made == 0.5


def test_duplicates_are_found() -> None:
    made = draw(7, 400)
    made[:20] = made[20:40] + 1e-3 * draw(8, 20)
    found = duplicates(made, HELD_OUT)
    assert found.found and found.pairs[:20, 0].max() < 20 and (found.pairs[:20, 1] == found.pairs[:20, 0] + 20).all() and found.share >= 0.1


@pytest.mark.parametrize("made", [np.repeat(draw(7, 1), 200, 0), draw(7, 20)[np.arange(200) % 20] + 0.01 * draw(8, 200)], ids=["one", "twenty"])
def test_collapse_is_duplication(made: np.ndarray) -> None:
    found = duplicates(made, HELD_OUT)
    assert found.found and found.share == 1


def test_duplicates_in_real_data_are_no_fault_of_the_model() -> None:
    made, held_out = draw(7, 300), HELD_OUT.copy()
    made[:10], held_out[:10] = made[10:20], held_out[10:20]
    assert not duplicates(made, held_out).found
    made[:100] = made[100:200]
    assert duplicates(made, held_out).found


def test_single_precision_and_constant_features() -> None:
    one, other = copies(planted(0.05), TRAINING, HELD_OUT), copies(planted(0.05).astype("f"), TRAINING.astype("f"), HELD_OUT)
    assert set(other.made.tolist()) >= set(range(20)) and other.found == one.found
    same = np.ones((40, 3))
    assert not copies(same, same, same).found and not duplicates(same, same).found
    assert c_t(same, same, same).value == 0 and authenticity(same, same, same).made == 0


REFUSED: list[tuple[Callable[..., object], int, int, int, int]] = [
    (nearest, 0, 9, 0, 1), (c_t, 29, 99, 99, 30), (c_t, 99, 99, 29, 30), (c_t, 99, 29, 99, 30), (authenticity, 9, 1, 9, 2),
    (authenticity, 9, 9, 0, 1), (copies, 9, 4, 9, 5), (copies, 0, 9, 9, 1), (copies, 9, 9, 0, 1),
]  # fmt: skip


@pytest.mark.parametrize(("measure", "made", "training", "held_out", "needed"), REFUSED)
def test_too_few_samples_are_refused(measure: Callable[..., object], made: int, training: int, held_out: int, needed: int) -> None:
    sets = [draw(0, made), draw(1, training), draw(2, held_out)][: 2 if measure is nearest else 3]
    with pytest.raises(DataError, match=f"it takes {needed} or more"):
        measure(*sets)


@pytest.mark.parametrize("sizes", [(1, 9), (9, 1)])
def test_duplicates_need_two_samples(sizes: tuple[int, int]) -> None:
    with pytest.raises(DataError, match="1; it takes 2"):
        duplicates(*(draw(0, count) for count in sizes))

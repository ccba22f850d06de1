"""How well a run restores: held-out pictures damaged, restored, and compared with what they were.

Beside each number stands that of the plainest other means, and that of the same network told of another picture. Values are parts of
1, color premultiplied by alpha, alpha a channel like the others; PSNR is over all of them, the mean over pictures of each one's own.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from scipy.stats import t
from torch import Tensor

from fenshen import __version__
from fenshen.evaluate.page import Page, Score, write
from fenshen.evaluate.report import Evaluation
from fenshen.evaluate.subject import Say, data_of
from fenshen.lang import tr
from fenshen.measure.encoders import Encoder
from fenshen.measure.fidelity import perceptual, psnr, ssim
from fenshen.media.image import save_picture
from fenshen.recipe import Recipe, Restoring
from fenshen.restoring import compare, restorer_of
from fenshen.run import RunFolder
from fenshen.training.examine import encoder_of
from fenshen.writing import stamp_of

KINDS = ("psnr", "ssim", "perceptual")
MOST, SHOWN = 2000, 8


def evaluate_restoring(run: RunFolder, device: str, count: int | None, seed: int, say: Say) -> Evaluation:
    """Measures with `count` held-out pictures (default: all, at most 2,000); writes report.html, report.json and restored.png."""
    recipe = run.recipe()
    model = recipe.model
    assert isinstance(model, Restoring)
    dataset = data_of(run, recipe, say)
    sampler, encoder = restorer_of(run.load_sampler(device)[0]), encoder_of(dataset, torch.device(device), say)
    indices = np.sort(np.random.default_rng(seed).permutation(dataset.held_out)[: min(count or MOST, MOST)])
    say(tr("restoring {count} held-out pictures", count=len(indices)))
    pictures = dataset.pictures[indices]
    found, misled = (compare(sampler, pictures, model, seed, device, shift) for shift in (0, 1))
    truth = unit(found.truth)
    measured = {name: measures(unit(made), truth, encoder)
                for name, made in {"": found.made, **found.plain, tr("told of another picture"): misled.made}.items()}  # fmt: skip
    scores = tuple(_score(kind, name, values[kind], len(indices)) for kind in KINDS for name, values in measured.items())
    evaluation = Evaluation(run.path.resolve().name, dataset.fingerprint, encoder.digest, scores, {}, {}, tuple(verdict(measured, model)),
                            run.path / "report.html")  # fmt: skip
    shown = compare(sampler, pictures[:: max(1, len(pictures) // SHOWN)][:SHOWN], model, seed, device).sheet()
    save_picture(shown, run.path / "restored.png", stamp=stamp_of(evaluation.run))
    write(_page(run, recipe, evaluation, shown, len(indices)), evaluation.path)
    run.write_json("report.json", evaluation.json())
    return evaluation


def unit(x_NCHW: Tensor) -> Tensor:
    """[-1, 1] to parts of 1."""
    return (x_NCHW.clamp(-1, 1) + 1) / 2


def measures(made_NCHW: Tensor, truth_NCHW: Tensor, encoder: Encoder) -> dict[str, Tensor]:
    """Each kind of distance, float64 (N)."""
    return {"psnr": psnr(made_NCHW, truth_NCHW), "ssim": ssim(made_NCHW, truth_NCHW), "perceptual": perceptual(encoder, made_NCHW, truth_NCHW)}


def mean_interval(values_N: Tensor) -> tuple[float, float, float]:
    """Mean and its 95 % interval by Student's t; of one value only itself."""
    mean, count = float(values_N.mean()), len(values_N)
    reach = float(t.ppf(0.975, count - 1) * values_N.std() / count**0.5) if count > 1 else 0.0
    return mean, mean - reach, mean + reach


def _score(kind: str, name: str, values_N: Tensor, count: int) -> Score:
    mean, low, high = mean_interval(values_N)
    shown = kinds()[kind] if not name else tr("{measure}, {other}", measure=kinds()[kind], other=name)
    return Score(shown, mean, low, high, better="lower" if kind == "perceptual" else "higher", samples=count, reals=count)


def kinds() -> dict[str, str]:
    """The measures in words."""
    return {"psnr": tr("PSNR in dB"), "ssim": tr("SSIM"), "perceptual": tr("distance in features")}


def verdict(measured: Mapping[str, Mapping[str, Tensor]], model: Restoring) -> list[str]:
    """How much better than the best other means, picture by picture, and whether the network looks at what it is told."""
    ours, misled = measured[""]["psnr"], measured[tr("told of another picture")]["psnr"]
    others = {name: values["psnr"] for name, values in measured.items() if name and values["psnr"] is not misled}
    best = max(others, key=lambda name: float(others[name].mean()))
    gain, low, high = mean_interval(ours - others[best])
    text = "Better than {other}: {gain} dB more PSNR ({low} … {high}), {ours} dB instead of {theirs}."
    if low <= 0:
        text = "Not better than {other}: {gain} dB more PSNR ({low} … {high}), {ours} dB instead of {theirs}."
    said = [tr(text, other=best, gain=f"{gain:.2f}", low=f"{low:.2f}", high=f"{high:.2f}", ours=f"{float(ours.mean()):.2f}",
               theirs=f"{float(others[best].mean()):.2f}")]  # fmt: skip
    loss, low, high = mean_interval(ours - misled)
    order = tr("Below, from left to right: what it was told, {other}, restored, and as it should be.", other=list(others)[-1])
    if low <= 0:
        text = "It does as well when it is told of another picture: it does not look at what it is told."
        return [*said, tr(text), order]
    spread = {"loss": f"{loss:.2f}", "low": f"{low:.2f}", "high": f"{high:.2f}"}
    return [*said, tr("Told of another picture it loses {loss} dB ({low} … {high}).", **spread), order]


def _page(run: RunFolder, recipe: Recipe, evaluation: Evaluation, sheet: np.ndarray, count: int) -> Page:
    log = run.log()
    names = [name for name in dict.fromkeys(name for line in log for name in line) if name.startswith(("restorer/", "critic/", "lr"))]
    values = {score.name: f"{score.value:.4g} ({score.low:.4g} … {score.high:.4g})" for score in evaluation.scores}
    facts = {tr("Data"): recipe.data.source, tr("Held-out pictures"): f"{count:,}", "fenshen": __version__}
    return Page(
        title=evaluation.run, verdict=evaluation.verdict, grid=sheet,
        curves={name: [(line["kimg"], line[name]) for line in log if isinstance(line.get(name), (int, float))] for name in names},
        facts=values | facts, recipe=recipe.toml(),
    )  # fmt: skip

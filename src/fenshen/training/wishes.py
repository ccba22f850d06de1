"""Wishes: a file of liked and disliked pictures, learnt as a preference for some latents over others (`fenshen.families.preference`)."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fenshen.errors import OutOfSpaceError, RecipeError
from fenshen.families.base import Sampler
from fenshen.families.preference import Preference, Taste, fit
from fenshen.generate import Order, choose_labels, generate, noise
from fenshen.lang import tr
from fenshen.media.image import grid, save_picture
from fenshen.run import Made, RunFolder, enough_space, read_tensors, write_atomically, write_tensors
from fenshen.writing import stamp_of

LINE = re.compile(r"(?:(\d+):)?(\d+)\s+(like|dislike)")
SPREAD = 2.0  # Standard deviation, before any wish, of what the latent and the label each add to the logit.
SHOWN = 64  # Samples of the new run.
PARTS = 5  # Of the wishes, each foreseen from the others.
COPIED = ("data.json", "log.jsonl", "state/last.safetensors", "state/groups.safetensors", "state/origin.safetensors")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Wish:
    """Picture `index` of `fenshen generate RUN --seed SEED`, and whether it is liked."""

    seed: int
    index: int
    liked: bool


@dataclass(frozen=True)
class Taught:
    """`foreseen`: part of the wishes that the others foresee, each kind counting half, 0.5 is guessing; None for too few of them.
    `before`, `after`: part of the pictures that would be liked, as the preference itself believes."""

    likes: int
    dislikes: int
    foreseen: float | None
    before: float
    after: float


def read_wishes(path: Path) -> list[Wish]:
    """Lines `INDEX like`, `INDEX dislike` (seed 0) or `SEED:INDEX like`; blank lines and all after # are left out; of two lines on
    the same picture the later counts. RecipeError for any other line, and where there is not at least one of each kind."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError("--wishes {path}: cannot be read ({problem}); give a text file", path=path, problem=error) from None
    found: dict[tuple[int, int], Wish] = {}
    for number, line in enumerate(lines, start=1):
        words = line.partition("#")[0].strip()
        if not words:
            continue
        parts = LINE.fullmatch(words)
        if parts is None or int(parts[1] or 0) >= 2**63 or int(parts[2]) >= 2**63:
            raise RecipeError("{path}, line {number}: {line}: write INDEX like, INDEX dislike or SEED:INDEX like, for example 17 like",
                              path=path, number=number, line=words)  # fmt: skip
        wish = Wish(int(parts[1] or 0), int(parts[2]), parts[3] == "like")
        found[wish.seed, wish.index] = wish
    wishes = list(found.values())
    if len({wish.liked for wish in wishes}) < 2:
        raise RecipeError("{path}: a preference needs at least one like and one dislike", path=path)
    return wishes


def teach(parent: RunFolder, wishes: list[Wish], strength: float, out: Path | None, say: Say) -> RunFolder:
    """A new run that makes what `parent` makes, but more of what is liked. The parent stays as it is."""
    if out is not None:
        RunFolder.check_free(out)
    sampler, made, header = parent.load_sampler()
    taste = learn(sampler, made, wishes, strength)
    shares_C = torch.tensor(made.shares or (1.0,), dtype=torch.float64)
    taught = Taught(sum(wish.liked for wish in wishes), sum(not wish.liked for wish in wishes), foreseen(sampler, made, wishes),
                    *taste.expected(shares_C / shares_C.sum()))  # fmt: skip
    before = Preference.from_state(*read_tensors(parent.preference)).tastes if parent.preference.exists() else ()
    shares = tuple(taste.shares(shares_C / shares_C.sum()).tolist()) if made.classes else ()
    run = RunFolder.create(out, f"{parent.path.resolve().name}-wishes")
    try:
        write_tensors(run.preference, *Preference((*before, taste)).state())
        write_tensors(run.weights, dict(sampler.state_dict()), _told(header, made, shares))
        run.write_json("adapt.json", {"parent": str(parent.path.resolve()), "wishes": asdict(taught) | {"strength": strength}})
        _copy(parent, run)
        _draw(run)
    except OutOfSpaceError:
        run.delete()
        raise
    say(_in_words(taught))
    return run


def _told(header: dict[str, Any], made: Made, shares: tuple[float, ...]) -> dict[str, Any]:
    kept = {key: value for key, value in header.items() if key not in ("format", "version")}
    return kept | {"made": asdict(replace(made, shares=shares))}


def _copy(parent: RunFolder, run: RunFolder) -> None:
    recipe = parent.recipe()
    write_atomically(run.path / "recipe.toml", recipe.set({"adapt.parent": str(parent.path.resolve())}).toml().encode())
    for name in COPIED:
        if (parent.path / name).exists():
            (run.path / name).parent.mkdir(exist_ok=True)
            with enough_space(run.path / name):
                shutil.copyfile(parent.path / name, run.path / name)


def _draw(run: RunFolder) -> None:
    """A first sheet of samples, as a training has one per tick."""
    sampler, made, header = run.load_sampler()
    pictures = np.concatenate([part for part, _ in generate(sampler, made, Order(SHOWN))])
    save_picture(grid(pictures), run.samples / f"{round(1000 * header['kimg']):09d}.png", stamp=stamp_of(run.path.resolve().name))


def _in_words(taught: Taught) -> str:
    before, after = f"{100 * taught.before:.0f}", f"{100 * taught.after:.0f}"
    text = "{likes} likes and {dislikes} dislikes: by what was learnt from them, {before} % of the pictures would be liked before and {after} % now."
    said = tr(text, likes=taught.likes, dislikes=taught.dislikes, before=before, after=after)
    if taught.foreseen is None:
        return said
    return f"{said} " + tr("Left out and foreseen from the others, {percent} % come true (guessing: 50 %).", percent=f"{100 * taught.foreseen:.0f}")


def learn(sampler: Sampler, made: Made, wishes: list[Wish], strength: float) -> Taste:
    """The preference that the wishes speak of: of the latent, and of the label where there are any."""
    x_NF, liked_N = _evidence(sampler, made, wishes)
    weights_F = fit(x_NF, liked_N, _precision(sampler.latent, x_NF.shape[1]))
    return Taste(weights_F[: sampler.latent], weights_F[-1] + (weights_F[sampler.latent : -1] if made.classes else torch.zeros(1)), strength)


def foreseen(sampler: Sampler, made: Made, wishes: list[Wish]) -> float | None:
    """Balanced accuracy on wishes that were left out, a fifth at a time; None with fewer than five of a kind."""
    x_NF, liked_N = _evidence(sampler, made, wishes)
    if min(int(liked_N.sum()), int((1 - liked_N).sum())) < PARTS:
        return None
    order = np.random.default_rng(0).permutation(len(wishes))
    right_N = torch.zeros(len(wishes), dtype=torch.float64)
    for part in np.array_split(order, PARTS):
        rest = np.setdiff1d(order, part)
        weights_F = fit(x_NF[rest], liked_N[rest], _precision(sampler.latent, x_NF.shape[1]))
        # The threshold is where half of the rest is liked: what matters is the order, not how many are liked.
        threshold = (x_NF[rest] @ weights_F)[torch.argsort(x_NF[rest] @ weights_F, descending=True)][int(liked_N[rest].sum()) - 1]
        right_N[part] = ((x_NF[part] @ weights_F >= threshold).double() == liked_N[part]).double()
    return float((right_N[liked_N == 1].mean() + right_N[liked_N == 0].mean()) / 2)


def _evidence(sampler: Sampler, made: Made, wishes: list[Wish]) -> tuple[Tensor, Tensor]:
    """Features (N, latent + classes + 1) of each picture wished for, and whether it is liked (N); float64."""
    rows = []
    for wish in wishes:
        indices = range(wish.index, wish.index + 1)
        z_1D, uniform = noise(wish.seed, indices, sampler.latent)
        label = choose_labels(Order(1, wish.seed), made, indices, uniform)
        told_C = torch.nn.functional.one_hot(torch.tensor(0 if label is None else int(label[0])), max(1, len(made.classes)))
        rows.append(torch.cat([z_1D[0].double(), told_C.double() if made.classes else torch.zeros(0), torch.ones(1)]))
    return torch.stack(rows).double(), torch.tensor([float(wish.liked) for wish in wishes], dtype=torch.float64)


def _precision(latent: int, features: int) -> Tensor:
    """Of the Gaussian prior: the latent as a whole, and each label, may change the logit by SPREAD; the threshold is all but free."""
    precision_F = torch.full((features,), 1 / SPREAD**2, dtype=torch.float64)
    precision_F[:latent] = latent / SPREAD**2
    precision_F[-1] = 0.01
    return precision_F

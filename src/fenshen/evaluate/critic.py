"""What the critic itself says of pictures it has never seen; the articles end with this."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from fenshen.condition import Given
from fenshen.errors import RecipeError, RunFolderError
from fenshen.evaluate.subject import Subject
from fenshen.families.adversarial import Adversarial
from fenshen.families.base import Family
from fenshen.families.build import build
from fenshen.families.gan import GAN
from fenshen.families.textgan import TextGAN
from fenshen.generate import Judge
from fenshen.media.image import to_tensor
from fenshen.media.text import Alphabet
from fenshen.recipe import Recipe
from fenshen.run import Made, RunFolder, Written, read_tensors
from fenshen.space import END

BATCH = 100
MOST = 2000  # Pairs that are judged: the accuracy is then known to 2 percent points.


@dataclass(frozen=True)
class CriticReport:
    """`accuracy`: part of the pairs, one real and one made, that the critic orders right, 0.5 is guessing; `loss`: its objective's."""

    accuracy: float
    loss: float


def load_family(run: RunFolder, recipe: Recipe, made: Made | Written, device: str) -> Family:
    """All networks as they were last saved, those that only train included; RunFolderError where they do not fit."""
    tensors, header = read_tensors(run.state)
    family = build(made.space, made.told, recipe.set(header["changes"]).model)
    weights = {name.removeprefix("family."): value for name, value in tensors.items() if name.startswith("family.")}
    try:
        family.load_state_dict(weights)
    except RuntimeError as error:
        raise RunFolderError("the saved state does not fit the recipe beside it ({problem})", problem=str(error).splitlines()[0]) from None
    return family.to(device).eval()


def gate(run: RunFolder, recipe: Recipe, made: Made, device: str) -> Judge:
    """What scores samples for `--keep`: the critic. RecipeError for a run without one."""
    family = load_family(run, recipe, made, device)
    if not isinstance(family, Adversarial):
        raise RecipeError("--keep: a run of the family {family} has no critic that could choose; leave it out", family=recipe.model.family)
    return family.score


def text_gate(run: RunFolder, recipe: Recipe, made: Written, device: str) -> Callable[[Sequence[str]], Tensor]:
    """What scores whole texts (N,) for `--keep`: the critic. RecipeError for a run without one."""
    family, alphabet = load_family(run, recipe, made, device), Alphabet.from_state(made.alphabet)
    if not isinstance(family, TextGAN):
        raise RecipeError("--keep: a run of the family {family} has no critic that could choose; leave it out", family=recipe.model.family)

    @torch.no_grad()
    def score(texts: Sequence[str]) -> Tensor:
        rows = [torch.from_numpy(np.append(alphabet.encode(text)[: made.context - 1], END)) for text in texts]
        return family.score(nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=END).to(device)).cpu()

    return score


@torch.no_grad()
def familiarity(family: Family, pictures_NHWC: np.ndarray, labels: np.ndarray | None, device: str) -> np.ndarray:
    """What the model itself says of uint8 pictures, the critic's D(x | c) or a bound of log p(x | c), float64 (N)."""
    values = []
    for start in range(0, len(pictures_NHWC), BATCH):
        part = slice(start, start + BATCH)
        given: Given = {} if labels is None else {"label": torch.from_numpy(labels[part]).long().to(device)}
        values.append(family.familiarity(to_tensor(np.ascontiguousarray(pictures_NHWC[part])).to(device), given).double().cpu().numpy())
    return np.concatenate(values)


@torch.no_grad()
def categories(family: GAN, pictures_NHWC: np.ndarray, device: str = "cpu") -> np.ndarray:
    """int64 (N): which category of its first code an unlabelled model with codes finds likeliest for uint8 pictures."""
    assert family.reader is not None
    found = []
    for start in range(0, len(pictures_NHWC), BATCH):
        x_BCHW = to_tensor(np.ascontiguousarray(pictures_NHWC[start : start + BATCH])).to(device)
        found.append(family.reader(family.read(x_BCHW, {})[1])[0][0].argmax(1).cpu().numpy())
    return np.concatenate(found)


def told_labels(subject: Subject, indices: np.ndarray) -> np.ndarray | None:
    """What the model would be told of real pictures: their labels, what stands for them in the run, or nothing."""
    if not subject.made.classes:
        return None
    if subject.run.groups.exists():
        groups, _ = read_tensors(subject.run.groups)
        return groups["groups"].numpy()[indices]
    assert subject.dataset.labels is not None
    return subject.dataset.labels[indices]


def judge(subject: Subject, family: Adversarial, indices: np.ndarray) -> CriticReport:
    """Real pictures, 2,000 of them at most, against as many made ones that are told the same."""
    if len(indices) > MOST:
        indices = np.sort(np.random.default_rng(subject.seed).choice(indices, MOST, replace=False))
    labels = told_labels(subject, indices)
    draw = torch.Generator().manual_seed(subject.seed)
    made = []
    for start in range(0, len(indices), BATCH):
        z_BD = torch.randn(len(indices[start : start + BATCH]), subject.sampler.latent, generator=draw)
        given: Given = {} if labels is None else {"label": torch.from_numpy(labels[start : start + BATCH]).long().to(subject.device)}
        x_BCS = subject.sampler.sample(z_BD.to(subject.device), given)
        with torch.no_grad():
            made.append(family.score(x_BCS, given).double().cpu())
    fake = torch.cat(made)
    real = torch.from_numpy(familiarity(family, subject.dataset.pictures[indices], labels, subject.device))
    return CriticReport(float((real > fake).double().mean()), float(family.objective.critic(real, fake, 0.0).mean()))

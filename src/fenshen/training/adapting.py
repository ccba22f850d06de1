"""Teaching a trained model new pictures: what of the parent run an adaptation begins with, keeps, and sees again.

Frozen lower layers of the critic: Mo, Cho & Shin 2020, "Freeze the discriminator". Old pictures mixed into every batch: Robins 1995,
"Catastrophic forgetting, rehearsal and pseudorehearsal". Weights held near the parent's: the L2 penalty of Li, Grandvalet & Davoine
2018, "Explicit inductive bias for transfer learning". All three only change values that the loop is handed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fenshen.condition import Label, grown
from fenshen.data import Batches, Dataset, prepare
from fenshen.errors import DataError, RecipeError, RunFolderError
from fenshen.families.base import Terms
from fenshen.families.build import build
from fenshen.lang import tr
from fenshen.recipe import Adversary, Autoencoding, Autopilot, Data, Recipe, Restoring
from fenshen.run import Made, RunFolder, Tensors, read_tensors, write_tensors
from fenshen.space import Grid
from fenshen.training.material import Material, material
from fenshen.training.plan import CHANNELS, told_data

LR_PART = 0.5  # Of the parent's learning rate.
AUGMENTATION = 0.3  # Where the adaptive strength starts: a few pictures are learnt by heart at once.
OF_PARENT = ("data.resolution", "data.channels", "model.family", "model.network", "model.size", "model.latent", "model.condition", "model.groups")
KEPT = ("seed", "optimizer", "beta1", "beta2", "lr_end", "anneal_from", "weight_decay", "clip_norm", "clip_value", "augmentation_target",
        "augmentation_cap")  # fmt: skip
TABLE = "labels.label.weight"  # How the tensors of a condition's embedding are named, whoever owns it.
Say = Callable[[str], None]


def adaptation(parent: RunFolder, source: str, changes: dict[str, Any]) -> Recipe:
    """The recipe that teaches `parent` the pictures of `source`: its networks and losses as they ended, its data's form, half its
    learning rate, augmentation from the start. `changes`: dotted keys on top. RecipeError for what the parent decides."""
    for key in changes:
        if key in (*OF_PARENT, "data.source", "adapt.parent"):
            raise RecipeError("{key} comes from the run that is adapted: leave it out, or train a new run with it", key=key)
    classes = parent.load_sampler()[1].classes
    before = parent.recipe().set(read_tensors(parent.state)[1]["changes"])
    train = before.train
    taken = {f"train.{key}": getattr(train, key) for key in KEPT} | {f"train.{key}": _part(getattr(train, key)) for key in ("lr", "lr_critic")}
    wanted = taken | {
        "data.source": source,
        "model.condition": "label" if classes else "none",
        "model.groups": 0,
        "train.burn_in": 0.0,
        "adapt.parent": str(parent.path.resolve()),
    }
    if isinstance(before.model, Adversary):
        penalty = before.model.penalty
        wanted |= {
            "model.instance_noise": 0.0, "model.penalty.gamma": penalty.gamma if penalty.gamma_end is None else penalty.gamma_end,
            "model.penalty.gamma_end": None,
        }  # fmt: skip
        if not isinstance(before.model, Restoring):
            wanted |= {"train.augmentation": "adaptive", "train.augmentation_strength": AUGMENTATION}
    if isinstance(before.model, Autoencoding):
        wanted["model.kl_warm_up"] = 0.0
    return Recipe(data=before.data, model=before.model, autopilot=Autopilot()).set(wanted | changes)


def _part(lr: float | None) -> float | None:
    return None if lr is None else lr * LR_PART


@dataclass(frozen=True)
class Origin:
    """Where an adaptation began. All of it lies in the new run, which goes on whatever becomes of its parent.

    tensors: "family.…" and "averaged.…" as in a saved state, made to fit the classes of the new run; "labels" (N), what the
    parent's pictures are told in these classes, where they come again. record: the parent's path, digest of its weights, kimg,
    classes and their shares here, and the data it was trained on.
    """

    tensors: Tensors
    record: dict[str, Any]

    @property
    def family(self) -> Tensors:
        return _below(self.tensors, "family.")

    @property
    def averaged(self) -> Tensors:
        return _below(self.tensors, "averaged.")

    @property
    def maker(self) -> Tensors:
        """What makes samples, but for what it knows of the labels."""
        return {name: value for name, value in _below(self.tensors, "family.sampler.").items() if not name.startswith("knows.")}

    @property
    def kimg(self) -> float:
        return float(self.record["kimg"])

    def pictures(self, say: Say = lambda text: None) -> Dataset:
        """What the parent was trained on. RunFolderError where it has changed, DataError where it is gone."""
        dataset = prepare(Data(**self.record["data"]), seed=self.record["seed"], say=say)
        if dataset.fingerprint != self.record["fingerprint"]:
            raise RunFolderError("the pictures in {source}, which the adapted run was trained on, have changed: bring the old ones back",
                                 source=self.record["data"]["source"])  # fmt: skip
        return dataset

    def dataset(self) -> Dataset:
        """The same, told in the classes of the new run."""
        labels = self.tensors.get("labels")
        return replace(self.pictures(), labels=None if labels is None else labels.numpy())

    def write(self, run: RunFolder) -> None:
        write_tensors(run.origin, self.tensors, {"origin": self.record})

    @classmethod
    def read(cls, run: RunFolder) -> Origin | None:
        """None for a run that began from nothing."""
        if not run.origin.exists():
            return None
        tensors, header = read_tensors(run.origin)
        return cls(tensors, header["origin"])


def begin(recipe: Recipe, say: Say) -> tuple[Recipe, Material, Origin | None]:
    """The prepared data, and for an adaptation also where it begins; its recipe and its pictures then fit the parent."""
    if recipe.adapt.parent is None:
        return recipe, material(recipe, say), None
    parent = RunFolder.find(recipe.adapt.parent)
    _, made, _ = parent.load_sampler()
    dataset = told(_prepared(recipe, say), made.classes, recipe.data.source)
    tensors, header = read_tensors(parent.state)
    weights = {name: value for name, value in tensors.items() if name.startswith(("family.", "averaged."))}
    fitted = {name: _fitted(name, value, made.classes, dataset.classes) for name, value in weights.items()}
    origin = Origin(fitted, _record(parent, made, dataset.classes, header))
    recipe = _frozen(recipe, dataset, origin)
    if recipe.adapt.replay:
        old = origin.pictures(say)  # Before anything is written: they may be gone.
        origin = replace(origin, tensors=fitted | ({"labels": _old_labels(parent, old, made, dataset.classes)} if made.classes else {}))
    new = len([name for name in dataset.classes if name not in made.classes])
    say(tr("beginning with {parent}: {known} labels known, {new} new; frozen resolutions of the critic: {freeze}",
           parent=parent.path.name, known=len(made.classes), new=new, freeze=recipe.adapt.freeze))  # fmt: skip
    return recipe, dataset, origin


def _prepared(recipe: Recipe, say: Say) -> Dataset:
    """The new pictures in the form of the parent's. DataError where they are too small for that."""
    try:
        return prepare(recipe.data, seed=recipe.train.seed, say=say)
    except DataError as error:
        if "fitting" not in error.values:
            raise
        text = "most pictures in {source} are smaller than the {wanted} pixels that the run makes (median side {middle}): give larger ones, " \
               "or adapt a run of at most {middle} pixels"  # fmt: skip
        raise DataError(text, source=recipe.data.source, wanted=error.values["wanted"], middle=error.values["middle"]) from None


def told(dataset: Dataset, known: Sequence[str], source: str) -> Dataset:
    """The new pictures with what a model that knows `known` is told of them; their classes first, then those it knew besides.

    Pictures without labels become one class, named after their source. A model that knows no labels is told nothing.
    """
    if not known:
        return replace(dataset, labels=None, classes=())
    labels, classes = dataset.labels, dataset.classes
    if labels is None:
        labels, classes = np.zeros(len(dataset.pictures), np.int64), (Path(source.removeprefix("hf://")).stem or "new",)
    return replace(dataset, labels=labels, classes=(*classes, *(name for name in known if name not in classes)))


def _fitted(name: str, value: Tensor, known: Sequence[str], classes: Sequence[str]) -> Tensor:
    per_class = name.endswith(TABLE) or ".head.classes." in name or (".prior." in name and value.dim() and len(value) == len(known))
    return grown(value, known, classes) if per_class else value


def _record(parent: RunFolder, made: Made, classes: Sequence[str], header: dict[str, Any]) -> dict[str, Any]:
    before, share = parent.recipe(), dict(zip(made.classes, made.shares, strict=True))
    return {
        "parent": str(parent.path.resolve()), "weights": hashlib.sha256(parent.weights.read_bytes()).hexdigest(), "kimg": header["shown"] / 1000,
        "classes": list(made.classes), "shares": [share.get(name, 0.0) for name in classes],
        "data": before.data.model_dump(exclude_none=True), "seed": before.train.seed, "fingerprint": parent.read_json("data.json")["fingerprint"],
    }  # fmt: skip


def _frozen(recipe: Recipe, dataset: Dataset, origin: Origin) -> Recipe:
    """With the number of frozen stages. RecipeError for more than there are, RunFolderError where the networks are not the parent's."""
    classes = len(dataset.classes)
    family = build(Grid(CHANNELS[dataset.channels], (dataset.resolution,) * 2), {"label": Label(classes)} if classes else {}, recipe.model)
    try:
        family.load_state_dict(origin.family)
    except RuntimeError as error:
        raise RunFolderError("the networks of the run that is adapted do not fit the recipe ({problem}): keep its model and its resolution",
                             problem=str(error).splitlines()[0]) from None  # fmt: skip
    most = family.freezable
    freeze = most // 2 if recipe.adapt.freeze is None else recipe.adapt.freeze
    if freeze > most:
        raise RecipeError("adapt.freeze={freeze}: this critic has {most} resolutions that can be frozen", freeze=freeze, most=most)
    return recipe.set({"adapt.freeze": freeze})


def _old_labels(parent: RunFolder, dataset: Dataset, made: Made, classes: Sequence[str]) -> Tensor:
    """int64 (N): the class, here, of each of the parent's pictures."""
    labels = read_tensors(parent.groups)[0]["groups"].numpy() if parent.groups.exists() else told_data(parent.recipe(), dataset).labels
    assert labels is not None
    place = np.array([classes.index(name) for name in made.classes])
    return torch.from_numpy(place[labels])


@dataclass(frozen=True)
class Replayed:
    """Draws of which `part`, evenly spread, are old pictures; like `Batches` a pure function of seed and position."""

    new: Batches | Replayed
    old: Batches
    part: float

    def draw(self, position: int, count: int | None = None) -> tuple[Tensor, Tensor | None]:
        """uint8 x_BHWC and int64 labels (B) or None, as of `Batches`."""
        assert count is not None
        before = np.floor(self.part * np.arange(position, position + count + 1)).astype(np.int64)
        is_old, first, last = np.diff(before) > 0, int(before[0]), int(before[-1])
        x_new, told_new = self.new.draw(position - first, count - (last - first))
        x_old, told_old = self.old.draw(first, last - first)
        order = torch.from_numpy(np.argsort(np.argsort(is_old, kind="stable"), kind="stable")).to(x_new.device)
        labels = None if told_new is None or told_old is None else torch.cat([told_new, told_old])[order]
        return torch.cat([x_new, x_old])[order], labels


def anchored(weight: float, at: Tensors) -> Terms:
    """The term `weight` · Σ (w - w₀)² over those weights of a module that `at` names; `at`: w₀ by name."""

    def terms(module: nn.Module) -> dict[str, Tensor]:
        squares = [(value - at[name]).square().sum() for name, value in module.named_parameters() if name in at]
        return {"anchor": weight * torch.stack(squares).sum()[None]}

    return terms


def _below(tensors: Tensors, prefix: str) -> Tensors:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

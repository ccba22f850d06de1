"""What goes wrong in an adversarial training, told from its numbers; and what to do about it, from mild to strong."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import Any

from fenshen.lang import Said, said
from fenshen.recipe import Adversary, Recipe
from fenshen.training.examine import Look

WINDOW = 100  # Steps that a running median looks back on.
EXPLODED, IN_A_ROW = 50.0, 3  # Times the running median of a gradient's norm, so many steps in a row.
LARGE_STEP, GOOD_STEP = 0.08, 0.01  # Relative change of a player's weights in one step.
SURE, LOST, WRONG = 0.97, 0.55, 0.35  # Part of the pairs that the critic orders right.
WIDE_GAP = 10.0  # Logits between real and made, where the logistic function has long saturated.
COLLAPSED, DIVERSE = 0.4, 0.6  # Diversity of the samples relative to real pictures.
FAR = 0.5  # A kernel distance (standardised features): as bad as the mean picture over and over.
STEADY = 0.9  # A distance above this part of the earlier one has not improved.
RECENT = 3  # Looks that make up "now".
EARLY, LATEST_RESTART = 0.15, 0.6  # Parts of the plan.
LR_CUT, STRONGER = 0.5, 4.0
EVERYONE = ("critic", "generator", "autoencoder")  # The players there may be.


@dataclass
class Chart:
    """The last steps' numbers, one list per signal; `step`: each player's relative change of weights; all looks so far."""

    norms: dict[str, list[float]] = field(default_factory=dict)
    right: list[float] = field(default_factory=list)
    gap: list[float] = field(default_factory=list)
    step: dict[str, float] = field(default_factory=dict)
    looks: list[Look] = field(default_factory=list)

    def add(self, norms: dict[str, float]) -> None:
        """One step's gradient norms."""
        for name, value in norms.items():
            self.norms[name] = [*self.norms.get(name, []), value][-WINDOW:]

    def judge(self, right: float, gap: float) -> None:
        """Where there is a critic: the share of pairs that it orders right in this step, its mean logit of real minus made."""
        self.right, self.gap = [*self.right, right][-WINDOW:], [*self.gap, gap][-WINDOW:]

    def exploding(self) -> bool:
        """Whether a player's gradient is far above its running median for some steps in a row."""
        for values in self.norms.values():
            past, last = values[:-IN_A_ROW], values[-IN_A_ROW:]
            if len(past) >= WINDOW // 4 and min(last) > EXPLODED * max(median(past), 1e-9):
                return True
        return False

    @property
    def improving(self) -> bool:
        """Whether the samples of the last looks are nearer to real pictures than those of the looks before; True while there are few."""
        distances = [look.kid for look in self.looks]
        return len(distances) < 2 * RECENT or median(distances[-RECENT:]) < STEADY * median(distances[-2 * RECENT : -RECENT])

    @property
    def far(self) -> bool:
        """Whether the samples of the last looks have little to do with real pictures."""
        return len(self.looks) > RECENT and median(look.kid for look in self.looks[-RECENT:]) > FAR

    @property
    def norm(self) -> float:
        """The larger player's median gradient norm."""
        return max((median(values) for values in self.norms.values() if values), default=1.0)


def diagnose(chart: Chart, fraction: float, recipe: Recipe) -> str | None:
    """A name for what is wrong, or None. `fraction`: the part of the plan that is done."""
    if chart.step and max(chart.step.values()) > LARGE_STEP:
        return "steps too large"
    if not chart.looks or not chart.right:
        return None
    right, gap = sum(chart.right) / len(chart.right), sum(chart.gap) / len(chart.gap)
    stuck = fraction > EARLY / 2 and not chart.improving
    if stuck and right > SURE and gap > WIDE_GAP:
        return "the critic wins"
    if (stuck and chart.far and right < LOST) or (fraction > EARLY / 3 and right < WRONG):
        return "the critic loses"
    diverse = median(look.diversity for look in chart.looks[-RECENT:])
    was_diverse = max(look.diversity for look in chart.looks) > DIVERSE
    if diverse < COLLAPSED and len(chart.looks) > RECENT and (was_diverse or (fraction > EARLY and not chart.improving)):
        return "mode collapse"
    if fraction > EARLY and chart.far and not chart.improving:
        return "nothing is learned"
    return None


@dataclass(frozen=True)
class Remedy:
    """`changes` of the recipe; `back` to the last healthy state; `renew`: players that begin anew; `said`: what and why."""

    said: Said
    changes: dict[str, Any] = field(default_factory=dict)
    back: bool = False
    renew: tuple[str, ...] = ()


def remedies(what: str, recipe: Recipe, safe: Recipe, chart: Chart, fraction: float) -> list[Remedy]:
    """What to try, in this order."""
    match what:
        case "broken" | "exploded":
            found = [_slower(recipe, chart)] * 2
        case "steps too large":
            found = [_shorter_steps(recipe, chart)] * 2
        case "mode collapse":
            found = [_penalized(recipe, safe, back=True), _new_critic()]
        case "the critic wins":
            found = [_penalized(recipe, safe), _noisy(recipe)]
        case "the critic loses":
            found = [_sharper_critic(recipe, safe)]
        case _:
            found = []
    last = differences(recipe, safe)
    if last and fraction < LATEST_RESTART:
        text = said("beginning anew with the default recipe ({changes})", changes=", ".join(sorted(last)))
        found.append(Remedy(text, last, renew=EVERYONE))
    return found


def differences(recipe: Recipe, safe: Recipe) -> dict[str, Any]:
    """What the default recipe has otherwise, of all that may change in the middle of a run."""
    changes = {}
    for key in ("model.objective", "model.penalty", "model.critic_steps", "model.clip_weights", "model.label_smoothing", "model.instance_noise",
                "model.l1", "model.l2", "train.batch", "train.optimizer", "train.lr", "train.lr_critic", "train.beta1", "train.beta2",
                "train.clip_norm", "train.weight_decay"):  # fmt: skip
        section, name = key.split(".")
        if name not in type(getattr(recipe, section)).model_fields:
            continue
        mine, its = (getattr(getattr(r, section), name) for r in (recipe, safe))
        if mine != its:
            changes[key] = its.model_dump(exclude_none=True) if name == "penalty" else its
    return changes


def _slower(recipe: Recipe, chart: Chart) -> Remedy:
    lr, clip = _lr(recipe) * LR_CUT, 10 * max(chart.norm, 1e-6)
    text = said("back to the last healthy state, learning rate down to {lr}, gradients clipped at {clip}", lr=f"{lr:.2g}", clip=f"{clip:.2g}")
    return Remedy(text, _lrs(recipe, LR_CUT) | {"train.clip_norm": clip}, back=True)


def _shorter_steps(recipe: Recipe, chart: Chart) -> Remedy:
    step = max(chart.step.values())
    factor = GOOD_STEP / step
    text = said("one step changed {percent} % of them; learning rate down to {lr}, and new networks", percent=f"{100 * step:.0f}",
                lr=f"{_lr(recipe) * factor:.2g}")  # fmt: skip
    return Remedy(text, _lrs(recipe, factor), renew=EVERYONE)


def _penalized(recipe: Recipe, safe: Recipe, back: bool = False) -> Remedy:
    """A stronger gradient penalty, or the default one where there is none; the critic no longer ahead in steps or learning rate."""
    assert isinstance(recipe.model, Adversary) and isinstance(safe.model, Adversary)
    penalty = recipe.model.penalty
    changes: dict[str, Any] = {"model.critic_steps": 1}
    if penalty.kind == "none" or not penalty.gamma:
        changes |= {"model.penalty": safe.model.penalty.model_dump(exclude_none=True)}
    else:
        changes |= {"model.penalty.gamma": STRONGER * penalty.gamma}
    if recipe.train.lr_critic and recipe.train.lr and recipe.train.lr_critic > recipe.train.lr:
        changes |= {"train.lr_critic": recipe.train.lr}
    gamma = changes.get("model.penalty.gamma") or safe.model.penalty.gamma
    if back:
        return Remedy(said("back to the last diverse state, gradient penalty up to {gamma}", gamma=f"{gamma:.2g}"), changes, back=True)
    return Remedy(said("gradient penalty up to {gamma}", gamma=f"{gamma:.2g}"), changes)


def _new_critic() -> Remedy:
    return Remedy(said("back to the last diverse state, and a new critic"), back=True, renew=("critic",))


def _noisy(recipe: Recipe) -> Remedy:
    assert isinstance(recipe.model, Adversary)
    return Remedy(said("noise on all that it sees, fading out"), {"model.instance_noise": max(0.2, recipe.model.instance_noise)})


def _sharper_critic(recipe: Recipe, safe: Recipe) -> Remedy:
    """A critic that may learn faster, with less that holds it back."""
    assert isinstance(safe.model, Adversary)
    lr = max(STRONGER * (recipe.train.lr_critic or _lr(recipe)), _lr(safe))
    penalty = safe.model.penalty.model_dump(exclude_none=True)
    changes = {"train.lr_critic": lr, "model.clip_weights": 0.0, "model.penalty": penalty, "model.instance_noise": 0.0}
    return Remedy(said("its learning rate up to {lr}, and nothing but the default penalty holds it back", lr=f"{lr:.2g}"), changes)


def _lr(recipe: Recipe) -> float:
    assert recipe.train.lr
    return recipe.train.lr


def _lrs(recipe: Recipe, factor: float) -> dict[str, Any]:
    changes: dict[str, Any] = {"train.lr": _lr(recipe) * factor}
    return changes | ({"train.lr_critic": recipe.train.lr_critic * factor} if recipe.train.lr_critic else {})


def named(what: str) -> Said:
    """A diagnosis in words."""
    match what:
        case "broken":
            return said("a loss or a gradient is not a number")
        case "exploded":
            return said("gradients explode")
        case "steps too large":
            return said("every step changes the weights too much")
        case "mode collapse":
            return said("the samples have become alike (mode collapse)")
        case "the critic wins":
            return said("the critic tells every pair apart and teaches the generator nothing")
        case "the critic loses":
            return said("the critic tells nothing apart, though the samples are far from real pictures")
        case "nothing is learned":
            return said("the samples are far from real pictures, and come no nearer")
    raise AssertionError(what)


def advice(what: str) -> Said:
    """What a person would try next, in words for a beginner."""
    match what:
        case "broken" | "exploded" | "steps too large":
            return said("nothing is left to try; next: train with a learning rate ten times smaller (--set train.lr=…)")
        case "mode collapse":
            return said("nothing is left to try; next: give it more pictures, or pictures that are more alike")
        case "the critic wins":
            return said("nothing is left to try; next: give it more pictures, or turn augmentation on (--set train.augmentation=adaptive)")
        case "the critic loses":
            return said("nothing is left to try; next: take a larger network (--size) and more time")
        case _:
            return said("nothing is left to try; next: give it more time, or a lower resolution (--set data.resolution=…)")

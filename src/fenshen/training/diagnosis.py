"""What goes wrong in an adversarial training, told from its numbers; and what to do about it, from mild to strong."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from statistics import fmean, median, stdev
from typing import Any

from fenshen.lang import Said, said
from fenshen.recipe import Adversary, Recipe
from fenshen.training.examine import Look, missing

WINDOW = 100  # Steps that a running median looks back on.
EXPLODED, IN_A_ROW = 50.0, 3  # Times the running median of a gradient's norm, so many steps in a row.
SPIKE = 1000.0  # Times it in a single step: Adam's second moment remembers that for hundreds of steps, and hardly moves meanwhile.
LARGE_STEP, GOOD_STEP = 0.08, 0.01  # Relative change of a player's weights in one step.
SURE, LOST, WRONG = 0.97, 0.55, 0.35  # Part of the pairs that the critic orders right.
WIDE_GAP = 10.0  # Logits between real and made, where the logistic function has long saturated.
COLLAPSED, DIVERSE = 0.4, 0.6  # Diversity of the samples relative to real pictures.
FAR = 0.5  # A kernel distance (standardised features): between that of five and of twenty real digits over and over.
STEADY = 0.9  # A distance above this part of the earlier one has not improved.
RECENT = 3  # Looks that make up "now".
BACK = 8  # Looks that progress is seen in.
STRETCH = 4  # Looks that are enough to say that a kind of pictures is never made.
WORSE, SPELL = 1.5, 5  # Times the distance of the best spell so far; looks that make up a spell.
NEVER_MADE, FEWER = 0.1, 0.7  # Part of the real pictures that is of such kinds; what it has to come down to in a stretch.
PLATEAU = 10  # Looks that are compared with as many before them.
BY_HEART = 0.6  # Part of the way from training pictures to made ones at which the critic puts held-out ones.
EARLY, HASTE, LATEST_RESTART, LATEST_CUT = 0.15, 0.3, 0.6, 0.5  # Parts of the plan.
LAST_PART = 0.25  # Of the shortened plan, when there is nothing more to gain: the learning rate comes down in it.
LR_CUT, STRONGER = 0.5, 4.0
EVERYONE = ("critic", "generator", "autoencoder", "restorer")  # The players there may be.


@dataclass
class Chart:
    """The last steps' numbers, one list per signal; `step`: each player's relative change of weights; all looks so far.

    by_heart: at every look (E D(x) - E D(held out)) / (E D(x) - E D(G(z))), 0 for a critic that knows no picture by heart, 1 for one
    that takes everything but its training pictures for made (r_v of Karras et al. 2020).
    """

    norms: dict[str, list[float]] = field(default_factory=dict)
    right: list[float] = field(default_factory=list)
    gap: list[float] = field(default_factory=list)
    step: dict[str, float] = field(default_factory=dict)
    looks: list[Look] = field(default_factory=list)
    by_heart: list[float] = field(default_factory=list)

    def add(self, norms: dict[str, float]) -> None:
        """One step's gradient norms."""
        for name, value in norms.items():
            self.norms[name] = [*self.norms.get(name, []), value][-WINDOW:]

    def judge(self, right: float, gap: float) -> None:
        """Where there is a critic: the share of pairs that it orders right in this step, its mean logit of real minus made."""
        self.right, self.gap = [*self.right, right][-WINDOW:], [*self.gap, gap][-WINDOW:]

    def exploding(self) -> bool:
        """Whether a player's gradient is far above its running median for some steps in a row, or beyond all bounds in the last one."""
        for values in self.norms.values():
            past, last = values[:-IN_A_ROW], values[-IN_A_ROW:]
            if len(past) >= WINDOW // 4:
                usual = max(median(past), 1e-9)
                if min(last) > EXPLODED * usual or last[-1] > SPIKE * usual:
                    return True
        return False

    @property
    def improving(self) -> bool:
        """Whether the samples of the last looks are nearer to real pictures than those of some looks before; True while there are few."""
        distances = [look.kid for look in self.looks[-BACK:]]
        return len(distances) < 2 * RECENT or median(distances[-RECENT:]) < STEADY * median(distances[:RECENT])

    @property
    def missing(self) -> list[float]:
        """Of the last two stretches of looks, the later one last: the part of real pictures whose kind samples hardly ever are."""
        stretches = (self.looks[-2 * STRETCH : -STRETCH], self.looks[-STRETCH:])
        return [missing(stretch) for stretch in stretches] if len(self.looks) >= 2 * STRETCH else []

    @property
    def settled(self) -> bool:
        """Whether the last looks are surely (one-sided, 95 %) less than a tenth nearer to real pictures than as many before them."""
        before, after = self.looks[-2 * PLATEAU : -PLATEAU], self.looks[-PLATEAU:]
        if len(before) < PLATEAU:
            return False
        (old, error), (new, other) = (_mean([look.kid for look in part]) for part in (before, after))
        return old > 0 and new - 1.64 * math.hypot(other, error * new / old) > STEADY * old

    @property
    def worse(self) -> bool:
        """Whether the samples of the last looks are surely (one-sided, 95 %) much farther from real pictures than they have been."""
        spells = [_mean([look.kid for look in self.looks[end - SPELL : end]]) for end in range(SPELL, len(self.looks) + 1)]
        if len(spells) <= SPELL:
            return False
        (best, error), (now, other) = min(spells[:-SPELL]), spells[-1]
        return best > 0 and now - 1.64 * math.hypot(other, WORSE * error) > WORSE * best

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
    if not chart.looks:
        return None
    if chart.right and (found := _between_players(chart, fraction, recipe)):
        return found
    if fraction > EARLY and chart.far and not chart.improving:
        return "nothing is learned"
    if EARLY < fraction < LATEST_RESTART and chart.worse:
        return "getting worse"
    if EARLY < fraction < LATEST_CUT and chart.settled:
        return "plateau"
    return None


def _between_players(chart: Chart, fraction: float, recipe: Recipe) -> str | None:
    """What can only go wrong where there is a critic."""
    right, gap, stuck = fmean(chart.right), fmean(chart.gap), not chart.improving
    if stuck and fraction > EARLY / 2 and right > SURE and gap > WIDE_GAP:
        return "the critic wins"
    if (stuck and fraction > EARLY / 2 and chart.far and right < LOST) or (fraction > EARLY / 3 and right < WRONG):
        return "the critic loses"
    diverse = median(look.diversity for look in chart.looks[-RECENT:])
    was_diverse = max(look.diversity for look in chart.looks) > DIVERSE
    if diverse < COLLAPSED and len(chart.looks) > RECENT and (was_diverse or (stuck and fraction > EARLY)):
        return "mode collapse"
    if EARLY < fraction < LATEST_CUT and not chart.far and chart.missing and chart.missing[1] > max(NEVER_MADE, FEWER * chart.missing[0]):
        return "kinds are missing"
    if len(chart.by_heart) >= RECENT and median(chart.by_heart[-RECENT:]) > BY_HEART and recipe.train.augmentation == "off":
        return "overfitting"
    return None


def _mean(values: list[float]) -> tuple[float, float]:
    """Mean and its standard error."""
    return fmean(values), stdev(values) / math.sqrt(len(values))


@dataclass(frozen=True)
class Remedy:
    """`changes` of the recipe; `back` to the last healthy state; `renew`: players that begin anew; `said`: what and why."""

    said: Said
    changes: dict[str, Any] = field(default_factory=dict)
    back: bool = False
    renew: tuple[str, ...] = ()


def remedies(what: str, recipe: Recipe, safe: Recipe, chart: Chart, fraction: float, again: bool = False) -> list[Remedy]:
    """What to try, in this order. `again`: another remedy was tried before; then, while there is just time for it, the last one comes first."""
    match what:
        case "broken" | "exploded":
            found = [_slower(recipe, chart)] * 2
        case "steps too large":
            found = [_shorter_steps(recipe, chart)] * 2
        case "mode collapse":
            found = [_penalized(recipe, safe, back=True), _new_critic()]
        case "kinds are missing":
            found = _relativistic(recipe, safe, fraction)
        case "the critic wins":
            found = [_penalized(recipe, safe), _noisy(recipe)]
        case "the critic loses":
            found = [_sharper_critic(recipe, safe)]
        case "overfitting":
            return [_augmented()]
        case "plateau":
            return [_shortened(recipe, fraction)]
        case _:
            found = []
    last = differences(recipe, safe)
    if last and fraction < LATEST_RESTART:
        text = said("beginning anew with the default recipe ({changes})", changes=", ".join(sorted(last)))
        found.append(Remedy(text, last | _annealed(safe, fraction), renew=EVERYONE))
        if again and fraction > HASTE:
            return found[-1:] * len(found)
    return found


def differences(recipe: Recipe, safe: Recipe) -> dict[str, Any]:
    """What the default recipe has otherwise, of all that may change in the middle of a run."""
    changes = {}
    for key in ("model.objective", "model.penalty", "model.critic_steps", "model.clip_weights", "model.label_smoothing", "model.instance_noise",
                "model.l1", "model.l2", "train.batch", "train.optimizer", "train.lr", "train.lr_critic", "train.beta1", "train.beta2",
                "train.clip_norm", "train.clip_value", "train.weight_decay", "train.lr_end", "train.lr_burn_in", "train.burn_in",
                "train.beta2_start", "train.ema_half_life_kimg", "train.augmentation", "train.augmentation_cap"):  # fmt: skip
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
    """Of every player whose steps are too large, not of the others."""
    factors = {name: min(1.0, GOOD_STEP / step) if step > LARGE_STEP else 1.0 for name, step in chart.step.items()}
    critic = factors.pop("critic", 1.0)
    lr, lr_critic = _lr(recipe) * min(factors.values(), default=1.0), (recipe.train.lr_critic or _lr(recipe)) * critic
    changes: dict[str, Any] = {"train.lr": lr} | ({"train.lr_critic": lr_critic} if isinstance(recipe.model, Adversary) else {})
    text = said("one step changed {percent} % of them; learning rate down to {lr}, and new networks",
                percent=f"{100 * max(chart.step.values()):.0f}", lr=f"{min(changes.values()):.2g}")  # fmt: skip
    return Remedy(text, changes, renew=EVERYONE)


def _penalized(recipe: Recipe, safe: Recipe, back: bool = False) -> Remedy:
    """A stronger gradient penalty, or the default one where there is none; the critic no longer ahead in steps or learning rate."""
    assert isinstance(recipe.model, Adversary) and isinstance(safe.model, Adversary)
    penalty = recipe.model.penalty
    changes: dict[str, Any] = {"model.critic_steps": 1}
    if penalty.kind == "none" or not penalty.gamma:
        changes |= {"model.penalty": safe.model.penalty.model_dump(exclude_none=True)}
    else:
        changes |= {"model.penalty.gamma": STRONGER * penalty.gamma}
    lr = max(_lr(recipe), _lr(safe))  # A generator that is slower than it need be is behind for that alone.
    changes |= {"train.lr": lr, "train.lr_critic": min(recipe.train.lr_critic or _lr(recipe), lr)}
    gamma, rates = changes.get("model.penalty.gamma") or safe.model.penalty.gamma, (lr, changes["train.lr_critic"])
    words = {"gamma": f"{gamma:.2g}", "lr": f"{rates[0]:.2g}", "critic": f"{rates[1]:.2g}"}
    if back:
        return Remedy(said("back to the last diverse state, gradient penalty up to {gamma}, learning rate {lr}, the critic's {critic}", **words),
                      changes, back=True)  # fmt: skip
    return Remedy(said("gradient penalty up to {gamma}, learning rate {lr}, the critic's {critic}", **words), changes)


def _new_critic() -> Remedy:
    """One that has not got used to what is made."""
    return Remedy(said("back to the last diverse state, and a new critic"), back=True, renew=("critic",))


def _relativistic(recipe: Recipe, safe: Recipe, fraction: float) -> list[Remedy]:
    """The default objective and penalty: pairs of real and made pictures leave no kind out (Sun et al. 2020). Nothing where they are those.

    While there is little to lose, the generator begins anew as well: it is slow to leave where another objective has led it.
    """
    changes = {key: value for key, value in differences(recipe, safe).items() if key in ("model.objective", "model.penalty", "model.critic_steps")}
    if not changes:
        return []
    if fraction < HASTE:
        text = said("the default objective and gradient penalty, and new networks")
        return [Remedy(text, changes | _annealed(safe, fraction), renew=EVERYONE)]
    return [Remedy(said("the default objective and gradient penalty, and a new critic"), changes, renew=("critic",))]


def _annealed(safe: Recipe, fraction: float) -> dict[str, Any]:
    """What begins anew has the rest of the plan for its learning rate: high for as large a part of it, then coming down."""
    return {"train.anneal_from": round(fraction + (1 - fraction) * safe.train.anneal_from, 3)}


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


def _augmented() -> Remedy:
    return Remedy(said("what it sees is augmented from now on, as much as is needed and no more"), {"train.augmentation": "adaptive"})


def _shortened(recipe: Recipe, fraction: float) -> Remedy:
    """The learning rate comes down from here, and training ends early: a plan of which the last part is left."""
    assert recipe.train.kimg
    kimg = round(recipe.train.kimg * fraction / (1 - LAST_PART), 3)
    return Remedy(said("the learning rate comes down from here, and training ends at {kimg} kimg", kimg=f"{kimg:.1f}"),
                  {"train.kimg": kimg, "train.anneal_from": min(recipe.train.anneal_from, 1 - LAST_PART)})  # fmt: skip


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
        case "kinds are missing":
            return said("some kinds of pictures are never made")
        case "the critic wins":
            return said("the critic tells every pair apart and teaches the generator nothing")
        case "the critic loses":
            return said("the critic tells nothing apart, though the samples are far from real pictures")
        case "nothing is learned":
            return said("the samples are far from real pictures, and come no nearer")
        case "getting worse":
            return said("the samples have been nearer to real pictures, and get worse")
        case "overfitting":
            return said("the critic knows its training pictures by heart")
        case "plateau":
            return said("the samples have not come nearer to real pictures for {looks} looks", looks=PLATEAU)
    raise AssertionError(what)


def advice(what: str) -> Said:
    """What a person would try next, in words for a beginner."""
    match what:
        case "broken" | "exploded" | "steps too large":
            return said("nothing is left to try; next: train with a learning rate ten times smaller (--set train.lr=…)")
        case "mode collapse" | "overfitting" | "kinds are missing":
            return said("nothing is left to try; next: give it more pictures, or pictures that are more alike")
        case "the critic wins":
            return said("nothing is left to try; next: give it more pictures, or turn augmentation on (--set train.augmentation=adaptive)")
        case "the critic loses":
            return said("nothing is left to try; next: take a larger network (--size) and more time")
        case _:
            return said("nothing is left to try; next: give it more time, or a lower resolution (--set data.resolution=…)")

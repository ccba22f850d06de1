"""`fenshen audit`: what a stranger who has the run could learn about the pictures it was trained on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fenshen.errors import DataError
from fenshen.evaluate.copying import copying, sentences
from fenshen.evaluate.critic import familiarity, load_family, told_labels
from fenshen.evaluate.subject import Say, Subject
from fenshen.families.adversarial import Adversarial
from fenshen.lang import tr
from fenshen.measure.intervals import Interval
from fenshen.measure.membership import member_auc, true_positive_rate
from fenshen.measure.neighbours import nearest_neighbours
from fenshen.run import RunFolder

GUESSING = 0.5
SLIGHT, STRONG = 0.6, 0.75  # Area under the curve.
CERTAIN = 0.05  # Of the members found at 1 % false alarms: five times what guessing finds.
SAMPLES = 4000  # Pictures made at least: who has a run can make as many as they like.


@dataclass(frozen=True)
class Attack:
    """How well one score tells members from others: area under the ROC curve, and true positives at 1 % false ones or None."""

    name: str
    auc: Interval
    true_positives: Interval | None


@dataclass(frozen=True)
class Audit:
    """`members`: so many training pictures were set against as many held-out ones."""

    run: str
    members: int
    attacks: tuple[Attack, ...]
    copying: dict[str, Any]
    verdict: tuple[str, ...]
    path: Path
    secrets: tuple[dict[str, Any], ...] = ()  # Of a run of words: numbers and addresses, and how far the model gives them away.
    canaries: tuple[dict[str, Any], ...] = ()  # The same of made-up ones that were hidden in its text; unseen: of others that were not.
    unseen: tuple[dict[str, Any], ...] = ()

    def json(self) -> dict[str, Any]:
        def plain(found: Interval | None) -> dict[str, float] | None:
            return None if found is None else {"value": found.value, "low": found.low, "high": found.high}

        attacks = [{"name": a.name, "auc": plain(a.auc), "true_positives_at_1_percent": plain(a.true_positives)} for a in self.attacks]
        return {
            "run": self.run, "members": self.members, "attacks": attacks, "copying": self.copying, "secrets": list(self.secrets),
            "canaries": list(self.canaries), "unseen": list(self.unseen), "verdict": list(self.verdict),
        }  # fmt: skip

    def __str__(self) -> str:
        return "\n".join(self.verdict)


def audit(run: RunFolder, device: str, seed: int, say: Say) -> Audit:
    """Membership inference with what the model itself says of a picture (whoever has the whole run) and with the distance to the nearest
    sample (whoever has samples only), on training pictures and as many held-out ones; and the search for copies. Writes audit.json."""
    subject = Subject.open(run, device, None, seed, say)
    subject = replace(subject, count=max(subject.count, SAMPLES))
    others = np.random.default_rng(seed).permutation(subject.held_out_indices)
    members = np.sort(subject.order[: len(others)])
    say(tr("comparing {count} training pictures with as many held-out ones", count=len(members)))
    family = load_family(run, subject.recipe, subject.made, device)
    inside = [familiarity(family, subject.dataset.pictures[i], told_labels(subject, i), device) for i in (members, others)]
    features = [subject.encoder.read(subject.dataset.pictures[i]).features for i in (members, others)]
    near = [-nearest_neighbours(f, subject.read.features)[0][:, 0] for f in features]
    by = tr("the critic's logit") if isinstance(family, Adversarial) else tr("the model's own likelihood")
    attacks = (attack_by(by, *inside), attack_by(tr("distance to the nearest made picture"), *near))
    found = copying(subject)
    said = (
        *(sentence for attack in attacks for sentence in attack_in_words(attack)),
        *sentences(found, subject.count),
        *_advice(attacks, found.copied),
    )
    result = Audit(run.path.resolve().name, len(members), attacks, found.numbers(), said, run.path / "audit.json")
    run.write_json("audit.json", result.json())
    return result


def attack_by(name: str, members: np.ndarray, others: np.ndarray) -> Attack:
    """The area is of as many others as there are members; the threshold of the false alarms is better known from all others."""
    try:
        rate = true_positive_rate(members, others)
    except DataError:
        rate = None
    return Attack(name, member_auc(members, others[: len(members)]), rate)


def attack_in_words(attack: Attack, words: bool = False) -> list[str]:
    """Of most pictures (texts), and of those few that are given away for certain though most are not."""
    auc, found = attack.auc, attack.true_positives
    values = {"name": attack.name, "auc": f"{auc.value:.2f}", "low": f"{auc.low:.2f}", "high": f"{auc.high:.2f}"}
    said = [_of_texts(auc, values) if words else _of_pictures(auc, values)]
    if certain(attack) and found is not None:
        text = "By {name} {percent} % of the training pictures are recognized almost for certain (1 % false alarms)."
        if words:
            text = "By {name} {percent} % of the training texts are recognized almost for certain (1 % false alarms)."
        said.append(tr(text, name=attack.name, percent=f"{100 * found.value:.0f}"))
    return said


def _of_pictures(auc: Interval, values: dict[str, str]) -> str:
    text = "By {name} a stranger cannot tell whether a picture was in the training set (AUC {auc}, {low} … {high}; 0.5 is guessing)."
    if auc.low > STRONG:
        text = "By {name} a stranger can tell for most pictures whether they were in the training set (AUC {auc}, {low} … {high})."
    elif auc.low > SLIGHT:
        text = "By {name} a stranger can often tell whether a picture was in the training set (AUC {auc}, {low} … {high})."
    elif auc.low > GUESSING:
        text = "By {name} a stranger guesses a little better than chance whether a picture was in the training set (AUC {auc}, {low} … {high})."
    return tr(text, **values)


def _of_texts(auc: Interval, values: dict[str, str]) -> str:
    text = "By {name} a stranger cannot tell whether a text was in the training set (AUC {auc}, {low} … {high}; 0.5 is guessing)."
    if auc.low > STRONG:
        text = "By {name} a stranger can tell for most texts whether they were in the training set (AUC {auc}, {low} … {high})."
    elif auc.low > SLIGHT:
        text = "By {name} a stranger can often tell whether a text was in the training set (AUC {auc}, {low} … {high})."
    elif auc.low > GUESSING:
        text = "By {name} a stranger guesses a little better than chance whether a text was in the training set (AUC {auc}, {low} … {high})."
    return tr(text, **values)


def certain(attack: Attack) -> bool:
    """Whether some members are given away, whatever the others are."""
    return attack.true_positives is not None and attack.true_positives.low > CERTAIN


def _advice(attacks: tuple[Attack, ...], copied: bool) -> list[str]:
    inside, samples = attacks
    if copied or samples.auc.low > SLIGHT or certain(samples):
        return [tr("Do not give away this run or its pictures: they show training pictures.")]
    if inside.auc.low > SLIGHT or certain(inside):
        return [tr("Pictures may be shown; keep the folder state/ to yourself: it knows the training pictures.")]
    return [tr("Nothing found here is a proof of privacy: another attack may see more.")]

"""`fenshen audit` of a run of words: membership of its texts, secrets in them that it gives away, and copies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np
import torch

from fenshen.evaluate.audit import Attack, Audit, attack_by, attack_in_words, certain
from fenshen.evaluate.subject import Say
from fenshen.evaluate.text_copying import TextCopying, copies_in_words, text_copying
from fenshen.evaluate.text_subject import TextSubject
from fenshen.families.writer import Writer
from fenshen.lang import tr
from fenshen.measure.exposure import Secret, alternatives, exposure, find_secrets
from fenshen.run import RunFolder
from fenshen.space import END

ROWS = 32
MEMBERS = 1000
SECRETS = 8
OTHERS = 127, 1023  # More where few show something.
SUSPECT, EXPOSED = 5.0, 9.0  # Bits: one secret in 512 that the model does not know gets to the second by chance.
SLIGHT = 0.6  # Area under the curve.


@dataclass(frozen=True)
class Exposed:
    """A secret of the training text, and how many bits of guessing it the model spares a stranger, of `most` at most."""

    text: str
    bits: float
    most: float


def audit_words(run: RunFolder, device: str, seed: int, say: Say) -> Audit:
    """Tells training pieces from held-out ones by how surprised the model is; asks for the numbers and addresses in the training text; looks for
    copies in what it writes. Writes audit.json."""
    subject = TextSubject.open(run, device, None, seed, say)
    others = subject.held_out[:MEMBERS]
    members = subject.pieces_of(subject.texts.train, len(others))
    say(tr("comparing {count} training texts with as many held-out ones", count=len(members)))
    mean = [-nats_of(subject, part, whole=False) for part in (members, others)]
    by = tr("the model's own likelihood")
    attacks = (attack_by(by, *mean),)
    secrets, found = exposures(subject, seed), text_copying(subject)
    hidden, unseen = ([_exposed(subject, secret, seed) for secret in part] for part in (subject.texts.canaries, subject.texts.unseen))
    said = (*(line for one in attacks for line in attack_in_words(one, words=True)), *_secrets_in_words(secrets),
            *_canaries_in_words(hidden, unseen, subject.recipe.data.canary_copies), *copies_in_words(found),
            *_advice(attacks, [*secrets, *hidden], found))  # fmt: skip
    result = Audit(run.path.resolve().name, len(members), attacks, found.numbers(), said, run.path / "audit.json",
                   *(tuple(asdict(one) for one in part) for part in (secrets, hidden, unseen)))  # fmt: skip
    run.write_json("audit.json", result.json())
    return result


def exposures(subject: TextSubject, seed: int = 0) -> list[Exposed]:
    """Of the numbers and addresses in the training text, the first ones, each among others of its kind in the same place; none is made up."""
    planted = {secret.text for secret in subject.texts.canaries}
    found = find_secrets(subject.corpus.text.replace("\0", "\n"), SECRETS + len(planted))
    found = [secret for secret in found if secret.text not in planted][:SECRETS]
    return sorted((_exposed(subject, secret, seed) for secret in found), key=lambda one: -one.bits)


def _exposed(subject: TextSubject, secret: Secret, seed: int) -> Exposed:
    before = secret.before.rpartition("\n")[2] or secret.before
    bits = 0.0
    for count in OTHERS:
        texts = [before + text for text in (secret.text, *alternatives(secret.text, count, seed))]
        nats = nats_of(subject, texts, whole=True)
        bits = exposure(float(nats[0]), nats[1:].tolist())
        if bits < SUSPECT:
            break
    return Exposed(secret.text, bits, float(np.log2(OTHERS[-1] + 1)))


def nats_of(subject: TextSubject, texts: Sequence[str], whole: bool) -> np.ndarray:
    """-log p of each text from its beginning, its end not counted (N), or the mean of its tokens. Only as much as the model can read at once."""
    rows = [np.concatenate([[END], subject.texts.alphabet.encode(text)])[: subject.writer.reach + 1] for text in texts]
    parts = [_nats(subject.writer, rows[start : start + ROWS], subject.device) for start in range(0, len(rows), ROWS)]
    nats = np.concatenate(parts)
    return nats if whole else nats / np.maximum(1, [len(row) - 1 for row in rows])


@torch.no_grad()
def _nats(writer: Writer, rows: Sequence[np.ndarray], device: str) -> np.ndarray:
    length_B = torch.tensor([len(row) - 1 for row in rows], device=device)
    tok_BL = torch.full((len(rows), max(2, *map(len, rows))), END, device=device)
    for place, row in zip(tok_BL, rows, strict=True):
        place[: len(row)] = torch.from_numpy(row).to(device)
    return writer.surprise(tok_BL, length_B).double().sum(1).cpu().numpy()


def _secrets_in_words(secrets: Sequence[Exposed]) -> list[str]:
    if not secrets:
        return [tr("There are no long numbers or addresses in the training text whose exposure could be measured.")]
    worst = [secret for secret in secrets if secret.bits >= EXPOSED]
    values: dict[str, Any] = {"count": len(secrets), "most": f"{secrets[0].most:.0f}", "bits": f"{secrets[0].bits:.1f}"}
    if not worst:
        text = "Of {count} long numbers and addresses in the training text none is given away: exposure {bits} bits at most, {most} is certainty."
        return [tr(text, **values)]
    text = ("{exposed} of {count} long numbers and addresses in the training text are given away, first of all {secret}: the model takes them for "
            "likelier than others of their kind (exposure up to {bits} bits, {most} is certainty).")  # fmt: skip
    return [tr(text, exposed=len(worst), secret=_half(worst[0].text), **values)]


def _canaries_in_words(hidden: Sequence[Exposed], unseen: Sequence[Exposed], copies: int) -> list[str]:
    if not hidden:
        return []
    worst = [one for one in hidden if one.bits >= EXPOSED]
    bits, others = (f"{median(one.bits for one in part):.1f}" for part in (hidden, unseen))
    values: dict[str, Any] = {"count": len(hidden), "copies": copies, "bits": bits, "unseen": others, "most": f"{hidden[0].most:.0f}"}
    if not worst:
        text = ("None of the {count} made-up numbers that were hidden in the training text, {copies} times each, is given away: exposure {bits} bits "
                "in the median, {unseen} of ones that are nowhere, {most} is certainty.")  # fmt: skip
        return [tr(text, **values)]
    text = ("{exposed} of the {count} made-up numbers that were hidden in the training text, {copies} times each, are given away: exposure {bits} "
            "bits in the median, {unseen} of ones that are nowhere, {most} is certainty. What stands there so often, the run tells who asks."
            )  # fmt: skip
    return [tr(text, exposed=len(worst), **values)]


def _half(secret: str) -> str:
    """Enough to find it, not enough to know it."""
    return secret[: len(secret) // 2] + "…"


def _advice(attacks: tuple[Attack, ...], secrets: Sequence[Exposed], found: TextCopying) -> list[str]:
    if found.copied or any(secret.bits >= EXPOSED for secret in secrets):
        return [tr("Do not give away this run or its texts: they show parts of the training text.")]
    if any(one.auc.low > SLIGHT or certain(one) for one in attacks):
        return [tr("Texts may be shown; keep the run to yourself: it knows its training text.")]
    return [tr("Nothing found here is a proof of privacy: another attack may see more.")]

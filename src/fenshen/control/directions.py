"""Directions of a run: those that its network suggests, and those that a person names; found, measured, stored with it, shown.

Shape letters: N examples, D latent, K classes, F features.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from fenshen.control.answer import Answer, Desk
from fenshen.control.closed import centered, closed_form, principal_components
from fenshen.control.examples import Examples, read_examples
from fenshen.control.hand import Hand, Seed
from fenshen.control.inversion import places_of
from fenshen.control.knobs import Knob, check_name, code_knobs, measured, store, sweep
from fenshen.control.reading import read_pictures
from fenshen.errors import DataError, RecipeError
from fenshen.families.preference import fit
from fenshen.lang import tr
from fenshen.media.sheet import sheet, signed

Method = Literal["probe", "mean", "seen"]
SAMPLES = 2000  # Made, and asked the classifier about.
MEASURED = 64  # Places where effects are measured.
SHOWN, STEPS = 3, 7  # Rows and columns of a preview.
SPREAD = 2.0  # Standard deviation, before any example, of what the latent adds to the logit.
PARTS = 5  # Of the examples, each foreseen from the others.


def find_directions(hand: Hand, *, count: int = 6, seed: int = 0, out: str | Path | None = None) -> Answer:
    """`count` directions in closed form and as many principal components: stored with the run, ranked, each with a preview."""
    if not 1 <= count <= 100:
        raise RecipeError("--count {count}: between 1 and 100", count=count)
    components_ND, parts_N = principal_components(hand, count, seed)
    knobs = closed_knobs(hand, count)
    knobs += [Knob(f"pca-{n}", "principal component", hand.as_long(v), facts={"part": float(parts_N[n - 1])}) for n, v in enumerate(components_ND, 1)]
    return _kept(hand, [*knobs, *code_knobs(hand)], seed, Desk.of(hand, "directions", [], out))


def closed_knobs(hand: Hand, count: int) -> list[Knob]:
    """The strongest directions in closed form; what they change is not measured."""
    vectors_DD, values_D = closed_form(hand)
    strength_D = values_D / values_D.sum()
    return [Knob(f"sefa-{n}", "closed form", hand.as_long(v), facts={"part": float(strength_D[n - 1])}) for n, v in enumerate(vectors_DD[:count], 1)]


def name_direction(
    hand: Hand, name: str, *, examples: str | Path | None = None, label: str | None = None, method: Method = "probe", seed: int = 0,
    out: str | Path | None = None,
) -> Answer:  # fmt: skip
    """A direction that somebody has a name for, from examples with and without it, or from a label of the training pictures.

    method, of examples: `probe`, a logistic regression on their latents; `mean`, the difference of their mean latents; `seen`, a logistic
    regression on what the measuring network sees of them, which then looks at 2000 made pictures.
    """
    check_name(hand, name)
    if (examples is None) == (label is None):
        raise RecipeError("say what {name} means: --examples FILE (pictures with and without it) or --of LABEL (of the training pictures)", name=name)
    desk = Desk.of(hand, "directions", [name], out)
    knob = _of_label(hand, name, str(label), seed) if examples is None else _of_examples(hand, name, read_examples(Path(examples)), method, seed)
    return _kept(hand, [knob], seed, desk)


def _kept(hand: Hand, knobs: list[Knob], seed: int, desk: Desk) -> Answer:
    """Measured, stored, and shown."""
    places = hand.random(MEASURED, seed)
    knobs = [measured(hand, knob, places) for knob in knobs]
    ranks = store(hand, knobs)
    new = {knob.name for knob in knobs}
    shown = [knob for knob in ranks if knob.name in new]
    along = [knob for knob in shown if knob.z_D is not None]
    if len(along) > 1:
        rows = [list(hand.pictures(sweep(knob, places[:1], amounts(knob)))) for knob in along]
        desk.picture("sheet", sheet(rows, [knob.name for knob in along], [signed(amount) for amount in amounts(along[0])]))
    for knob in shown:
        rows = [list(hand.pictures(sweep(knob, places[n : n + 1], amounts(knob)))) for n in range(SHOWN)]
        desk.picture(knob.name, sheet(rows, (), [signed(amount) for amount in amounts(knob)]))
    return desk.done(found=[knob.json() for knob in shown], ranks=[knob.name for knob in ranks])


def amounts(knob: Knob) -> list[float]:
    """The values of a preview."""
    return knob.values(*knob.around(), STEPS)


def _of_label(hand: Hand, name: str, label: str, seed: int) -> Knob:
    """Where the run is told labels: towards that label. Where it is not: what the classifier says of made pictures, foreseen from z."""
    if label in hand.made.classes:
        return Knob(name, "label", toward=hand.made.classes.index(label), facts={"label": label})
    if hand.data.labels is None or hand.encoder.head is None:
        raise DataError("the training pictures of this run have no labels: name a direction by --examples")
    if label not in hand.data.classes:
        raise DataError("no label {name} in this run; it knows {known}", name=label, known=", ".join(hand.data.classes[:40]))
    places = hand.random(SAMPLES, seed)
    probabilities = hand.encoder.read(hand.pictures(places)).probabilities
    assert probabilities is not None
    has_N = torch.from_numpy(probabilities.argmax(1) == hand.data.classes.index(label)).double()
    class_N = None if places.label_BK is None else places.label_BK.argmax(1).cpu()
    if not 0 < has_N.sum() < len(has_N):
        raise DataError("of {count} made pictures the classifier finds {found} to be {name}: no direction can be told", count=len(has_N),
                        found=int(has_N.sum()), name=label)  # fmt: skip
    z_ND = places.z_BD.cpu().double()
    return Knob(name, "named", hand.as_long(probe(z_ND, has_N, class_N)), facts={"label": label, "samples": SAMPLES, "share": float(has_N.mean()),
                                                                   "foreseen": foreseen(z_ND, has_N, class_N)})  # fmt: skip


def _of_examples(hand: Hand, name: str, examples: Examples, method: Method, seed: int) -> Knob:
    facts: dict[str, Any] = {"method": method, "with": len(examples.having), "without": len(examples.lacking)}
    has_N = torch.tensor([1.0] * len(examples.having) + [0.0] * len(examples.lacking), dtype=torch.float64)
    stops = [*examples.having, *examples.lacking]
    if method == "seen":
        direction_D, part = _seen(hand, stops, has_N, seed)
        return Knob(name, "named", hand.as_long(direction_D), facts=facts | {"foreseen": part})
    places, found = places_of(hand, stops)
    z_ND, class_N = places.z_BD.cpu().double(), None if places.label_BK is None else places.label_BK.argmax(1).cpu()
    errors = [fact["psnr"] for fact in found if "psnr" in fact]
    facts |= {"psnr": float(np.mean(errors))} if errors else {}
    direction_D = probe(z_ND, has_N, class_N) if method == "probe" else difference(z_ND, has_N, class_N)
    return Knob(name, "named", hand.as_long(direction_D), facts=facts | {"foreseen": foreseen(z_ND, has_N, class_N)})


def _seen(hand: Hand, stops: list[str], has_N: Tensor, seed: int) -> tuple[Tensor, float | None]:
    """By the features of the examples: a probe of them, asked about made pictures; its answer rises fastest along E[z · logit] (Stein)."""
    hand.say(tr("looking at {count} examples, and at {samples} made pictures", count=len(stops), samples=SAMPLES))
    pictures = np.concatenate([_picture(hand, stop) for stop in stops])
    places = hand.random(SAMPLES, seed)
    features_NF, made_MF = (torch.from_numpy(hand.encoder.read(p).features) for p in (pictures, hand.pictures(places)))
    mean_F, spread_F = made_MF.mean(0), made_MF.std(0).clamp_min(1e-9)
    features_NF, made_MF = (features_NF - mean_F) / spread_F, (made_MF - mean_F) / spread_F
    weight_F = logistic(features_NF, has_N, None)
    class_M = None if places.label_BK is None else places.label_BK.argmax(1).cpu()
    z_MD, logit_M = centered(places.z_BD.cpu().double(), class_M), centered((made_MF @ weight_F)[:, None], class_M)
    return unit(z_MD.T @ logit_M[:, 0]), foreseen(features_NF, has_N, None)


def _picture(hand: Hand, stop: str) -> np.ndarray:
    seed = Seed.read(stop)
    return read_pictures(hand, stop, most=1)[1] if seed is None else hand.pictures(hand.at([seed]))


def probe(z_ND: Tensor, has_N: Tensor, class_N: Tensor | None) -> Tensor:
    """The unit normal of a logistic regression of `has_N` (0 or 1) on latents; a class may have a threshold of its own."""
    return unit(logistic(z_ND, has_N, class_N))


def logistic(x_NF: Tensor, has_N: Tensor, class_N: Tensor | None) -> Tensor:
    """Its weights (F), each N(0, SPREAD² / F) before any example; float64."""
    return _regression(_with_class(x_NF, class_N), has_N, x_NF.shape[1])[: x_NF.shape[1]]


def _with_class(x_NF: Tensor, class_N: Tensor | None) -> Tensor:
    """x, the class one-hot where there is any, and 1."""
    told = [] if class_N is None else [one_hot(class_N).double()]
    return torch.cat([x_NF, *told, torch.ones(len(x_NF), 1, dtype=torch.float64)], 1)


def _regression(whole_NF: Tensor, has_N: Tensor, length: int) -> Tensor:
    precision_F = torch.full((whole_NF.shape[1],), 1 / SPREAD**2, dtype=torch.float64)
    precision_F[:length] = length / SPREAD**2
    precision_F[-1] = 0.01  # The threshold is all but free.
    return fit(whole_NF, has_N, precision_F)


def difference(z_ND: Tensor, has_N: Tensor, class_N: Tensor | None) -> Tensor:
    """The unit vector from the mean latent without to the mean latent with, each class taken from its own mean."""
    z_ND = centered(z_ND, class_N)
    return unit(z_ND[has_N == 1].mean(0) - z_ND[has_N == 0].mean(0))


def unit(v_D: Tensor) -> Tensor:
    return (v_D / v_D.norm().clamp_min(1e-12)).float()


def foreseen(x_NF: Tensor, has_N: Tensor, class_N: Tensor | None) -> float | None:
    """Part of the examples that the others foresee, each kind counting half (0.5 is guessing); None with fewer than five of a kind."""
    if min(int(has_N.sum()), int((1 - has_N).sum())) < PARTS:
        return None
    whole_NF, right_N = _with_class(x_NF, class_N), torch.zeros_like(has_N)
    for part in np.array_split(np.random.default_rng(0).permutation(len(has_N)), PARTS):
        rest = np.setdiff1d(np.arange(len(has_N)), part)
        logit_N = whole_NF @ _regression(whole_NF[rest], has_N[rest], x_NF.shape[1])
        middle = sum(logit_N[rest][has_N[rest] == kind].mean() for kind in (0, 1)) / 2
        right_N[part] = ((logit_N[part] > middle).double() == has_N[part]).double()
    return float((right_N[has_N == 1].mean() + right_N[has_N == 0].mean()) / 2)

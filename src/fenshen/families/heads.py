"""A second task for a network that is trained anyway: to say the label. Caruana 1997, "Multitask learning"; for critics Odena et al. 2017
(AC-GAN).

    minimise  … - w log p(label | features)

Shape letters: B batch, D features.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from fenshen.condition import Given, Label, Told
from fenshen.families.base import Losses
from fenshen.nets.blocks import linear


class LabelHead(nn.Module):
    """One dense layer from features to the classes of each label that is told."""

    def __init__(self, features: int, told: Told):
        super().__init__()
        labels = {name: what.classes for name, what in told.items() if isinstance(what, Label)}
        self.classes = nn.ModuleDict({name: linear(features, count) for name, count in labels.items()})

    def losses(self, h_BD: Tensor, given: Given, weight: float) -> Losses:
        """The weighted cross-entropy, and the part of the labels that is right."""
        terms, signals = {}, {}
        for name, layer in self.classes.items():
            logits_BN = layer(h_BD).float()
            terms[name] = weight * F.cross_entropy(logits_BN, given[name], reduction="none")
            signals[f"{name}_right"] = (logits_BN.argmax(1) == given[name]).float().detach()
        return Losses(terms, signals)


def label_head(features: int, told: Told, weight: float) -> LabelHead | None:
    """Where a recipe wants one."""
    return LabelHead(features, told) if weight else None

"""What of a run becomes an ONNX graph: a network with named inputs, examples of them, and which of their axes may have any length.

A GAN's generator reads noise, a variational decoder latents, both with a label where the run knows any; a language model reads
tokens and gives the logits of what follows each.

Shape letters: B batch, D latent, L tokens, V vocabulary, C channels, *S spatial axes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from fenshen.errors import RunFolderError
from fenshen.families.autoencoder import Autoencoder
from fenshen.families.autoregressive import LanguageModel
from fenshen.families.base import Kept, Sampler
from fenshen.families.gan import Generator
from fenshen.nets.borrowed import Borrowed
from fenshen.nets.transformer import Transformer
from fenshen.run import Made, Written

BATCH, LENGTH = "batch", "length"


@dataclass(frozen=True)
class Graph:
    """`network(*examples(count, length, noise))`, with inputs of these names; `axes`: for each input its axes of any length, in order.

    `longest`: how many tokens it reads, None where it reads none, or any number. `prior`: what latents are drawn from, where that is
    not N(0, I). `about`: what a program has to know to use it, plain values for JSON.
    """

    network: nn.Module
    inputs: tuple[str, ...]
    output: str
    axes: tuple[tuple[str, ...], ...]
    examples: Callable[[int, int, torch.Generator], tuple[Tensor, ...]]
    about: dict[str, Any]
    longest: int | None = None
    prior: dict[str, Tensor] = field(default_factory=dict)

    @property
    def reads_words(self) -> bool:
        return LENGTH in self.axes[0]


class Drawing(nn.Module):
    """A sampler from latents on: h_BD, and label_B where it knows labels, to samples x_BCS in [-1, 1]."""

    def __init__(self, sampler: Sampler):
        super().__init__()
        self.sampler = sampler

    def forward(self, h_BD: Tensor, label_B: Tensor | None = None) -> Tensor:
        given = {} if label_B is None else {"label": label_B}
        return self.sampler.space.hard(self.sampler(h_BD, given).float())


class Reading(nn.Module):
    """A language model that has read nothing before: tok_BL to logits (B, L, V)."""

    def __init__(self, model: LanguageModel):
        super().__init__()
        self.net = model.net

    def forward(self, tok_BL: Tensor) -> Tensor:
        return self.net(tok_BL)


def graph_of(kept: Kept, made: Made | Written) -> Graph:
    """The graph of a run's network on the CPU. RunFolderError for those that have none."""
    match kept, made:
        case Generator(), Made():
            return _drawing(kept, made, "generator")
        case Autoencoder(), Made():
            return _drawing(kept, made, "decoder")
        case LanguageModel(), Written() if not isinstance(kept.net, Borrowed):
            return _reading(kept, made)
    raise RunFolderError("this run has no ONNX form: only a GAN's generator, a VAE's decoder and a language model of one's own have "
                         "one; export its weights with --to safetensors")  # fmt: skip


def _drawing(sampler: Generator | Autoencoder, made: Made, kind: str) -> Graph:
    names = list(sampler.knows.labels)

    def examples(count: int, length: int, noise: torch.Generator) -> tuple[Tensor, ...]:
        latent_BD = torch.randn(count, sampler.latent, generator=noise)
        return (latent_BD, torch.randint(len(made.classes), (count,), generator=noise)) if names else (latent_BD,)

    about = {
        "kind": kind, "latent": sampler.latent, "shape": [made.channels, *made.size], "range": [-1, 1],
        "classes": [] if made.grouped else list(made.classes), "labels": len(made.classes), "shares": list(made.shares),
    }  # fmt: skip
    prior: dict[str, Tensor] = {}
    if isinstance(sampler, Autoencoder) and sampler.prior.fitted:
        prior = {"weight": sampler.prior.weight_GK, "mean": sampler.prior.mean_GKD, "scale": sampler.prior.scale_GKDD}
    inputs = ("latent", "label") if names else ("latent",)
    return Graph(Drawing(sampler), inputs, "sample", ((BATCH,),) * len(inputs), examples, about, prior=prior)


def _reading(model: LanguageModel, made: Written) -> Graph:
    longest = made.context if isinstance(model.net, Transformer) else None

    def examples(count: int, length: int, noise: torch.Generator) -> tuple[Tensor, ...]:
        return (torch.randint(made.vocab, (count, length), generator=noise),)

    about = {"kind": "language model", "context": longest, "vocabulary": made.vocab, "unit": made.unit, "alphabet": made.alphabet}
    return Graph(Reading(model), ("tokens",), "logits", ((BATCH, LENGTH),), examples, about, longest)

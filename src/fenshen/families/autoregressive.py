"""Maximum likelihood, one token after the other. Bengio et al. 2003; Graves 2013 (recurrent), Radford et al. 2018 (attention).

    minimise  -Σ log p(x_l | x_0 … x_l-1)          x_0 is END, which stands between two samples

Shape letters: B batch, L tokens, V vocabulary, D latent.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from fenshen.condition import Given
from fenshen.families.base import At, Family, Losses, Player
from fenshen.families.writer import RECURRENT_REACH, Memory, Writer, surprise
from fenshen.nets.borrowed import Borrowed
from fenshen.nets.recurrent import Recurrent
from fenshen.nets.transformer import Transformer
from fenshen.recipe import Autoregressive, Model, Pretrained, TextGan
from fenshen.space import Tokens


class LanguageModel(Writer):
    """A network that reads tokens and says what may follow."""

    def __init__(self, space: Tokens, model: Autoregressive | TextGan | Pretrained):
        assert model.context and model.dropout is not None
        super().__init__(space)
        self.net: Recurrent | Transformer | Borrowed
        if isinstance(model, Pretrained):
            self.net = Borrowed(model.architecture, space.vocab, model.context, model.rank, model.dropout, Path(model.start), model.sha256)
            return
        assert model.width and model.depth
        if model.net == "lstm":
            self.net = Recurrent(space.vocab, model.width, model.depth, model.dropout)
        else:
            self.net = Transformer(space.vocab, model.context, model.width, model.depth, model.dropout)

    @property
    def reach(self) -> int:
        """A recurrent network goes on hearing of what is further back than the windows that it was trained on."""
        return RECURRENT_REACH * self.space.size[0] if isinstance(self.net, Recurrent) else self.space.size[0]

    def begin(self, z_BD: Tensor, given: Given) -> Memory:
        return self.net.begin()

    def read(self, tok_BL: Tensor, memory: Memory) -> Tensor:
        return self.net(tok_BL, memory)


class MaximumLikelihood(Family):
    """The writer alone, and the likelihood of what it is shown."""

    sampler: LanguageModel
    space: Tokens

    def __init__(self, space: Tokens, model: Autoregressive | Pretrained):
        super().__init__(space)
        self.sampler, self.model = LanguageModel(space, model), model

    def forward(self, x_BL: Tensor, given: Given) -> Tensor:
        return self.sampler.net(x_BL)

    def follow(self, model: Model) -> None:
        self.model = model

    def players(self) -> dict[str, Player]:
        return {"writer": Player((self.sampler,))}

    def networks(self) -> tuple[torch.nn.Module, ...]:
        return tuple(self.sampler.net.blocks) if isinstance(self.sampler.net, Transformer) else ()

    @property
    def separable(self) -> bool:
        """What a borrowed network drops out comes from torch's own state, in the order in which threads ask for it."""
        return not isinstance(self.sampler.net, Borrowed)

    def losses(self, player: str, x_BL: Tensor, given: Given, at: At, noise: torch.Generator | None = None) -> Losses:
        """`x_BL`: END and the tokens after it, int64 (B, L + 1); `given["length"]` (B): how many of these L count."""
        nats_BL = surprise(self.sampler.net(x_BL[:, :-1], noise=noise), x_BL[:, 1:], given["length"])
        nats_B = nats_BL.sum(1)
        return Losses({"likelihood": nats_B / self.space.size[0], **self.anchor(self.sampler)}, {"nats": (nats_B / given["length"]).detach()})

    def familiarity(self, x_BL: Tensor, given: Given) -> Tensor:
        """Mean log-likelihood of a token (B,)."""
        return -surprise(self.sampler.net(x_BL[:, :-1]), x_BL[:, 1:], given["length"]).sum(1) / given["length"]

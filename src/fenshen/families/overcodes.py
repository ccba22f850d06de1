"""The autoregressive family on the codes of pictures. van den Oord et al. 2017, "Neural discrete representation learning", section 3.3.

    minimise  -Σ log p(c_i | c_1 … c_i-1, label)          c_i the code at place i, row by row, of a frozen quantised autoencoder
    log p(c_i = k | …) = log f_ik + net_k(c_1 … c_i-1, label) + constant          f how often the codec counted code k at place i

The network begins at zero, as the codec draws by itself, and learns what codes have to do with each other: few pictures do not teach it what
stands where, and its positions are relative ones. A sample draws one code after the other, each by an entry of the noise, and decodes them.

Shape letters: B batch, P places, K codes, C channels, *S spatial axes. Tokens: END, a token for each label, then the codes.
"""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fenshen.condition import Given, Told
from fenshen.families.autoencoder import groups_of
from fenshen.families.base import At, Family, Losses, Player, Sampler
from fenshen.families.quantized import Codec
from fenshen.nets.transformer import Transformer
from fenshen.recipe import Model, OverCodes
from fenshen.sampling import Controls, draw, shares
from fenshen.space import END, Grid

UNSEEN = 0.001  # So often a code counts that was never seen at a place.


class CodeWriter(Sampler):
    """Writes codes and decodes them. Noise has an entry per place, which says which of the likely codes stands there."""

    def __init__(self, space: Grid, told: Told, model: OverCodes):
        assert model.coding and model.width and model.depth and model.dropout is not None
        codec = Codec(space, told if model.coding_told else {}, model.coding)
        super().__init__(space, {}, codec.latent)
        self.codec = codec.eval().requires_grad_(False)
        for name, buffer in codec.named_buffers():
            if name.endswith("initted"):  # A learned codebook comes with the codec's weights; nothing is to begin it before.
                buffer.fill_(True)
        self.classes = groups_of(told)
        self.first = END + 1 + self.classes
        self.net = Transformer(self.first + codec.quantizer.size, self.latent, model.width, model.depth, model.dropout)

    def train(self, mode: bool = True) -> Self:
        """The codec stays as it is: a learned codebook would move with every picture that it sees."""
        super().train(mode)
        self.codec.eval()
        return self

    def begin_with(self, given: Given, count: int, device: torch.device) -> Tensor:
        """The token before the first code (B): END, or the label's; the likeliest one where shares of labels are told."""
        if not self.classes:
            return torch.full((count,), END, device=device)
        label_B = given["label"]
        return END + 1 + (label_B.argmax(1) if label_B.is_floating_point() else label_B)

    @torch.no_grad()
    def read(self, x: Tensor, given: Given) -> Tensor:
        """Tokens (B, 1 + P) of pictures x_BCS, or of their codes x_BP, int64."""
        code_BP = self.codec.encode(x, given).code_BP if x.is_floating_point() else x
        return torch.cat([self.begin_with(given, len(x), x.device)[:, None], code_BP + self.first], 1)

    def usual(self, given: Given) -> Tensor:
        """log f (B or 1, P, K): how likely each code is at each place, whatever stands elsewhere; of the label, where the codec is told it."""
        log_GPK = (self.codec.frequency_GPK + UNSEEN).log()
        label_B = self.codec.label_of(given) if len(log_GPK) > 1 else None
        return log_GPK[:1] if label_B is None else log_GPK[label_B]

    def surprise(self, x: Tensor, given: Given, noise: torch.Generator | None = None) -> Tensor:
        """-log p of each code (B, P) of pictures, or of codes, among codes alone."""
        tok_BL = self.read(x, given)
        logit_BPK = self.net(tok_BL[:, :-1], noise=noise)[:, :, self.first :] + self.usual(given)
        wanted_BP = tok_BL[:, 1:] - self.first
        return F.cross_entropy(logit_BPK.flatten(0, 1), wanted_BP.flatten(), reduction="none").view(wanted_BP.shape)

    def forward(self, h_BD: Tensor, given: Given) -> Tensor:
        """What codes (B, P), as `place` gives them, look like."""
        return self.codec(h_BD, given)

    def place(self, z_BD: Tensor, given: Given, truncation: float = 1.0) -> Tensor:
        """Codes (B, P): at each place the one in whose part of the shares Φ(z) lies. `truncation` below 1: a lower temperature."""
        u_BP, cache = torch.special.ndtr(self.prefer(z_BD, given).double()), self.net.begin()
        usual_BPK = self.usual(given).expand(len(z_BD), -1, -1)
        tok_B, codes = self.begin_with(given, len(z_BD), z_BD.device), list[Tensor]()
        for place in range(self.latent):
            logit_BK = self.net(tok_B[:, None], cache)[:, -1, self.first :] + usual_BPK[:, place]
            codes.append(draw(shares(logit_BK, tok_B[:, None], Controls(temperature=truncation)), u_BP[:, place]))
            tok_B = codes[-1] + self.first
        return torch.stack(codes, 1)


class MaximumLikelihoodOverCodes(Family):
    """The network alone; the codec was learnt before."""

    sampler: CodeWriter

    def __init__(self, space: Grid, told: Told, model: OverCodes):
        super().__init__(space)
        self.sampler, self.model = CodeWriter(space, told, model), model

    def follow(self, model: Model) -> None:
        self.model = model

    def forward(self, x: Tensor, given: Given) -> Tensor:
        return self.sampler.net(self.sampler.read(x, given)[:, :-1])

    def players(self) -> dict[str, Player]:
        return {"writer": Player((self.sampler.net,))}

    @property
    def maker(self) -> str:
        return "writer"

    def networks(self) -> tuple[nn.Module, ...]:
        return tuple(self.sampler.net.blocks)

    def losses(self, player: str, x: Tensor, given: Given, at: At, noise: torch.Generator | None = None) -> Losses:
        """`x`: pictures (B, C, *S), or their codes (B, P)."""
        nats_BP = self.sampler.surprise(x, given, noise)
        return Losses({"likelihood": nats_BP.mean(1)} | self.anchor(self.sampler.net), {"nats": nats_BP.detach().mean(1)})

    def familiarity(self, x: Tensor, given: Given) -> Tensor:
        """log p of its codes."""
        return -self.sampler.surprise(x, given).sum(1)

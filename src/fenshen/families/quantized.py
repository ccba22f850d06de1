"""An autoencoder whose latent is a grid of codes. van den Oord et al. 2017, "Neural discrete representation learning" (VQ-VAE).

    minimise  -log p(x | e(x)) + ¼ ‖h(x) - e(x)‖² / 2σ²          h the encoder's vectors, e the codes nearest to them; eq. 3

The codebook follows the vectors (`fenshen.nets.quantizer`); σ is the likelihood's, so that both parts are in the same units. What the codes
of a picture have to do with each other is not learnt here: a sample draws each position by itself, as often as training pictures have each
code there. That shows the codebook, not good pictures; those take a model of the codes.

Shape letters: B batch, P positions, K codes, G groups (one per label, or 1), D entries of a vector, C channels, *S spatial axes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from fenshen.condition import Given, Told
from fenshen.families.autoencoder import Encoding, groups_of
from fenshen.families.base import WIDTHS, At, Family, Losses, Player
from fenshen.likelihoods import Gaussian, likelihood
from fenshen.nets.encoders import GridDecoder, GridEncoder
from fenshen.nets.quantizer import Quantized, Quantizer, usage
from fenshen.recipe import Model, Vae
from fenshen.space import Grid

COMMITMENT = 0.25
MOST_GROUPS = 16  # With more labels than this, one table of frequencies serves them all.


class Codec(Encoding):
    """Pictures to codes and back. Noise has an entry per position, which says which code stands there."""

    frequency_GPK: Tensor

    def __init__(self, space: Grid, told: Told, model: Vae):
        assert model.size and model.halvings is not None
        width, residual = WIDTHS[model.size], model.network == "residual"
        quantizer = Quantizer(model.quantizer, model.codebook)
        size = GridEncoder(space, 0, 1, 1, model.halvings).size
        super().__init__(space, told, math.prod(size))
        given, channels, self.size = self.knows.vector_length, self.knows.grid_channels, size
        self.encoder = GridEncoder(space, given, width, quantizer.dimension, model.halvings, residual=residual, grid_channels=channels)
        self.quantizer = quantizer
        self.decoder = GridDecoder(space, given, width, quantizer.dimension, model.halvings, residual=residual, grid_channels=channels)
        self.likelihood = likelihood(model.likelihood, model.sigma)
        groups = groups_of(told)
        self.register_buffer("frequency_GPK", torch.ones(groups if 0 < groups <= MOST_GROUPS else 1, self.latent, quantizer.size))

    def encode(self, x_BCS: Tensor, given: Given) -> Quantized:
        """The vectors and codes of samples."""
        return self.quantizer(self.encoder(self.space.embed(x_BCS), *self.knows(given)).flatten(2).movedim(1, 2))

    def decode(self, vector_BPD: Tensor, given: Given) -> Tensor:
        """The raw output y_BCS."""
        return self.decoder(vector_BPD.movedim(2, 1).unflatten(2, self.size), *self.knows(given))

    def forward(self, h_BD: Tensor, given: Given) -> Tensor:
        """E[x | codes]; `h_BD`: a code per position, as `place` gives them."""
        return self.space.soft(self.likelihood.mean(self.decode(self.quantizer.vectors(h_BD.long()), given)))

    def place(self, z_BD: Tensor, given: Given, truncation: float = 1.0) -> Tensor:
        """Codes (B, P): at each position the one in whose part of the frequencies Φ(z) lies. `truncation` below 1: the frequent ones."""
        label_B, groups = self.label_of(given), len(self.frequency_GPK)
        group_B = torch.zeros(len(z_BD), dtype=torch.long, device=z_BD.device) if label_B is None or groups == 1 else label_B
        share_BPK = self.frequency_GPK[group_B].double() ** (1 / max(truncation, 0.01))
        sums_BPK = (share_BPK / share_BPK.sum(2, keepdim=True)).cumsum(2)
        u_BP = torch.special.ndtr(self.prefer(z_BD, given).double())
        return torch.searchsorted(sums_BPK, u_BP[..., None], right=True)[..., 0].clamp(max=self.quantizer.size - 1)

    @torch.no_grad()
    def reconstruct(self, x_BCS: Tensor, given: Given) -> Tensor:
        return self.space.hard(self(self.encode(x_BCS, given).code_BP, given).float())

    @torch.no_grad()
    def settle(self, pictures: Iterable[tuple[Tensor, Given]], seed: int) -> None:
        """Counts which codes stand where."""
        counts_GPK = torch.zeros_like(self.frequency_GPK)
        position_P = torch.arange(self.latent, device=counts_GPK.device)
        for x_BCS, given in pictures:
            code_BP, label_B = self.encode(x_BCS, given).code_BP, self.label_of(given)
            group_B = torch.zeros(len(code_BP), dtype=torch.long) if label_B is None or len(counts_GPK) == 1 else label_B
            places = (group_B.to(code_BP.device)[:, None].expand_as(code_BP), position_P.expand_as(code_BP), code_BP)
            counts_GPK.index_put_(places, torch.ones((), device=counts_GPK.device).expand(code_BP.shape), accumulate=True)
        empty_G = counts_GPK.sum((1, 2)) == 0
        counts_GPK[empty_G] = counts_GPK.sum(0)
        self.frequency_GPK.copy_(counts_GPK)

    def used(self) -> tuple[float, float]:
        """Part of the codebook that training pictures use, and its perplexity; of all positions together."""
        return usage(self.frequency_GPK.sum((0, 1)))


class QuantizedVAE(Family):
    """One player: encoder and decoder move together, and the codebook after them."""

    model: Vae
    sampler: Codec

    def __init__(self, space: Grid, told: Told, model: Vae):
        super().__init__(space)
        self.follow(model)
        self.sampler = Codec(space, told, model)

    def follow(self, model: Model) -> None:
        assert isinstance(model, Vae)
        self.model = model

    def forward(self, x_BCS: Tensor, given: Given) -> Tensor:
        vector_BPD = torch.zeros(len(x_BCS), self.sampler.latent, self.sampler.quantizer.dimension, device=x_BCS.device)
        self.sampler.encoder(x_BCS, *self.sampler.knows(given))
        return self.sampler.decode(vector_BPD, given)

    def players(self) -> dict[str, Player]:
        return {"autoencoder": Player((self.sampler,))}

    def networks(self) -> tuple[nn.Module, ...]:
        return self.sampler.encoder, self.sampler.decoder

    @property
    def separable(self) -> bool:
        return self.model.quantizer == "fsq" and super().separable

    def losses(self, player: str, x_BCS: Tensor, given: Given, at: At, noise: torch.Generator | None = None) -> Losses:
        x_BCS = self.sampler.likelihood.observed(x_BCS, noise)
        found = self.sampler.encode(x_BCS, given)
        y_BCS = self.sampler.decode(found.vector_BPD, given)
        terms = {"reconstruction": -self.sampler.likelihood.log_prob(y_BCS, x_BCS)}
        if self.model.quantizer == "vq":
            terms["commitment"] = COMMITMENT * found.vector_BPD[0].numel() * found.moved_B * self.precision
        error_B = (self.sampler.likelihood.mean(y_BCS).float() - x_BCS.float()).square().flatten(1).mean(1)
        counts_K = torch.bincount(found.code_BP.flatten(), minlength=self.sampler.quantizer.size)
        used, perplexity = usage(counts_K)
        signals = {"squared_error": error_B, "used": torch.tensor([used]), "perplexity": torch.tensor([perplexity])}
        return Losses(terms | self.anchor(self.sampler), {name: value.detach() for name, value in signals.items()})

    @property
    def precision(self) -> Tensor | float:
        """1 / 2σ² of the likelihood."""
        found = self.sampler.likelihood
        return (-2 * found.log_sigma).exp() / 2 if isinstance(found, Gaussian) else 0.5

    def familiarity(self, x_BCS: Tensor, given: Given) -> Tensor:
        """log p(x | its codes)."""
        return self.sampler.likelihood.log_prob(self.sampler.decode(self.sampler.encode(x_BCS, given).vector_BPD, given), x_BCS)

    def after_step(self, player: str, losses: Losses) -> None:
        self.sampler.likelihood.follow(losses.signals["squared_error"].mean())

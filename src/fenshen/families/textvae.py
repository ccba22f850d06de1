"""The variational autoencoder of words. Bowman et al. 2016, "Generating sentences from a continuous space".

    maximise  E_{z ~ q(z | x)} [Σ log p(x_l | z, x_0 … x_l-1)] - β KL(q(z | x) ‖ N(0, I))

A decoder that sees the words before the next one learns to do without z: the KL falls to nothing (posterior collapse). Against that: z is
heard before every token; some tokens are hidden from the decoder (Bowman et al.); and the plan begins with an autoencoder, without noise
and KL, whose β then rises while the first nats of every unit cost nothing (Li et al. 2019, "A surprisingly effective fix for deep latent
variable modeling of text"), or rises from zero four times (Fu et al. 2019, "Cyclical annealing schedule").

Shape letters: B batch, L tokens, V vocabulary, D latent.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fenshen.condition import Given
from fenshen.errors import RecipeError
from fenshen.families.autoencoder import Posterior, active_units
from fenshen.families.base import At, Family, Losses, Player
from fenshen.families.mixture import Mixture
from fenshen.families.vae import free
from fenshen.families.writer import RECURRENT_REACH, Writer, surprise_of
from fenshen.lang import Said, said
from fenshen.nets.recurrent import Reader, Recurrent, States
from fenshen.recipe import Model, TextVae
from fenshen.space import Tokens

CYCLES, RISING = 4, 0.5  # Of the cyclical schedule, and the part of each in which β rises.
LEAST_NATS, LEAST_ACTIVE = 3.0, 0.25  # Below either of them (the latter a part of all units) the latent has collapsed.
HIDDEN = 1  # The token that stands for one that is not shown: UNKNOWN of every alphabet.


class TextAutoencoder(Writer):
    """q(z | x), p(x | z) and the prior that is sampled, as one thing: what is averaged, saved, and writes."""

    def __init__(self, space: Tokens, model: TextVae):
        assert model.width and model.depth and model.dropout is not None
        super().__init__(space, model.latent)
        self.encoder = Reader(space.vocab, model.width, model.depth, 2 * model.latent, model.dropout)
        self.decoder = Recurrent(space.vocab, model.width, model.depth, model.dropout, told=model.latent)
        self.prior = Mixture(model.latent, 0)
        self.wanted: str = model.prior
        self.hide = model.word_dropout

    @property
    def reach(self) -> int:
        """A latent is of a whole text."""
        return RECURRENT_REACH * self.space.size[0]

    def choose(self, prior: str) -> None:
        """Draws latents from `mixture` or `normal` from now on. RecipeError for anything else."""
        if prior not in ("mixture", "normal"):
            raise RecipeError("--prior {prior}: mixture or normal", prior=prior)
        self.wanted = prior

    def encode(self, tok_BL: Tensor, length_B: Tensor, noise: torch.Generator | None = None) -> Posterior:
        """q(z | x) of texts, each `length_B` tokens after the END that they begin with; σ below 1.

        log σ has no lower bound to be stuck at: without noise and KL, which pull at it, it drifts far down, and a clamp has no gradient there.
        """
        mean_BD, narrow_BD = self.encoder.read(tok_BL[:, 1:], length_B, noise).chunk(2, 1)
        return Posterior(mean_BD, -F.softplus(-narrow_BD))

    def decode(self, tok_BL: Tensor, z_BD: Tensor) -> Tensor:
        """Logits (B, L, V) of what follows each token."""
        return self.decoder(tok_BL, told_BD=z_BD)

    def foretell(self, tok_BL: Tensor, length_B: Tensor, z_BD: Tensor, noise: torch.Generator | None = None) -> Tensor:
        """-log p(x_l | z, x_0 … x_l-1) in nats (B, L); some of the tokens that are read are hidden in training."""
        x_BLD = self.decoder.features(self._hidden(tok_BL[:, :-1], noise), None, noise, z_BD)
        return surprise_of(x_BLD, self.decoder.leave, tok_BL[:, 1:], length_B)

    def _hidden(self, tok_BL: Tensor, noise: torch.Generator | None) -> Tensor:
        if not self.training or not self.hide:
            return tok_BL
        hide_BL = torch.rand(tok_BL.shape, generator=noise, device=tok_BL.device) < self.hide
        hide_BL[:, 0] = False
        return tok_BL.masked_fill(hide_BL, HIDDEN)

    def place(self, z_BD: Tensor) -> Tensor:
        """The latents that noise stands for, by the prior that was chosen."""
        return self.prior.place(z_BD, None) if self.wanted == "mixture" else z_BD

    def begin(self, z_BD: Tensor, given: Given) -> tuple[Tensor, States]:
        return given["latent"] if "latent" in given else self.place(z_BD), self.decoder.begin()

    def read(self, tok_BL: Tensor, memory: tuple[Tensor, States]) -> Tensor:
        h_BD, states = memory
        return self.decoder(tok_BL, states, None, h_BD)

    @torch.no_grad()
    def guess(self, tok_BL: Tensor, length_B: Tensor) -> Tensor:
        """The latents (B, D) that texts stand for."""
        return self.encode(tok_BL, length_B).mean_BD

    def surprise(self, tok_BL: Tensor, length_B: Tensor) -> Tensor:
        """The bound with one draw of z; the KL is counted at the last token of each text."""
        noise = torch.Generator(tok_BL.device).manual_seed(0)
        posterior = self.encode(tok_BL, length_B)
        nats_BL = self.foretell(tok_BL, length_B, posterior.draw(noise))
        return nats_BL.scatter_add(1, (length_B - 1)[:, None], posterior.kl_BD.sum(1, keepdim=True).to(nats_BL))

    @torch.no_grad()
    def settle(self, samples: Iterable[tuple[Tensor, Given]], seed: int) -> None:
        """Fits the mixture to one latent drawn for each of these texts."""
        latents, draw = [], torch.Generator().manual_seed(seed)
        for tok_BL, given in samples:
            posterior = self.encode(tok_BL, given["length"])
            latents.append(Posterior(posterior.mean_BD.cpu(), posterior.log_sigma_BD.cpu()).draw(draw))
        self.prior.fit(torch.cat(latents), None, seed)


class VariationalText(Family):
    """One player: encoder and decoder move together."""

    sampler: TextAutoencoder
    model: TextVae
    space: Tokens

    def __init__(self, space: Tokens, model: TextVae):
        super().__init__(space)
        self.follow(model)
        self.sampler = TextAutoencoder(space, model)

    def follow(self, model: Model) -> None:
        assert isinstance(model, TextVae)
        self.model = model

    def forward(self, x_BL: Tensor, given: Given) -> Tensor:
        whole_B = torch.full((len(x_BL),), x_BL.shape[1], device=x_BL.device)
        return self.sampler.decode(x_BL, self.sampler.encoder.read(x_BL, whole_B)[:, : self.sampler.latent])

    def players(self) -> dict[str, Player]:
        return {"autoencoder": Player((self.sampler,))}

    def networks(self) -> tuple[nn.Module, ...]:
        return ()  # Recurrent layers are kernels already.

    @property
    def separable(self) -> bool:
        return not self.model.free_nats and super().separable

    def losses(self, player: str, x_BL: Tensor, given: Given, at: At, noise: torch.Generator | None = None) -> Losses:
        """`x_BL`: END and the tokens after it, int64 (B, L + 1); `given["length"]` (B): how many of these L count."""
        length_B, weight = given["length"], self.weight(at)
        posterior = self.sampler.encode(x_BL, length_B, noise)
        z_BD = posterior.draw(noise) if weight is not None else posterior.mean_BD
        nats_B = self.sampler.foretell(x_BL, length_B, z_BD, noise).sum(1)
        free_nats = self.model.free_nats / self.model.latent if self.model.annealing == "threshold" else 0.0
        kl_B = (weight or 0.0) * free(posterior.kl_BD, free_nats).sum(1)
        terms = {"reconstruction": nats_B / self.space.size[0], "kl": kl_B / self.space.size[0]}
        signals = {
            "nats": (nats_B + posterior.kl_BD.sum(1)) / length_B, "kl_nats": posterior.kl_BD.sum(1),
            "active": active_units(posterior.mean_BD)[None].float(),
        }  # fmt: skip
        return Losses(terms | self.anchor(self.sampler), {name: value.detach() for name, value in signals.items()})

    def weight(self, at: At) -> float | None:
        """β at this moment; None in the part of the plan without noise and KL."""
        begin, beta = self.model.pretraining, self.model.beta
        if at.fraction < begin:
            return None
        part = (at.fraction - begin) / (1 - begin)
        if self.model.annealing == "cyclical":
            return beta * min(1.0, (CYCLES * part % 1.0) / RISING) if part < 1 else beta
        return beta * (min(1.0, part / self.model.kl_warm_up) if self.model.kl_warm_up else 1.0)

    def comparable(self, at: At) -> bool:
        """From where β stays."""
        rising = (CYCLES - RISING) / CYCLES if self.model.annealing == "cyclical" else self.model.kl_warm_up
        return at.fraction >= self.model.pretraining + (1 - self.model.pretraining) * rising

    def familiarity(self, x_BL: Tensor, given: Given) -> Tensor:
        """The bound of the mean log-likelihood of a token (B,)."""
        return -self.sampler.surprise(x_BL, given["length"]).sum(1) / given["length"]

    def remark(self, means: dict[str, float], at: At) -> Said | None:
        nats, active = means.get("autoencoder/kl_nats", LEAST_NATS), means.get("autoencoder/active", float(self.model.latent))
        if not self.comparable(at) or (nats >= LEAST_NATS and active >= LEAST_ACTIVE * self.model.latent):
            return None
        return said("the latent has collapsed: {nats} nats, and {active} of {latent} units say anything about a text; next: more free nats "
                    "(--set model.free_nats=16), a longer model.pretraining or a smaller model.beta",
                    nats=f"{nats:.1f}", active=f"{active:.0f}", latent=self.model.latent)  # fmt: skip

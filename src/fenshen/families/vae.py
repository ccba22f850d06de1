"""The variational autoencoder. Kingma & Welling 2014, "Auto-encoding variational Bayes".

    maximise  E_{z ~ q(z | x)} [log p(x | z)] - β KL(q(z | x) ‖ N(0, I))          (eq. 3, with the β of Higgins et al. 2017)

summed over the values of a sample and the units of the latent, averaged over the batch. Shape letters: B batch, D latent, C channels,
*S spatial axes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fenshen.condition import Given, Told
from fenshen.families.autoencoder import Autoencoder, active_units
from fenshen.families.base import At, Family, Losses, Player
from fenshen.lang import Said, said
from fenshen.recipe import Model, Vae
from fenshen.space import Grid

FLOOR = 1e-4  # The KL's weight where its warm-up begins (Vahdat & Kautz 2020, NVAE).
COLLAPSED = 0.05  # Part of the units that are active, below which the latent has collapsed.


class VAE(Family):
    """One player: encoder and decoder move together."""

    model: Vae
    sampler: Autoencoder

    def __init__(self, space: Grid, told: Told, model: Vae):
        super().__init__(space)
        self.follow(model)
        self.sampler = Autoencoder(space, told, model)

    def follow(self, model: Model) -> None:
        assert isinstance(model, Vae)
        self.model = model

    def forward(self, x_BCS: Tensor, given: Given) -> Tensor:
        return self.sampler.decode(self.sampler.encode(x_BCS, given).mean_BD, given)

    def players(self) -> dict[str, Player]:
        return {"autoencoder": Player((self.sampler,))}

    def networks(self) -> tuple[nn.Module, ...]:
        return self.sampler.encoder, self.sampler.decoder

    @property
    def separable(self) -> bool:
        return not self.model.free_bits and super().separable

    def losses(self, player: str, x_BCS: Tensor, given: Given, at: At, noise: torch.Generator | None = None) -> Losses:
        x_BCS = self.sampler.likelihood.observed(x_BCS, noise)
        posterior = self.sampler.encode(x_BCS, given)
        y_BCS = self.sampler.decode(posterior.draw(noise), given)
        terms = {
            "reconstruction": -self.sampler.likelihood.log_prob(y_BCS, x_BCS),
            "kl": self.model.beta * warm(at, self.model.kl_warm_up) * free(posterior.kl_BD, self.model.free_bits).sum(1),
        }
        error_B = (self.sampler.likelihood.mean(y_BCS).float() - x_BCS.float()).square().flatten(1).mean(1)
        signals = {
            "kl_nats": posterior.kl_BD.sum(1), "kl_of_units": posterior.kl_BD, "active": active_units(posterior.mean_BD)[None].float(),
            "squared_error": error_B,
        }  # fmt: skip
        told = self.sampler.named(posterior, given, self.model.label_head)
        signals |= told.signals
        return Losses(terms | told.terms | self.anchor(self.sampler), {name: value.detach() for name, value in signals.items()})

    def familiarity(self, x_BCS: Tensor, given: Given) -> Tensor:
        return self.sampler.evidence(x_BCS, given)

    def after_step(self, player: str, losses: Losses) -> None:
        self.sampler.likelihood.follow(losses.signals["squared_error"].mean())

    def remark(self, means: dict[str, float], at: At) -> Said | None:
        return collapse(means, at, self.model.kl_warm_up, self.sampler.latent)


def warm(at: At, part: float) -> float:
    """The KL's weight rises from FLOOR to 1 over the first `part` of the plan (Sønderby et al. 2016, "Ladder VAE", section 2.3)."""
    return max(FLOOR, min(1.0, at.fraction / part)) if part > 0 else 1.0


def free(kl_BD: Tensor, nats: float) -> Tensor:
    """A unit whose KL is below `nats` on average over the batch costs just that, and is not pushed further down (Kingma et al. 2016,
    "Improved variational inference with inverse autoregressive flow", eq. 15)."""
    return torch.where(kl_BD.mean(0) > nats, kl_BD, torch.full_like(kl_BD, nats)) if nats else kl_BD


def collapse(means: dict[str, float], at: At, warm_up: float, latent: int) -> Said | None:
    """Whether the decoder has stopped listening to the latent (posterior collapse; Bowman et al. 2016, section 3.1), in words."""
    active = means.get("autoencoder/active", float(latent))
    if at.fraction <= warm_up or active > COLLAPSED * latent:
        return None
    return said("the latent has collapsed: {active} of {latent} units say anything about a picture; next: a longer warm-up of the KL "
                "(--set model.kl_warm_up=0.5), free bits (--set model.free_bits=0.1) or a smaller model.beta",
                active=f"{active:.0f}", latent=latent)  # fmt: skip

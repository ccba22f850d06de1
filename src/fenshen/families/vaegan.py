"""A variational autoencoder whose decoder plays against a critic. Larsen et al. 2016, "Autoencoding beyond pixels using a learned
similarity metric"; the critic's pull is balanced as in Esser et al. 2021 (VQGAN).

    critic:       minimise  f(D(x), D(x̃)) + γ/2 · penalty                              x̃: half reconstructions, half made of z ~ N(0, I)
    autoencoder:  minimise  -(1 - s) log p(x | z) - s log p(D_l(x) | z) + β KL(q(z | x) ‖ N(0, I)) + λ g(D(x), D(x̃))

D_l are the critic's features, of every size (eq. 8 of Larsen et al., who take one); each has a σ of its own, found as for pixels, and all
together count as much as the pixels would. λ = `adversarial` · ‖∇rec‖ / (‖∇g‖ + 1e-4), both gradients at the decoder's last layer (eq. 7 of
Esser et al.). The critic learns from the first step; the decoder hears of it when reconstruction has settled, since a critic that a
decoder of nothing must please pulls it anywhere.

Shape letters: B batch, D latent, C channels, *S spatial axes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fenshen.condition import Given, Told
from fenshen.families.adversarial import Adversarial
from fenshen.families.autoencoder import Autoencoder, active_units
from fenshen.families.base import At, Losses, Player
from fenshen.families.vae import collapse, free, warm
from fenshen.lang import Said
from fenshen.likelihoods import FOLLOWS, Gaussian
from fenshen.nets.critics import Pyramid
from fenshen.recipe import Model, VaeGan
from fenshen.space import Grid

SMALL, LARGEST = 1e-4, 1e4  # Esser et al. 2021, in their code.
EVERY = 7  # Samples shown, a multiple of this: when the two pulls are measured. With most batches that is every seventh step.


class VAEGAN(Adversarial):
    """Critic and autoencoder take turns."""

    model: VaeGan
    sampler: Autoencoder
    pull: Tensor

    def __init__(self, space: Grid, told: Told, model: VaeGan, burn_in: float = 0.0):
        sampler = Autoencoder(space, told, model)
        super().__init__(space, told, model, model.network, burn_in)
        self.sampler = sampler
        self.levels = nn.ModuleList(Gaussian() for _ in self.pyramid.sizes)
        self.register_buffer("pull", torch.tensor(0.0))

    @property
    def pyramid(self) -> Pyramid:
        """The critic, whose features of every size can be looked at."""
        assert isinstance(self.critic, Pyramid)
        return self.critic

    @property
    def likenesses(self) -> list[Gaussian]:
        """The likelihood of the critic's features, of each size."""
        return [level for level in self.levels if isinstance(level, Gaussian)]

    def follow(self, model: Model) -> None:
        assert isinstance(model, VaeGan)
        super().follow(model)

    def forward(self, x_BCS: Tensor, given: Given) -> Tensor:
        return self.score(self.sampler(self.sampler.encode(x_BCS, given).mean_BD, given), given)

    def players(self) -> dict[str, Player]:
        return {"critic": self.critics, "autoencoder": Player((self.sampler,))}

    def networks(self) -> tuple[nn.Module, ...]:
        return self.sampler.encoder, self.sampler.decoder, self.critic

    @property
    def separable(self) -> bool:
        return not self.model.free_bits and super().separable

    def losses(self, player: str, x_BCS: Tensor, given: Given, at: At, noise: torch.Generator | None = None) -> Losses:
        x_BCS = self.sampler.likelihood.observed(x_BCS, noise)
        return (self.critic_losses if player == "critic" else self.autoencoder_losses)(x_BCS, given, at, noise)

    def critic_losses(self, x_BCS: Tensor, given: Given, at: At, noise: torch.Generator | None = None) -> Losses:
        with torch.no_grad():
            half = len(x_BCS) // 2
            first = {name: value[:half] for name, value in given.items()}
            drawn_BD = torch.randn(len(x_BCS) - half, self.sampler.latent, device=x_BCS.device, generator=noise)
            h_BD = torch.cat([self.sampler.encode(x_BCS[:half], first).draw(noise), drawn_BD])
            fake_BCS = self.sampler(h_BD, given).to(x_BCS.dtype)
        real, fake = self.score(self.view(x_BCS, at, noise), given), self.score(self.view(fake_BCS, at, noise), given)
        terms = {"adversarial": self.objective.critic(real, fake, self.model.label_smoothing)}
        terms |= self.penalty(x_BCS, fake_BCS, given, at, noise) | self.weight_terms(self.critic)
        return Losses(terms, {"real": real.detach(), "fake": fake.detach()})

    def autoencoder_losses(self, x_BCS: Tensor, given: Given, at: At, noise: torch.Generator | None = None) -> Losses:
        sampler, half = self.sampler, len(x_BCS) // 2
        posterior = sampler.encode(x_BCS, given)
        drawn_BD = torch.randn(len(x_BCS) - half, sampler.latent, device=x_BCS.device, generator=noise)
        last = {name: value[half:] for name, value in given.items()}
        y_BCS = sampler.decode(torch.cat([posterior.draw(noise), drawn_BD]), {name: torch.cat([given[name], last[name]]) for name in given})
        both_BCS = self.space.soft(sampler.likelihood.mean(y_BCS)).to(x_BCS.dtype)
        y_BCS, again_BCS, made_BCS = y_BCS[: len(x_BCS)], both_BCS[: len(x_BCS)], both_BCS[len(x_BCS) :]
        view = self.augment(len(x_BCS), noise)
        with torch.no_grad():
            real, _, wanted = self.pyramid.look(view(x_BCS), *self.judges(given))
        fake, _, found = self.pyramid.look(view(again_BCS), *self.judges(given))
        prior = self.score(self.view(made_BCS, at, noise), last)
        distant_B, errors = self.distance(found, wanted)
        terms = {
            "reconstruction": -(1 - self.model.features) * sampler.likelihood.log_prob(y_BCS, x_BCS),
            "features": self.model.features * distant_B * x_BCS[0].numel(),
            "kl": self.model.beta * warm(at, self.model.kl_warm_up) * free(posterior.kl_BD, self.model.free_bits).sum(1),
        }
        pull = torch.cat([self.objective.generator(real, fake), self.objective.generator(real[half:], prior)])
        signals = self.pulls((terms["reconstruction"] + terms["features"]).mean(), pull.mean(), at)
        terms["adversarial"] = self.heard(at) * self.pull * pull
        error_B = (sampler.likelihood.mean(y_BCS).float() - x_BCS.float()).square().flatten(1).mean(1)
        signals |= {f"feature_error_{level}": error[None] for level, error in enumerate(errors)}
        signals |= {
            "real": real, "fake": torch.cat([fake, prior]), "kl_nats": posterior.kl_BD.sum(1), "kl_of_units": posterior.kl_BD,
            "active": active_units(posterior.mean_BD)[None].float(), "squared_error": error_B,
        }  # fmt: skip
        told = sampler.named(posterior, given, self.model.label_head)
        terms |= told.terms | self.weight_terms(sampler) | self.anchor(sampler)
        signals |= told.signals
        return Losses(terms, {name: value.detach() for name, value in signals.items()})

    def distance(self, found: list[Tensor], wanted: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """-log p of the wanted features per value, the mean over sizes (B,); and the mean squared error of each size."""
        pairs = list(zip(self.likenesses, found, wanted, strict=True))
        nats_B = torch.stack([-likelihood.log_prob(a, b) / b[0].numel() for likelihood, a, b in pairs]).mean(0)
        return nats_B, [(a.detach().float() - b.float()).square().mean() for _, a, b in pairs]

    def heard(self, at: At) -> float:
        """How much of the critic's pull reaches the decoder: none at first, then soon all of it."""
        start = self.model.adversarial_from
        return min(1.0, max(0.0, (at.fraction - start) / start)) if start else 1.0

    def pulls(self, reconstruction: Tensor, adversarial: Tensor, at: At) -> dict[str, Tensor]:
        """The gradients' norms at the decoder's last layer, now and then: each costs a way back through critic and decoder."""
        if round(1000 * at.kimg) % EVERY or not self.model.adversarial or not torch.is_grad_enabled():
            return {}
        weight = self.sampler.last_weight
        norms = [torch.autograd.grad(value, weight, retain_graph=True)[0].float().norm() for value in (reconstruction, adversarial)]
        return {"pull_of_reconstruction": norms[0][None], "pull_of_critic": norms[1][None]}

    @torch.no_grad()
    def after_step(self, player: str, losses: Losses) -> None:
        super().after_step(player, losses)
        if player == "critic":
            return
        signals = losses.signals
        self.sampler.likelihood.follow(signals["squared_error"].mean())
        for level, likelihood in enumerate(self.likenesses):
            likelihood.follow(signals[f"feature_error_{level}"].mean())
        if "pull_of_critic" in signals:
            wanted = self.model.adversarial * signals["pull_of_reconstruction"].mean() / (signals["pull_of_critic"].mean() + SMALL)
            self.pull.lerp_(wanted.clamp(max=LARGEST), 1.0 if not self.pull else EVERY * FOLLOWS)

    def remark(self, means: dict[str, float], at: At) -> Said | None:
        return collapse(means, at, self.model.kl_warm_up, self.sampler.latent)

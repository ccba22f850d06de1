"""A generative adversarial network of words, by Gumbel-softmax. Kusner & Hernández-Lobato 2016; Nie et al. 2019 (RelGAN).

    writer:  minimise  λ Σ -log p(x_l | x_0 … x_l-1) + α g(D(x), D(x̃))       x real, x̃ tokens that the writer draws itself
    critic:  minimise  f(D(x), D(x̃))                                           relativistic: `fenshen.losses`

A drawn token is the largest entry of log p + G, G from the Gumbel distribution, and gradients pass through softmax(β (log p + G)) in its place
(straight-through; Jang et al. 2017), the nearer to the token the larger β, which grows from 1 to its end exponentially. A critic that saw the
shares themselves would learn to tell soft tokens from hard ones, and could judge no text. The plan begins with the likelihood alone.
Maximum likelihood with a temperature is known to do as well or better (Caccia et al. 2020, "Language GANs falling short"): the likelihood
therefore stays beside the critic, and training ends when held-out text becomes less likely, or what is written more alike
(`fenshen.training.heldout`).

Shape letters: B batch, L tokens, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fenshen.condition import Given
from fenshen.families.autoregressive import LanguageModel
from fenshen.families.base import At, Family, Losses, Player
from fenshen.families.writer import surprise_of
from fenshen.losses import OBJECTIVES
from fenshen.nets.recurrent import Recurrent
from fenshen.nets.sentences import SentenceCritic
from fenshen.recipe import Model, TextGan
from fenshen.space import END, Tokens

CRITIC_DROPOUT = 0.25
OBJECTIVE = OBJECTIVES["relativistic"]


class TextGAN(Family):
    """The writer moves first, then the critic; the critic has nothing to do while the likelihood alone counts."""

    sampler: LanguageModel
    model: TextGan
    space: Tokens
    judged: Tensor

    def __init__(self, space: Tokens, model: TextGan):
        super().__init__(space)
        assert model.width
        self.follow(model)
        self.sampler = LanguageModel(space, model)
        self.critic = self.new_critic()
        self.register_buffer("judged", torch.tensor(False))  # Whether the critic has learnt to judge what the finished writer writes.
        self.playing = not model.pretraining
        self.drawn: list[Tensor] = []  # What the writer wrote in its last step, for the critic.

    def follow(self, model: Model) -> None:
        assert isinstance(model, TextGan)
        self.model = model

    def new_critic(self, dropout: float = CRITIC_DROPOUT) -> SentenceCritic:
        """Of fresh weights."""
        assert self.model.width
        return SentenceCritic(self.space.vocab, self.model.width // 4, self.model.width // 2, dropout)

    @property
    def net(self) -> Recurrent:
        assert isinstance(self.sampler.net, Recurrent)
        return self.sampler.net

    def forward(self, x_BL: Tensor, given: Given) -> Tensor:
        return self.critic(self.net(x_BL).softmax(-1))

    def players(self) -> dict[str, Player]:
        return {"writer": Player((self.sampler,)), "critic": Player((self.critic,))}

    def networks(self) -> tuple[nn.Module, ...]:
        return ()  # Recurrent layers are kernels already.

    def steps(self, player: str) -> int:
        return 1 if player == "writer" else self.model.critic_steps if self.playing else 0

    @property
    def stages(self) -> tuple[float, ...]:
        return (0.0, self.model.pretraining) if self.model.pretraining else (0.0,)

    @property
    def tolerance(self) -> float:
        return self.model.tolerance

    def losses(self, player: str, x_BL: Tensor, given: Given, at: At, noise: torch.Generator | None = None) -> Losses:
        """`x_BL`: END and the tokens after it, int64 (B, L + 1); `given["length"]` (B): how many of these L count."""
        self.playing = at.fraction >= self.model.pretraining
        return self.critic_losses(x_BL, at, noise) if player == "critic" else self.writer_losses(x_BL, given["length"], at, noise)

    def writer_losses(self, x_BL: Tensor, length_B: Tensor, at: At, noise: torch.Generator | None = None) -> Losses:
        nats_B = surprise_of(self.net.features(x_BL[:, :-1], noise=noise), self.net.leave, x_BL[:, 1:], length_B).sum(1)
        terms = {"likelihood": (self.model.likelihood if self.playing else 1.0) * nats_B / self.space.size[0]}
        signals = {"nats": (nats_B / length_B).detach()}
        if self.playing:
            fake_BLV = self.imagine(len(x_BL), x_BL.shape[1] - 1, at, noise)
            self.drawn = [fake_BLV.detach().argmax(2)]
            with torch.no_grad():
                real = self.critic(x_BL[:, 1:])
            terms["adversarial"] = self.model.adversarial * OBJECTIVE.generator(real, self.critic(fake_BLV))
        return Losses(terms | self.anchor(self.sampler), signals)

    def critic_losses(self, x_BL: Tensor, at: At, noise: torch.Generator | None = None) -> Losses:
        """Against what the writer has just written, or, in further steps of the critic, against new texts."""
        with torch.no_grad():
            fake_BL = self.drawn.pop() if self.drawn else self.imagine(len(x_BL), x_BL.shape[1] - 1, at, noise).argmax(2)
        real, fake = self.critic(x_BL[:, 1:]), self.critic(fake_BL)
        return Losses({"adversarial": OBJECTIVE.critic(real, fake, 0.0)}, {"real": real.detach(), "fake": fake.detach()})

    def sharp(self, at: At) -> float:
        """β at this moment of the plan."""
        part = (at.fraction - self.model.pretraining) / (1 - self.model.pretraining)
        return self.model.sharpness ** max(0.0, min(1.0, part))

    def imagine(self, count: int, length: int, at: At, noise: torch.Generator | None = None) -> Tensor:
        """`count` drawn texts x̃ (B, L, V), one-hot, with gradients; END from the end of each on."""
        weight = self.net.embed.weight
        states, x_BV, end_V = self.net.begin(), _one_hot(END, count, weight), _one_hot(END, 1, weight)
        going_B1, drawn = torch.ones(count, 1, dtype=torch.bool, device=weight.device), []
        for _ in range(length):
            logit_BV = self.net.leave(self.net.features(x_BV[:, None], states, noise)[:, 0]).float()
            u_BV = torch.rand(logit_BV.shape, generator=noise, device=weight.device).clamp_min(1e-20)
            soft_BV = (self.sharp(at) * (logit_BV.log_softmax(1) - (-u_BV.log()).log())).softmax(1)
            token_B = soft_BV.argmax(1)
            x_BV = F.one_hot(token_B, len(weight)) + (soft_BV - soft_BV.detach())
            drawn.append(torch.where(going_B1, x_BV, end_V))
            going_B1 = going_B1 & (token_B[:, None] != END)
        return torch.stack(drawn, 1)

    def score(self, x_BL: Tensor) -> Tensor:
        """D(x), logits (B,), of texts: int64 tokens with END behind the end of each."""
        return self.critic(x_BL)

    def familiarity(self, x_BL: Tensor, given: Given) -> Tensor:
        """Mean log-likelihood of a token (B,)."""
        return -self.sampler.surprise(x_BL, given["length"]).sum(1) / given["length"]


def _one_hot(token: int, count: int, weight: Tensor) -> Tensor:
    place_B = torch.full((count,), token, device=weight.device)
    return F.one_hot(place_B, len(weight)).to(weight.dtype)

"""The adversarial family of words: who moves when, what a soft token is, and that a critic can be heard."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from test_writers import SPACE
from test_writers import batch as long_batch

from fenshen.families.base import At
from fenshen.families.build import build
from fenshen.families.textgan import TextGAN
from fenshen.nets.sentences import SentenceCritic
from fenshen.recipe import Train, parse
from fenshen.space import END
from fenshen.training.optim import make_optimizer

SMALL = {"context": 8, "width": 16, "depth": 1, "dropout": 0.1, "size": "nano"}
EARLY, LATE = At(0.1, 0.1), At(0.9, 0.9)


def batch(count: int = 8) -> tuple[torch.Tensor, torch.Tensor]:
    """Short ones."""
    x_BL, length_B = long_batch(count)
    return x_BL[:, :9], length_B.clamp(max=8)


def family_of(**changes: Any) -> TextGAN:
    torch.manual_seed(0)
    family = build(SPACE, {}, parse({"model": {"family": "textgan"} | SMALL | changes}, "here").model)
    assert isinstance(family, TextGAN)
    return family


def train(family: TextGAN, count: int, at: At, lr: float = 1e-3) -> list[dict[str, float]]:
    """The losses and signals of `count` rounds on one batch; each player's names begin with its own."""
    chosen = Train(lr=lr, optimizer="adamw", beta1=0.9, beta2=0.99)
    optimizers = {name: make_optimizer(chosen, player, name) for name, player in family.players().items()}
    noise, log = torch.Generator().manual_seed(1), []
    x_BL, length_B = batch()
    for _ in range(count):
        log.append({})
        for name, player in family.players().items():
            for _ in range(family.steps(name)):
                for p in family.parameters():
                    p.grad = None
                losses = family.losses(name, x_BL, {"length": length_B}, at, noise)
                torch.stack([term.mean() for term in losses.terms.values()]).sum().backward()
                optimizers[name].step()
                log[-1] |= {f"{name}/{k}": float(v.detach().mean()) for k, v in (losses.terms | losses.signals).items()}
                assert all(p.grad is not None for p in player.parameters())
    return log


def test_the_likelihood_comes_first() -> None:
    family = family_of()
    before = {key: value.clone() for key, value in family.named_parameters()}
    log = train(family, 2, EARLY)
    assert set(log[-1]) == {"writer/likelihood", "writer/nats"}
    moved = {key.partition(".")[0] for key, value in family.named_parameters() if not torch.equal(value, before[key])}
    assert moved == {"sampler"}
    log = train(family, 2, LATE)
    assert set(log[-1]) == {"writer/likelihood", "writer/nats", "writer/adversarial", "critic/adversarial", "critic/real", "critic/fake"}
    assert torch.isfinite(torch.tensor(list(log[-1].values()))).all()
    assert not [key for key, value in family.named_parameters() if torch.equal(value, before[key])]


def test_drawn_tokens() -> None:
    """One-hot, END from the end on, and with a gradient, whatever β."""
    family = family_of().eval()
    assert [family.sharp(At(0, part)) for part in (0.0, 0.6, 0.8, 1.0)] == pytest.approx([1, 1, 2, 4])
    for at in (At(0, 0.6), At(0, 1.0)):
        x_BLV = family.imagine(6, 9, at, torch.Generator().manual_seed(0))
        torch.testing.assert_close(x_BLV, torch.nn.functional.one_hot(x_BLV.argmax(2), SPACE.vocab).float())
        ended_BL = (x_BLV.argmax(2) == END).cumsum(1) > 1
        assert ended_BL.any() and (x_BLV[ended_BL][:, END] == 1).all()
        assert torch.autograd.grad(x_BLV[:, :2, 3].sum(), family.net.leave.weight)[0].abs().max() > 0


def test_tokens_are_drawn_as_the_writer_believes() -> None:
    family = family_of(pretraining=0.0).eval()
    train(family, 10, LATE, lr=3e-2)
    first_BV = family.imagine(4000, 1, At(0, 1.0), torch.Generator().manual_seed(0))[:, 0]
    drawn_V = torch.bincount(first_BV.argmax(1), minlength=SPACE.vocab) / 4000
    believed_V = family.net(torch.full((1, 1), END)).softmax(-1)[0, 0]
    assert (drawn_V - believed_V).abs().max() < 0.03


def test_the_writer_hears_the_critic() -> None:
    """A critic that likes one token alone makes the writer use it."""
    family = family_of(likelihood=0.0, adversarial=1.0, pretraining=0.0, sharpness=5.0, dropout=0.0)
    family.critic.forward = lambda x: x[..., 7].sum(1) if x.is_floating_point() else (x == 7).sum(1).float()  # type: ignore[method-assign]
    optimizer = torch.optim.Adam(family.sampler.parameters(), 3e-2)
    x_BL, length_B = batch()
    for step in range(40):
        optimizer.zero_grad()
        losses = family.losses("writer", x_BL, {"length": length_B}, LATE, torch.Generator().manual_seed(step))
        losses.terms["adversarial"].mean().backward()
        optimizer.step()
    x_BLV = family.eval().imagine(20, 8, LATE, torch.Generator().manual_seed(99))
    assert (x_BLV.argmax(2) == 7).float().mean() > 0.9


def test_a_critic_reads_tokens_and_shares_alike() -> None:
    critic = SentenceCritic(11, 8, 6).eval()
    x_BL = batch(5)[0]
    torch.testing.assert_close(critic(x_BL), critic(torch.nn.functional.one_hot(x_BL, 11).float()))
    assert critic(x_BL[:, :2]).shape == (5,)  # Shorter than its widest filter.


def test_a_critic_learns_to_tell() -> None:
    """From a writer that does not learn."""
    family = family_of(pretraining=0.0, dropout=0.0, likelihood=0.0, adversarial=0.0)
    log = train(family, 25, At(0, 0.0), lr=2e-2)
    assert log[-1]["critic/real"] > log[-1]["critic/fake"] + 1 and log[-1]["critic/adversarial"] < 0.7 * log[0]["critic/adversarial"]

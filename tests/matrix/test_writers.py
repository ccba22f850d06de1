"""Every family of words takes two steps: finite, every weight moves; it can learn one batch by heart; what it reads piece by piece it reads alike."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from fenshen.families.base import At, Family
from fenshen.families.build import build, build_sampler
from fenshen.nets.transformer import _Turn, attended, norm, rotated
from fenshen.recipe import Train, parse
from fenshen.space import END, Tokens, present
from fenshen.training.optim import make_optimizer

SPACE = Tokens(11, (16,))
SMALL = {"context": 16, "width": 32, "depth": 2, "dropout": 0.1, "size": "nano"}
MODELS: dict[str, dict[str, Any]] = {
    "transformer": {"family": "autoregressive", "net": "transformer"} | SMALL,
    "lstm": {"family": "autoregressive", "net": "lstm"} | SMALL,
}


def family_of(name: str, **changes: object) -> Family:
    torch.manual_seed(0)
    return build(SPACE, {}, parse({"model": MODELS[name] | changes}, "here").model)


def batch(count: int = 8, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """END, tokens, and END again from the end of each text on, (B, L + 1); and how many of the L count."""
    noise = torch.Generator().manual_seed(seed)
    length_B = torch.randint(3, 17, (count,), generator=noise)
    x_BL = torch.randint(1, SPACE.vocab, (count, 17), generator=noise)
    x_BL[:, 0] = END
    x_BL[:, 1:][~present(length_B - 1, 16)] = END
    return x_BL, length_B


def train(family: Family, count: int, lr: float = 1e-3) -> list[dict[str, float]]:
    """The losses and signals of `count` rounds on one batch."""
    chosen = Train.model_validate({"lr": lr, "optimizer": "adamw", "beta1": 0.9, "beta2": 0.99})
    optimizers = {name: make_optimizer(chosen, player, name) for name, player in family.players().items()}
    noise, log = torch.Generator().manual_seed(1), []
    x_BL, length_B = batch()
    for _ in range(count):
        for name in family.players():
            losses = family.losses(name, x_BL, {"length": length_B}, At(0.5, 0.5), noise)
            optimizers[name].zero_grad(set_to_none=True)
            torch.stack([term.mean() for term in losses.terms.values()]).sum().backward()
            optimizers[name].step()
            family.after_step(name, losses)
            log.append({k: float(v.detach().float().mean()) for k, v in (losses.terms | losses.signals).items()})
    return log


@pytest.mark.parametrize("name", MODELS)
def test_every_weight_moves(name: str) -> None:
    family = family_of(name)
    before = {key: value.clone() for key, value in family.named_parameters()}
    log = train(family, 4)  # What begins at zero lets what is below it move one step later.
    assert torch.isfinite(torch.tensor([list(line.values()) for line in log])).all()
    still = [key for key, value in family.named_parameters() if torch.equal(value, before[key])]
    assert not still, f"these never moved: {still}"
    x_BL, length_B = batch(5)
    assert family.familiarity(x_BL, {"length": length_B}).shape == (5,)
    assert family(x_BL[:, :-1], {}).shape == (5, 16, SPACE.vocab)


@pytest.mark.parametrize("name", MODELS)
def test_one_batch_is_learnt_by_heart(name: str) -> None:
    log = train(family_of(name, dropout=0.0), 150, lr=1e-2)
    assert log[0]["nats"] == pytest.approx(torch.log(torch.tensor(float(SPACE.vocab))).item(), abs=0.05)
    assert log[-1]["nats"] < 0.5 < log[10]["nats"]


@pytest.mark.parametrize("name", MODELS)
def test_what_stands_behind_the_end_changes_nothing(name: str) -> None:
    family = family_of(name).eval()
    x_BL, length_B = batch()
    other_BL = x_BL.clone()
    other_BL[:, 1:][~present(length_B, 16)] = 7
    one, two = (family.losses("writer", x, {"length": length_B}, At(0, 0)).terms["likelihood"] for x in (x_BL, other_BL))
    assert not torch.equal(x_BL, other_BL) and torch.equal(one, two)


@pytest.mark.parametrize("name", MODELS)
def test_reading_piece_by_piece_is_reading(name: str) -> None:
    family = family_of(name)
    train(family, 5, lr=1e-2)
    writer, tok_BL = family.sampler.eval(), batch()[0][:, :16]
    memory = writer.begin(torch.zeros(8, writer.latent), {})
    parts = torch.cat([writer.read(part, memory) for part in tok_BL.split([5, 1, 1, 9], 1)], 1)
    torch.testing.assert_close(parts, writer.read(tok_BL, writer.begin(torch.zeros(8, writer.latent), {})), atol=1e-4, rtol=1e-4)
    assert writer.read(tok_BL, memory).isfinite().all(), "more than the context"


@pytest.mark.parametrize("name", MODELS)
def test_no_token_hears_of_those_after_it(name: str) -> None:
    family = family_of(name)
    train(family, 5, lr=1e-2)
    x_BL, family = batch()[0][:, :16], family.eval()
    other_BL = x_BL.clone()
    other_BL[:, 9:] = 3
    torch.testing.assert_close(family(x_BL, {})[:, :9], family(other_BL, {})[:, :9])


@pytest.mark.parametrize("name", MODELS)
def test_what_is_kept_can_be_built_without_the_family(name: str) -> None:
    family = family_of(name)
    kept = build_sampler(SPACE, {}, family.model)
    kept.load_state_dict(family.sampler.state_dict())
    assert kept.space == SPACE


@pytest.mark.parametrize("width", [8, 34, 100, 200])
def test_any_even_width_has_heads(width: int) -> None:
    assert family_of("transformer", width=width)(batch()[0][:, :-1], {}).shape == (8, 16, SPACE.vocab)


@pytest.mark.parametrize("name", MODELS)
def test_same_seed_same_losses_bit_for_bit(name: str) -> None:
    assert train(family_of(name), 4) == train(family_of(name), 4)


def test_the_written_out_gradients_are_those_of_autograd() -> None:
    """`norm` and the rotation against plain operations, in double precision."""
    x_BLHK, angle = torch.randn(2, 3, 2, 8, dtype=torch.float64, requires_grad=True), torch.randn(3, 1, 4, dtype=torch.float64)
    assert torch.autograd.gradcheck(norm, (x_BLHK,))
    assert torch.autograd.gradcheck(lambda x: _Turn.apply(x, angle.cos(), angle.sin()), (x_BLHK,))
    torch.testing.assert_close(norm(x_BLHK), torch.nn.functional.rms_norm(x_BLHK, (8,)), atol=1e-6, rtol=1e-6)
    turned = rotated(x_BLHK.detach(), angle.cos(), angle.sin())
    torch.testing.assert_close(turned.norm(dim=-1), x_BLHK.norm(dim=-1))


def test_a_compiler_is_given_the_same_network_in_one_piece() -> None:
    """What is written out for eager steps stands aside for a compiler; every block is compiled, and none of it falls back to Python."""
    family = family_of("transformer", dropout=0.0)
    train(family, 3, lr=1e-2)
    x_BL = batch()[0][:, :-1]
    eager = family(x_BL, {})
    assert len(family.networks()) == 2
    for block in family.networks():
        block.compile(fullgraph=True, backend="eager")
    torch.testing.assert_close(family(x_BL, {}), eager, atol=1e-4, rtol=1e-4)


def test_attention_written_out_is_attention() -> None:
    q, k, v = torch.randn(3, 2, 2, 5, 8).unbind(0)
    plain = attended(q, k, v)
    torch.testing.assert_close(attended(q.bfloat16(), k.bfloat16(), v.bfloat16()).float(), plain, atol=0.05, rtol=0.05)
    torch.testing.assert_close(attended(q[:, :, 3:], k, v), plain[:, :, 3:], msg="the last two of five")

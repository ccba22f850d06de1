"""The variational autoencoder of words: every weight moves, it says again what it reads, and its bound and its schedule are what they should be."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from test_writers import SMALL, SPACE, batch

from fenshen.errors import RecipeError
from fenshen.families.base import At
from fenshen.families.build import build, build_sampler
from fenshen.families.textvae import TextAutoencoder, VariationalText
from fenshen.families.writer import surprise
from fenshen.media.text import learn_characters
from fenshen.narrate import Telling
from fenshen.recipe import Train, parse
from fenshen.space import Tokens
from fenshen.telling import Author
from fenshen.training.optim import make_optimizer


def family_of(**changes: Any) -> VariationalText:
    torch.manual_seed(0)
    model = parse({"model": {"family": "textvae", "latent": 4} | SMALL | changes}, "here").model
    family = build(SPACE, {}, model)
    assert isinstance(family, VariationalText)
    return family


def train(family: VariationalText, count: int, fraction: float, lr: float = 1e-3) -> list[dict[str, float]]:
    """The losses and signals of `count` steps on one batch."""
    optimizer = make_optimizer(Train(lr=lr, optimizer="adamw", beta1=0.9, beta2=0.99), family.players()["autoencoder"], "autoencoder")
    noise, log = torch.Generator().manual_seed(1), []
    x_BL, length_B = batch()
    for _ in range(count):
        losses = family.losses("autoencoder", x_BL, {"length": length_B}, At(fraction, fraction), noise)
        optimizer.zero_grad(set_to_none=True)
        torch.stack([term.mean() for term in losses.terms.values()]).sum().backward()
        optimizer.step()
        log.append({k: float(v.detach().mean()) for k, v in (losses.terms | losses.signals).items()})
    return log


@pytest.mark.parametrize("annealing", ["threshold", "cyclical"])
def test_every_weight_moves(annealing: str) -> None:
    family = family_of(annealing=annealing)
    before = {key: value.clone() for key, value in family.named_parameters()}
    log = train(family, 4, 0.5)
    assert torch.isfinite(torch.tensor([list(line.values()) for line in log])).all()
    assert not [key for key, value in family.named_parameters() if torch.equal(value, before[key])]
    x_BL, length_B = batch(5)
    assert family.familiarity(x_BL, {"length": length_B}).shape == (5,) and family(x_BL[:, :-1], {}).shape == (5, 16, SPACE.vocab)


def test_it_says_again_what_it_has_read() -> None:
    family = family_of(dropout=0.0, word_dropout=0.3, free_nats=100.0)
    log = train(family, 150, 0.0, lr=1e-2)
    assert log[-1]["reconstruction"] < 0.2 * log[0]["reconstruction"] and log[-1]["active"] == 4
    family.eval()
    x_BL, length_B = batch()
    own = surprise(family.sampler.decode(x_BL[:, :-1], family.sampler.encode(x_BL, length_B).mean_BD), x_BL[:, 1:], length_B)
    others = surprise(family.sampler.decode(x_BL[:, :-1], family.sampler.encode(x_BL, length_B).mean_BD.roll(1, 0)), x_BL[:, 1:], length_B)
    assert own.sum() < 0.5 * others.sum()  # The latent says which text it is.


def test_what_stands_behind_the_end_changes_nothing() -> None:
    family = family_of().eval()
    x_BL, length_B = batch()
    other_BL = torch.cat([x_BL, torch.full((len(x_BL), 3), 5)], 1)
    one, two = (family.sampler.surprise(x, length_B).sum(1) for x in (x_BL, other_BL))
    torch.testing.assert_close(one, two)


def test_the_bound_has_all_of_the_kl() -> None:
    family = family_of().eval()
    train(family, 20, 0.9, lr=1e-2)
    x_BL, length_B = batch()
    posterior = family.sampler.encode(x_BL, length_B)
    z_BD = posterior.draw(torch.Generator().manual_seed(0))
    nats_B = surprise(family.sampler.decode(x_BL[:, :-1], z_BD), x_BL[:, 1:], length_B).sum(1)
    torch.testing.assert_close(family.sampler.surprise(x_BL, length_B).sum(1), nats_B + posterior.kl_BD.sum(1))


def test_the_weight_of_the_kl() -> None:
    threshold, cyclical = family_of(pretraining=0.2, kl_warm_up=0.5, beta=2.0), family_of(annealing="cyclical", pretraining=0.2)
    assert [threshold.weight(At(0, part)) for part in (0.0, 0.19)] == [None, None]
    assert [threshold.weight(At(0, part)) for part in (0.2, 0.4, 0.6, 1.0)] == pytest.approx([0.0, 1.0, 2.0, 2.0])
    assert [cyclical.weight(At(0, part)) for part in (0.2, 0.25, 0.3, 0.39, 0.4, 0.5, 1.0)] == pytest.approx([0.0, 0.5, 1.0, 1.0, 0.0, 1.0, 1.0])
    assert [threshold.comparable(At(0, part)) for part in (0.1, 0.5, 0.61, 1.0)] == [False, False, True, True]
    assert [cyclical.comparable(At(0, part)) for part in (0.1, 0.8, 0.91, 1.0)] == [False, False, True, True]


def test_without_noise_at_first() -> None:
    family = family_of(dropout=0.0, word_dropout=0.0)
    x_BL, length_B = batch()
    twice = [family.losses("autoencoder", x_BL, {"length": length_B}, At(0, at)).terms["reconstruction"] for at in (0.1, 0.1)]
    assert torch.equal(*twice)
    assert float(family.losses("autoencoder", x_BL, {"length": length_B}, At(0, 0.1)).terms["kl"].detach().sum()) == 0


def test_no_unit_is_stuck() -> None:
    """However far down its σ has drifted before the KL counted: the KL still moves it."""
    family = family_of()
    with torch.no_grad():
        family.sampler.encoder.leave.bias[4:] = -12.0
    x_BL, length_B = batch()
    kl = family.sampler.encode(x_BL, length_B).kl_BD.sum(1).mean()
    assert kl > 40
    kl.backward()
    assert (family.sampler.encoder.leave.bias.grad[4:] < -0.9).all()  # type: ignore[index]


@pytest.mark.parametrize(("nats", "active", "says"), [(2.0, 4.0, True), (5.0, 0.5, True), (5.0, 1.0, False)])
def test_collapse_is_said(nats: float, active: float, says: bool) -> None:
    family, means = family_of(), {"autoencoder/kl_nats": nats, "autoencoder/active": active}
    assert (family.remark(means, At(1, 1.0)) is not None) == says and family.remark(means, At(0, 0.1)) is None


def test_latents_are_what_texts_begin_from() -> None:
    family = family_of().eval()
    train(family, 30, 0.0, lr=1e-2)
    x_BL, length_B = batch()
    sampler = build_sampler(SPACE, {}, family.model).eval()
    assert isinstance(sampler, TextAutoencoder)
    family.sampler.settle([(x_BL, {"length": length_B})] * 8, 0)
    sampler.load_state_dict(family.sampler.state_dict())
    z_BD = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    memory = sampler.begin(z_BD, {})
    pieces = torch.cat([sampler.read(x_BL[:3, at : at + 1], memory) for at in range(16)], 1)
    torch.testing.assert_close(pieces, sampler.decode(x_BL[:3, :16], sampler.prior.place(z_BD, None)))
    sampler.choose("normal")
    assert torch.equal(sampler.begin(z_BD, {})[0], z_BD) and not torch.equal(sampler.prior.place(z_BD, None), z_BD)


def test_texts_to_write_from() -> None:
    """The latents of one text and those around it, and the way from one to another."""
    alphabet = learn_characters(["abcdefgh"])
    torch.manual_seed(0)
    family = build(Tokens(alphabet.size, (16,)), {}, parse({"model": {"family": "textvae", "latent": 4} | SMALL}, "here").model)
    author = Author(family.eval().sampler, alphabet)  # type: ignore[arg-type]
    middle_BD, near_BD, far_BD = (author.near(["abc"], 4, far, seed=1) for far in (0.0, 0.5, 1.0))
    assert torch.equal(middle_BD[0], middle_BD[3]) and not torch.equal(middle_BD, author.near(["cba"], 4, 0.0, seed=1))
    torch.testing.assert_close(near_BD, 0.75**0.5 * middle_BD + 0.5 * far_BD)
    family.sampler.prior.mean_GKD += 3.0
    family.sampler.prior.fitted.fill_(True)
    elsewhere_BD = author.near(["abc"], 4, 1.0, seed=1)  # Anywhere is where it draws from.
    torch.testing.assert_close(author.near(["abc"], 4, 0.5, seed=1), 0.75**0.5 * middle_BD + 0.5 * elsewhere_BD)
    assert (elsewhere_BD - far_BD).mean() > 2
    path_BD = author.near(["abc", "defgh", "a"], 5, 0.5, seed=1)
    alone = [author.near([text], 1, 0.0, seed=1)[0] for text in ("abc", "defgh", "a")]
    torch.testing.assert_close(path_BD, torch.stack([alone[0], (alone[0] + alone[1]) / 2, alone[1], (alone[1] + alone[2]) / 2, alone[2]]))
    written = list(author.write(Telling(5, tokens=6, latents=path_BD)))
    alone_too = list(author.write(Telling(1, tokens=6, latents=path_BD[:1])))
    assert len(written) == 5 and written[0] == alone_too[0]
    for wishes, wrong in ((("abc",), {"far": 2.0}), (("ab", "c"), {"count": 1}), (("xyz",), {})):
        with pytest.raises(RecipeError):
            author.near(wishes, **({"count": 2, "far": 0.5, "seed": 0} | wrong))

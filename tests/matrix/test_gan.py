"""Every objective × network × condition takes two steps: finite, every weight moves, samples have the right shape and range."""

from itertools import product

import pytest
import torch

from fenshen.condition import Label
from fenshen.families.base import At
from fenshen.families.gan import GAN
from fenshen.losses import OBJECTIVES
from fenshen.media.augment import Adaptive
from fenshen.recipe import Gan, Train
from fenshen.space import Grid
from fenshen.training.optim import make_optimizer

PICTURE = Grid(1, (8, 8))
TOLD = {"none": {}, "label": {"label": Label(3)}, "grid": {"image": Grid(2, (4, 4))}}
NETWORKS = ("conv", "residual", "dcgan", "mlp")


def model(**changes: object) -> Gan:
    values = {"size": "nano", "latent": 8, "critic_steps": 1, "clip_weights": 0.0, "penalty": {"kind": "r1+r2", "gamma": 0.1, "fraction": 0.5}}
    return Gan.model_validate(values | changes)


def draw_given(told: dict, count: int) -> dict:
    return {
        name: torch.randint(what.classes, (count,)) if isinstance(what, Label) else torch.rand(count, what.channels, *what.size) * 2 - 1
        for name, what in told.items()
    }


def take_steps(family: GAN, space: Grid, told: dict, steps: int = 2, optimizer: str = "adam") -> list[dict[str, float]]:
    train = Train.model_validate({"lr": 1e-3, "optimizer": optimizer, "beta1": 0.0, "beta2": 0.99})
    optimizers = {name: make_optimizer(train, player, name) for name, player in family.players().items()}
    logs = []
    for _, (name, _player) in product(range(steps), family.players().items()):
        x = torch.rand(8, space.channels, *space.size) * 2 - 1
        losses = family.losses(name, x, draw_given(told, 8), At(0.0, 0.0))
        optimizers[name].zero_grad(set_to_none=True)
        sum(term.mean() for term in losses.terms.values()).backward()
        optimizers[name].step()
        family.after_step(name, losses)
        logs.append({k: float(v.mean()) for k, v in (losses.terms | losses.signals).items()})
    return logs


def check_cell(space: Grid, told: dict, gan: Gan, optimizer: str = "adam") -> None:
    torch.manual_seed(0)
    family = GAN(space, told, gan)
    before = {name: value.clone() for name, value in family.named_parameters()}
    logs = take_steps(family, space, told, optimizer=optimizer)
    assert all(torch.isfinite(torch.tensor(list(log.values()))).all() for log in logs)
    still = [name for name, value in family.named_parameters() if torch.equal(value, before[name])]
    assert not still, f"these never moved: {still}"
    samples = family.sampler.eval().sample(torch.randn(5, gan.latent), draw_given(told, 5))
    assert samples.shape == (5, space.channels, *space.size) and samples.dtype == torch.float32
    assert samples.min() >= -1 and samples.max() <= 1


@pytest.mark.parametrize("objective,network,condition", list(product(OBJECTIVES, NETWORKS, TOLD)))
def test_objective_network_condition(objective: str, network: str, condition: str) -> None:
    kind = {"wgan": "none", "wgan-gp": "gp", "relativistic": "r1+r2", "hinge": "r1", "nonsaturating": "r2"}.get(objective, "none")
    gan = model(objective=objective, network=network, penalty={"kind": kind, "gamma": 0.1}, clip_weights=0.01 if objective == "wgan" else 0.0)
    check_cell(PICTURE, TOLD[condition], gan, "rmsprop" if objective == "wgan" else "adam")


@pytest.mark.parametrize(
    "space", [Grid(1, (64,)), Grid(2, (50,)), Grid(1, (4, 8, 8)), Grid(3, (9, 9)), Grid(4, (16, 16)), Grid(1, (13, 21))], ids=str
)
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("condition", TOLD)
def test_one_two_and_three_axes(space: Grid, network: str, condition: str) -> None:
    told = TOLD[condition] if condition != "grid" else {"image": Grid(2, tuple(max(2, s // 2) for s in space.size))}
    check_cell(space, told, model(network=network))


@pytest.mark.parametrize("space", [Grid(1, (32,)), Grid(2, (9, 9)), Grid(1, (4, 8, 8))], ids=str)
@pytest.mark.parametrize("network,condition", list(product(NETWORKS, TOLD)))
def test_codes_on_one_two_and_three_axes(space: Grid, network: str, condition: str) -> None:
    told = TOLD[condition] if condition != "grid" else {"image": Grid(2, tuple(max(2, s // 2) for s in space.size))}
    check_cell(space, told, model(network=network, codes={"categorical": [3, 2], "continuous": 2}))


@pytest.mark.parametrize("kind,method", list(product(("gp", "r1", "r2", "r1+r2"), ("exact", "finite"))))
def test_penalties_with_augmentation_and_options(kind: str, method: str) -> None:
    gan = model(penalty={"kind": kind, "method": method, "gamma": 0.1}, dropout=0.2, instance_noise=0.1, l1=1e-3, l2=1e-3)
    torch.manual_seed(0)
    family = GAN(PICTURE, TOLD["label"], gan)
    family.augment = Adaptive(8, strength=0.8)
    logs = take_steps(family, PICTURE, TOLD["label"])
    names = set(kind.split("+"))
    assert names <= set(logs[0]) and {"l1", "l2"} <= set(logs[0])
    assert all(torch.isfinite(torch.tensor(list(log.values()))).all() for log in logs)


def test_condition_changes_what_is_made_and_how_it_is_judged() -> None:
    for told in (TOLD["label"], TOLD["grid"]):
        torch.manual_seed(0)
        family = GAN(PICTURE, told, model())
        take_steps(family, PICTURE, told, steps=3)
        z, one, other = torch.randn(4, 8), draw_given(told, 4), draw_given(told, 4)
        one, other = ({k: torch.zeros_like(v) for k, v in one.items()}, {k: torch.ones_like(v) for k, v in other.items()})
        made = family.sampler(z, one)
        assert not torch.allclose(made, family.sampler(z, other))
        assert not torch.allclose(family.score(made, one), family.score(made, other))


@pytest.mark.parametrize("network", ("conv", "residual"))
def test_overfits_one_batch(network: str) -> None:
    """A critic alone learns to tell four fixed pictures from what an untrained generator makes."""
    torch.manual_seed(0)
    family = GAN(PICTURE, {}, model(network=network, objective="nonsaturating", penalty={"kind": "none", "gamma": 0.0}))
    train = Train.model_validate({"lr": 2e-3, "optimizer": "adam", "beta1": 0.0, "beta2": 0.99})
    optimizer = make_optimizer(train, family.players()["critic"], "critic")
    x = (torch.rand(4, 1, 8, 8) > 0.5).float() * 2 - 1
    values = []
    for _ in range(60):
        loss = family.losses("critic", x, {}, At(0.0, 0.0)).terms["adversarial"].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append(float(loss))
    assert values[-1] < 0.2 * values[0], (values[0], values[-1])


def test_same_seed_same_losses_bit_for_bit() -> None:
    def run() -> list[dict[str, float]]:
        torch.manual_seed(3)
        family = GAN(PICTURE, TOLD["label"], model())
        family.augment = Adaptive(8, strength=0.5)
        return take_steps(family, PICTURE, TOLD["label"], steps=3)

    assert run() == run()


def test_article_networks_have_the_articles_sizes() -> None:
    generator = GAN(Grid(1, (28, 28)), {}, model(network="dcgan", latent=100))
    count = sum(p.numel() for p in generator.sampler.parameters())
    assert 2.2e6 < count < 2.4e6, count
    assert sum(p.numel() for p in generator.critic.parameters()) == 784 * 128 + 128 + 128

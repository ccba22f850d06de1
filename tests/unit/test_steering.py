"""Control in closed form: paths, directions, probes, inversion of what a network made itself; examples and seeds as people write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from made import png
from torch import nn

from fenshen.control.closed import closed_form, components, eigen_directions, first_weights
from fenshen.control.directions import difference, foreseen, logistic, probe
from fenshen.control.editing import turned
from fenshen.control.examples import read_examples
from fenshen.control.explain import half_in, properties, sensitivity
from fenshen.control.hand import Hand, Places, Seed
from fenshen.control.inversion import Search, Target, choose_starts, decibels, invert
from fenshen.control.knobs import Effect, Knob, axis, check_name, code_knobs, find_knobs, ranked
from fenshen.control.moving import between, mixed, slerp, traverse
from fenshen.errors import DataError, RecipeError
from fenshen.families.base import Sampler
from fenshen.families.build import build_sampler
from fenshen.recipe import Gan, Vae
from fenshen.run import Made, RunFolder
from fenshen.space import Grid


def hand(network: str = "conv", classes: tuple[str, ...] = (), latent: int = 8, seed: int = 0, codes: dict | None = None) -> Hand:
    """An untrained network for 8×8 pictures."""
    torch.manual_seed(seed)
    made = Made(1, (8, 8), classes, (1.0,) * len(classes))
    model = Gan.model_validate({"size": "nano", "latent": latent, "network": network, "codes": codes or {}})
    sampler = build_sampler(made.space, made.told, model).eval()
    return Hand(RunFolder(Path("nowhere")), sampler.requires_grad_(False), made, "cpu")


class Linear(Sampler):
    """A generator that is one matrix."""

    def __init__(self, a_DF: torch.Tensor):
        super().__init__(Grid(1, (8, 8)), {}, len(a_DF))
        self.layer = nn.Linear(*a_DF.shape)
        self.layer.weight.data = a_DF.T

    def forward(self, z_BD: torch.Tensor, given: dict) -> torch.Tensor:
        return self.layer(z_BD).view(len(z_BD), 1, 8, 8)


def test_slerp_ends_where_it_should_and_stays_in_the_shell() -> None:
    a, b = torch.randn(5, 16, dtype=torch.float64), torch.randn(5, 16, dtype=torch.float64)
    a, b = 4 * a / a.norm(dim=1, keepdim=True), 4 * b / b.norm(dim=1, keepdim=True)
    assert torch.allclose(slerp(a, b, torch.zeros(5)), a) and torch.allclose(slerp(a, b, torch.ones(5)), b)
    for t in (0.2, 0.5, 0.9):
        assert torch.allclose(slerp(a, b, torch.full((5,), t)).norm(dim=1), torch.full((5,), 4.0, dtype=torch.float64))
    middle = slerp(a, b, torch.full((5,), 0.5))
    assert torch.allclose(torch.cosine_similarity(middle, a), torch.cosine_similarity(middle, b))
    assert torch.allclose(slerp(a, 2 * a, torch.full((5,), 0.5)), 1.5 * a), "in one direction: the line"
    assert torch.isfinite(slerp(a, -a, torch.full((5,), 0.5))).all()


def test_paths_visit_every_stop_and_loops_come_back() -> None:
    stops = Places(torch.randn(3, 8), torch.eye(3))
    way = between(stops, 5)
    assert torch.allclose(way.z_BD[::2], stops.z_BD, atol=1e-6) and torch.allclose(way.label_BK[::2], torch.eye(3))
    assert torch.allclose(way.label_BK.sum(1), torch.ones(5)) and torch.allclose(way.label_BK[1], torch.tensor([0.5, 0.5, 0]))
    round_trip = between(stops, 6, loop=True)
    assert torch.allclose(round_trip.z_BD[::2], stops.z_BD, atol=1e-6) and len(round_trip) == 6
    straight = between(stops, 5, path="lerp")
    assert torch.allclose(straight.z_BD[1], (stops.z_BD[0] + stops.z_BD[1]) / 2)


def test_the_closed_form_of_a_linear_generator_is_its_singular_vectors() -> None:
    u_DD, _ = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(1)))
    a_DF = torch.cat([u_DD[:, n : n + 1].repeat(1, count) for n, count in enumerate((30, 15, 10, 5, 3, 1))], 1)  # Columns of length 1.
    planted = Hand(RunFolder(Path("nowhere")), Linear(a_DF), Made(1, (8, 8)), "cpu")
    assert torch.allclose(first_weights(planted), a_DF, atol=1e-5)
    directions, values = closed_form(planted)
    left, singular, _ = torch.linalg.svd(a_DF)
    assert torch.allclose(values, singular**2, atol=1e-3)
    assert torch.allclose((directions * left.T).sum(1).abs(), torch.ones(6), atol=1e-4)
    assert torch.allclose(directions @ directions.T, torch.eye(6), atol=1e-5) and (directions.max(1).values >= -directions.min(1).values).all()


@pytest.mark.parametrize("network", ["conv", "residual", "dcgan", "mlp"])
@pytest.mark.parametrize("classes", [(), ("a", "b")])
def test_the_first_weights_of_every_network_are_found(network: str, classes: tuple[str, ...]) -> None:
    opened = hand(network, classes)
    first = next(module for module in opened.sampler.generator.modules() if isinstance(module, nn.Linear))
    assert torch.allclose(first_weights(opened), first.weight[:, :8].T, atol=1e-4)


def test_columns_are_normalised_and_the_strongest_comes_first() -> None:
    directions, values = eigen_directions(torch.tensor([[5.0, 3, 0], [0, 0, -2]]))
    assert torch.allclose(directions, torch.eye(2)) and torch.allclose(values, torch.tensor([2.0, 1.0]))


def test_principal_components_lead_back_to_the_latent() -> None:
    z = torch.randn(4000, 4, generator=torch.Generator().manual_seed(0))
    h = (z * torch.tensor([4.0, 2, 1, 0.5])) @ torch.linalg.qr(torch.randn(9, 4)).Q.T
    directions, parts = components(h, z, 3)
    assert torch.allclose(directions.abs(), torch.eye(4)[:3], atol=0.05) and torch.allclose(parts, torch.tensor([16, 4, 1]) / 21.25, atol=0.03)
    classes = torch.arange(4000) % 2
    shifted, _ = components(h + 50 * classes[:, None], z, 3, classes)
    assert torch.allclose(shifted, directions, atol=0.05), "what differs between classes is left out"


@pytest.mark.parametrize("method", [probe, difference])
def test_a_planted_direction_is_found(method) -> None:
    generator = torch.Generator().manual_seed(0)
    z, class_N = torch.randn(800, 16, generator=generator, dtype=torch.float64), torch.arange(800) % 2
    planted = torch.randn(16, generator=generator, dtype=torch.float64)
    planted /= planted.norm()
    has = (z @ planted + 3 * class_N > 1.5).double()
    found = method(z, has, class_N)
    assert float(found.norm()) == pytest.approx(1) and float(found.double() @ planted) > 0.95
    assert foreseen(z, has, class_N) > 0.8
    assert foreseen(z, (torch.rand(800, generator=generator) > 0.5).double(), None) == pytest.approx(0.5, abs=0.1)
    assert foreseen(z[:8], has[:8], None) is None


def test_few_examples_move_a_probe_little() -> None:
    z = torch.randn(4, 16, dtype=torch.float64)
    assert logistic(z, torch.tensor([1.0, 1, 0, 0], dtype=torch.float64), None).norm() < 2


def test_mixing_keeps_what_it_should() -> None:
    coarse, fine, basis = torch.randn(6), torch.randn(6), torch.linalg.qr(torch.randn(6, 6)).Q
    assert torch.allclose(mixed(coarse, fine, basis, 0), fine) and torch.allclose(mixed(coarse, fine, basis, 6), coarse, atol=1e-5)
    half = mixed(coarse, fine, basis, 2)
    assert torch.allclose(basis[:2] @ half, basis[:2] @ coarse, atol=1e-5) and torch.allclose(basis[2:] @ half, basis[2:] @ fine, atol=1e-5)


def test_knobs_turn_latents_and_labels() -> None:
    place = Places(torch.zeros(2, 3), torch.eye(2))
    assert torch.equal(Knob("z1", "axis", torch.eye(3)[1]).turn(place, 2.0).z_BD, torch.tensor([[0.0, 2, 0]] * 2))
    toward = Knob("b", "label", toward=1)
    assert torch.equal(toward.turn(place, 1.0).label_BK, torch.tensor([[0.0, 1]] * 2)) and torch.equal(toward.turn(place, 0.0).label_BK, torch.eye(2))
    assert torch.allclose(toward.turn(place, torch.tensor([0.25, 3.0])).label_BK, torch.tensor([[0.75, 0.25], [0, 1]]))
    way = turned(place[:1], [(Knob("z0", "axis", torch.eye(3)[0]), 2.0), (toward, 1.0)], 3)
    assert torch.allclose(way.z_BD[:, 0], torch.tensor([0.0, 1, 2])) and torch.allclose(way.label_BK[:, 1], torch.tensor([0, 0.5, 1.0]))
    small, large = Knob("s", "axis", effect=Effect(0.5, 0.1)), Knob("l", "axis", effect=Effect(0.1, 0.5))
    assert ranked([small, large])[0] is large and ranked([Knob("n", "axis", effect=Effect(0.2)), small, large])[0] is small


@pytest.mark.parametrize("name", ["z3", "a b", "a=1", "", "x" * 41, "a/b"])
def test_names_that_could_not_be_asked_for_are_refused(name: str) -> None:
    with pytest.raises(RecipeError, match="--name"):
        check_name(hand(), name)
    assert check_name(hand(), "微笑") == "微笑"
    with pytest.raises(RecipeError, match="a knob already"):
        check_name(hand(classes=("cat", "dog")), "dog")


@pytest.mark.parametrize(("network", "classes"), [("mlp", ()), ("mlp", ("a", "b"))])
def test_inversion_finds_what_the_network_made_itself(network: str, classes: tuple[str, ...]) -> None:
    opened = hand(network, classes)
    pictures = opened.pictures(opened.random(2, seed=5))
    search = Search(steps=80, starts=2, drawn=100, features=0, prior=0)
    found = invert(opened, pictures, search)
    assert (found.after_N > 35).all() and (found.after_N > found.before_N + 5).all()
    assert np.array_equal(found.rebuilt_NHWC, opened.pictures(found.places))
    assert np.array_equal(found.rebuilt_NHWC, invert(opened, pictures, search).rebuilt_NHWC), "the same search, the same end"
    only = invert(opened, pictures, Search(steps=0, starts=1, drawn=100, features=0), label=classes[1] if classes else None)
    assert np.array_equal(only.begun_NHWC, only.rebuilt_NHWC), "without a step the start is the end"
    if classes:
        assert (only.places.label_BK.argmax(1) == 1).all()


@pytest.mark.parametrize("channels", [3, 4])
def test_pictures_in_color_and_with_transparency(channels: int) -> None:
    torch.manual_seed(0)
    made = Made(channels, (8, 8))
    sampler = build_sampler(made.space, {}, Gan.model_validate({"size": "nano", "latent": 4, "network": "mlp"})).eval()
    opened = Hand(RunFolder(Path("nowhere")), sampler.requires_grad_(False), made, "cpu")
    pictures = opened.pictures(opened.random(2, seed=5))
    assert (invert(opened, pictures, Search(steps=80, starts=2, drawn=100, features=0, prior=0)).after_N > 30).all()
    assert sensitivity(opened, axis(opened, 0), opened.random(3)).shape == (8, 8)
    assert all(len(values) == 2 and np.isfinite(values).all() for values in properties(pictures).values())


def test_decibels_by_hand() -> None:
    black = np.zeros((1, 4, 4, 1), np.uint8)
    assert decibels(black, black)[0] == 100 and decibels(black, black + 255)[0] == pytest.approx(0, abs=1e-5)
    assert decibels(black, black + 51)[0] == pytest.approx(20 * np.log10(5), abs=1e-4)
    clear = np.zeros((1, 4, 4, 4), np.uint8)
    assert decibels(clear, np.concatenate([clear[..., :3] + 200, clear[..., 3:]], -1))[0] == 100, "color under transparency is not seen"


def test_seeds_as_people_write_them() -> None:
    assert Seed.read("17") == Seed(0, 17) and Seed.read("3:5") == Seed(3, 5) and str(Seed(3, 5)) == "3:5"
    assert Seed.read("17.png") is None and Seed.read("-1") is None and Seed.read("a:1") is None
    with pytest.raises(RecipeError, match="2\\^63"):
        Seed.read(str(2**63))


def test_a_map_shows_where_a_knob_acts() -> None:
    a_DF = torch.zeros(2, 64)
    a_DF[0, 27], a_DF[1] = 0.4, 0.1
    planted = Hand(RunFolder(Path("nowhere")), Linear(a_DF), Made(1, (8, 8)), "cpu")
    places = Places(torch.zeros(4, 2))
    one, all_over = (sensitivity(planted, axis(planted, n), places) for n in (0, 1))
    assert one[3, 3] == pytest.approx(0.2, abs=0.005) and one.sum() == one[3, 3]
    assert np.allclose(all_over, 0.05, atol=0.005) and half_in(one) == 1 / 64 and half_in(all_over) == pytest.approx(0.5)


def test_properties_of_pictures() -> None:
    upright, leaning = np.zeros((16, 16, 1), np.uint8), np.zeros((16, 16, 1), np.uint8)
    upright[4:12, 10] = 255
    for n in range(8):
        leaning[11 - n, 4 + n] = 255
    found = properties(np.stack([upright, leaning]))
    assert found["slant"] == pytest.approx([0, 1], abs=1e-3) and found["across"][0] == pytest.approx(10 / 16, abs=1e-3)
    assert found["brightness"] == pytest.approx([8 / 256, 8 / 256]) and found["size"][0] < found["size"][1]


def test_examples_of_every_kind(tmp_path: Path) -> None:
    for name in ("with/a.png", "with/b.png", "without/c.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(png(1))
    (tmp_path / "with/notes.txt").write_text("no picture")
    found = read_examples(tmp_path)
    assert [Path(path).name for path in found.having] == ["a.png", "b.png"] and len(found.lacking) == 1
    table, lists = tmp_path / "some.csv", tmp_path / "some.toml"
    table.write_text("picture,smiling\nwith/a.png,1\n17,yes\n# never mind\n\n1:3,0\n")
    assert read_examples(table).having == (str(tmp_path / "with/a.png"), "17") and read_examples(table).lacking == ("1:3",)
    lists.write_text('with = ["with/a.png", 4]\nwithout = ["2:5"]\n')
    assert read_examples(lists).having == (str(tmp_path / "with/a.png"), "4") and read_examples(lists).lacking == ("2:5",)


@pytest.mark.parametrize(("name", "content", "said"), [
    ("a.csv", b"x.png,1\ny.png,maybe\n", "line 2"), ("a.csv", b"x.png,1\n", "at least one example"), ("a.toml", b"with = 3", "lists"),
    ("a.toml", b"with = [", "not valid TOML"), ("a.toml", b"with = [true]\nwithout = [1]", "lists"), ("a.csv", b"\xff\xfe\x00", "folder"),
    ("a.csv", b"17,1\n" * 2000 + b"3,0\n", "at most 1000"), ("a.csv", b"x" * (2 << 20), "more than 1 MB"),
])  # fmt: skip
def test_examples_that_say_nothing(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=said):
        read_examples(tmp_path / name)
    with pytest.raises(DataError, match="cannot be read"):
        read_examples(tmp_path / "missing.csv")


def test_one_unit_is_one_standard_deviation_of_what_is_drawn() -> None:
    class Stretched(Linear):
        def place(self, z_BD: torch.Tensor, given: dict, truncation: float = 1.0) -> torch.Tensor:
            return z_BD * truncation * torch.tensor([3.0, 0.5])

    stretched = Hand(RunFolder(Path("nowhere")), Stretched(torch.ones(2, 64)), Made(1, (8, 8)), "cpu")
    assert torch.allclose(axis(stretched, 0).z_D, torch.tensor([3.0, 0]), atol=0.3)
    assert torch.allclose(axis(stretched, 1).z_D, torch.tensor([0, 0.5]), atol=0.05)
    plain = Hand(RunFolder(Path("nowhere")), Linear(torch.ones(2, 64)), Made(1, (8, 8)), "cpu")
    assert torch.equal(plain.as_long(torch.tensor([0.0, 7])), torch.tensor([0.0, 1])), "exactly, where latents are plain noise"


def test_information_codes_are_knobs_of_their_own(tmp_path: Path) -> None:
    coded = hand(codes={"categorical": [3], "continuous": 1}, latent=10)
    categorical, continuous = code_knobs(coded)
    place = coded.random(1)
    assert categorical.name == "categorical" and categorical.values(*categorical.around(), 7) == [0, 1, 2]
    assert torch.equal(categorical.turn(place, 2.0).z_BD[:, :3], torch.tensor([[0.0, 0, 1]]))
    assert continuous.around() == (-1, 1) and float(continuous.turn(place, 0.0).z_BD[0, 3]) == 0
    way = categorical.way(place.repeat(3), 1.0)
    assert torch.equal(way.z_BD[0], place.z_BD[0]) and torch.equal(way.z_BD[1:, :3], torch.tensor([[0.0, 1, 0]] * 2))
    assert [knob.name for knob in find_knobs(coded, ["continuous", "z9"])] == ["continuous", "z9"]
    assert (first_weights(coded)[:4] == 0).all() and (closed_form(coded)[0][:6, :4].abs() < 1e-5).all(), "closed form leaves codes alone"
    with pytest.raises(RecipeError, match=r"categorical=1\.5"):
        categorical.turn(place, 1.5)
    rows = traverse(coded, 0, knobs=["categorical", "continuous"], steps=5, out=tmp_path / "out").numbers["knobs"]
    assert rows[0]["values"] == [0, 1, 2] and rows[1]["values"] == [-1, -0.5, 0, 0.5, 1] and min(rows[0]["change"]) == 0
    with pytest.raises(RecipeError, match="no category between"):
        traverse(coded, 0, knobs=["categorical"], low=0.2, high=0.8, out=tmp_path / "out")


@pytest.mark.parametrize("classes", [(), ("a", "b")])
def test_inversion_starts_where_an_encoder_says(classes: tuple[str, ...]) -> None:
    torch.manual_seed(0)
    made = Made(1, (8, 8), classes, (1.0,) * len(classes))
    sampler = build_sampler(made.space, made.told, Vae.model_validate({"size": "nano", "latent": 4})).eval()
    opened = Hand(RunFolder(Path("nowhere")), sampler.requires_grad_(False), made, "cpu")
    pictures = opened.pictures(opened.random(2, seed=3))
    target = Target.of(opened, pictures, 0.0)
    starts, _ = choose_starts(opened, target, Search(starts=3, drawn=20, features=0), None)
    said = sampler.guess(target.x_BCHW, starts[::3].given)
    assert said is not None and torch.equal(starts.z_BD[2::3], said) and len(starts) == 6
    found = invert(opened, pictures, Search(steps=30, starts=3, drawn=20, features=0))
    assert (found.after_N >= found.before_N - 1e-6).all()

"""A hand on a trained run: every verb, from the command line and from Python, its files and numbers, and what people get wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from made import pixels, png, png_bomb
from PIL import Image
from typer.testing import CliRunner

import fenshen
from fenshen.cli import app
from fenshen.control import explain
from fenshen.control.answer import Answer
from fenshen.control.hand import Seed
from fenshen.control.inversion import Search
from fenshen.control.knobs import find_knobs
from fenshen.errors import DataError, FenshenError, RecipeError
from fenshen.measure import encoders
from fenshen.media.image import read_stamp, save_picture
from fenshen.media.video import write_video

FAST = {"train.ticks": 2, "train.threads": 1, "train.precision": "fp32", "train.batch": 16, "autopilot": "off", "evaluate.report": False}
QUICK = Search(steps=20, starts=2, drawn=50, features=0)


@pytest.fixture(autouse=True, scope="module")
def quickly_taught() -> Iterator[None]:
    """The measuring network need not be good here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoders.Labels, "least", 300)
        patch.setattr(explain, "SAMPLES", 300)
        yield


def arrays(path: Path, labels: list[str], count: int = 60, side: int = 8) -> Path:
    """Noisy pictures; those of the second label are brighter at the left."""
    rng = np.random.default_rng(count)
    images = rng.integers(0, 90, (count, side, side), np.uint8)
    images[1::2, :, : side // 2] += 150
    np.savez(path, images=images, **({"labels": np.array([labels[i % len(labels)] for i in range(count)])} if labels else {}))
    return path


def trained(folder: Path, labels: list[str], count: int = 60, **changes: object) -> fenshen.Run:
    wanted = FAST | {f"model.{key}": value for key, value in changes.items()}
    return fenshen.train(arrays(folder / "data.npz", labels, count), kimg=0.16, changes=wanted, out=folder / "run")


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> fenshen.Run:
    return trained(tmp_path_factory.mktemp("labelled"), ["cat", "dog"], latent=16)


@pytest.fixture(scope="module")
def untold(tmp_path_factory: pytest.TempPathFactory) -> fenshen.Run:
    """Trained on labelled pictures, but told nothing of their labels."""
    return trained(tmp_path_factory.mktemp("untold"), ["cat", "dog"], condition="none", groups=0, latent=8)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    return save_picture(pixels(3, 20, 30), tmp_path / "mine.png")


def command(*words: object, code: int = 0, **variables: str) -> subprocess.CompletedProcess[str]:
    """`fenshen control …` as a process."""
    done = subprocess.run([sys.executable, "-m", "fenshen", "control", *map(str, words)], capture_output=True, text=True, timeout=120,
                          env=os.environ | {"FENSHEN_LANG": "en"} | variables)  # fmt: skip
    assert done.returncode == code, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def check(answer: Answer, *names: str) -> None:
    """These files, in this order and stamped, and control.json with what was answered."""
    assert [path.name for path in answer.pictures] == list(names)
    for path in answer.pictures:
        assert read_stamp(path)["Source"] == "made by a generative model"
    assert json.loads((answer.folder / "control.json").read_text()) == answer.numbers


# Paths, knobs, mixtures


def test_a_path_begins_with_the_picture_that_generate_makes(labelled: fenshen.Run, tmp_path: Path) -> None:
    answer = labelled.interpolate(3, "1:5", frames=5, out=tmp_path / "out")
    check(answer, "strip.png", "animation.webp")
    frames = [np.asarray(Image.open(answer.folder / "strip.png"))[10 + 0 : 60, 3 + n * 67 + 10] for n in (0, 4)]
    assert frames[0].shape == frames[1].shape and not np.array_equal(*frames)
    hand = labelled.hand("cpu")
    made = [labelled.generate(4).images[3], labelled.generate(6, seed=1).images[5]]
    assert np.array_equal(hand.pictures(hand.at([Seed(0, 3), Seed(1, 5)])), np.stack(made))
    assert np.array_equal(hand.pictures(hand.at([Seed(0, 3)], truncation=0.5))[0], labelled.generate(4, truncation=0.5).images[3])
    assert answer.numbers["stops"] == [{"seed": "0:3"}, {"seed": "1:5"}]


def test_the_same_command_writes_the_same_bytes(labelled: fenshen.Run, tmp_path: Path) -> None:
    once, twice = (labelled.interpolate(1, 2, 3, frames=6, loop=True, format="gif", out=tmp_path / name) for name in ("a", "b"))
    assert [path.read_bytes() for path in once.pictures] == [path.read_bytes() for path in twice.pictures]


def test_an_mp4_has_every_frame_and_its_stamp(labelled: fenshen.Run, tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    answer = labelled.interpolate(1, 2, frames=9, seconds=3, format="mp4", out=tmp_path / "out")
    with av.open(str(answer.folder / "animation.mp4")) as film:
        assert sum(1 for _ in film.decode(video=0)) == 9 and "generative model" in film.metadata["comment"]
        assert film.duration / 1e6 == pytest.approx(3, abs=0.4)


def test_without_pyav_an_mp4_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(FenshenError, match=r"fenshen\[video\]"):
        write_video([pixels(0, 8)], tmp_path / "a.mp4", 1.0)
    assert not list(tmp_path.iterdir())


def test_traverse_turns_what_is_named_and_else_what_does_most(labelled: fenshen.Run, tmp_path: Path) -> None:
    check(answer := labelled.traverse("2", knobs=["z3", "dog"], steps=5, out=tmp_path / "named"), "sheet.png")
    axis, label = answer.numbers["knobs"]
    assert axis["values"] == [-3, -1.5, 0, 1.5, 3] and axis["change"][2] == 0 < axis["change"][0] and label["values"][-1] == 1
    plain = labelled.traverse(out=tmp_path / "plain").numbers["knobs"]
    assert len(plain) == 8 and all(line["kind"] == "axis" for line in plain)


def test_a_mixture_goes_from_one_picture_to_the_other(labelled: fenshen.Run, tmp_path: Path) -> None:
    answer = labelled.mix(1, 2, label="cat", steps=3, out=tmp_path / "out")
    check(answer, "sheet.png")
    assert answer.numbers["directions_of_coarse"] == [0, 8, 16]
    sheet = np.asarray(Image.open(answer.pictures[0]))
    hand = labelled.hand("cpu")
    coarse, fine = hand.pictures(hand.at([Seed(0, 1), Seed(0, 2)], label="cat"))
    last = sheet[-67:-3, -67:-3][::8, ::8, 0]
    assert np.abs(last.astype(int) - coarse[..., 0]).max() <= 1 < np.abs(last.astype(int) - fine[..., 0]).max()


# Directions


def test_directions_are_stored_ranked_and_found_again(untold: fenshen.Run, tmp_path: Path) -> None:
    found = untold.directions(count=2, out=tmp_path / "out").numbers["found"]
    effects = [knob["effect"]["features"] for knob in found]
    assert {knob["name"] for knob in found} == {"sefa-1", "sefa-2", "pca-1", "pca-2"} and effects == sorted(effects, reverse=True)
    named = untold.directions("doggish", label="dog", out=tmp_path / "named")
    check(named, "doggish.png")
    assert named.numbers["found"][0]["samples"] == 2000 and set(named.numbers["ranks"]) == {"sefa-1", "sefa-2", "pca-1", "pca-2", "doggish"}
    assert json.loads((untold.path / "directions.json").read_text())["directions"][0]["name"] == named.numbers["ranks"][0]
    check(untold.edit(4, {"doggish": 2.0, "z1": -1}, out=tmp_path / "edit"), "before-after.png", "strip.png", "after.png")
    weights = untold.folder.weights
    before = weights.read_bytes()
    try:
        weights.write_bytes(before + b" ")
        with pytest.raises(FenshenError):
            untold.traverse(0, knobs=["doggish"])
    finally:
        weights.write_bytes(before)


@pytest.mark.parametrize("method", ["seen", "probe", "mean"])
def test_named_by_examples(method: str, untold: fenshen.Run, tmp_path: Path) -> None:
    """What is brighter at the left goes further that way along the direction."""
    hand = untold.hand("cpu")
    pictures = hand.pictures(hand.random(200)).astype(float)
    left = pictures[:, :, :4].mean((1, 2, 3)) - pictures[:, :, 4:].mean((1, 2, 3))
    order = np.argsort(left)
    (tmp_path / "some.csv").write_text("".join(f"{n},0\n" for n in order[:20]) + "".join(f"{n},1\n" for n in order[-20:]))
    answer = untold.directions("left", examples=tmp_path / "some.csv", method=method, out=tmp_path / "out")
    assert answer.numbers["found"][0]["with"] == 20 and answer.numbers["found"][0]["foreseen"] > 0.7
    (knob,), places = find_knobs(hand, ["left"]), hand.random(50, seed=9)
    less, more = (hand.pictures(knob.turn(places, amount)).astype(float) for amount in (-2, 2))
    assert ((more - less)[:, :, :4].mean() - (more - less)[:, :, 4:].mean()) > 0


def test_a_label_that_the_run_is_told_is_a_direction_by_itself(labelled: fenshen.Run, tmp_path: Path) -> None:
    answer = labelled.directions("bark", label="dog", out=tmp_path / "out")
    assert answer.numbers["found"][0]["kind"] == "label"
    hand = labelled.hand("cpu")
    (knob,) = find_knobs(hand, ["bark"])
    assert np.array_equal(hand.pictures(knob.turn(hand.random(3), 1.0)), labelled.generate(3, label="dog").images)


# Pictures of one's own


def test_inverting_a_folder_writes_what_was_found(labelled: fenshen.Run, mine: Path, tmp_path: Path) -> None:
    (tmp_path / "two").mkdir()
    for number in range(2):
        (tmp_path / "two" / f"{number}.png").write_bytes(png(number))
    answer = labelled.invert(tmp_path / "two", search=QUICK, out=tmp_path / "out")
    check(answer, "sheet.png", "found-0.png", "found-1.png")
    assert [line["picture"] for line in answer.numbers["pictures"]] == ["0.png", "1.png"]
    assert answer.numbers["psnr"] > answer.numbers["psnr_before"] and (answer.folder / "latents.safetensors").exists()
    again = labelled.invert(tmp_path / "two", search=QUICK, out=tmp_path / "out")
    assert again.numbers == answer.numbers
    dog = labelled.invert(mine, search=QUICK, label="dog", out=tmp_path / "dog")
    assert dog.numbers["pictures"][0]["label"] == "dog"


def test_the_measuring_network_is_left_out_where_the_data_are_gone(tmp_path: Path, mine: Path) -> None:
    run = trained(tmp_path, [])
    (tmp_path / "data.npz").unlink()
    heard: list[str] = []

    class Hearing(fenshen.api.Watcher):
        def said(self, text: str) -> None:
            heard.append(text)

    answer = run.invert(mine, search=Search(steps=5, starts=1, drawn=20), out=tmp_path / "out", watcher=Hearing())
    assert answer.numbers["psnr"] >= answer.numbers["psnr_before"]
    assert any("without the measuring network" in text for text in heard) and any("30×20 pixels: fitted to 8×8" in text for text in heard)


# What a knob does


def test_explain_shows_where_and_how_much(untold: fenshen.Run, tmp_path: Path) -> None:
    answer = untold.explain(1, knobs=["z0", "z5"], out=tmp_path / "out")
    check(answer, "sheet.png", "map-z0.png", "map-z5.png")
    found = answer.numbers["disentanglement"]
    assert 0 <= found["mig"] <= 1 and {"brightness", "slant", "label"} <= set(found["factors"])
    assert all(0 < line["mean"] < line["largest"] and 0 < line["half_in"] <= 0.5 for line in answer.numbers["knobs"])
    assert untold.explain(1, knobs=["z0"], scores=False, out=tmp_path / "out").numbers["disentanglement"] is None


def test_explain_asks_the_encoder_of_a_run_that_has_one(tmp_path: Path) -> None:
    run = trained(tmp_path, ["cat", "dog"], 140, family="vae", latent=4)
    found = run.explain(knobs=["z0"], out=tmp_path / "out").numbers["disentanglement"]
    assert found["of"] == "training pictures" and "label" in found["factors"] and found["samples"] == 126


def test_variations_of_a_picture(labelled: fenshen.Run, tmp_path: Path) -> None:
    answer = labelled.vary("1:4", count=5, far=0.0, out=tmp_path / "same")
    check(answer, "sheet.png")
    assert answer.numbers["start"] == {"seed": "1:4"} and answer.numbers["change"] == 0.0
    near, far = (labelled.vary(4, far=far, out=tmp_path / str(far)).numbers["change"] for far in (0.1, 1.0))
    assert 0 < near < far
    said = CliRunner().invoke(app, ["control", "vary", str(labelled.path), "3", "--count", "4", "--json"])
    assert json.loads(said.stdout)["count"] == 4 and (labelled.path / "control" / "vary-0-3" / "sheet.png").exists()


# The command line


@pytest.mark.slow  # A dozen processes; each verb is tested in this one above.
def test_as_a_process(labelled: fenshen.Run, mine: Path, tmp_path: Path) -> None:
    said = command("interpolate", labelled.path, 1, 2, "--frames", 4, "--loop")
    assert (labelled.path / "control/interpolate-0-1-0-2/animation.webp").exists() and "Written" in said.stdout
    answer = json.loads(command("edit", labelled.path, mine, "--direction", "dog=1", "--direction", "z2=-1.5", "--features", 0, "--search-steps", 5,
                                "--json").stdout)  # fmt: skip
    assert answer["directions"] == {"dog": 1.0, "z2": -1.5} and Path(answer["out"], "after.png").exists()
    assert "PSNR" in command("invert", labelled.path, mine, "--features", 0, "--search-steps", 5, "--out", tmp_path / "out").stdout
    assert "没有方向 smiling" in command("traverse", labelled.path, "--knob", "smiling", code=2, FENSHEN_LANG="zh").stderr
    assert fenshen.load(labelled.path).folder.path.exists()


@pytest.fixture
def here(capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The same in this process: what is said on stderr by a command that ends with 2."""

    def call(*words: object) -> str:
        with pytest.raises(SystemExit) as ended:
            app(["control", *map(str, words)], prog_name="fenshen")
        assert ended.value.code == 2
        return capfd.readouterr().err

    return call


@pytest.mark.parametrize(("words", "said"), [
    (("interpolate", "RUN", 1), "at least two stops"), (("interpolate", "RUN", 1, 2, "--frames", 1), "--frames 1"),
    (("interpolate", "RUN", 1, 2, "--seconds", 0), "--seconds 0"), (("interpolate", "RUN", 1, 2**63), "is no seed"),
    (("interpolate", "RUN", 1, "missing.png"), "missing.png"), (("traverse", "RUN", "--knob", "smiling"), "z0 … z15, cat, dog"),
    (("traverse", "RUN", "--from", 2, "--to", 1), "--from 2"), (("traverse", "RUN", "--steps", 1), "--steps 1"),
    (("traverse", "RUN", "--truncation", 3), "--truncation 3"), (("mix", "RUN", 1, 2, "--label", "bird"), "no label bird"),
    (("edit", "RUN", 1, "--direction", "dog"), "NAME=AMOUNT"), (("edit", "RUN", 1, "--direction", "dog=nan"), "NAME=AMOUNT"),
    (("directions", "RUN", "--name", "a b", "--of", "dog"), "--name a b"), (("directions", "RUN", "--name", "a"), "--examples FILE"),
    (("directions", "RUN", "--of", "dog"), "need a --name"), (("directions", "RUN", "--name", "a", "--of", "bird"), "no label bird"),
    (("invert", "RUN", "BROKEN", "--features", 0), "cannot be read"), (("invert", "RUN", "BOMB", "--features", 0), "million pixels"),
    (("invert", "RUN", "EMPTY"), "no picture"), (("invert", "RUN", 1, "--starts", 0), "--starts 0"), (("explain", "nowhere"), "no run nowhere"),
    (("traverse", "RUN", "--out", "TAKEN"), "not empty"), (("vary", "RUN", "--count", 0), "--count 0"), (("vary", "RUN", "--far", 1.5), "--far 1.5"),
])  # fmt: skip
def test_mistakes_are_said_in_words(words: tuple, said: str, labelled: fenshen.Run, here: Callable[..., str], tmp_path: Path) -> None:
    places = {"RUN": labelled.path, "BROKEN": tmp_path / "broken.png", "BOMB": tmp_path / "bomb.png", "EMPTY": tmp_path / "empty",
              "TAKEN": tmp_path / "taken"}  # fmt: skip
    places["BROKEN"].write_bytes(png(1)[:60])
    places["BOMB"].write_bytes(png_bomb(20_000))
    places["EMPTY"].mkdir()
    places["TAKEN"].mkdir()
    (places["TAKEN"] / "letter.txt").write_text("mine")
    assert said in here(*(places.get(str(word), word) for word in words))


def test_a_run_that_restores_has_nothing_to_steer(tmp_path: Path) -> None:
    run = fenshen.train(arrays(tmp_path / "data.npz", [], side=16), kimg=0.03, changes=FAST, task="upscale=2", out=tmp_path / "run")
    with pytest.raises(RecipeError, match="restores pictures"):
        run.directions()


def test_codes_have_nothing_between_them(tmp_path: Path) -> None:
    run = trained(tmp_path, [], family="vae", quantizer="fsq")
    with pytest.raises(DataError, match="grid of codes"):
        run.interpolate(1, 2)


def test_a_run_without_labels_says_so(tmp_path: Path) -> None:
    run = trained(tmp_path, [], groups=0)
    with pytest.raises(DataError, match="no labels"):
        run.directions("a", label="dog")
    with pytest.raises(DataError, match="knows no labels"):
        run.traverse(0, label="dog")
    with pytest.raises(RecipeError, match="name what is to change"):
        run.edit(0, {})

"""What the studio's page Make stands on, without a browser: opened runs, pictures in hand, texts while they are written."""

from __future__ import annotations

import io
import os
import threading
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from made import pixels
from PIL import Image

import fenshen
from fenshen.api import Words
from fenshen.control.hand import Seed
from fenshen.control.moving import around
from fenshen.errors import FenshenError, RecipeError, RunFolderError
from fenshen.evaluate.charts import Markup
from fenshen.measure.verbatim import Corpus
from fenshen.media.image import png, read_stamp, save_picture
from fenshen.shaping import Shape
from fenshen.studio import dictation, easel, errand, hanging, parcel
from fenshen.studio.shelf import Shelf

FAST = {"train.ticks": 1, "train.threads": 1, "train.precision": "fp32", "train.batch": 16, "autopilot": "off", "evaluate.report": False}
PLAIN = {"count": 6, "seed": 3, "truncation": 1.0}


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """A shelf over the runs `gan` (labels a and b, information codes) and `counting`."""
    folder = tmp_path_factory.mktemp("making")
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8), np.uint8)
    np.savez(folder / "data.npz", images=images, labels=np.array(["a", "b"] * 20))
    (folder / "words.txt").write_text("\n".join(f"line {number} of a small book" for number in range(60)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FENSHEN_RUNS", str(folder / "runs"))
        codes = {"model.latent": 16, "model.codes.categorical": [3], "model.codes.continuous": 1}
        fenshen.train(folder / "data.npz", kimg=0.064, changes=FAST | codes, out=folder / "runs" / "gan")
        fenshen.train(folder / "words.txt", "ngram", changes={"evaluate.report": False, "model.order": 3}, out=folder / "runs" / "counting")
        yield Shelf()


def test_a_run_stays_open_until_its_weights_change(shelf: Shelf) -> None:
    run = shelf.open("gan")
    assert shelf.open("gan") is run
    assert run.hand() is run.hand()
    assert run.folder.load()[0] is run.hand().sampler
    os.utime(run.folder.weights, ns=(1, 1))
    again = shelf.open("gan")
    assert again is not run
    shelf.free("gan")
    assert shelf.open("gan") is not again


def test_only_so_many_stay(shelf: Shelf) -> None:
    few = Shelf(1)
    first = few.open("gan")
    few.open("counting")
    assert list(few.runs) == ["counting"]
    assert few.open("gan") is not first


@pytest.mark.parametrize("name", ["", "..", "../runs/gan", "none", "gan/../gan"])
def test_runs_are_opened_by_name_alone(name: str, shelf: Shelf) -> None:
    with pytest.raises(RunFolderError, match="no run"):
        shelf.open(name)


def test_a_run_that_saved_nothing(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FENSHEN_RUNS", str(tmp_path))
    (tmp_path / "young").mkdir()
    (tmp_path / "young" / "recipe.toml").write_text("[model]\nfamily = 'gan'\n")
    with pytest.raises(RunFolderError, match="saved nothing yet"):
        shelf.open("young")


def test_what_runs_can_do(shelf: Shelf) -> None:
    pictures, words = shelf.open("gan"), shelf.open("counting")
    assert (pictures.writes, pictures.task, pictures.steerable, pictures.judged, pictures.priors) == (False, "", True, True, ())
    assert pictures.codes == ["categorical", "continuous"]
    assert words.writes and not words.latents and not words.judged and words.speakers == []


def test_what_is_said_of_a_run(shelf: Shelf, tmp_path: Path) -> None:
    pytest.importorskip("gradio", reason="the studio needs gradio: pip install 'fenshen[studio]'")
    from fenshen.studio.desk import Desk, write
    from fenshen.studio.face import Face
    from fenshen.studio.pages.make import about, choices

    face = Face("en", Desk(tmp_path), shelf=shelf)
    assert {name: said for said, name in choices()} == {"gan": "gan · pictures", "counting": "counting · words"}
    assert "8 × 8" in about(face, shelf.open("gan")) and "2 labels" in about(face, shelf.open("gan"))
    assert "still training" not in about(face, shelf.open("gan"))
    (tmp_path / "1").mkdir()
    write(tmp_path / "1" / "job.json", {"verb": "resume", "name": "gan"})
    write(tmp_path / "1" / "state.json", {"state": "training", "run": "gan"})
    assert "still training" in about(face, shelf.open("gan")) and "train?run=gan" in about(face, shelf.open("gan"))


def test_knobs_of_a_run(shelf: Shelf) -> None:
    run = shelf.open("gan")
    assert [knob.name for knob in run.knobs] == ["categorical", "continuous", *(f"sefa-{number}" for number in range(1, 7))]
    assert run.knobs is run.knobs


def test_one_hand_at_a_time_hears_what_takes_long(shelf: Shelf) -> None:
    run, heard = shelf.open("gan"), []
    with run.lent(heard.append) as hand:
        hand.say("slow")
        other = threading.Thread(target=lambda: run.lock.acquire(timeout=0.05) and heard.append("in"))
        other.start()
        other.join()
    hand.say("nobody hears this")
    assert heard == ["slow"]


def test_a_sheet_is_what_generate_makes_and_stands_where_it_says(shelf: Shelf) -> None:
    run = shelf.open("gan")
    for wishes in (PLAIN, PLAIN | {"truncation": 0.5, "label": "b"}, PLAIN | {"by_code": "categorical"}):
        sheet = easel.draw(run, **wishes)
        assert np.array_equal(sheet.images, run.generate(**wishes).images)
        assert sheet.places is not None
        assert np.abs(run.hand().pictures(sheet.places).astype(int) - sheet.images).max() <= 1
    assert easel.draw(run, **PLAIN | {"by_code": "categorical"}).columns == 3 and easel.draw(run, **PLAIN | {"by_class": True}).columns == 2
    assert easel.draw(run, **PLAIN | {"label": "b"}).names[2] == "picture 2 of seed 3, b"


def test_turning_and_turning_back(shelf: Shelf) -> None:
    run = shelf.open("gan")
    sheet = easel.draw(run, **PLAIN)
    hand, held = run.hand(), easel.Held(sheet.places[[1]], "it")
    stands = {knob.name: knob.stands(held.place) for knob in run.knobs}
    same = easel.turned(hand, held, run.knobs, stands)
    assert np.array_equal(same.z_BD, held.place.z_BD)
    turned = easel.turned(hand, held, run.knobs, stands | {"sefa-1": 2.0, "categorical": 2.0}, "a", 0.5)
    sefa = next(knob for knob in run.knobs if knob.name == "sefa-1")
    half = easel.Held(easel.Places(held.place.z_BD * 0.5 + 2 * sefa.z_D, held.place.label_BK), "it")
    assert np.allclose(turned.z_BD[:, 4:], half.place.z_BD[:, 4:], atol=1e-6)
    assert next(knob for knob in run.knobs if knob.name == "categorical").stands(turned) == 2
    assert turned.label_BK.tolist() == [[1.0, 0.0]]


def test_knobs_that_are_gone_are_left_alone(shelf: Shelf) -> None:
    run = shelf.open("gan")
    held = easel.Held(run.hand().at([Seed(0, 1)]), "it")
    assert np.array_equal(easel.turned(run.hand(), held, run.knobs, {"smiling": 2.0}, "none").z_BD, held.place.z_BD)


def test_variations_lie_around(shelf: Shelf) -> None:
    hand = shelf.open("gan").hand()
    place = hand.at([Seed(0, 1)])
    assert np.allclose(around(hand, place, 3, 0.0).z_BD, place.z_BD)
    near, far = (float((around(hand, place, 400, far).z_BD - place.z_BD).norm(dim=1).mean()) for far in (0.1, 0.9))
    assert near < far / 5
    assert float(around(hand, hand.random(500, 5), 1, 0.7).z_BD.std()) == pytest.approx(1, abs=0.03)
    with pytest.raises(RecipeError, match="--far"):
        around(hand, place, 3, 1.5)


def test_mixtures_and_paths(shelf: Shelf, tmp_path: Path) -> None:
    run = shelf.open("gan")
    hand = run.hand()
    a, b = (easel.Held(hand.at([Seed(0, number)], "a"), str(number)) for number in range(2))
    sheet = easel.mix(hand, [b], a, steps=4)
    assert np.array_equal(sheet.images, easel.mix(hand, [b, a], a, steps=4).images)
    assert sheet.columns == 4 and np.array_equal(sheet.images[0], hand.pictures(b.place)[0])
    assert np.abs(sheet.images[-1].astype(int) - hand.pictures(a.place)[0]).max() <= 1
    film = easel.path(hand, [a, b], 1, False, "webp", tmp_path / "film")
    assert read_stamp(film)["Run"] == "gan" and Image.open(film).n_frames == 15
    assert "data:image/webp" in hanging.moving(film)
    for call in (lambda: easel.mix(hand, [], a), lambda: easel.mix(hand, [a], a), lambda: easel.path(hand, [a], 1, False, "webp", tmp_path / "no")):
        with pytest.raises(RecipeError):
            call()


def test_a_picture_of_ones_own(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(easel, "SEARCHED", fenshen.api.Search(steps=5, starts=1, drawn=20, features=0))
    file, steps = save_picture(pixels(3, 20, 30), tmp_path / "me<b>.png"), []
    original, held, near = easel.find(shelf.open("gan").hand(), file, lambda step, all: steps.append((step, all)))
    assert original.shape == (8, 8, 1) and len(held.place) == 1 and near > 0
    assert steps == [(step, 5) for step in range(6)]
    assert "<b>" not in hanging.figure(original, held.name, "gan")


@pytest.mark.parametrize("packing", ["png", "zip", "npz"])
def test_files_are_stamped_and_whole(packing: easel.Packing, shelf: Shelf, tmp_path: Path) -> None:
    run = shelf.open("gan")
    sheet = easel.draw(run, **PLAIN)
    file = easel.packed(sheet, packing, run, parcel.fresh(tmp_path))
    match packing:
        case "png":
            assert read_stamp(file)["Source"] == "made by a generative model"
        case "npz":
            assert set(np.load(file)) == {"images", "labels"} and np.array_equal(np.load(file)["labels"], sheet.labels)
        case "zip":
            with zipfile.ZipFile(file) as archive:
                names = archive.namelist()
                assert len(names) == 6 and names[0].startswith("000000-")
                picture = Image.open(io.BytesIO(archive.read(names[0])))
                assert picture.text["Run"] == "gan" and np.array_equal(np.asarray(picture), sheet.images[0][..., 0])


def test_what_was_put_aside_is_saved_as_it_was_turned(shelf: Shelf, tmp_path: Path) -> None:
    run = shelf.open("gan")
    picks = [(easel.Held(run.hand().at([Seed(0, number)], "b"), "it"), pixels(number, 8, 8, 1)) for number in range(2)]
    with zipfile.ZipFile(easel.packed(easel.gathered(picks), "zip", run, parcel.fresh(tmp_path))) as archive:
        assert archive.namelist() == ["000000-b.png", "000001-b.png"]
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(archive.read("000001-b.png")))), picks[1][1][..., 0])


def test_tiles_are_buttons_where_they_can_be_taken(shelf: Shelf) -> None:
    sheet = easel.draw(shelf.open("gan"), **PLAIN)
    assert hanging.tiles(sheet, 2).count("<button") == 6 and 'data-index="2" aria-pressed="true"' in hanging.tiles(sheet, 2)
    assert "<button" not in hanging.tiles(easel.Sheet(sheet.images, sheet.names))


def test_the_bytes_of_a_picture() -> None:
    picture = pixels(1, 9, 7)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(png(picture, {"a": "分身"})))), picture)


def test_a_dictation_is_heard_while_it_goes_on() -> None:
    pause, heard = threading.Event(), []

    def work(spoken: dictation.Spoken) -> Words:
        spoken(0, "one ")
        spoken(1, "two")
        pause.wait(5)
        spoken(0, "more")
        return Words(("one more", "two"))

    dictated = dictation.Dictation(work)
    for texts in dictated.texts():
        heard.append(texts)
        pause.set()
    assert heard[0] == ["one ", "two"]
    assert dictated.result == Words(("one more", "two")) and dictated.so_far() == ["one more", "two"]


def test_a_dictation_stops_for_good(shelf: Shelf) -> None:
    run = shelf.open("counting")
    dictated = dictation.Dictation(lambda spoken: run.write(max_chars=10**6, stop=["never"], spoken=spoken, shape=Shape(lines=10**6)))
    for _ in dictated.texts():
        dictated.stop()
    assert not dictated.thread.is_alive() and dictated.result is None
    assert 0 < len(dictated.so_far()[0]) < 10**6


def test_a_dictation_that_nobody_hears_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errand, "ALONE_SECONDS", -1.0)
    dictated = dictation.Dictation(lambda spoken: [spoken(0, "x") for _ in iter(int, 1)])
    assert list(dictated.texts()) == [] and dictated.result is None


def test_a_mistake_in_a_dictation_is_raised(shelf: Shelf) -> None:
    with pytest.raises(FenshenError, match="never seen"):
        list(dictation.Dictation(lambda spoken: shelf.open("counting").write(prompt="龙", spoken=spoken)).texts())


def test_copies_are_marked_and_all_is_escaped() -> None:
    corpus = Corpus(["a line that is long enough to be called a copy <b>"])
    shown = dictation.copied_markup(corpus, "", ["new: that is long enough to be called a copy <b>!"])
    assert "<mark> that is long enough to be called a copy &lt;b&gt;</mark>!" in shown
    assert "44 characters" in shown
    assert "<i>" not in dictation.texts_markup("<i>", ["</i>"]) and isinstance(shown, Markup)


def test_what_the_person_wrote_is_no_copy() -> None:
    corpus = Corpus(["a line that is long enough to be called a copy, and goes on from there"])
    shown = dictation.copied_markup(corpus, "a line that is long enough to be called a copy", ["? no"])
    assert "<mark>" not in shown and "characters" in shown and ": 0 characters" not in shown
    shown = dictation.copied_markup(corpus, "a line that is long enough", [" to be called a copy; no"])
    assert '<mark><span class="fs-prompt">a line that is long enough</span> to be called a copy</mark>' in shown


@pytest.mark.parametrize(("asked", "shape"), [
    (("free", True, True, 4, "", None), Shape()),
    (("qiyan", True, False, 4, "", 12), Shape("qiyan", rhyme=True, no_copy=12)),
    (("lines", True, True, 3.0, "", 0), Shape(lines=3)),
    (("json", True, True, 4, '{"type": "null"}', None), Shape(schema={"type": "null"})),
])  # fmt: skip
def test_shapes_as_the_page_asks(asked: tuple, shape: Shape) -> None:
    assert dictation.shape_of(*asked) == shape


def test_a_schema_that_is_none() -> None:
    with pytest.raises(RecipeError, match="JSON schema"):
        dictation.shape_of("json", False, False, 1, "{", None)


def test_a_mask_is_what_was_painted(tmp_path: Path) -> None:
    layer = Image.new("RGBA", (6, 4))
    layer.putpixel((2, 1), (255, 0, 0, 90))
    picture, mask = easel.painted({"background": Image.new("RGBA", (6, 4), "red"), "layers": [layer]}, None, tmp_path)
    assert np.argwhere(np.asarray(Image.open(mask)) == 255).tolist() == [[1, 2]]
    assert Image.open(picture).size == (6, 4)
    assert easel.painted(None, None, tmp_path) == (None, None)


def test_names_of_knobs() -> None:
    kinds = [("closed form", "sefa-2"), ("principal component", "pca-1"), ("code", "continuous"), ("named", "smiling")]
    assert [hanging.knob_name(SimpleNamespace(kind=kind, name=name)) for kind, name in kinds] == [
        "Direction 2", "Main variation 1", "Code continuous", "smiling"
    ]  # fmt: skip

"""Preparing: what is derived, what is held out, what is kept in the cache and how safely, and the order of drawing."""

from __future__ import annotations

import errno
import io
import json
import multiprocessing
import stat
import sys
import time
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made import classes, encoded, files, picture, pixels, png, write_folder, write_zip
from PIL import Image, ImageEnhance

from fenshen.data import Batches, cache, look, prepare
from fenshen.data.choices import choose_split
from fenshen.data.duplicates import SIDE, group, near_pairs
from fenshen.data.scan import array_picture, scan, thumbnail_of
from fenshen.errors import DataError, FenshenError, OutOfSpaceError
from fenshen.recipe import Data

PREPARE = sys.modules["fenshen.data.prepare"]  # The module; its function goes by the same name.


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "cache"
    monkeypatch.setenv("FENSHEN_CACHE", str(root))
    monkeypatch.setattr(cache, "_sync", lambda folder: None)  # A busy disk takes seconds.
    return root


def data(source: Path | str, **changes: object) -> Data:
    return Data.model_validate({"source": str(source), **changes})


def test_a_folder_of_mixed_pictures(tmp_path: Path) -> None:
    modes = ["L", "RGB", "RGBA", "P", "1", "LA", "I;16", "CMYK"]
    suffixes = {"CMYK": ("jpg", "JPEG")}
    contents: dict[str, bytes | str] = {}
    for index, mode in enumerate(modes):
        suffix, kind = suffixes.get(mode, ("png", "PNG"))
        contents[f"{index}.{suffix}"] = encoded(picture(index, 20 + index, 40 - index, mode), kind)
    contents |= {"broken.png": png(1)[:50], "empty.jpg": b"", "notes.txt": "x"}
    made = prepare(data(write_folder(tmp_path / "in", contents)))
    assert made.pictures.shape == (8, 16, 16, 3) and made.pictures.dtype == np.uint8 and not made.pictures.flags.writeable
    assert made.channels == "colour" and made.labels is None and made.classes == ()
    assert [name for name, _ in made.skipped] == ["broken.png", "empty.jpg"] and all(reason for _, reason in made.skipped)
    assert made.names() == [name for name in sorted(contents) if name[0].isdigit()]
    assert len(made.held_out) == 0 and made.train.tolist() == list(range(8))


def test_what_is_prepared_is_what_was_there(tmp_path: Path) -> None:
    contents = files(5, 24)
    made = prepare(data(write_folder(tmp_path / "in", contents)))
    assert made.resolution == 24 and "the size of every picture" in made.reason
    assert np.array_equal(made.pictures, np.stack([pixels(seed, 24) for seed in range(5)]))
    zipped = prepare(data(write_zip(tmp_path / "in.zip", contents)))
    assert zipped.fingerprint == made.fingerprint and np.array_equal(zipped.pictures, made.pictures)


def test_labels_captions_and_manifest(tmp_path: Path) -> None:
    made = prepare(data(write_folder(tmp_path / "in", {**classes(3), "captions.tsv": "cat/0.png\ta cat\n"})))
    assert made.classes == ("cat", "dog") and made.labels is not None and made.labels.tolist() == [0, 0, 0, 1, 1, 1]
    rows = [json.loads(line) for line in made.manifest.read_text().splitlines()]
    assert rows[0] | {"sha256": ""} == {"name": "cat/0.png", "label": "cat", "caption": "a cat", "split": None, "sha256": "", "near": 0}
    numbered = prepare(data(write_folder(tmp_path / "numbers", {f"{name}/0.png": png(name) for name in (10, 9, 2)})))
    assert (
        numbered.classes == ("2", "9", "10") and numbered.labels is not None and numbered.labels.tolist() == [2, 0, 1]
    )  # Files go by text: 10, 2, 9.


@pytest.mark.parametrize(
    ("sizes", "wanted", "fit", "resolution"),
    [
        ([(28, 28)] * 3, None, "crop", 28),
        ([(8, 8)] * 3, None, "crop", 8),
        ([(64, 64)] * 3, None, "crop", 64),
        ([(100, 100)] * 3, None, "crop", 64),
        ([(40, 90)] * 3, None, "crop", 32),
        ([(40, 90)] * 3, None, "pad", 64),
        ([(5, 6)] * 3, None, "crop", 8),
        ([(20, 20), (20, 20), (300, 300)], None, "crop", 16),
        ([(100, 100)] * 3, 100, "crop", 100),
        ([(20, 20), (50, 50)], 50, "crop", 50),
    ],
)
def test_resolution(sizes: list[tuple[int, int]], wanted: int | None, fit: str, resolution: int, tmp_path: Path) -> None:
    contents = {f"{index}.png": encoded(pixels(index, height, width)) for index, (height, width) in enumerate(sizes)}
    made = prepare(data(write_folder(tmp_path / "in", contents), resolution=wanted, fit=fit))
    assert made.resolution == resolution and made.pictures.shape[1:3] == (resolution, resolution)


def test_a_resolution_larger_than_the_pictures(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", files(5, 24))
    with pytest.raises(DataError, match=r"median side is 24; set data\.resolution = 24"):
        prepare(data(folder, resolution=32))
    report = look(data(folder, resolution=32))
    assert report.resolution is None and "median side is 24" in report.warnings[0]


def test_channels(tmp_path: Path) -> None:
    gray = np.repeat(pixels(1, 12, depth=1), 3, 2)
    clear = pixels(2, 12, depth=4)
    solid = np.dstack([pixels(3, 12), np.full((12, 12, 1), 255, np.uint8)])
    sets = {
        "gray": [gray, 255 - gray],
        "colour": [gray, solid, pixels(4, 12)],
        "alpha": [clear, solid, clear[::-1], gray],
    }
    for channels, pictures in sets.items():
        folder = write_folder(tmp_path / channels, {f"{index}.png": encoded(array) for index, array in enumerate(pictures)})
        made = prepare(data(folder))
        assert made.channels == channels and made.pictures.shape[3] == {"gray": 1, "colour": 3, "alpha": 4}[channels]
        assert prepare(data(folder, channels="gray")).pictures.shape[3] == 1


@pytest.mark.parametrize(
    ("contents", "reason"),
    [
        ({}, "it is empty"),
        ({"a.txt": "x", "b.txt": "y", "c.pdf": "z"}, r"only 3 other files \(\.txt, \.pdf\)"),
        ({"a.png": png(1)}, "at least two different pictures; .* holds one"),
        ({"a.png": png(1), "b.png": png(1)}, "holds 2, of which 1 is different"),
        ({"a.png": png(1), "b.bmp": encoded(pixels(1), "BMP")}, "look the same at 24 pixels"),
        ({"a.png": b"x", "b.png": png(1)[:60]}, "none of the 2 pictures in .* can be read; the first is a.png"),
    ],
)
def test_what_cannot_be_learnt_from(contents: dict, reason: str, tmp_path: Path, own_cache: Path) -> None:
    with pytest.raises(DataError, match=reason):
        prepare(data(write_folder(tmp_path / "in", contents)))
    assert not list(own_cache.glob("set-*")) and not list(own_cache.glob("*.part"))


# Held out


def test_copies_stay_on_one_side(tmp_path: Path) -> None:
    contents = {}
    for seed in range(40):
        image = picture(seed, 64)
        contents[f"{seed}.png"] = encoded(image)
        contents[f"z{seed}.jpg"] = encoded(image.resize((48, 48)), "JPEG", quality=60)
        contents[f"y{seed}.png"] = encoded(ImageEnhance.Brightness(image).enhance(1.05))
        contents[f"x{seed}.png"] = encoded(image)
    made = prepare(data(write_folder(tmp_path / "in", contents), held_out=0.25))
    names = made.names()
    number = [int("".join(filter(str.isdigit, name))) for name in names]
    held = {number[index] for index in made.held_out}
    assert len(made.held_out) == 40 and len(held) == 10
    assert not held & {number[index] for index in made.train}
    assert sorted([*made.train, *made.held_out]) == list(range(160))
    report = look(data(tmp_path / "in"))
    assert report.duplicates == 40 and report.near_duplicates == 120
    assert report.near_duplicate_examples and "0.png" in report.duplicate_examples[0]


def test_the_split_of_the_source_is_kept(tmp_path: Path) -> None:
    contents = {**{f"train/{name}": value for name, value in files(4).items()}, "test/a.png": png(50), "test/b.png": png(0)}
    made = prepare(data(write_folder(tmp_path / "in", contents), held_out=0.5))
    assert made.held_out.tolist() == [0, 1] and made.train.tolist() == [2, 3, 4, 5]
    assert made.across == 1
    assert any("near-duplicate among those to train on" in warning for warning in look(data(tmp_path / "in")).warnings)


def test_the_split_is_stable() -> None:
    names = [f"{index}.png" for index in range(200)]
    near = np.arange(200)
    _, held = choose_split(names, near, None, 0.1, 3)
    assert len(held) == 20 and np.array_equal(held, choose_split(names, near, None, 0.1, 3)[1])
    assert not np.array_equal(held, choose_split(names, near, None, 0.1, 4)[1])
    _, more = choose_split([*names, "new.png", "newer.png"], np.arange(202), None, 0.1, 3)
    assert len(set(held) & set(more)) >= 18
    assert len(choose_split(names[:19], near[:19], None, 0.1, 3)[1]) == 0
    assert len(choose_split(names[:20], near[:20], None, 0.01, 3)[1]) == 1
    assert len(choose_split(names, near, None, 0.0, 3)[1]) == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=20, max_size=60), st.floats(0.01, 0.5), st.integers(0, 5))
def test_any_split_keeps_groups_whole(groups: list[int], part: float, seed: int) -> None:
    near = np.array(groups)
    train, held = choose_split([str(index) for index in range(len(groups))], near, None, part, seed)
    assert sorted([*train, *held]) == list(range(len(groups))) and len(train) > 0
    assert not set(near[train]) & set(near[held])
    assert len(held) > 0 or len(set(groups)) == 1


# Duplicates


def thumbnails(pictures: list[Image.Image]) -> np.ndarray:
    return np.stack([np.frombuffer(thumbnail_of(picture), np.uint8).reshape(SIDE, SIDE, 3) for picture in pictures])


def test_changed_copies_are_found_and_others_are_not() -> None:
    originals = [picture(seed, 96) for seed in range(60)]
    changes = {
        "smaller": lambda image: image.resize((61, 61)),
        "jpeg": lambda image: Image.open(io.BytesIO(encoded(image, "JPEG", quality=40))),
        "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.06),
        "flatter": lambda image: ImageEnhance.Contrast(image).enhance(0.9),
    }
    for name, change in changes.items():
        left, right = near_pairs(thumbnails(originals + [change(image) for image in originals]))
        assert (right - left == 60).all(), name
        assert len(left) >= 58, name


def test_handwritten_digits_are_not_chained() -> None:
    from sklearn.datasets import load_digits

    pictures = [array_picture(digit) for digit in np.round(load_digits().images * 255 / 16).astype(np.uint8)[..., None]]
    exact, near = group([str(index) for index in range(len(pictures))], thumbnails(pictures))
    assert len(set(exact.tolist())) == 1797 and len(set(near.tolist())) >= 1790 and np.bincount(near).max() <= 3


def test_crowded_buckets_are_bounded() -> None:
    """30,000 pictures of one hash: work grows with their number, not with its square."""
    random = np.random.default_rng(0)
    flat = random.integers(0, 256, (30_000, 1, 1, 1)) + random.integers(-1, 2, (30_000, SIDE, SIDE, 1))
    left, right = near_pairs(np.broadcast_to(flat.clip(0, 255).astype(np.uint8), (30_000, SIDE, SIDE, 3)))
    assert len(left) < 30_000 * 100 and (left < right).all()


def test_groups_are_numbered_as_they_come() -> None:
    exact, near = group(["b", "a", "b", "c"], thumbnails([picture(seed) for seed in (1, 2, 1, 1)]))
    assert exact.tolist() == [0, 1, 0, 2] and near.tolist() == [0, 1, 0, 0]
    assert group([], np.zeros((0, SIDE, SIDE, 3), np.uint8))[0].tolist() == []
    assert group(["a"], thumbnails([picture(1)]))[1].tolist() == [0]


# The cache


def forbidden(*_: object, **__: object) -> None:
    raise AssertionError("decoded again")


def test_the_second_call_decodes_nothing(tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_folder(tmp_path / "in", files(30))
    report = look(data(folder))
    monkeypatch.setattr("fenshen.data.scan.read_picture", forbidden)
    first = prepare(data(folder))
    assert report.count == len(first.pictures) and report.held_out == len(first.held_out)
    monkeypatch.setattr(PREPARE, "read_picture", forbidden)
    again = prepare(data(folder), seed=9)
    assert again.fingerprint == first.fingerprint and np.array_equal(again.pictures, first.pictures)
    assert not np.array_equal(again.held_out, first.held_out)
    assert look(data(folder)) == report
    assert stat.S_IMODE(own_cache.stat().st_mode) == 0o700
    assert {stat.S_IMODE(entry.stat().st_mode) for entry in own_cache.iterdir() if entry.is_dir()} == {0o700}


def test_a_change_of_files_or_options_is_noticed(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", files(5))
    prints = [prepare(data(folder)).fingerprint]
    prints.append(prepare(data(folder, resolution=16)).fingerprint)
    prints.append(prepare(data(folder, channels="gray")).fingerprint)
    (folder / "000.png").write_bytes(png(99))
    prints.append(prepare(data(folder)).fingerprint)
    (folder / "000.png").rename(folder / "renamed.png")
    prints.append(prepare(data(folder)).fingerprint)
    assert len(set(prints)) == 5


def test_delete_removes_what_belongs_to_a_fingerprint(tmp_path: Path, own_cache: Path) -> None:
    kept = prepare(data(write_folder(tmp_path / "kept", files(3))))
    gone = prepare(data(write_folder(tmp_path / "gone", files(4))))
    assert cache.delete(gone.fingerprint) > 4 * 24 * 24 * 3
    assert cache.delete("unknown") == 0
    assert sorted(entry.name[:4] for entry in own_cache.iterdir() if entry.is_dir()) == ["scan", "set-"]
    assert np.array_equal(prepare(data(tmp_path / "kept")).pictures, kept.pictures)


def test_leftovers_are_cleaned_but_not_those_of_the_living(own_cache: Path) -> None:
    own_cache.mkdir()
    write_folder(own_cache / "set-dead.part", {"pictures.u8": b"x"})
    write_folder(own_cache / "set-alive.part", {"pictures.u8": b"x"})
    with cache._locked("set-alive"):
        cache.obtain("set-new", lambda folder: None)
        assert sorted(entry.name for entry in own_cache.iterdir() if entry.is_dir()) == ["set-alive.part", "set-new"]


def test_entries_are_on_the_disk_before_they_appear(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("FENSHEN_CACHE", str(own_cache))
    synced = []
    monkeypatch.setattr("os.fsync", lambda handle: synced.append(sorted(entry.name for entry in own_cache.iterdir() if entry.is_dir())))
    folder = cache.obtain("set-new", lambda part: (part / "a").write_text("x") and None)
    assert synced == [["set-new.part"]] * 2 and (folder / "a").read_text() == "x"


def test_a_full_disk(tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_folder(tmp_path / "in", files(5))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(PREPARE, "_write_manifest", full)
        with pytest.raises(OutOfSpaceError, match="FENSHEN_CACHE"):
            prepare(data(folder))
    assert not list(own_cache.glob("set-*"))
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1 << 20))
        with pytest.raises(OutOfSpaceError, match="has 1 MB free"):
            prepare(data(folder))
    assert len(prepare(data(folder)).pictures) == 5


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("FENSHEN_CACHE", str(tmp_path / "file/cache"))
    with pytest.raises(FenshenError, match="set FENSHEN_CACHE"):
        prepare(data("digits"))


def test_pictures_that_change_while_they_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_folder(tmp_path / "in", files(5))

    def then_change(*args: object) -> object:
        found = scan(*args)  # type: ignore[arg-type]
        (folder / "003.png").write_bytes(png(77))
        return found

    monkeypatch.setattr(PREPARE, "scan", then_change)
    with pytest.raises(DataError, match=r"003\.png .* changed while it was being read"):
        prepare(data(folder))


def _prepare_in_process(source: str, start: object, results: object) -> None:
    start.wait()  # type: ignore[attr-defined]
    made = prepare(Data(source=source))
    results.put((made.fingerprint, int(made.pictures.astype(np.int64).sum())))  # type: ignore[attr-defined]


def test_two_processes_prepare_at_once(tmp_path: Path, own_cache: Path) -> None:
    folder = write_folder(tmp_path / "in", files(40))
    context = multiprocessing.get_context("fork")
    start, results = context.Event(), context.Queue()
    processes = [context.Process(target=_prepare_in_process, args=(str(folder), start, results)) for _ in range(3)]
    for process in processes:
        process.start()
    start.set()
    answers = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert len(set(answers)) == 1
    assert len(list(own_cache.glob("set-*"))) == 1 and not list(own_cache.glob("*.part"))


def test_what_was_chosen_and_is_named_later_is_not_prepared_again(tmp_path: Path, own_cache: Path) -> None:
    folder, said = write_folder(tmp_path / "in", files(5)), []
    chosen = prepare(data(folder))
    named = prepare(data(folder, resolution=chosen.resolution, channels=chosen.channels), say=said.append)
    assert not said and named.fingerprint == chosen.fingerprint and np.array_equal(named.pictures, chosen.pictures)
    assert len(list(own_cache.glob("set-*"))) == 1
    assert prepare(data(folder, resolution=chosen.resolution, channels=chosen.channels, fit="pad")).fingerprint != chosen.fingerprint


def _hang(name: str, building: object) -> None:
    def build(folder: Path) -> None:
        (folder / "half").write_text("x")
        building.set()  # type: ignore[attr-defined]
        time.sleep(60)

    cache.obtain(name, build)


def test_a_killed_preparation_leaves_nothing(own_cache: Path) -> None:
    context = multiprocessing.get_context("fork")
    building = context.Event()
    process = context.Process(target=_hang, args=("set-a", building))
    process.start()
    assert building.wait(30) and (own_cache / "set-a.part/half").exists() and cache.find("set-a") is None
    process.kill()
    process.join()
    folder = cache.obtain("set-a", lambda part: None)
    assert not list(folder.iterdir()) and not list(own_cache.glob("*.part"))


# Looking


def test_look_tells_everything(tmp_path: Path) -> None:
    contents = {f"many/{index:02d}.png": png(index, 40) for index in range(24)} | {"one/a.png": png(90, 400), "one/b.png": png(1)[:40]}
    report = look(data(write_folder(tmp_path / "in", {**contents, "many/x.txt": "", "captions.tsv": "a.png\tan a\n"})))
    assert report.count == 25 and report.widths == (40, 40, 400) and report.formats == {"PNG": 25} and report.modes == {"RGB": 25}
    assert report.labels == {"many": 24, "one": 1} and report.captions == 1 and report.ignored_examples == ["many/x.txt"]
    assert [name for name, _ in report.unreadable] == ["one/b.png"]
    assert (report.resolution, report.channels, report.train, report.held_out) == (32, "colour", 23, 2) and report.resolution_reason
    said = " ".join(report.warnings)
    assert "only 25 different pictures" in said and "uneven: many has 24" in said and "from 40 to 400" in said
    assert json.loads(json.dumps(report.to_dict()))["count"] == 25


def test_look_at_one_picture_warns(tmp_path: Path) -> None:
    report = look(data(write_folder(tmp_path / "in", {"a.png": png(1)})))
    assert report.count == 1 and "at least two different pictures" in report.warnings[0]
    with pytest.raises(DataError, match="it is empty"):
        look(data(write_folder(tmp_path / "nothing", {})))


# Drawing


@pytest.fixture
def small(tmp_path: Path):
    return prepare(data(write_folder(tmp_path / "in", classes(5, 8))))


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 50), st.integers(0, 40), st.integers(0, 40))
def test_any_position_draws_the_same_samples(start: int, first: int, second: int) -> None:
    places = Batches.__new__(Batches)
    places.indices, places.seed = np.arange(7), 5
    places.order = places._order  # type: ignore[method-assign]
    whole = places.places(start, first + second)
    assert np.array_equal(whole, np.concatenate([places.places(start, first), places.places(start + first, second)]))
    assert len(whole) == first + second


def test_every_epoch_draws_every_picture_once(small) -> None:
    batches = Batches(small, np.array([1, 3, 4, 8]), batch=4, seed=0)
    epochs = [batches.places(4 * epoch, 4).tolist() for epoch in range(12)]
    assert all(sorted(epoch) == [0, 1, 2, 3] for epoch in epochs) and len({tuple(epoch) for epoch in epochs}) > 5
    x, labels = batches.draw(0, 11)  # Larger than the set.
    assert x.shape == (11, 8, 8, 3) and x.dtype == torch.uint8 and labels is not None and labels.dtype == torch.int64
    chosen = batches.indices[batches.places(0, 11)]
    assert np.array_equal(x.numpy(), small.pictures[chosen]) and np.array_equal(labels.numpy(), small.labels[chosen])
    assert batches.draw(3)[0].shape[0] == 4 and batches.draw(3, 0)[0].shape[0] == 0


def test_sets_too_large_for_memory_are_read_as_drawn(small, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Batches(small, small.train, batch=3, seed=1)
    monkeypatch.setattr("fenshen.data.batches.MEMORY_LIMIT", 10)
    mapped = Batches(small, small.train, batch=3, seed=1)
    assert held.held is not None and mapped.held is None
    for position in range(0, 30, 3):
        for a, b in zip(held.draw(position), mapped.draw(position), strict=True):
            assert torch.equal(a, b)
    assert not torch.equal(held.draw(0, 10)[0], Batches(small, small.train, batch=3, seed=2).draw(0, 10)[0])


@pytest.mark.slow
def test_many_pictures_stay_out_of_memory(tmp_path: Path) -> None:
    """60,000 pictures of 16 KB decoded (1 GB) in less than 400 MB more."""
    import resource

    path = tmp_path / "big.npz"
    random = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as archive, archive.open("images.npy", "w", force_zip64=True) as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": (20_000, 128, 128, 3)})
        for _ in range(200):
            file.write(random.integers(0, 256, (100, 8, 8, 3), dtype=np.uint8).repeat(16, 1).repeat(16, 2).tobytes())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    made = prepare(data(path, resolution=128))
    assert made.pictures.shape == (20_000, 128, 128, 3)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) < 400 * 1024

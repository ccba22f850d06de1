"""Every kind of source says the same of the same pictures; hostile and broken ones are refused with a reason."""

from __future__ import annotations

import io
import os
import sys
import tarfile
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest
from made import classes, encoded, files, pixels, png, write_folder, write_parquet, write_tar, write_zip

from fenshen.data import open_source
from fenshen.data.listing import labels_and_splits, read_table
from fenshen.errors import DataError, UnreadableError
from fenshen.media.image import read_picture

PACKINGS = {".tar": "", ".tar.gz": "gz", ".tgz": "gz", ".tar.xz": "xz", ".tar.bz2": "bz2"}


def packed(kind: str, path: Path, contents: dict) -> str:
    if kind == "folder":
        return str(write_folder(path / "folder", contents))
    target = path / f"archive{kind}"
    return str(write_zip(target, contents) if kind == ".zip" else write_tar(target, contents, PACKINGS[kind]))


def items(source: object) -> dict[str, tuple]:
    return {item.name: (item.read(), item.label, item.caption, item.split) for item in open_source(str(source)).items()}


@pytest.mark.parametrize("kind", ["folder", ".zip", *PACKINGS])
def test_folders_and_archives_say_the_same(kind: str, tmp_path: Path) -> None:
    contents = {
        **{f"all/{name}": data for name, data in classes().items()},
        "all/captions.tsv": "file\tword\tcaption\ncat/0.png\tx\ta cat\n",
        "all/dog/metadata.jsonl": '{"file_name": "1.png", "text": "a dög"}\nnot json\n',
        "all/notes.txt": "nothing",
        "all/.hidden.png": png(1),
        "__MACOSX/all/cat/._0.png": b"junk",
    }
    source = open_source(packed(kind, tmp_path, contents))
    found = {item.name: (item.read(), item.label, item.caption, item.split) for item in source.items()}
    assert {name: values[0] for name, values in found.items()} == {f"all/{name}": data for name, data in classes().items()}
    assert {values[1] for values in found.values()} == {"cat", "dog"}
    assert found["all/cat/0.png"][2] == "a cat" and found["all/dog/1.png"][2] == "a dög" and found["all/dog/0.png"][2] is None
    assert source.ignored() == ["all/notes.txt"]
    assert open_source(source.where).key() == source.key()


@pytest.mark.parametrize(
    ("names", "labels", "splits"),
    [
        (["a/1.png", "b/2.png"], {"a/1.png": "a", "b/2.png": "b"}, {}),
        (["a/1.png", "b/2.png", "3.png"], {}, {}),
        (["a/1.png", "a/2.png"], {}, {}),
        (["a/x/1.png", "a/y/2.png"], {"a/x/1.png": "x", "a/y/2.png": "y"}, {}),
        (["train/1.png", "test/2.png"], {}, {"train/1.png": "train", "test/2.png": "held_out"}),
        (
            ["d/Train/a/1.png", "d/Train/b/2.png", "d/val/a/3.png"],
            {"d/Train/a/1.png": "a", "d/Train/b/2.png": "b", "d/val/a/3.png": "a"},
            {"d/Train/a/1.png": "train", "d/Train/b/2.png": "train", "d/val/a/3.png": "held_out"},
        ),
        (["train/1.png", "test/2.png", "more/3.png"], {"train/1.png": "train", "test/2.png": "test", "more/3.png": "more"}, {}),
        ([], {}, {}),
    ],
)
def test_labels_and_splits_from_names(names: list[str], labels: dict, splits: dict) -> None:
    assert labels_and_splits(names) == (labels, splits)


def test_tables_of_captions() -> None:
    assert read_table("captions.tsv", "a.png\tX\tan a\r\nb.png\tb\nempty\n") == [("a.png", "an a", ""), ("b.png", "b", "")]
    assert read_table("metadata.csv", 'file_name,text,label\na.png,"one, two",3\n') == [("a.png", "one, two", "3")]
    assert read_table("metadata.jsonl", '{"file": "a.png", "caption": "c"}\n[1]\n\n') == [("a.png", "c", "")]


def test_labels_of_a_table_replace_those_of_folders(tmp_path: Path) -> None:
    write_folder(tmp_path, {**classes(2), "metadata.csv": "file_name,label\n0.png,ambiguous\ncat/0.png,A\ncat/1.png,B\ndog/0.png,A\ndog/1.png,B\n"})
    assert [values[1] for values in items(tmp_path).values()] == ["A", "B", "A", "B"]


def test_captions_by_bare_name(tmp_path: Path) -> None:
    write_folder(tmp_path, {**files(2, folder="images/"), "captions.tsv": "000.png\tzero\n../../etc/passwd\tx\n"})
    assert [values[2] for values in items(tmp_path).values()] == ["zero", None]


def test_links_do_not_lead_out_of_a_folder(tmp_path: Path) -> None:
    outside = write_folder(tmp_path / "outside", files(2))
    inside = write_folder(tmp_path / "inside", {"a.png": png(5)})
    (inside / "out.png").symlink_to(outside / "000.png")
    (inside / "folder").symlink_to(outside)
    (inside / "in.png").symlink_to(inside / "a.png")
    (inside / "broken.png").symlink_to(inside / "nowhere")
    (inside / "loop").symlink_to(inside)
    os.mkfifo(inside / "pipe.png")
    source = open_source(str(inside))
    assert [item.name for item in source.items()] == ["a.png", "in.png"]
    assert sorted(source.ignored()) == ["broken.png", "out.png", "pipe.png"]


def test_files_of_a_folder_do_not_stay_open(tmp_path: Path) -> None:
    write_folder(tmp_path, files(40))
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    kept = [(item, item.read()) for item in open_source(str(tmp_path)).items()]
    assert len(kept) == 40
    if before:
        assert len(os.listdir("/proc/self/fd")) <= before + 1


@pytest.mark.parametrize("name", ["../evil.png", "/etc/evil.png", "a/../../evil.png", "..\\evil.png", "C:\\evil.png"])
@pytest.mark.parametrize("kind", [".zip", ".tar", ".tar.gz"])
def test_paths_that_lead_out_of_an_archive(kind: str, name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"points outside"):
        items(packed(kind, tmp_path, {**files(2), name: png(9)}))


def test_links_in_archives(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        info = tarfile.TarInfo("a.png")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(info)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as zipped:
        link = zipfile.ZipInfo("a.png")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        zipped.writestr(link, "/etc/passwd")
    for name in ("a.tar", "a.zip"):
        with pytest.raises(DataError, match="is a link"):
            items(tmp_path / name)


def test_decompression_bombs(tmp_path: Path) -> None:
    zeros = b"\0" * (1 << 20)
    with zipfile.ZipFile(tmp_path / "one.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive, archive.open("a.png", "w") as file:
        for _ in range(150):
            file.write(zeros)
    with zipfile.ZipFile(tmp_path / "many.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for index in range(150):
            archive.writestr(f"{index}.png", zeros)
    with tarfile.open(tmp_path / "one.tar.gz", "w:gz", compresslevel=1) as tar:
        info = tarfile.TarInfo("a.png")
        info.size = 150 << 20
        tar.addfile(info, io.BytesIO(zeros * 150))
    for name in ("one.zip", "many.zip", "one.tar.gz"):
        with pytest.raises(DataError, match="decompression bomb"):
            items(tmp_path / name)


def test_a_member_larger_than_it_declares(tmp_path: Path) -> None:
    """The sizes in a zip's directory are the attacker's words."""
    path = write_zip(tmp_path / "a.zip", {**files(3), "liar.png": encoded(pixels(1, 64))})
    data = bytearray(path.read_bytes())
    start = data.rindex(b"PK\x01\x02", 0, data.rindex(b"liar.png"))
    data[start + 24 : start + 28] = (50).to_bytes(4, "little")
    path.write_bytes(data)
    source = {item.name: item for item in open_source(str(path)).items()}
    assert len(source) == 4
    for item in open_source(str(path)).items():
        if item.name == "liar.png":
            with pytest.raises(UnreadableError):
                read_picture(item.read())


def test_encrypted_and_broken_archives(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "locked.zip", files(2))
    data = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        at = -1
        while (at := data.find(mark, at + 1)) >= 0:
            data[at + offset] |= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match="encrypted"):
        items(path)
    for name, kind in (("a.zip", ".zip"), ("a.tar", ".tar"), ("a.tar.gz", ".tar.gz"), ("a.tar.xz", ".tar.xz")):
        whole = Path(packed(kind, tmp_path, files(6, 64))).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(DataError, match="damaged or cut off"):
            items(tmp_path / name)
        (tmp_path / name).write_bytes(b"")
        with pytest.raises(DataError, match="damaged or cut off"):
            items(tmp_path / name)


def test_one_damaged_member_is_unreadable(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", files(3))
    data = bytearray(path.read_bytes())
    at = data.index(b"001.png") + 60
    data[at] ^= 0xFF
    path.write_bytes(data)
    reasons = []
    for item in open_source(str(path)).items():
        try:
            item.read()
        except UnreadableError as error:
            reasons.append((item.name, str(error)))
    assert len(reasons) == 1 and reasons[0][0] == "001.png" and "damaged" in reasons[0][1]


def test_what_is_not_a_source(tmp_path: Path) -> None:
    (tmp_path / "a.doc").write_text("x")
    (tmp_path / "a.png").write_bytes(png(1))
    for name, reason in (("nowhere", "there is no file or folder"), ("a.doc", "is not data"), ("a.png", "is one picture")):
        with pytest.raises(DataError, match=reason):
            open_source(str(tmp_path / name))


# Arrays


def npz(path: Path, **arrays: object) -> Path:
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]
    return path


BATCH = np.stack([pixels(seed, 9, 11) for seed in range(5)])


@pytest.mark.parametrize(
    ("array", "depth"),
    [
        (BATCH[..., 0], 1),
        (BATCH, 3),
        (BATCH[..., :1], 1),
        (np.moveaxis(BATCH, 3, 1), 3),
        (BATCH / 255, 3),
        ((BATCH / 127.5 - 1).astype(np.float32), 3),
        (BATCH.astype(np.float64), 3),
        (BATCH.astype(np.int64), 3),
        (BATCH.astype(np.uint16) * 257, 3),
        (np.asfortranarray(BATCH), 3),
        ((BATCH / 255).astype(">f2"), 3),
    ],
)
def test_arrays_of_every_layout_and_type(array: np.ndarray, depth: int, tmp_path: Path) -> None:
    source = open_source(str(npz(tmp_path / "a.npz", images=array, labels=np.arange(5))))
    found = list(source.items())
    read = np.stack([item.read() for item in found])
    assert read.dtype == np.uint8 and [item.label for item in found] == list(range(5))
    assert np.abs(read.astype(int) - BATCH[..., :depth]).max() <= (1 if array.dtype == ">f2" else 0)
    assert bool(source.notes()) == (array.dtype != np.uint8 and array.max() != 255)


def test_binary_arrays_become_black_and_white(tmp_path: Path) -> None:
    for array in (BATCH > 127, (BATCH > 127).astype(np.uint8)):
        assert set(np.unique([item.read() for item in open_source(str(npz(tmp_path / "a.npz", images=array))).items()])) == {0, 255}


def test_train_and_test_arrays(tmp_path: Path) -> None:
    path = npz(
        tmp_path / "a.npz", x_train=BATCH, y_train=np.eye(5)[[0, 1, 2, 1, 0]], x_test=BATCH[:2], y_test=np.array([[2], [1]]), extra=np.zeros(1)
    )
    source = open_source(str(path))
    assert [(item.label, item.split) for item in source.items()] == [
        *((label, "train") for label in (0, 1, 2, 1, 0)),
        *((label, "held_out") for label in (2, 1)),
    ]
    assert source.ignored() == ["extra"]
    named = npz(tmp_path / "b.npz", images=BATCH, labels=np.array(list("abcab")))
    assert [item.label for item in open_source(str(named)).items()] == list("abcab")


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"weights": np.zeros((3, 4))}, r"found: weights 3×4 float64"),
        ({"images": np.zeros((3, 4))}, "found: images 3×4"),
        ({"images": np.zeros((0, 4, 4), np.uint8)}, "no pictures"),
        ({"images": np.zeros((2, 8, 8, 7), np.uint8)}, "found: images 2×8×8×7"),
        ({"images": np.array([b"x", {}], dtype=object)}, "Python objects"),
        ({"images": np.full((2, 4, 4), np.nan)}, "are not pictures"),
        ({"images": np.full((2, 4, 4), -300.0)}, "are not pictures"),
        ({"images": np.array(["a", "b"]).reshape(2, 1, 1)}, "found: images 2×1×1 <U1"),
        ({"images": np.zeros((2, 4, 4), np.uint8), "labels": np.zeros(3, int)}, "one whole number or name per picture"),
        ({"images": np.zeros((2, 4, 4), np.uint8), "labels": np.array([0.5, 1])}, "one whole number or name per picture"),
    ],
)
def test_arrays_that_are_no_pictures(arrays: dict, reason: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=reason):
        items(npz(tmp_path / "a.npz", **arrays))


def test_damaged_and_lying_arrays(tmp_path: Path) -> None:
    whole = npz(tmp_path / "a.npz", images=BATCH).read_bytes()
    (tmp_path / "b.npz").write_bytes(whole[:-200])
    with pytest.raises(DataError, match=r"cannot be read as \.npz"):
        items(tmp_path / "b.npz")
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (1 << 40, 64, 64)})
    write_zip(tmp_path / "c.npz", {"images.npy": header.getvalue() + b"\0" * 100})
    with pytest.raises(DataError, match="declares more bytes"):
        items(tmp_path / "c.npz")


def test_digits() -> None:
    found = list(open_source("digits").items())
    assert len(found) == 1797 and {item.label for item in found} == set(range(10))
    first = found[0].read()
    assert isinstance(first, np.ndarray) and first.shape == (8, 8, 1) and first.dtype == np.uint8 and first.max() > 200


# Tables


def test_parquet_as_hugging_face_writes_it(tmp_path: Path) -> None:
    rows = [{"image": {"bytes": png(seed), "path": None}, "label": seed % 2, "text": f"number {seed}"} for seed in range(7)]
    path = write_parquet(tmp_path / "train-0.parquet", rows, ["even", "odd"])
    source = open_source(str(path))
    assert source.classes() == ["even", "odd"]
    found = list(source.items())
    assert [(item.read(), item.label, item.caption, item.split) for item in found] == [
        (png(seed), seed % 2, f"number {seed}", None) for seed in range(7)
    ]
    write_parquet(tmp_path / "test-0.parquet", rows[:2], ["even", "odd"])
    assert [item.split for item in open_source(str(tmp_path)).items()] == ["held_out"] * 2 + ["train"] * 7


def test_plain_parquet_and_what_is_none(tmp_path: Path) -> None:
    rows = [{"picture": png(1), "label": "a"}, {"picture": None, "label": "b"}]
    found = list(open_source(str(write_parquet(tmp_path / "a.parquet", rows))).items())
    assert found[0].read() == png(1) and [item.label for item in found] == ["a", "b"]
    with pytest.raises(UnreadableError, match="holds no picture"):
        found[1].read()
    with pytest.raises(DataError, match="found: x, y"):
        items(write_parquet(tmp_path / "b.parquet", [{"x": 1, "y": "z"}]))
    (tmp_path / "c.parquet").write_bytes(b"PAR1 no PAR1")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        items(tmp_path / "c.parquet")


# The hub


def fake_hub(monkeypatch: pytest.MonkeyPatch, folder: Path) -> list[dict]:
    asked: list[dict] = []

    class HfApi:
        def list_repo_files(self, name: str, **options: object) -> list[str]:
            if name != "me/set":
                raise RuntimeError("404\nnot found")
            return [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]

    def snapshot_download(name: str, **options: object) -> str:
        asked.append({"name": name, **options})
        return str(folder)

    module = types.ModuleType("huggingface_hub")
    module.HfApi, module.snapshot_download = HfApi, snapshot_download  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)
    return asked


def test_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = write_folder(tmp_path / "blobs", files(3))
    snapshot = write_folder(tmp_path / "snapshot", {"README.md": "about"})
    for name in files(3):  # The hub's cache is made of links.
        (snapshot / name).symlink_to(blobs / name)
    asked = fake_hub(monkeypatch, snapshot)
    assert sorted(items("hf://me/set@main")) == sorted(files(3))
    assert asked[0]["name"] == "me/set" and asked[0]["revision"] == "main" and "README.md" not in asked[0]["allow_patterns"]
    write_parquet(snapshot / "data/a.parquet", [{"image": {"bytes": png(8), "path": "x"}}])
    items("hf://me/set")
    assert asked[1]["allow_patterns"] == ["data/a.parquet"]
    with pytest.raises(DataError, match=r"cannot be downloaded \(404\)"):
        items("hf://me/other")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(DataError, match=r"pip install 'fenshen\[hub\]'"):
        items("hf://me/set")

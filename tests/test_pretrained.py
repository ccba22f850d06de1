"""A run that goes on from a language model in a folder: that it is that model, what is kept of it, and what is refused."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from borrowed import model_folder, rewrite, transformers
from made import write_folder
from test_training import StopAfter
from written import ENGLISH, story

import fenshen
from fenshen.errors import FenshenError, RecipeError, RunFolderError
from fenshen.families.autoregressive import LanguageModel
from fenshen.media.folder import ModelFolder
from fenshen.nets.borrowed import Borrowed, read_body
from fenshen.run import read_tensors
from fenshen.shaping import Shape
from fenshen.space import END
from fenshen.training.session import Stop, Watcher

FAST = {"train.batch": 4, "train.threads": 1, "train.precision": "fp32", "train.ticks": 1, "model.context": 32, "evaluate.report": False}
KIMG = 0.04
LEARNT = ("lora_A", "lora_B", "trainable_tokens_delta")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model_folder(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("words"), {"book.txt": "\n\n".join(map(story, range(24)))}) / "book.txt"


@pytest.fixture(scope="module")
def run(book: Path, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> fenshen.Run:
    changes = FAST | {"model.start": str(folder), "data.unit": "poem"}
    return fenshen.train(book, kimg=KIMG, changes=changes, out=tmp_path_factory.mktemp("module") / "run")


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_it_is_the_model_in_the_folder(kind: str, tmp_path: Path) -> None:
    """The same logits for the same text, read at once or token by token, before anything is learnt."""
    start = model_folder(tmp_path / kind, kind)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(start, local_files_only=True).eval()
    folder = ModelFolder(start)
    alphabet = folder.alphabet(("<speaker:Bo>",))
    net = Borrowed("", alphabet.size, 64, 4, 0.0, start, folder.sha256).eval()
    ids = alphabet.encode(ENGLISH)[:50]
    ours_1L, theirs_1L = torch.tensor([[END, *ids]]), torch.tensor([[1, *alphabet.borrowed_ids[ids - alphabet.first]]])
    found, wanted = net(ours_1L), theirs(input_ids=theirs_1L).logits
    assert torch.equal(found[..., alphabet.first :], wanted[..., alphabet.borrowed_ids]), "tokens in our order"
    assert torch.equal(found[..., END], wanted[..., 0]) and (found[..., alphabet.UNKNOWN] == -torch.inf).all()
    memory = net.begin()
    parts = torch.cat([net(part, memory) for part in ours_1L.split([1, 20, 30], 1)], 1)
    torch.testing.assert_close(parts, found, rtol=0, atol=1e-5)
    assert net(torch.tensor([ids[:40].tolist()]), memory).shape == (1, 40, alphabet.size), "past its context it reads the latter half anew"


def test_nobody_is_asked_for_anything(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even where the library is free to reach for the network."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("socket.getaddrinfo", lambda *asked, **_: pytest.fail(f"asked for {asked[0]}"))
    found = ModelFolder(folder)
    assert read_body(found, found.alphabet().size).config.model_type == "gpt2"


def test_tokens_spell_the_text(folder: Path) -> None:
    """Whatever stands in it; what would end a text is text there, and a tag is one token."""
    alphabet = ModelFolder(folder).alphabet(("<speaker:Bo>",))
    text = "Once <|end|> héllo\n\n早上 <speaker:Bo>yes\0"
    ids = alphabet.encode(text)
    assert alphabet.decode(ids) == text and 2 in ids and ids.min() > 1 and len(alphabet.encode(" morning")) == 1
    assert type(alphabet).from_state(alphabet.state()) == alphabet


@pytest.mark.parametrize("rank", [4, pytest.param(0, marks=pytest.mark.slow)])
def test_five_and_five_steps_are_ten(rank: int, folder: Path, book: Path, tmp_path: Path) -> None:
    wishes = {"kimg": KIMG, "changes": FAST | {"model.start": str(folder), "model.rank": rank, "train.ticks": 2}}
    whole = fenshen.train(book, out=tmp_path / "whole", **wishes)
    stop = Stop()
    part = fenshen.train(book, out=tmp_path / "part", stop=stop, watcher=StopAfter(stop, 1), **wishes)
    assert stop.signal == signal.SIGINT
    fenshen.resume(part.path)
    assert whole.folder.weights.read_bytes() == part.folder.weights.read_bytes()


def test_only_what_is_learnt_is_kept(run: fenshen.Run, folder: Path) -> None:
    tensors, header = read_tensors(run.folder.weights)
    assert all(any(part in name for part in LEARNT) for name in tensors) and any("lora_B" in name and bool(t.any()) for name, t in tensors.items())
    assert header["model"]["sha256"] == ModelFolder(folder).sha256 and header["model"]["start"] == str(folder)
    writer = run.folder.load_writer()[0]
    assert isinstance(writer, LanguageModel) and len(list(writer.buffers())) > len(tensors), "the rest comes from the folder"


def test_it_learns(folder: Path, book: Path, tmp_path: Path) -> None:
    told: list[str] = []
    watcher = Watcher()
    watcher.said = told.append  # type: ignore[method-assign]
    changes = FAST | {"model.start": str(folder), "model.rank": 0, "train.lr": 0.003}
    run = fenshen.train(book, kimg=0.16, changes=changes, watcher=watcher, out=tmp_path / "run")
    before = next(float(said.split()[-4]) for said in told if said.startswith("before training"))
    assert before > 5.9 and run.log()[-1]["held_out/nats"] < 5.5, "about log 400 at first"


def test_what_is_learnt_whole_needs_the_folder_no_more(book: Path, tmp_path: Path) -> None:
    start = model_folder(tmp_path / "model")
    run = fenshen.train(book, kimg=KIMG, changes=FAST | {"model.start": str(start), "model.rank": 0}, out=tmp_path / "run")
    before = run.write(2, "The", max_chars=20).texts
    shutil.rmtree(start)
    assert run.write(2, "The", max_chars=20).texts == before
    with pytest.raises(RecipeError, match="has been moved"):
        run.evaluate()


def test_a_folder_that_moved_or_changed(book: Path, tmp_path: Path) -> None:
    start = model_folder(tmp_path / "model")
    run = fenshen.train(book, kimg=KIMG, changes=FAST | {"model.start": str(start)}, out=tmp_path / "run")
    text = run.write(1, "The", max_chars=20).texts
    start.rename(tmp_path / "away")
    Borrowed.__init__.__globals__["body_of"].cache_clear()
    with pytest.raises(RecipeError, match=r"has been moved: there is no config\.json"):
        run.write(1)
    start.symlink_to(tmp_path / "away")
    assert run.write(1, "The", max_chars=20).texts == text
    start.unlink()
    shutil.copytree(tmp_path / "away", start)
    weights = bytearray((start / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (start / "model.safetensors").write_bytes(weights)
    Borrowed.__init__.__globals__["body_of"].cache_clear()
    with pytest.raises(RunFolderError, match="is not the one that this run goes on from"):
        run.write(1)


def test_it_writes_is_measured_and_audited(run: fenshen.Run) -> None:
    assert run.write(33, "In the", seed=1, max_chars=10).texts[:3] == run.write(3, "In the", seed=1, max_chars=10).texts
    heard: list[str] = []
    (text,) = run.write(1, "In the", max_chars=30, temperature=0.0, stop=["\n"], spoken=lambda _, characters: heard.append(characters)).texts
    assert len(text) == 30 and "".join(heard).startswith(text[:20]), "the last character may be half"
    assert run.write(1, shape=Shape(lines=2), max_chars=2000).texts[0].count("\n") == 1
    with pytest.raises(RecipeError, match="writes byte pieces"):
        run.write(1, shape=Shape(form="qiyan"))
    assert any("counting" in said for said in run.evaluate(8).verdict) and run.audit().attacks
    with pytest.raises(RunFolderError, match="no ONNX form"):
        run.export(to=["onnx"])
    assert "somebody else trained, tiny" in (run.export(to=["card"]).path / "card.md").read_text()


def test_speakers_become_tokens(folder: Path, tmp_path: Path) -> None:
    rows = "speaker,text\n" + "".join(f"{'Anna' if n % 2 else 'Bo'},{story(n, 2)}\n" for n in range(60))
    chat = write_folder(tmp_path / "in", {"chat.csv": rows}) / "chat.csv"
    run = fenshen.train(chat, kimg=KIMG, changes=FAST | {"model.start": str(folder), "train.lr": 0.02}, out=tmp_path / "run")
    delta = read_tensors(run.folder.weights)[0]["net.body.transformer.wte.token_adapter.trainable_tokens_delta.default"]
    assert delta.shape == (3, 32) and len(set(map(float, delta.sum(1)))) == 3, "END and two names, each on its own way"
    assert run.talk("Bo").say("In the morning")


@pytest.mark.parametrize(("harm", "said"), [
    (lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"), r"no \*\.safetensors in it"),
    (lambda folder: (folder / "tokenizer.json").write_text('{"model": {"type": "Unigram"}}'), "are not byte pieces"),
    (lambda folder: (folder / "tokenizer.json").write_text("{"), r"tokenizer\.json cannot be read"),
    (lambda folder: rewrite(folder / "config.json", eos_token_id=None, bos_token_id=None), "which token ends a text"),
    (lambda folder: rewrite(folder / "config.json", quantization_config={"bits": 4}), "compressed weights"),
    (lambda folder: rewrite(folder / "config.json", model_type="own", auto_map={"AutoConfig": "own.Own"}), "cannot be read"),
    (lambda folder: (folder / "model.safetensors").write_bytes(b"no"), "cannot be read"),
])  # fmt: skip
def test_folders_that_are_of_no_use(harm: Callable[[Path], object], said: str, book: Path, tmp_path: Path) -> None:
    harm(model_folder(tmp_path / "model"))
    with pytest.raises(FenshenError, match=said):
        fenshen.train(book, kimg=KIMG, changes=FAST | {"model.start": str(tmp_path / "model")})


def test_wishes_that_do_not_fit(folder: Path, book: Path) -> None:
    for changes, said in [
        ({"model.start": str(folder), "model.context": 65}, "reads at most 64"), ({"model.start": str(folder), "model.width": 64}, "leave them out"),
        ({"model.start": str(folder), "data.vocabulary": 300}, "leave them out"), ({"model.start": ""}, "name the folder"),
    ]:  # fmt: skip
        with pytest.raises(FenshenError, match=said):
            fenshen.train(book, kimg=KIMG, changes=FAST | changes)

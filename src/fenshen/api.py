"""The same as the command line, from Python: `fenshen.train(...)`, `fenshen.load(...)`, `run.generate(...)`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from fenshen.chatting import Talk
from fenshen.control import directions, editing, explain, moving
from fenshen.control.answer import Answer
from fenshen.control.hand import Hand
from fenshen.control.hand import Stop as Place
from fenshen.control.inversion import Search
from fenshen.data import Glanced, Report, WordsReport, kind_of, look_words
from fenshen.data import glance as glance_at
from fenshen.data import look as look_at
from fenshen.errors import DataError, RecipeError
from fenshen.evaluate.adapted import Distances, distances
from fenshen.evaluate.audit import Audit, audit
from fenshen.evaluate.comparison import Comparison
from fenshen.evaluate.comparison import compare as compare_runs
from fenshen.evaluate.critic import gate, text_gate
from fenshen.evaluate.report import Evaluation, evaluate
from fenshen.evaluate.restored import evaluate_restoring
from fenshen.evaluate.text_audit import audit_words
from fenshen.evaluate.text_report import evaluate_words
from fenshen.evaluate.text_subject import texts_of
from fenshen.exporting.export import Exported, Part
from fenshen.exporting.export import export as export_parts
from fenshen.generate import Order, drawn, find_label
from fenshen.keeping import packing
from fenshen.keeping import runs as keeping
from fenshen.keeping.runs import Deleted
from fenshen.measure.verbatim import Corpus
from fenshen.narrate import Telling
from fenshen.recipe import Data, Ngram, Pretrained, Recipe, Restoring, TextGan, Wording, load_recipe
from fenshen.restoring import restored, restorer_of, sources
from fenshen.run import RunFolder, list_runs
from fenshen.sampling import Controls
from fenshen.shaping import LONGEST_JSON, Shape
from fenshen.telling import Author, Spoken
from fenshen.training import session
from fenshen.training.adapting import adaptation
from fenshen.training.borrowing import folder_of
from fenshen.training.counting import count as count_words
from fenshen.training.counting import refuse_plan
from fenshen.training.plan import pick_device
from fenshen.training.session import Plan, Stop, Watcher
from fenshen.training.wishes import read_wishes, teach
from fenshen.tuning import search
from fenshen.tuning.search import Tuned
from fenshen.writing import stamp_of, write_grid, write_npz, write_texts

__all__ = [
    "Answer",
    "Audit",
    "Comparison",
    "Deleted",
    "Distances",
    "Evaluation",
    "Exported",
    "Glanced",
    "Pictures",
    "Plan",
    "Report",
    "Run",
    "Search",
    "Stop",
    "Tuned",
    "Watcher",
    "Words",
    "WordsReport",
    "adapt",
    "compare",
    "describe_recipe",
    "glance",
    "load",
    "look",
    "plan",
    "resume",
    "runs",
    "train",
    "tune",
    "unpack",
]


@dataclass(frozen=True)
class Pictures:
    """Made pictures: `images` uint8 (N, H, W, C), `labels` int64 (N) or None, `classes` their names, `run` that made them."""

    images: np.ndarray
    labels: np.ndarray | None
    classes: tuple[str, ...]
    run: str = ""

    def save(self, path: str | os.PathLike[str]) -> Path:
        """A grid of all of them (.png, .webp), or their arrays (.npz: `images`, and `labels` where there are any)."""
        path, stamp, stream = Path(path), stamp_of(self.run), [(self.images, self.labels)]
        if path.suffix.lower() == ".npz":
            write_npz(iter(stream), path, len(self.images), stamp)
        else:
            write_grid(iter(stream), path, None, len(self.images), stamp)
        return path


@dataclass(frozen=True)
class Words:
    """Written texts, each with the `prompt` that it goes on from; `run` that wrote them."""

    texts: tuple[str, ...]
    prompt: str = ""
    run: str = ""

    def save(self, path: str | os.PathLike[str]) -> Path:
        """All of them, one after the other (.txt), or one object each, `{"prompt": …, "text": …}` (.jsonl). RecipeError for another ending."""
        return write_texts([(self.prompt, text) for text in self.texts], Path(path), stamp_of(self.run))


@dataclass(frozen=True)
class Run:
    """A trained run: its folder, and what can be done with it."""

    folder: RunFolder

    @property
    def path(self) -> Path:
        return self.folder.path

    @property
    def recipe(self) -> Recipe:
        return self.folder.recipe()

    def log(self) -> list[dict[str, Any]]:
        """One dict per tick."""
        return self.folder.log()

    def stream(
        self, count: int, seed: int = 0, label: str | None = None, truncation: float = 1.0, *, by_class: bool = False, keep: float = 1.0,
        codes: dict[str, float] | None = None, by_code: str | None = None, prior: str | None = None, device: str = "auto",
    ) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """Batches of pictures uint8 (B, H, W, C) and labels, so that any count fits into memory. As `generate` otherwise."""
        drawing = self.draw(count, seed, label, truncation, by_class=by_class, keep=keep, codes=codes, by_code=by_code, prior=prior, device=device)
        return ((pictures, labels) for pictures, labels, _ in drawing)

    def draw(
        self, count: int, seed: int = 0, label: str | None = None, truncation: float = 1.0, *, by_class: bool = False, keep: float = 1.0,
        codes: dict[str, float] | None = None, by_code: str | None = None, prior: str | None = None, device: str = "auto",
    ) -> Iterator[tuple[np.ndarray, np.ndarray | None, Tensor]]:  # fmt: skip
        """As `stream`, with the noise z_BD that each picture is made of: a `hand` finds its place by it."""
        if count < 1:
            raise RecipeError("--count {count}: at least 1", count=count)
        if not 0 <= truncation <= 2:
            raise RecipeError("--truncation {value}: between 0 (all alike) and 2, 1 changes nothing", value=truncation)
        if not 0.01 <= keep <= 1:
            raise RecipeError("--keep {value}: between 0.01 and 1, the part of what is drawn that is kept", value=keep)
        if by_code and keep < 1:
            raise RecipeError("--by-code and --keep exclude each other: leave one of them out")
        where = str(pick_device(device))
        sampler, made, _ = self.folder.load_sampler(where)
        if prior is not None:
            sampler.choose(prior)
        order = Order(count, seed, None if label is None else find_label(label, made), truncation, by_class, keep, codes or {}, by_code)
        return drawn(sampler, made, order, where, gate(self.folder, self.recipe, made, where) if keep < 1 else None)

    def generate(
        self, count: int = 64, seed: int = 0, label: str | None = None, truncation: float = 1.0, *, by_class: bool = False, keep: float = 1.0,
        codes: dict[str, float] | None = None, by_code: str | None = None, prior: str | None = None,
    ) -> Pictures:  # fmt: skip
        """`count` new pictures. The same seed gives the same pictures, whatever the count; `truncation` < 1: typical, less various.

        `keep` < 1: so much more is drawn, and the part that the critic finds most real is kept. `codes`: information codes to set,
        `{"categorical": 3}`; `by_code`: one whose values follow each other while all else stays the same. `prior`: of a run with an
        encoder, "mixture" or "normal", what latents are drawn from.
        """
        _, made, _ = self.folder.load_sampler()
        parts = list(self.stream(count, seed, label, truncation, by_class=by_class, keep=keep, codes=codes, by_code=by_code, prior=prior))
        labels = [part for _, part in parts if part is not None]
        told = np.concatenate(labels) if labels and not made.grouped else None
        return Pictures(np.concatenate([images for images, _ in parts]), told, made.classes, self.path.resolve().name)

    def author(self, device: str = "auto") -> Author:
        """What writes, of a run of words. RunFolderError for another run."""
        return Author.open(self.folder, str(pick_device(device)))

    def write(
        self, count: int = 1, prompt: str = "", seed: int = 0, *, tags: Sequence[str] = (), max_chars: int = 1000, stop: Sequence[str] = (),
        temperature: float | None = None, top_k: int = 0, top_p: float = 1.0, min_p: float = 0.0, repetition: float = 1.0,
        shape: Shape | None = None, like: Sequence[str] = (), far: float = 0.5, keep: float = 1.0, spoken: Spoken | None = None,
        device: str = "auto",
    ) -> Words:  # fmt: skip
        """`count` new texts that go on from `prompt`, each until it ends by itself, at `stop` or after `max_chars`.

        The same seed writes the same texts, whatever the count. `tags`: what a text is said to be, by name. The other wishes as of
        `fenshen.sampling.Controls`. `shape`: what the texts must be like; `max_chars` does not cut JSON.
        `like`, of a run with latents: texts around this one, the further the larger `far` (0 to 1), or on the way from one to the next.
        `keep` < 1, of a run with a critic: each text is the one that it finds most real of so many more.
        `temperature`: None is 1, and with `keep` that of the texts from which the critic has learnt to judge.
        `spoken(index, characters)` is told of each text as it grows.
        """
        if count < 1:
            raise RecipeError("--count {count}: at least 1", count=count)
        temperature = self.usual_temperature(keep) if temperature is None else temperature
        author, controls = self.author(device), Controls(temperature, top_k, top_p, min_p, repetition)
        shape = shape or Shape()
        tokens, max_chars = author.prompt(prompt, tags), max_chars if shape.schema is None else LONGEST_JSON
        rules = shape.rules(author.alphabet, tokens, self.corpus() if shape.no_copy else None)
        latents = author.near(like, count, far, seed, tags) if like else None
        telling = Telling(count, seed, tokens, max_chars, controls=controls, allowed=rules, latents=latents)
        texts = list(self._chosen(author, telling, max_chars, stop, keep) if keep < 1 else author.write(telling, max_chars, stop, spoken))
        return Words(tuple(texts), prompt, self.path.resolve().name)

    def usual_temperature(self, keep: float = 1.0) -> float:
        """What texts are drawn at where nobody says otherwise."""
        model = self.recipe.model
        return model.judged_at if keep < 1 and isinstance(model, TextGan) else 1.0

    def _chosen(self, author: Author, telling: Telling, most: int, stop: Sequence[str], keep: float) -> Iterator[str]:
        """Of each 1 / `keep` texts the one that the critic finds most real."""
        if keep < 0.01:
            raise RecipeError("--keep {value}: between 0.01 and 1, the part of what is drawn that is kept", value=keep)
        score, times = text_gate(self.folder, self.recipe, self.folder.load_writer()[1], author.device), round(1 / keep)
        drawn = author.write(replace(telling, count=telling.count * times), most, stop)
        prompt = author.alphabet.decode(telling.prompt)
        for _ in range(telling.count):
            texts = list(islice(drawn, times))
            yield texts[int(score([prompt + text for text in texts]).argmax())]

    def corpus(self) -> Corpus:
        """The training texts of a run of words, to look copies up in. RunFolderError where they have changed."""
        texts = texts_of(self.folder, self.recipe, Watcher().said)
        return Corpus(texts.text(int(index)) for index in texts.train)

    def talk(
        self, me: str | None = None, you: str | None = None, seed: int = 0, *, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0,
        min_p: float = 0.0, repetition: float = 1.0, device: str = "auto",
    ) -> Talk:  # fmt: skip
        """A conversation with a run that has learnt from some: `run.talk().say("hello")`. `me`, `you`: who speaks, by name."""
        return Talk.open(self.author(device), me, you, Controls(temperature, top_k, top_p, min_p, repetition), seed)

    def restore(
        self, source: str | os.PathLike[str], mask: str | os.PathLike[str] | None = None, *, device: str = "auto"
    ) -> Iterator[tuple[str, np.ndarray]]:
        """Of a run that restores: name and pixels, uint8 (H, W, C), of a picture or of each one in a folder, at their own sizes.

        `mask`: where a run that repairs is to fill in, white; one picture for all, or a folder with one of the same name for each.
        """
        where = str(pick_device(device))
        sampler, made, _ = self.folder.load_sampler(where)
        return restored(restorer_of(sampler), made.channels, sources(Path(source), None if mask is None else Path(mask)), where)

    def evaluate(
        self, count: int | None = None, seed: int = 0, *, keep: float = 1.0, encoder: str | None = None,
        encoder_weights: str | os.PathLike[str] | None = None, device: str = "auto", watcher: Watcher | None = None,
    ) -> Evaluation:  # fmt: skip
        """Measures the run, writes report.html and report.json into its folder, and says in words how good it is.

        `count`: pictures made for it; by default as many as it was trained on, at most 10,000. DataError where none are held out.
        `encoder`: own, inception or dinov2, with the file of its weights or "download"; by default as the recipe says.
        """
        if isinstance(self.recipe.model, Wording):
            return evaluate_words(self.folder, str(pick_device(device)), count, seed, (watcher or Watcher()).said)
        if isinstance(self.recipe.model, Restoring):
            return evaluate_restoring(self.folder, str(pick_device(device)), count, seed, (watcher or Watcher()).said)
        named = {"evaluate.encoder": encoder, "evaluate.encoder_weights": None if encoder_weights is None else os.fspath(encoder_weights)}
        recipe = self.recipe.set({"evaluate.encoder_weights": None} if encoder == "own" else {})
        wanted = recipe.set({key: value for key, value in named.items() if value is not None}).evaluate
        return evaluate(self.folder, str(pick_device(device)), count, seed, (watcher or Watcher()).said, keep, wanted)

    def report(self) -> dict[str, Any] | None:
        """The last evaluation, as in report.json; None where there was none."""
        return self.folder.read_json("report.json") if (self.path / "report.json").exists() else None

    def audit(self, seed: int = 0, *, device: str = "auto", watcher: Watcher | None = None) -> Audit:
        """What a stranger who has this run could learn about its training pictures; writes audit.json."""
        judge = audit_words if isinstance(self.recipe.model, Wording) else audit
        return judge(self.folder, str(pick_device(device)), seed, (watcher or Watcher()).said)

    def export(
        self, out: str | os.PathLike[str] | None = None, to: Sequence[Part] | None = None, *, measure: bool = False, watcher: Watcher | None = None
    ) -> Exported:
        """Writes into `out` (by default RUN/export) what others need: "onnx", checked against the run, "safetensors", "card"; all by default.

        `measure`: also how fast the network is by ONNX Runtime and by PyTorch. FenshenError where ONNX's packages are missing.
        """
        return export_parts(self.folder, None if out is None else Path(out), to, measure, (watcher or Watcher()).said)

    def adapt(self, source: str | os.PathLike[str] | None = None, **wishes: Any) -> Run:
        """A new run that begins with this one; as the function `adapt`."""
        return adapt(self.path, source, **wishes)

    def distances(self, count: int | None = None, seed: int = 0, *, device: str = "auto", watcher: Watcher | None = None) -> Distances:
        """Of an adapted run: how far its pictures are from the old and the new ones, before and after; writes adapt.json."""
        return distances(self.folder, str(pick_device(device)), count, seed, (watcher or Watcher()).said)

    def hand(self, device: str = "auto", watcher: Watcher | None = None) -> Hand:
        """The run opened for control: its latents, its pictures, its knobs."""
        return Hand.open(self.folder, device, (watcher or Watcher()).said)

    def interpolate(self, *stops: Place, device: str = "auto", watcher: Watcher | None = None, **wishes: Any) -> Answer:
        """A path through pictures, by number (`17`, `"1:17"` of seed 1) or file; wishes as in `fenshen.control.moving.interpolate`."""
        return moving.interpolate(self.hand(device, watcher), stops, **wishes)

    def traverse(self, start: Place = 0, *, device: str = "auto", watcher: Watcher | None = None, **wishes: Any) -> Answer:
        """One knob at a time from one picture; wishes as in `fenshen.control.moving.traverse`."""
        return moving.traverse(self.hand(device, watcher), start, **wishes)

    def mix(self, coarse: Place, fine: Place, *, device: str = "auto", watcher: Watcher | None = None, **wishes: Any) -> Answer:
        """What is strong of one picture and what is fine of another; wishes as in `fenshen.control.moving.mix`."""
        return moving.mix(self.hand(device, watcher), coarse, fine, **wishes)

    def vary(self, start: Place = 0, *, device: str = "auto", watcher: Watcher | None = None, **wishes: Any) -> Answer:
        """A picture and others around it; wishes as in `fenshen.control.moving.vary`."""
        return moving.vary(self.hand(device, watcher), start, **wishes)

    def directions(self, name: str | None = None, *, device: str = "auto", watcher: Watcher | None = None, **wishes: Any) -> Answer:
        """Finds directions and stores them with the run; with a `name` the one that examples or a label stand for.

        wishes as in `find_directions` and `name_direction` of `fenshen.control.directions`.
        """
        hand = self.hand(device, watcher)
        return directions.find_directions(hand, **wishes) if name is None else directions.name_direction(hand, name, **wishes)

    def invert(self, source: str | os.PathLike[str], *, device: str = "auto", watcher: Watcher | None = None, **wishes: Any) -> Answer:
        """The latents of a picture, or of all in a folder; wishes as in `fenshen.control.editing.invert_picture`."""
        return editing.invert_picture(self.hand(device, watcher), os.fspath(source), **wishes)

    def edit(
        self, start: Place, turns: dict[str, float], *, device: str = "auto", watcher: Watcher | None = None, **wishes: Any
    ) -> Answer:
        """A picture with directions turned, `run.edit("me.png", {"smiling": 1.5})`; wishes as in `fenshen.control.editing.edit`."""
        return editing.edit(self.hand(device, watcher), start, list(turns.items()), **wishes)

    def explain(self, start: Place = 0, *, device: str = "auto", watcher: Watcher | None = None, **wishes: Any) -> Answer:
        """Which knob changes which pixels, and how disentangled the latent is; wishes as in `fenshen.control.explain.explain`."""
        return explain.explain(self.hand(device, watcher), start, **wishes)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the labels this run knows."""
        return self.folder.load_sampler()[1].classes

    def summary(self) -> dict[str, Any]:
        """The run in a line: name, kind, state, kimg, minutes, data, network, when, bytes; also of a damaged one."""
        return keeping.summary(self.folder)

    def rename(self, name: str) -> Run:
        """The same run under another name. RunFolderError for a name that is taken or none, and while it trains."""
        return Run(keeping.rename(self.folder, name))

    def pack(self, out: str | os.PathLike[str] | None = None) -> Path:
        """The whole run as one .zip (NAME.zip in the current folder by default), for `fenshen.unpack` on another machine."""
        return packing.pack(self.folder, None if out is None else Path(out))

    def delete(self) -> Deleted:
        """Removes the run, and the prepared copy of its data unless another run uses it. RunFolderError while it trains, and where its
        folder also holds what is not of a run."""
        return keeping.delete(self.folder)

    def check_deletable(self) -> None:
        """RunFolderError where `delete` would refuse."""
        keeping.check_deletable(self.folder)


def describe_recipe(
    source: str | os.PathLike[str] | None = None, recipe: str | os.PathLike[str] | Recipe | None = None, *, minutes: float | None = None,
    kimg: float | None = None, size: str | None = None, seed: int | None = None, device: str | None = None, task: str | None = None,
    changes: dict[str, Any] | None = None,
) -> Recipe:  # fmt: skip
    """The recipe that these arguments ask for: a ready one's name, a TOML file or a Recipe, with changes on top.

    None: `transformer` where the source holds words (`pretrained` where `changes` name a model.start), else `gan`. `task`: what is to be
    learnt instead of making pictures from nothing, `upscale=4` or `inpaint`.
    """
    if recipe is None:
        writer = "pretrained" if "model.start" in (changes or {}) else "transformer"
        recipe = writer if kind_of(_data(source, changes or {})) == "words" else "gan"
    base = recipe if isinstance(recipe, Recipe) else load_recipe(os.fspath(recipe))
    base = base if task is None else base.set(for_task(task, base))
    named = {"data.source": None if source is None else os.fspath(source), "train.minutes": minutes, "train.kimg": kimg,
             "model.size": size, "train.seed": seed, "train.device": device}  # fmt: skip
    wanted = base.set({key: value for key, value in named.items() if value is not None} | (changes or {}))
    return wanted.set({"data.tokenizer": str(folder_of(wanted.model).path)}) if isinstance(wanted.model, Pretrained) else wanted


def _data(source: str | os.PathLike[str] | None, changes: dict[str, Any]) -> Data:
    named = {"data.source": None if source is None else os.fspath(source), "data.kind": changes.get("data.kind")}
    return Recipe().set({key: value for key, value in named.items() if value is not None}).data


def for_task(task: str, base: Recipe) -> dict[str, Any]:
    """`upscale=4` or `inpaint` -> dotted keys; the family stays where it restores already. RecipeError for anything else."""
    name, _, factor = task.partition("=")
    if name not in ("upscale", "inpaint") or (name == "inpaint" and factor) or (factor and not factor.isdecimal()):
        raise RecipeError("--task {task}: write upscale=4 (or 2, 3, 8), or inpaint", task=task)
    family = base.model.family if isinstance(base.model, Restoring) else "restore"
    return {"model.family": family, "model.task": name} | ({"model.factor": int(factor)} if factor else {})


def look(
    source: str | os.PathLike[str] | None = None, recipe: str | os.PathLike[str] | Recipe | None = None, **wishes: Any
) -> Report | WordsReport:
    """What is in `source`: counts, sizes, labels, duplicates, unreadable files with reasons, and what would be trained."""
    wanted = describe_recipe(source, recipe, **wishes)
    if kind_of(wanted.data) == "words":
        return look_words(wanted.data, wanted.train.seed)
    return look_at(wanted.data, wanted.train.seed)


def glance(source: str | os.PathLike[str], count: int = 24, side: int = 96) -> list[Glanced]:
    """A few pictures of `source`, evenly from beginning to end, small (their longer side at most `side` pixels), with name and label."""
    return glance_at(os.fspath(source), count, side)


def train(
    source: str | os.PathLike[str] | None = None, recipe: str | os.PathLike[str] | Recipe | None = None, *, out: str | os.PathLike[str] | None = None,
    watcher: Watcher | None = None, stop: Stop | None = None, **wishes: Any,
) -> Run:  # fmt: skip
    """Trains on `source` (a folder, archive, .npz, …; default: the built-in digits) and returns the finished run.

    wishes: minutes, kimg, size, seed, device, changes (dotted recipe keys), as in `describe_recipe`.
    Raises FenshenError for whatever cannot work, before anything is written.
    """
    wanted = describe_recipe(source, recipe, **wishes)
    watcher, stop = watcher or Watcher(), stop or Stop()
    begin = count_words if isinstance(wanted.model, Ngram) else session.start
    return _reported(Run(begin(wanted, None if out is None else Path(out), watcher, stop)), watcher, stop)


def plan(
    source: str | os.PathLike[str] | None = None, recipe: str | os.PathLike[str] | Recipe | None = None, *, watcher: Watcher | None = None,
    **wishes: Any,
) -> Plan:  # fmt: skip
    """What `train` would do: the complete recipe, parameters, memory, seconds per kimg from timed real steps."""
    wanted = describe_recipe(source, recipe, **wishes)
    refuse_plan(wanted)
    return session.make_plan(wanted, watcher or Watcher())


def tune(
    source: str | os.PathLike[str] | None = None, recipe: str | os.PathLike[str] | Recipe | None = None, *, minutes: float = 30.0,
    trials: int | None = None, out: str | os.PathLike[str] | None = None, resume: str | os.PathLike[str] | None = None,
    watcher: Watcher | None = None, stop: Stop | None = None, **wishes: Any,
) -> Tuned:  # fmt: skip
    """Searches for `minutes` a better recipe for `source` around `recipe`, and writes best.toml, report.html and trials.json.

    wishes: size, seed, device, changes, as in `describe_recipe`; what they set is not searched. `out`: the folder; a search that is
    there already goes on, as one named by `resume` does, for which all else is known. FenshenError where Optuna is missing.
    """
    watcher, stop = watcher or Watcher(), stop or Stop()
    if resume is not None:
        return search.go_on(Path(resume), watcher, stop)
    if isinstance(describe_recipe(source, recipe, **wishes).model, Restoring | Wording):
        raise RecipeError("fenshen tune searches by how real made pictures look, and this recipe makes none: try values with --set instead")
    fixed = {*(wishes.get("changes") or {}), *(["model.size"] if wishes.get("size") else [])}
    return search.begin(describe_recipe(source, recipe, **wishes), fixed, minutes, trials, None if out is None else Path(out), watcher, stop)


def resume(name: str | os.PathLike[str], *, watcher: Watcher | None = None, stop: Stop | None = None) -> Run:
    """Goes on with a stopped run, exactly where its last save stands."""
    watcher, stop = watcher or Watcher(), stop or Stop()
    return _reported(Run(session.resume(RunFolder.find(os.fspath(name)), watcher, stop)), watcher, stop)


def adapt(
    name: str | os.PathLike[str], source: str | os.PathLike[str] | None = None, *, wishes: str | os.PathLike[str] | None = None,
    strength: float = 3.0, minutes: float | None = None, kimg: float | None = None, seed: int | None = None, device: str | None = None,
    changes: dict[str, Any] | None = None, out: str | os.PathLike[str] | None = None, watcher: Watcher | None = None, stop: Stop | None = None,
) -> Run:  # fmt: skip
    """Teaches a trained run new pictures (`source`), or what somebody likes (`wishes`: a text file of lines like `17 like`,
    `1:23 dislike`); `strength`: how much they count, 1 is just as they say. The run itself stays as it is: a new one begins with its weights.

    `changes`: among others adapt.replay, adapt.anchor (against forgetting) and adapt.freeze.
    """
    parent, folder = RunFolder.find(os.fspath(name)), None if out is None else Path(out)
    watcher, stop = watcher or Watcher(), stop or Stop()
    if (source is None) == (wishes is None):
        raise RecipeError("give either DATA or --wishes FILE: new pictures and wishes are taught one after the other")
    if not 0 < strength <= 20:
        raise RecipeError("--strength {value}: above 0 and at most 20, 1 is just as the wishes say", value=strength)
    if wishes is not None:
        return Run(teach(parent, read_wishes(Path(wishes)), strength, folder, watcher.said))
    named = {"train.minutes": minutes, "train.kimg": kimg, "train.seed": seed, "train.device": device}
    recipe = adaptation(parent, os.fspath(source or ""), {key: value for key, value in named.items() if value is not None} | (changes or {}))
    return _reported(Run(session.start(recipe, folder, watcher, stop)), watcher, stop)


def _reported(run: Run, watcher: Watcher, stop: Stop) -> Run:
    """The run, with its report if training came to its end and the recipe wants one."""
    wanted = run.recipe.evaluate
    if wanted.report and not stop.signal:
        if run.folder.origin.exists() and not isinstance(run.recipe.model, Restoring | Wording):
            run.distances(wanted.count, device=run.recipe.train.device, watcher=watcher)
        try:
            run.evaluate(wanted.count, device=run.recipe.train.device, watcher=watcher)
        except DataError as error:
            watcher.said(str(error))
    return run


def load(name: str | os.PathLike[str]) -> Run:
    """The run at a path, or of that name under `runs/`. RunFolderError where there is none."""
    return Run(RunFolder.find(os.fspath(name)))


def unpack(source: str | os.PathLike[str], name: str | None = None) -> Run:
    """Brings a packed run in, from its .zip or from a folder, whole or not at all; `name`: what it is called here, by default as before.

    It is read through before it appears, and nothing in it is executed. DataError, RunFolderError, RecipeError say what is wrong with it.
    """
    return Run(packing.unpack(Path(source), name))


def compare(first: str | os.PathLike[str], second: str | os.PathLike[str]) -> Comparison:
    """Two runs side by side: in what their recipes differ, how they ended, how they score."""
    return compare_runs(load(first).folder, load(second).folder)


def runs() -> list[Run]:
    """All runs under `runs/` (or $FENSHEN_RUNS), newest first."""
    return [Run(folder) for folder in list_runs()]

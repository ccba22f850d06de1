"""What the page Train says of a training, from files alone; and what the page Start says of a plan."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("gradio", reason="the extra 'studio' is not installed")

from fenshen.errors import FenshenError
from fenshen.lang import speaking
from fenshen.studio import estimate, watching
from fenshen.studio.desk import Desk, Job, write
from fenshen.studio.face import Face
from fenshen.studio.watching import Watched

PROGRESS = {"stage": "training", "kimg": 2.0, "plan_kimg": 8.0, "per_second": 120.0, "seconds_left": 90.0, "tokens": None}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("FENSHEN_RUNS", str(tmp_path))
    desk = Desk(tmp_path / ".studio" / "jobs")
    desk.closing.set()  # Nothing begins here.
    return desk


def training(desk: Desk, run: str = "", **progress: object) -> Job:
    job = desk.add("train", source="/home/me/cats", recipe="gan", minutes=2)
    job.change(state="training", run=run)
    write(job.path / "progress.json", PROGRESS | progress)
    return job


def run_of(desk: Desk, name: str, train: str = "minutes = 2") -> Path:
    folder = desk.root.parents[1] / name
    (folder / "samples").mkdir(parents=True)
    (folder / "recipe.toml").write_text(f"[train]\n{train}\n")
    return folder


def test_how_much_is_done_follows_the_clock_or_the_plan(desk: Desk) -> None:
    run_of(desk, "cats-1")
    job = training(desk, "cats-1")
    watched = watching.find(desk)
    assert watched is not None and watched.job == job and watched.name == "cats-1"
    assert watching.fraction(watched) == 0.25  # 30 of 120 seconds, 2 of 8 kimg.
    write(job.path / "progress.json", PROGRESS | {"seconds_left": 30.0})
    assert watching.fraction(watched) == 0.75
    write(job.path / "progress.json", PROGRESS | {"stage": "measuring"})
    assert watching.fraction(watched) == 1


@pytest.mark.parametrize(("language", "words"), [("en", ("2 min", "120 pictures/s", "2 / 8 kimg")), ("zh", ("2 分钟", "每秒 120 张图片"))])
def test_figures_in_words(desk: Desk, language: str, words: tuple[str, ...]) -> None:
    training(desk, seconds_left=120.0)
    watched = watching.find(desk)
    assert watched is not None
    with speaking(language):
        said = watching.head(watched, Face(language, desk))
    assert all(word in said for word in words), said
    with speaking("en"):
        write(watched.job.path / "progress.json", PROGRESS | {"tokens": 64})
        assert "7,680 tokens/s" in watching.head(watched, Face("en", desk))


def test_which_training_is_meant(desk: Desk) -> None:
    assert watching.find(desk) is None
    first, second = desk.add("train", source="digits"), desk.add("train", source="topics")
    assert watching.find(desk) == Watched(first)  # The one whose turn is next.
    assert watching.find(desk, id=second.id) == Watched(second)
    second.change(state="training")
    assert watching.find(desk) == Watched(second)
    desk.add("evaluate", name="x")
    first.change(state="dropped")
    second.change(state="finished")
    assert watching.find(desk) == Watched(second)
    assert watching.find(desk, "../../etc", "../..") == Watched(second)  # What the address says is looked up, never opened.


def test_what_can_be_done(desk: Desk) -> None:
    folder = run_of(desk, "cats-1")
    job = training(desk, "cats-1")

    def can() -> set[str]:
        watched = watching.find(desk)
        assert watched is not None
        return {name for name, possible in watching.can(watched).items() if possible}

    assert can() == {"pause", "keep"}
    job.change(asked=True)
    assert can() == set()
    (folder / "state").mkdir()
    (folder / "state" / "last.safetensors").touch()
    job.change(state="paused", asked=False)
    assert can() == {"go_on", "keep"}
    watching.act(desk, "pause", "cats-1", "")  # Cannot be done: nothing happens.
    assert job.state == "paused"
    watching.act(desk, "go_on", "cats-1", "")
    assert job.state == "waiting" and job.verb == "resume" and can() == {"withdraw"}


def test_the_line_is_escaped_and_can_be_left(desk: Desk) -> None:
    job = desk.add("train", source='/tmp/<b>"cats"', recipe="gan", minutes=3)
    watched = Watched(training(desk))
    with speaking("en"):
        line = watching.queue(desk, Face("en", desk), watched)
    assert f'data-job="{job.id}"' in line and "&lt;b&gt;" in line and "<b>" not in line and "gan, 3 min" in line


def test_the_autopilot_speaks_the_readers_language(desk: Desk) -> None:
    folder = run_of(desk, "cats-1")
    event = {"kimg": 2.0, "found": None, "done": ["kept the generator of {kimg} kimg: the last one makes worse pictures", {"kimg": "1.0"}]}
    (folder / "autopilot.jsonl").write_text(json.dumps(event) + "\n")
    job = training(desk, "cats-1")
    (job.path / "said.jsonl").write_text(json.dumps("said in English") + "\n")
    watched = watching.find(desk)
    assert watched is not None
    with speaking("en"):
        assert "said in English" in watching.sentences(watched)
    with speaking("zh"):
        said = watching.sentences(watched)
    assert "said in English" not in said and "自动驾驶" in said and "1.0" in said


def test_texts_are_shown_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "000002000.txt"
    path.write_text(watching.RULE.join(["once <b>", "twice"]))
    with speaking("en"):
        shown = watching.sample(path)
    assert shown.count("<blockquote>") == 2 and "once &lt;b&gt;" in shown and "after 2,000 pieces of text" in shown


def test_an_estimate_in_words() -> None:
    plan = {"times_a_minute": 2.5, "parameters": {"generator": 1000, "critic": 500}, "memory_bytes": 3_000_000}
    with speaking("en"):
        said = estimate.estimated(plan, 10, words=False)
    assert "each picture is seen 25 times" in said and "1,500 weights" in said and "3 MB" in said
    with speaking("zh"):
        assert "10 分钟可以把全部文本读 25 遍" in estimate.estimated(plan, 10, words=True)


@pytest.mark.slow
def test_what_cannot_be_timed_says_why() -> None:
    with speaking("en"), pytest.raises(FenshenError, match=r"train\.batch = -5: at least 1"):
        estimate.timed("digits", "gan", 1, {"train.batch": "-5"})
    plan = estimate.timed("digits", "vae", 1, {"train.batch": "16", "model.size": "nano"})
    assert plan["recipe"]["train"]["batch"] == 16 and plan["times_a_minute"] > 0

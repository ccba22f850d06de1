"""What the page Train shows of one training, from its job at the desk and its run's folder: markup, and nothing of gradio."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fenshen.errors import FenshenError
from fenshen.evaluate.charts import Markup, element, joined
from fenshen.evaluate.page import panels
from fenshen.keeping.runs import finished
from fenshen.lang import language, tr
from fenshen.phrases import duration, number
from fenshen.run import RunFolder, list_runs
from fenshen.studio.desk import MEASURING, OVER, Desk, Job
from fenshen.studio.face import Face
from fenshen.writing import RULE

SENTENCES = 12
FIRST, LAST = ("look/", "held_out/"), ("augmentation", "lr")  # Curves that say how good it is, and those that say what was set.
PAST = 3  # Ended trainings that are listed.


@dataclass(frozen=True)
class Watched:
    """A training: its job, its run, or both; the run comes later, and a run of the command line has no job."""

    job: Job | None = None
    run: RunFolder | None = None

    @property
    def state(self) -> str:
        """As of a job; of a run without one: finished or paused, as far as its log tells."""
        if self.job is not None:
            return self.job.state
        return "finished" if self.run is not None and finished(self.run) else "elsewhere"

    @property
    def stage(self) -> str:
        """preparing, training or measuring, where something goes on."""
        return str(self.job.progress.get("stage", "preparing")) if self.job is not None and self.state == "training" else ""

    @property
    def name(self) -> str:
        if self.run is not None:
            return self.run.path.name
        return Path(str(self.job.wishes.get("source") or self.job.wishes.get("name") or "")).name if self.job else ""


def find(desk: Desk, name: str = "", id: str = "") -> Watched | None:
    """The training of that run, or that job; by default what trains now, else the newest. None where there never was any."""
    runs = {run.path.name: run for run in list_runs()}
    if name in runs:
        return Watched(desk.of_run(name), runs[name])
    jobs = [job for job in desk.jobs() if job.verb not in MEASURING and job.state != "dropped"]
    wanted = [job for job in jobs if job.id == id] or [job for job in jobs if job.state == "training"] or [
        job for job in jobs if job.state == "waiting"][:1] or jobs[-1:]  # fmt: skip
    if wanted:
        return Watched(wanted[-1], runs.get(wanted[-1].run))
    return Watched(None, next(iter(runs.values()))) if runs else None


def can(watched: Watched) -> dict[str, bool]:
    """Which buttons there are: `pause`, `go_on`, `keep`, `withdraw`."""
    asked = watched.job is not None and watched.job.asked
    under_way = watched.state == "training" and watched.stage != "measuring" and not asked
    paused = watched.state in ("paused", "elsewhere") and watched.run is not None and watched.run.state.exists()
    return {"pause": under_way, "go_on": paused, "keep": (under_way and watched.stage == "training") or (paused and watched.job is not None),
            "withdraw": watched.state == "waiting"}  # fmt: skip


def act(desk: Desk, what: str, name: str, id: str) -> None:
    """Does what a button says, if it can still be done."""
    watched = find(desk, name, id)
    if watched is None or not can(watched)[what]:
        return
    if watched.job is None:
        desk.add("resume", name=watched.name)
    elif what == "go_on":
        desk.go_on(watched.job)
    elif what == "keep":
        desk.keep(watched.job)
    else:
        desk.pause(watched.job)


def head(watched: Watched, face: Face) -> Markup:
    """Name, state in words, a bar, and the figures."""
    job, state = watched.job, watched.state
    kind = "bad" if state == "failed" else "on" if state == "training" else ""
    badge = element("span", state_in_words(watched), class_=f"fs-badge {kind}".strip())
    parts = [element("h2", f"{watched.name} ", badge)]
    if state == "training":
        done = fraction(watched)
        bar = element("div", style=f"width:{100 * done:.1f}%")
        parts.append(element("div", bar, class_="fs-progress" + (" unsure" if watched.stage != "training" else ""), role="progressbar",
                             aria_label=tr("progress"), aria_valuenow=round(100 * done), aria_valuemin=0, aria_valuemax=100))  # fmt: skip
    parts.append(element("p", *_figures(watched), class_="fs-figures"))
    if job is not None and job.error:
        again = element("a", tr("Begin anew"), href=face.address("start")) if state == "failed" else Markup()
        parts.append(element("p", job.error, " ", again, class_="fs-warning", role="alert"))
    return joined(parts)


def state_in_words(watched: Watched) -> str:
    if watched.job is not None and watched.job.asked and watched.state == "training":
        return tr("measures what it has, and stops") if watched.job.keeping else tr("saves and stops")
    match watched.stage:
        case "preparing" if watched.job is not None and watched.job.verb == "resume":
            return tr("reading the data")
        case "preparing":
            return tr("reading the data and timing a few steps")
        case "training":
            return tr("training")
        case "measuring":
            return tr("measuring how good it is")
    return {
        "waiting": tr("waits for its turn"), "paused": tr("paused"), "finished": tr("finished"), "failed": tr("broke off"),
        "dropped": tr("taken back"),
    }.get(watched.state, tr("of the command line"))  # fmt: skip


def fraction(watched: Watched) -> float:
    """How much is done, 0 to 1, by the clock or by the plan, whichever ends first."""
    at = watched.job.progress if watched.job else {}
    if watched.stage == "measuring":
        return 1.0
    shown = float(at.get("kimg", 0.0)) / (float(at.get("plan_kimg", 0.0)) or 1.0)
    minutes, left = _minutes(watched), float(at.get("seconds_left", 0.0))
    timed = 1 - left / (60 * minutes) if minutes and "seconds_left" in at else 0.0
    return min(1.0, max(0.0, shown, timed))


def _minutes(watched: Watched) -> float | None:
    try:
        return watched.run.recipe().train.minutes if watched.run else None
    except FenshenError:
        return None


def _figures(watched: Watched) -> Iterator[Markup]:
    at, log = watched.job.progress if watched.job else {}, watched.run.log() if watched.run else []
    if watched.stage == "training" and "kimg" in at:
        yield _figure(tr("left"), duration(float(at["seconds_left"])))
        yield _figure(tr("speed"), _speed(at))
        yield _figure(tr("shown"), f"{number(float(at['kimg']))} / {number(float(at['plan_kimg']))} {tr('kimg')}")
    elif log:
        yield _figure(tr("trained for"), duration(log[-1]["seconds"]))
        yield _figure(tr("shown"), f"{number(log[-1]['kimg'])} {tr('kimg')}")


def _figure(name: str, value: str) -> Markup:
    return element("span", element("small", name), " ", element("b", value))


def _speed(at: dict[str, Any]) -> str:
    rate = float(at["per_second"])
    return tr("{rate} tokens/s", rate=f"{rate * at['tokens']:,.0f}") if at.get("tokens") else tr("{rate} pictures/s", rate=f"{rate:,.0f}")


def curves(run: RunFolder | None) -> Markup:
    """Every curve of its log, with what the autopilot did."""
    log = run.log() if run else []
    if len(log) < 2 or run is None:
        return element("p", tr("Curves begin after the second save."), class_="fs-soft")
    known = dict.fromkeys(name for line in log for name in line)
    names = sorted((name for name in known if "/" in name or name in LAST), key=lambda name: (name in LAST, not name.startswith(FIRST)))
    points = {name: [(line["kimg"], line[name]) for line in log if isinstance(line.get(name), (int, float))] for name in names}
    return panels(points, [(kimg, text) for kimg, text in events(run)])


def events(run: RunFolder) -> list[tuple[float, str]]:
    """What the autopilot did, in the reader's language."""
    from fenshen.training.autopilot import Event

    return [(event.kimg, str(event)) for event in map(Event.read, run.events())]


def sentences(watched: Watched) -> Markup:
    """What was told, the newest first: the autopilot's deeds, and what else was said in this language."""
    lines = list(_told(watched))[-SENTENCES:]
    if not lines:
        text = tr("The autopilot watches; what it finds and does is told here.")
        return element("p", text if watched.state == "training" else tr("The autopilot had nothing to mend."), class_="fs-soft")
    return element("ol", *(element("li", line) for line in reversed(lines)), class_="fs-log")


def _told(watched: Watched) -> Iterator[str]:
    if watched.job is not None and watched.job.wishes.get("language") == language():
        yield from watched.job.said()
    elif watched.run is not None:
        for kimg, text in events(watched.run):
            yield tr("autopilot, {kimg} kimg: {what}", kimg=f"{kimg:.1f}", what=text)


def samples(run: RunFolder | None) -> list[Path]:
    """Files of samples, oldest first: grids of pictures, or texts."""
    return sorted([*run.samples.glob("[0-9]*.png"), *run.samples.glob("[0-9]*.txt")]) if run else []


def no_sample(watched: Watched) -> Markup:
    text = tr("The first samples come in a moment.") if watched.state == "training" else tr("There are no samples yet.")
    return element("p", text, class_="fs-soft")


def sample(path: Path) -> Markup:
    """One of them, large."""
    shown = f"{int(path.stem):,}"
    when = tr("after {count} pieces of text", count=shown) if path.suffix == ".txt" else tr("after {count} pictures", count=shown)
    if path.suffix == ".txt":
        texts = path.read_text("utf-8", "replace").split(RULE)
        return element("figure", *(element("blockquote", text) for text in texts), element("figcaption", when), class_="fs-sample")
    source = f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
    picture = element("img", src=source, alt=tr("what it makes, always from the same noise, {when}", when=when))
    return element("figure", picture, element("figcaption", when), class_="fs-sample fs-pixels")


def verdict(watched: Watched, face: Face) -> Markup:
    """When it is over: how good it is, and where to go from here."""
    if watched.state != "finished" or watched.run is None:
        return Markup()
    said = [element("p", sentence) for sentence in _verdict(watched.run)] or [element("p", tr("It is trained."))]
    links = [element("a", tr("Make something with it"), href=face.address("make", run=watched.name), class_="fs-button"),
             element("a", tr("See how good it is"), href=face.address("judge", run=watched.name), class_="fs-button soft")]  # fmt: skip
    return element("section", *said, element("p", *links, class_="fs-links"), class_="fs-card fs-verdict")


def _verdict(run: RunFolder) -> Iterable[str]:
    try:
        return [str(sentence) for sentence in run.read_json("report.json").get("verdict", ())]
    except FenshenError:
        return ()


def queue(desk: Desk, face: Face, watched: Watched) -> Markup:
    """What else there is: trainings that go on, wait, are paused, or ended lately."""
    here = "" if watched.job is None else watched.job.id
    others = [job for job in desk.jobs() if job.verb not in MEASURING and job.state != "dropped" and job.id != here]
    open_, past = [job for job in others if job.state not in OVER], [job for job in others if job.state in OVER][-PAST:]
    rows = [_row(job, face) for job in [*open_, *reversed(past)]]
    return joined([element("h2", tr("Other trainings")), element("ul", *rows, class_="fs-queue")]) if rows else Markup()


def _row(job: Job, face: Face) -> Markup:
    watched = Watched(job)
    name = job.run or watched.name
    where = face.address("train", run=job.run) if job.run else face.address("train", job=job.id)
    wishes = job.wishes
    minutes = tr("{minutes} min", minutes=number(wishes["minutes"])) if wishes.get("minutes") else ""
    wished = ", ".join(filter(None, (str(wishes.get("recipe") or ""), minutes)))
    label = tr("Take {name} out of the line", name=name)
    drop = element("button", "×", type="button", data_job=job.id, aria_label=label, title=label) if job.state == "waiting" else Markup()
    badge = element("span", state_in_words(watched), class_="fs-badge" + (" bad" if job.state == "failed" else ""))
    return element("li", element("a", name, href=where), element("span", wished, class_="fs-soft"), badge, drop)


def nothing(face: Face) -> Markup:
    link = element("a", tr("Choose what it learns from"), href=face.address("start"), class_="fs-button")
    return element("div", element("p", tr("Nothing has been trained yet.")), link, class_="fs-empty")

"""The trials of a search on one HTML page that needs nothing beside it: a table, scores over pictures shown, scores against each dial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fenshen import __version__
from fenshen.evaluate.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Axis, Markup, element, number, short, usable, x_axis
from fenshen.evaluate.page import POLICY, STYLE, meaning
from fenshen.lang import language, tr
from fenshen.run import write_atomically
from fenshen.tuning.dials import Dial
from fenshen.tuning.halving import Trial, best
from fenshen.tuning.words import name_of

DEFAULT, OTHERS, BEST = "series-1", "series-0", "series-2"  # Classes of page.css: vermilion, blue, green.


@dataclass(frozen=True)
class Summary:
    """All that the page says; `columns` and `rows` are the table's, `recipe` is TOML."""

    title: str
    verdict: str
    trials: Sequence[Trial]
    dials: Sequence[Dial]
    measure: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    recipe: str


def write(summary: Summary, path: Path) -> None:
    """The page as a file; the old one or the whole new one."""
    write_atomically(path, render(summary).encode())


def render(summary: Summary) -> str:
    """The whole file, in the reader's language."""
    head = element(
        "head", element("meta", charset="utf-8"), element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"), element("meta", name="color-scheme", content="light dark"),
        element("meta", name="generator", content=f"fenshen {__version__}"), element("link", rel="icon", href="data:,"),
        element("title", summary.title), element("style", Markup(STYLE.read_text("utf-8"))),
    )  # fmt: skip
    header = element("header", element("p", tr("fenshen · search for a recipe"), class_="kicker"), element("h1", summary.title),
                     element("div", element("p", summary.verdict, class_="lead"), class_="verdict"))  # fmt: skip
    recipe = element("details", element("summary", tr("The complete recipe, as TOML")), element("pre", element("code", summary.recipe), tabindex=0))
    parts = [header, _charts(summary), _section(tr("Trials"), _table(summary)), _section(tr("Recipe"), recipe)]
    body = element("body", element("main", *parts), element("footer", element("p", tr("Made by fenshen {version}.", version=__version__))))
    return "<!doctype html>\n" + element("html", head, body, lang="zh-CN" if language() == "zh" else "en") + "\n"


def _section(heading: str, *inside: str) -> Markup:
    return element("section", element("h2", heading), *inside)


def _table(summary: Summary) -> Markup:
    head = element("thead", element("tr", *(element("th", name, scope="col") for name in summary.columns)))
    body = element("tbody", *(element("tr", *(element("td", cell) for cell in cells)) for cells in summary.rows))
    return element("table", head, body, class_="trials")


def _charts(summary: Summary) -> Markup:
    name, found = meaning(summary.measure)[0], best(summary.trials)
    intro = tr("Scores are distances to training pictures that no trial was trained on: the lower, the better. "
               "Compare points of the same rung only. The best is green, the default vermilion.")  # fmt: skip
    panels = [_panel(tr("{measure} of every trial", measure=name), climbs(summary.trials, found))]
    panels += [_panel(tr("{measure} at the first rung, by {dial}", measure=name, dial=name_of(dial.name)), scatter(summary.trials, dial, found))
               for dial in summary.dials if dial.low]  # fmt: skip
    return _section(tr("How the trials went"), element("p", intro, class_="intro"), element("div", *panels, class_="panels"))


def _panel(title: str, drawing: str) -> Markup:
    return element("figure", element("figcaption", element("span", title, class_="name")), drawing, class_="panel")


def climbs(trials: Sequence[Trial], found: Trial | None) -> Markup:
    """Every trial's score over the pictures it was shown, rung by rung."""
    curves = {trial.number: [(point.kimg, point.score) for point in trial.points if usable(point.score)] for trial in trials}
    x, y = x_axis(curves.values(), ()), Axis.over([score for points in curves.values() for _, score in points])
    ticks = [(x.at(value), text if index else f"{text} {tr('kimg')}") for index, (value, text) in enumerate(zip(x.ticks(), x.labels(), strict=True))]
    drawn = [_run(trial, [(x.at(kimg), y.at(score)) for kimg, score in curves[trial.number]], found) for trial in _best_on_top(trials, found)]
    return _svg(tr("score"), ticks, y, drawn)


def scatter(trials: Sequence[Trial], dial: Dial, found: Trial | None) -> Markup:
    """Score at the first rung against one dial, by its logarithm; those that failed before it stand as crosses on the bottom line."""
    x, y = Axis(dial.low, dial.high, log=True), Axis.over([score for trial in trials if (score := trial.at(0)) is not None])
    ticks = [(part / 3, f"{dial.low * (dial.high / dial.low) ** (part / 3):.2g}") for part in range(4)]
    drawn = []
    for trial in _best_on_top(trials, found):
        across, score = x.at(float(trial.values[dial.name])), trial.at(0)
        if score is not None:
            drawn.append(_run(trial, [(across, y.at(score))], found))
        elif trial.failed:
            drawn.append(element("g", element("path", d=f"M{_across(across) - 3} {BOTTOM - 3}l6 6m0 -6l-6 6"), class_="broken"))
    return _svg(f"{tr('score')}, {name_of(dial.name)} {short(dial.low)}–{short(dial.high)}", ticks, y, drawn)


def _best_on_top(trials: Sequence[Trial], found: Trial | None) -> list[Trial]:
    return sorted(trials, key=lambda trial: (trial is found, trial.number == 0))


def _run(trial: Trial, places: Sequence[tuple[float, float]], found: Trial | None) -> Markup:
    """A trial's points, joined, with its number and last score when pointed at."""
    kind = BEST if trial is found else DEFAULT if trial.number == 0 else OTHERS
    drawn = [(_across(across), _up(up)) for across, up in places]
    score = number(trial.points[-1].score) if trial.points else "—"
    parts = [element("title", tr("trial {number}: {score}", number=trial.number, score=score))]
    parts += [element("path", d="M" + "L".join(f"{across} {up}" for across, up in drawn), class_="line")] if len(drawn) > 1 else []
    return element("g", *parts, *(element("circle", cx=across, cy=up, r=3.5, class_="dot") for across, up in drawn), class_=kind)


def _across(part: float) -> float:
    return round(LEFT + (RIGHT - LEFT) * part, 1)


def _up(part: float) -> float:
    return round(BOTTOM - (BOTTOM - TOP) * part, 1)


def _svg(title: str, ticks: Sequence[tuple[float, str]], y: Axis, drawn: Sequence[Markup]) -> Markup:
    """The drawing in its frame; `ticks` along the bottom as (0 … 1, text)."""
    parts = []
    for value, text in zip(y.ticks(), y.labels(), strict=True):
        at = _up(y.at(value))
        parts += [element("line", x1=LEFT, x2=RIGHT, y1=at, y2=at, class_="rule"), element("text", text, x=LEFT - 6, y=at + 4, class_="label end")]
    for part, text in ticks:
        at, anchor = _across(part), "end" if part > 0.95 else "middle"
        parts += [element("line", x1=at, x2=at, y1=BOTTOM, y2=BOTTOM + 4, class_="axis"),
                  element("text", text, x=at, y=BOTTOM + 17, class_=f"label {anchor}")]  # fmt: skip
    parts.append(element("line", x1=LEFT, x2=RIGHT, y1=BOTTOM, y2=BOTTOM, class_="axis"))
    return element("svg", element("title", title), *parts, *drawn, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", class_="chart")

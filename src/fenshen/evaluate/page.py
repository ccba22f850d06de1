"""The report of a run as one HTML file that needs nothing beside it: no link, no script, pictures and curves inside.

A pure function of a plain description; whatever a person could have named (files, classes, labels) is escaped by `element`.
"""

from __future__ import annotations

import base64
import io
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, PngImagePlugin

from fenshen import __version__
from fenshen.evaluate import text_page
from fenshen.evaluate.charts import Axis, Markup, Points, bar, decimals_of, element, joined, number, panel, scale, short, usable, x_axis
from fenshen.lang import language, tr
from fenshen.media.image import flattened, to_image
from fenshen.run import write_atomically

STYLE = Path(__file__).with_name("page.css")
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"  # A browser fetches and runs nothing, whatever slipped in.
COLUMN = 960  # Pixels: as wide as a picture gets on the page.
LARGEST_SIDE, LARGEST_PNG = 4096, 1_500_000  # Pixels; bytes, above which a picture becomes a WebP with losses.
MANY_CLASSES, SHOWN_CLASSES = 24, 12
LONGEST_NAME = 60  # Letters of a class.


@dataclass(frozen=True)
class Score:
    """One measure between `floor` (real training pictures against held-out ones: the best to expect) and `ceiling` (noise).

    `mean`: what the mean training picture scores, over and over; None where that says nothing. `encoder`: digest of what saw the pictures.
    `name`: a measure that `meaning` knows, or any text. `value` None: too few samples, as `note` says. `low`, `high`: its interval.
    `better`: which way is better; "close": the nearer to the floor. `samples` made pictures were measured against `reals` real ones.
    """

    name: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    floor: float | None = None
    ceiling: float | None = None
    better: Literal["lower", "higher", "close"] = "lower"
    samples: int = 0
    reals: int = 0
    note: str = ""
    mean: float | None = None
    encoder: str = ""


@dataclass(frozen=True, eq=False)
class Page:
    """All that a report says; sentences and labels in the reader's language. What is empty is left out."""

    title: str
    verdict: Sequence[str] = ()
    scores: Sequence[Score] = ()
    classes: Sequence[tuple[str, float, float]] = ()  # Name, percent wanted, percent made.
    grid: np.ndarray | None = None  # uint8 (H, W, C): what the run makes.
    texts: Sequence[text_page.Parts] = ()  # What it writes; then everything speaks of texts in place of pictures.
    copies: Sequence[tuple[text_page.Parts, text_page.Parts]] = ()  # Made texts, each with the training text that it copies.
    reconstructions: np.ndarray | None = None  # uint8 (H, W, C): held-out pictures, each above what came back of it.
    latents: Sequence[str] = ()
    neighbours: np.ndarray | None = None  # uint8 (H, W, C): made pictures, each beside the nearest ones of the training set.
    copying: Sequence[str] = ()
    frontiers: Mapping[str, Points] = field(default_factory=dict)  # Of texts: what is said against what is left out, made and real ones.
    curves: Mapping[str, Points] = field(default_factory=dict)  # Name as in log.jsonl -> (kimg, value).
    events: Sequence[tuple[float, str]] = ()  # (kimg, what the autopilot did).
    facts: Mapping[str, object] = field(default_factory=dict)
    recipe: str = ""  # TOML.


def write(page: Page, path: Path) -> None:
    """The report as a file; the old one or the whole new one. OutOfSpaceError on a full disk."""
    write_atomically(path, render(page).encode())


def render(page: Page) -> str:
    """The whole file, in the reader's language."""
    rooms = (_header, _made, _scores, _classes, _latents, _copying, _curves, _events, _facts, _recipe)
    parts = [room(page) for room in rooms]
    head = element(
        "head", *_rule(), element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"), element("meta", name="generator", content=f"fenshen {__version__}"),
        element("link", rel="icon", href="data:,"),
        element("title", page.title), element("style", Markup(STYLE.read_text("utf-8"))),
    )  # fmt: skip
    body = element("body", element("main", *parts), element("footer", element("p", tr("Made by fenshen {version}.", version=__version__))))
    return "<!doctype html>\n" + element("html", head, body, lang="zh-CN" if language() == "zh" else "en") + "\n"


def _rule() -> tuple[Markup, Markup]:
    """What the head of a report begins with."""
    return element("meta", charset="utf-8"), element("meta", http_equiv="Content-Security-Policy", content=POLICY)


def harmless(text: str) -> bool:
    """Whether a page begins as a report does: what follows can run nothing and fetch nothing, whoever wrote it."""
    return text.startswith(tuple(f'<!doctype html>\n<html lang="{code}"><head>{joined(_rule())}' for code in ("en", "zh-CN")))


def only(text: str, name: str) -> str:
    """Of a written report the section of that name alone, as a page of its own; "" where it has none."""
    begin = text.find(f'<section aria-labelledby="{name}">')
    end, body = text.find("</section>", begin), text.find("<body>")
    if min(begin, end, body) < 0:
        return ""
    return f"{text[:body]}<body><main>{text[begin:end]}</section></main></body></html>"


def _section(name: str, heading: str, *inside: str) -> Markup:
    return element("section", element("h2", heading, id=name), *inside, aria_labelledby=name)


def _paragraphs(sentences: Sequence[str], **attributes: object) -> Markup:
    return joined(element("p", sentence, **attributes) for sentence in sentences)


def _header(page: Page) -> Markup:
    kicker = element("p", tr("fenshen · report of a run"), class_="kicker")
    lead, more = _paragraphs(page.verdict[:1], class_="lead"), _paragraphs(page.verdict[1:])
    return element("header", kicker, element("h1", page.title), element("div", lead, more, class_="verdict"))


def _made(page: Page) -> Markup:
    if page.texts:
        return _section("made", tr("What it writes"), text_page.samples(page.texts))
    if page.grid is None:
        return Markup()
    caption = tr("Pictures that the run made: as they came, none picked by hand.")
    return _section("made", tr("What it makes"), _figure(page.grid, tr("A sheet of pictures made by the run"), caption, made=True))


def _scores(page: Page) -> Markup:
    if not page.scores:
        return Markup()
    intro = tr("A number alone says little, so each stands between two others, measured in the same way. The floor: real training pictures against "
               "real pictures held out, the best that can be expected. The ceiling: noise. The ring: the mean of all training pictures, again "
               "and again. The one is like no picture, the other has no variety. Below a number is the range in which it may lie.")  # fmt: skip
    intro = text_page.scores_intro() if page.texts else intro
    columns = tr("Measure"), tr("Result"), tr("Against the floor"), tr("From floor to ceiling")
    head = element("tr", *(element("th", column, scope="col", role="columnheader") for column in columns), role="row")
    rows = element("tbody", *(_score(score, bool(page.texts)) for score in page.scores), role="rowgroup")
    table = element("table", element("thead", head, role="rowgroup"), rows, class_="scores", role="table")
    ticks = tr("Where small ticks stand on a line, each is ten times the one before.") if 'class="minor"' in table else ""
    intros = [text for text in (intro, ticks) if text]
    drawn = [text_page.frontier(dict(page.frontiers))] if page.frontiers else []
    return _section("scores", tr("How good it is"), _paragraphs(intros, class_="intro"), table, *drawn)


def _score(score: Score, words: bool) -> Markup:
    """One row: what it is, how much, how many times the floor, and where that lies."""
    known = usable(score.value)
    value = element("span", number(score.value) if known else "—", class_="value")
    times = element("span", _against(score), class_="times") if known else ""
    return element(
        "tr", _measure(score, words), element("td", value, _interval(score), role="cell"), element("td", times, role="cell"),
        element("td", _scale(score), role="cell", class_="where"), role="row", class_=None if known else "missing",
    )  # fmt: skip


def _measure(score: Score, words: bool) -> Markup:
    """The name of a measure, what it means, which way is better, what it was measured on, and its note."""
    title, sentence = (text_page.meaning(_key(score.name)) if words else None) or meaning(score.name)
    match score.better:
        case "lower":
            way = tr("Lower is better.")
        case "higher":
            way = tr("Higher is better.")
        case _:
            way = tr("The closer to the floor, the better.")
    counts = {"samples": f"{score.samples:,}", "reals": f"{score.reals:,}"}
    against = tr("{samples} made against {reals} real texts.", **counts) if words else tr("{samples} made against {reals} real pictures.", **counts)
    basis = against if score.samples and score.reals else ""
    if usable(score.mean):
        basis += " " + tr("The mean picture again and again: {value}.", value=number(score.mean))
    small = [element("span", text, class_=kind) for kind, text in (("plain", sentence), ("basis", f"{way} {basis}"), ("note", score.note)) if text]
    return element("th", element("span", title, class_="name"), *small, scope="row", role="rowheader")


def _interval(score: Score) -> Markup:
    if not (usable(score.value) and usable(score.low) and usable(score.high)):
        return Markup()
    decimals = decimals_of(score.value or 0.0) if 1e-4 <= abs(score.value or 0.0) < 1e7 else None
    ends = [number(end, decimals=decimals) for end in (score.low, score.high)]
    return element("span", tr("{low} to {high}", low=ends[0], high=ends[1]), class_="interval-text")


def _against(score: Score) -> str:
    """How many times the floor; where the floor is zero or below (an unbiased estimate may be), how far toward the ceiling."""
    value, floor, ceiling = score.value, score.floor, score.ceiling
    if value is None or floor is None or not usable(floor):
        return ""
    if floor > 0 and value >= 0:
        return tr("{times}× the floor", times=number(value / floor, 2))
    if ceiling is None or not usable(ceiling) or ceiling == floor:
        return ""
    return tr("{percent} % toward the ceiling", percent=number(100 * (value - floor) / (ceiling - floor), 2))


def _scale(score: Score) -> str:
    if score.floor is None or score.ceiling is None or score.floor == score.ceiling or not (usable(score.floor) and usable(score.ceiling)):
        return ""
    numbers = {"value": number(score.value), "floor": number(score.floor), "ceiling": number(score.ceiling)}
    told = tr("{value}, between the floor {floor} and the ceiling {ceiling}", **numbers)
    return scale(told, score.value, (score.low, score.high), score.floor, score.ceiling, score.mean)


def meaning(name: str) -> tuple[str, str]:
    """The full name of a measure and one plain sentence about it; a name that is not known stands for itself."""
    key = _key(name)
    match key:
        case "frechet" | "frechetdistance" | "fd" | "fid":
            return tr("Fréchet distance"), tr("How far the made pictures, taken together, are from real ones, as an encoder sees them.")
        case "frechetinfinity" | "frechet∞" | "fdinfinity" | "fdinf" | "fd∞":
            return tr("Fréchet distance, unlimited samples"), tr("The same distance, extrapolated to endlessly many pictures.")
        case "kid" | "kerneldistance" | "kernelinceptiondistance":
            return tr("Kernel distance (KID)"), tr("Another distance from the real pictures, one that is fair to small sets.")
        case "mind" | "sliceddistance":
            return tr("Sliced distance (MIND)"), tr("The distance along many random directions, reliable from about a thousand pictures on.")
        case "precision":
            return tr("Precision"), tr("The share of made pictures that look like real ones: how true to life.")
        case "recall":
            return tr("Recall"), tr("The share of real pictures that have their like among the made ones: how much of the variety is covered.")
        case "density":
            return tr("Density"), tr("How deep among the real pictures the made ones lie: like precision, less misled by odd real ones.")
        case "coverage":
            return tr("Coverage"), tr("The share of real pictures with a made one in their neighborhood: like recall, less misled by odd made ones.")
        case "vendi" | "vendiscore" | "diversity":
            return tr("Diversity (Vendi score)"), tr("As how many entirely different pictures the made ones count.")
        case "inception" | "inceptionscore":
            return tr("Inception score"), tr("How surely a classifier names each made picture, and how many classes it names in all.")
        case "consistency" | "classconsistency":
            return tr("Variety within a class"), tr("How much the made pictures of one class differ from each other.")
        case "balance" | "classbalance" | "totalvariation":
            return tr("Balance of the classes"), tr(
                "The share of made pictures that would have to be of another class for every class to get its share."
            )
        case "labels" | "labelaccuracy" | "accuracy" | "classaccuracy":
            return tr("True to the label"), tr("The share of made pictures that a classifier takes for the class they were asked to be.")
        case "authenticity" | "authpct":
            return tr("Authenticity"), tr("The share of made pictures no closer to a training picture than that one is to its own nearest neighbor.")
        case "ct" | "copyingtest":
            return tr("Copying test (C_T)"), tr("Whether made pictures lie closer to the training set than held-out ones; far below 0: copying.")
    return text_page.meaning(key) or (name, "")


def _key(name: str) -> str:
    """Letters and digits alone."""
    return re.sub(r"[^a-z0-9∞]", "", unicodedata.normalize("NFKD", name).casefold())


def _classes(page: Page) -> Markup:
    if not page.classes:
        return Markup()
    parts = [element("p", tr("The bar is the share made, the dark mark the share wanted."), class_="intro")]
    if len(page.classes) <= MANY_CLASSES:
        parts.append(_class_table(page.classes))
    else:
        furthest = sorted(page.classes, key=_error, reverse=True)[:SHOWN_CLASSES]
        parts.append(element("p", tr("Of {all} classes the {count} furthest off:", count=SHOWN_CLASSES, all=len(page.classes)), class_="intro"))
        parts.append(_class_table(furthest))
        parts.append(element("details", element("summary", tr("All {count} classes", count=len(page.classes))), _class_table(page.classes)))
    return _section("classes", tr("Whether every class gets its share"), *parts)


def _error(row: tuple[str, float, float]) -> float:
    error = abs(row[2] - row[1])
    return error if usable(error) else 0.0


def _class_table(rows: Sequence[tuple[str, float, float]]) -> Markup:
    shares = [share for _, *pair in rows for share in pair if usable(share)]
    columns = (tr("Class"), None), (tr("Wanted"), "figure"), (tr("Made"), "figure"), (tr("Share"), "where")
    head = element("thead", element("tr", *(element("th", name, scope="col", class_=kind) for name, kind in columns)))
    body = element("tbody", *(_class_row(*row, most=max(shares, default=1.0)) for row in rows))
    return element("table", head, body, class_="classes")


def _class_row(name: str, wanted: float, made: float, most: float) -> Markup:
    told = tr("{made} % made, {wanted} % wanted", made=number(made, 2), wanted=number(wanted, 2))
    drawn = bar(told, made, wanted, most) if usable(made) and usable(wanted) else ""
    figures = [element("td", f"{number(share, decimals=1)} %", class_="figure") for share in (wanted, made)]
    return element("tr", element("th", shortened(name), scope="row", title=name), *figures, element("td", drawn, class_="where"))


def shortened(name: str, most: int = LONGEST_NAME) -> str:
    """A name with its middle left out where it is too long: what tells names apart is often at the end."""
    return name if len(name) <= most else f"{name[: most * 2 // 3]}…{name[-most // 3 :]}"


def _copying(page: Page) -> Markup:
    if not page.copying and page.neighbours is None:
        return Markup()
    parts = [_paragraphs(page.copying), *([text_page.copies(page.copies)] if page.copies else [])]
    if page.neighbours is not None:
        caption = tr("Made pictures, each beside the training pictures nearest to it. Alike is fine; the same is not.")
        warning = tr("These are pictures of your training data: think before you pass this page on.")
        shown = _figure(page.neighbours, tr("Made pictures, each beside the nearest training pictures"), caption)
        parts += [shown, element("p", warning, class_="warning")]
    return _section("copying", tr("Whether it copies"), *parts)


def _figure(picture: np.ndarray, told: str, caption: str, made: bool = False) -> Markup:
    """A picture of any size, small ones enlarged by a whole factor without smoothing."""
    if picture.size == 0:
        return Markup()
    image = to_image(flattened(picture[None])[0] if picture.ndim == 3 and picture.shape[2] == 4 else picture)
    image.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
    width, height = image.size
    zoom = max(1, COLUMN // max(width, height))
    kind = "tiny" if width < 360 else "small" if zoom > 1 or width < 600 else None
    shown = element("img", src=encoded(image, made), alt=told, width=width, height=height, style=f"width:{width * zoom}px", class_=kind)
    return element("figure", shown, element("figcaption", caption))


def encoded(image: Image.Image, made: bool = False) -> str:
    """A data URI: PNG, or WebP where that would be too large; `made` pictures say that a model made them."""
    file, stamp = io.BytesIO(), PngImagePlugin.PngInfo()
    for key, value in {"Software": f"fenshen {__version__}", **({"Source": "made by a generative model"} if made else {})}.items():
        stamp.add_itxt(key, value)
    image.save(file, "PNG", pnginfo=stamp)
    kind = "png"
    if file.tell() > LARGEST_PNG:
        kind, file = "webp", io.BytesIO()
        image.save(file, "WEBP", quality=90)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"


def _latents(page: Page) -> Markup:
    if page.reconstructions is None:
        return Markup()
    caption = tr("Above: pictures that were held out. Below each: what came back of it through the latent.")
    sheet = _figure(page.reconstructions, tr("Held-out pictures above their reconstructions"), caption)
    warning = element("p", tr("Half of these are pictures of yours: think before you pass this page on."), class_="warning")
    return _section("latents", tr("What goes through the latent"), _paragraphs(page.latents), sheet, warning)


def _curves(page: Page) -> Markup:
    curves = {name: points for name, points in page.curves.items() if len(points)}
    if not curves:
        return Markup()
    text = "Losses and logits are means since the point before; 1 kimg is a thousand real pictures shown to the critic (to the model, without one)."
    if page.texts:
        text = "Losses are means since the point before; 1 kimg is a thousand pieces of text shown to the model."
    intro = tr(text)
    marks = tr("The numbered lines are what the autopilot did, listed below.") if page.events else ""
    return _section("curves", tr("How training went"), element("p", f"{intro} {marks}", class_="intro"), panels(curves, page.events))


def panels(curves: Mapping[str, Points], events: Sequence[tuple[float, str]] = ()) -> Markup:
    """Every chart of a run, over the same kimg, with the marks of its events; name as in log.jsonl -> (kimg, value)."""
    x = x_axis(curves.values(), events)
    charts = [_panel(title, {line: curves[name] for line, name in lines.items()}, events, x) for title, lines in grouped(list(curves)).items()]
    return element("div", *charts, class_="panels")


LOGITS = {"real", "fake", "held_out"}  # Last parts of names that belong in one chart.


def grouped(names: Sequence[str]) -> dict[str, dict[str, str]]:
    """Names of curves -> title of a chart -> label of a line -> name: logits of one player together, all others on their own."""
    charts: dict[str, dict[str, str]] = {}
    for name in names:
        player, _, last = name.rpartition("/")
        title, line = (_logits(player), _line_name(last)) if player and last in LOGITS else (_curve_title(name), name)
        charts.setdefault(title, {})[line] = name
    return charts


def _logits(player: str) -> str:
    match player:
        case "critic":
            return tr("Logits in the critic's steps")
        case "generator":
            return tr("Logits in the generator's steps")
    return tr("Logits of {player}", player=player)


def _line_name(last: str) -> str:
    return tr("real") if last == "real" else tr("made") if last == "fake" else tr("held out")


def _curve_title(name: str) -> str:
    match name:
        case "critic/adversarial":
            return tr("Critic's loss")
        case "generator/adversarial":
            return tr("Generator's loss")
        case "critic/r1":
            return tr("Penalty on real pictures (R1)")
        case "critic/r2":
            return tr("Penalty on made pictures (R2)")
        case "autoencoder/reconstruction":
            return tr("Reconstruction, nats per picture")
        case "autoencoder/kl":
            return tr("KL divergence, as it is weighted")
        case "autoencoder/kl_nats":
            return tr("KL divergence, nats per picture")
        case "autoencoder/kl_of_units":
            return tr("KL divergence, nats per unit of the latent")
        case "autoencoder/active":
            return tr("Units of the latent that are active")
        case "autoencoder/squared_error":
            return tr("Squared error per value")
        case "augmentation":
            return tr("Augmentation strength")
        case "look/kid":
            return tr("Distance to real pictures (KID)")
        case "look/diversity":
            return tr("Diversity, as a part of that of real pictures")
        case "look/missing":
            return tr("Part of the real pictures that it does not come near")
        case "look/by_heart":
            return tr("How much the critic knows its pictures by heart")
        case "lr":
            return tr("Learning rate")
        case "per_second":
            return tr("Pictures per second")
    return meaning(name)[0]


def _panel(title: str, lines: Mapping[str, Points], events: Sequence[tuple[float, str]], x: Axis) -> Markup:
    """A chart under its title, with the last value, or with a legend where there are several lines."""
    last = {name: next((short(value) for _, value in reversed(points) if usable(value)), "—") for name, points in lines.items()}
    if len(lines) == 1:
        keys = [element("span", value, class_="last") for value in last.values()]
    else:
        keys = [element("span", f"{name} {value}", class_=f"key series-{index % 4}") for index, (name, value) in enumerate(last.items())]
    caption = element("figcaption", element("span", title, class_="name"), element("span", joined(keys), class_="keys"))
    return element("figure", caption, panel(title, dict(lines), x, events), class_="panel")


def _events(page: Page) -> Markup:
    if not page.events:
        return Markup()
    columns = (tr("No."), "figure"), (tr("kimg"), "figure"), (tr("What it did"), None)
    head = [element("th", name, scope="col", class_=kind) for name, kind in columns]
    rows = []
    for index, (kimg, sentence) in enumerate(page.events, 1):
        figures = [element("td", text, class_="figure") for text in (str(index), number(kimg, decimals=1))]
        rows.append(element("tr", *figures, element("td", sentence)))
    table = element("table", element("thead", element("tr", *head)), element("tbody", *rows), class_="events")
    return _section("autopilot", tr("What the autopilot did"), table)


def _facts(page: Page) -> Markup:
    if not page.facts:
        return Markup()
    pairs = [element("div", element("dt", name), element("dd", str(value))) for name, value in page.facts.items()]
    return _section("facts", tr("How it was made and measured"), element("dl", *pairs, class_="facts"))


def _recipe(page: Page) -> Markup:
    if not page.recipe:
        return Markup()
    shown = element("pre", element("code", page.recipe), tabindex=0)
    return _section("recipe", tr("Recipe"), element("details", element("summary", tr("The complete recipe, as TOML")), shown))

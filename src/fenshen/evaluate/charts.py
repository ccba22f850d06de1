"""Drawings of the report as inline SVG, and the escaping markup that they and the page are built from.

Colors, fonts and strokes are in page.css, so that drawings follow the reader's light or dark mode. No script, no `xmlns`: inline SVG needs none.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fenshen.lang import tr

Points = Sequence[tuple[float, float]]

VOID = {"img", "meta", "link", "br", "col", "input", "line", "circle", "path", "rect"}
# What XML cannot hold (control letters, lone surrogates of odd file names) and what turns the direction of the text around it.
UNSAFE = re.compile("[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
LARGEST = 1e100  # Beyond it a value counts as infinite: its distance to others still fits into a float.
SMALLEST = 1e-100  # All below it is drawn as zero.
MOST_POINTS = 240
WIDTH, HEIGHT = 360, 176
LEFT, RIGHT, TOP, BOTTOM = 50, 352, 16, 148  # Of the plot within the canvas.


class Markup(str):
    """Text that is HTML already: all that came from outside has been escaped."""


def escaped(text: str) -> Markup:
    """Any text, safe between tags and within quotes; letters that no page may hold become �."""
    return text if isinstance(text, Markup) else Markup(html.escape(UNSAFE.sub("\ufffd", text.replace("\r\n", "\n"))))


def element(name: str, /, *inside: str, **attributes: object) -> Markup:
    """One element of HTML or SVG. Plain text is escaped, attributes of None are left out; `class_` is class, `aria_label` aria-label."""
    said = "".join(f' {key.rstrip("_").replace("_", "-")}="{escaped(str(value))}"' for key, value in attributes.items() if value is not None)
    return Markup(f"<{name}{said}/>" if name in VOID else f"<{name}{said}>{joined(inside)}</{name}>")


def joined(parts: Iterable[str]) -> Markup:
    return Markup("".join(map(escaped, parts)))


def usable(value: float | None) -> bool:
    """Whether a value can be drawn."""
    return value is not None and math.isfinite(value) and abs(value) < LARGEST


def number(value: float | None, digits: int = 3, decimals: int | None = None) -> str:
    """A value for people, with so many significant digits, or so many decimals: 12,300 and 0.0123 and 1.23×10⁻⁶; — where there is none."""
    if value is None or not math.isfinite(value):
        return "—"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    if value and decimals is None and not -4 <= int(exponent) < 7:
        power = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
        return f"{mantissa}×10{power}".replace("-", "−")
    return f"{value:,.{decimals_of(value, digits) if decimals is None else decimals}f}".replace("-", "−")


def decimals_of(value: float, digits: int = 3) -> int:
    """How many decimals show so many significant digits; none for zero."""
    return max(0, digits - 1 - int(f"{value:.{digits - 1}e}".split("e")[1])) if value else 0


def short(value: float) -> str:
    """`number` without trailing zeros."""
    return re.sub(r"\.0+(?=×|$)|(\.\d*?[1-9])0+(?=×|$)", r"\1", number(value))


@dataclass(frozen=True)
class Axis:
    """Values -> 0 … 1 along a line, by their logarithms where `log`."""

    low: float
    high: float
    log: bool = False

    @classmethod
    def over(cls, values: Sequence[float]) -> Axis:
        """Round ends around all values; logarithmic where all are positive and the largest is 100 times the smallest."""
        low, high = (min(values), max(values)) if values else (0.0, 1.0)
        if max(-low, high) < SMALLEST:
            low, high = 0.0, 0.0
        if low > SMALLEST and high / low >= 100:
            return cls(10.0 ** math.floor(math.log10(low) + 1e-9), 10.0 ** math.ceil(math.log10(high) - 1e-9), log=True)
        if low > 0 and low < 0.6 * high:
            low = 0.0
        if high - low < 1e-9 * max(abs(low), abs(high)) or low == high:
            low, high = (min(0.0, 2 * low), max(0.0, 2 * low)) if low else (0.0, 1.0)
        for _ in range(2):  # Round ends widen the span, and may ask for a wider step.
            step = nice_step(high - low)
            low, high = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
        return cls(low, high)

    def at(self, value: float) -> float:
        """Where a value stands; outside 0 … 1 it is drawn at the end."""
        if self.log:
            value, low, high = (math.log10(max(x, 1e-300)) for x in (value, self.low, self.high))
        else:
            low, high = self.low, self.high
        return min(1.0, max(0.0, (value - low) / (high - low))) if high != low else 0.5

    def ticks(self) -> list[float]:
        """A handful of round values."""
        low, high = min(self.low, self.high), max(self.low, self.high)
        if self.log:
            decades = self.decades()
            return decades[:: max(1, -(-(len(decades) - 1) // 4))]
        step = nice_step(high - low)
        first = math.ceil(low / step - 1e-9)
        return [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]

    def decades(self) -> list[float]:
        """The powers of ten on a logarithmic axis."""
        low, high = min(self.low, self.high), max(self.low, self.high)
        return [10.0**power for power in range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9) + 1)]

    def labels(self) -> list[str]:
        """What the ticks are called: all with as many decimals as the step between them needs, as powers of ten only where they must."""
        ticks = self.ticks()
        largest = max(map(abs, ticks), default=0.0)
        if self.log or len(ticks) < 2 or not 1e-4 <= largest < 1e7:
            return [short(tick) for tick in ticks]
        decimals = max(0, -math.floor(math.log10(ticks[1] - ticks[0]) + 1e-9))
        return [number(tick, decimals=decimals) if tick else "0" for tick in ticks]


def nice_step(span: float) -> float:
    """1, 2 or 5 times a power of ten, so that two to six of them fill `span`."""
    power = 10.0 ** math.floor(math.log10(span / 4))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= span / 6 - 1e-9 * span)


def thinned(points: Points, most: int = MOST_POINTS) -> Points:
    """At most about so many points: of every stretch the lowest and the highest, so that no spike is lost."""
    if len(points) <= most:
        return points
    kept = {0, len(points) - 1}
    stretch = 2 * len(points) / most
    for number_of in range(most // 2):
        where = range(int(number_of * stretch), min(int((number_of + 1) * stretch), len(points)))
        kept |= {min(where, key=lambda i: points[i][1]), max(where, key=lambda i: points[i][1])}
    return [points[index] for index in sorted(kept)]


def stretches(points: Points) -> list[list[tuple[float, float]]]:
    """Runs of points that can be drawn, in the order of kimg, cut where a value is infinite or not a number."""
    runs: list[list[tuple[float, float]]] = [[]]
    for kimg, value in sorted((point for point in points if usable(point[0])), key=lambda point: point[0]):
        if usable(value):
            runs[-1].append((kimg, value))
        else:
            runs.append([])
    return [run for run in runs if run]


def x_axis(curves: Iterable[Points], events: Sequence[tuple[float, str]]) -> Axis:
    """0 to the last kimg of anything: the same for all panels, so that marks stand under each other."""
    ends = [kimg for points in curves for kimg, _ in points if usable(kimg)] + [kimg for kimg, _ in events if usable(kimg)]
    return Axis(min([0.0, *ends]), max(ends, default=1.0) if max(ends, default=0.0) > 0 else 1.0)


def panel(title: str, lines: dict[str, Points], x: Axis, events: Sequence[tuple[float, str]] = ()) -> Markup:
    """One chart over kimg, of one line or of a few that belong together, with the numbered marks of events."""
    runs = {name: stretches(points) for name, points in lines.items()}
    y = Axis.over([value for each in runs.values() for run in each for _, value in run])
    broken = sorted({kimg for points in lines.values() for kimg, value in points if usable(kimg) and not usable(value)})
    drawn = [_line(each, x, y, index) for index, each in enumerate(runs.values())]
    return element(
        "svg", element("title", _told(title, runs)), *_frame(x, y, tr("kimg")), *_marks(x, events), *drawn, *_broken(broken, x),
        viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", class_="chart",
    )  # fmt: skip


def square(title: str, lines: dict[str, Points], unit: str) -> Markup:
    """A chart of shares against shares, both from 0 to 1; `unit`: what runs to the right."""
    shares = Axis(0.0, 1.0)
    drawn = [_line([points], shares, shares, index) for index, points in enumerate(lines.values())]
    box = f"0 0 {WIDTH} {HEIGHT}"
    return element("svg", element("title", title), *_frame(shares, shares, unit), *drawn, viewBox=box, role="img", class_="chart")


def _told(title: str, runs: dict[str, list[list[tuple[float, float]]]]) -> str:
    """The chart in words, for who cannot see it."""
    ends = []
    for name, each in runs.items():
        if each:
            (start, first), (end, last) = each[0][0], each[-1][-1]
            values = {"first": short(first), "start": short(start), "last": short(last), "end": short(end)}
            ends.append((f"{name}: " if len(runs) > 1 else "") + tr("{first} at {start} kimg, {last} at {end} kimg", **values))
    return f"{title}: {'; '.join(ends) or tr('no values')}"


def _x(kimg: float, x: Axis) -> float:
    return round(LEFT + (RIGHT - LEFT) * x.at(kimg), 1)


def _y(value: float, y: Axis) -> float:
    return round(BOTTOM - (BOTTOM - TOP) * y.at(value), 1)


def _frame(x: Axis, y: Axis, unit: str) -> list[Markup]:
    """Lines and labels of both axes; the first label along the bottom says the unit."""
    parts = []
    for value, text in zip(y.ticks(), y.labels(), strict=True):
        at = _y(value, y)
        parts.append(element("line", x1=LEFT, x2=RIGHT, y1=at, y2=at, class_="rule"))
        parts.append(element("text", text, x=LEFT - 6, y=at + 4, class_="label end"))
    for index, (value, text) in enumerate(zip(x.ticks(), x.labels(), strict=True)):
        at, text = _x(value, x), text if index else f"{text} {unit}"
        anchor = " end" if at > RIGHT - 16 else " middle"
        parts.append(element("line", x1=at, x2=at, y1=BOTTOM, y2=BOTTOM + 4, class_="axis"))
        parts.append(element("text", text, x=at, y=BOTTOM + 17, class_=f"label{anchor}"))
    return [*parts, element("line", x1=LEFT, x2=RIGHT, y1=BOTTOM, y2=BOTTOM, class_="axis")]


def _marks(x: Axis, events: Sequence[tuple[float, str]]) -> list[Markup]:
    """A dashed line for every event with its sentence when pointed at; their numbers above, as 3–5 where they stand close."""
    parts: list[Markup] = []
    close: list[list[tuple[float, int]]] = []
    for kimg, index, sentence in sorted((kimg, index, sentence) for index, (kimg, sentence) in enumerate(events, 1) if usable(kimg)):
        at = _x(kimg, x)
        area = element("rect", x=round(at - 5, 1), y=0, width=10, height=BOTTOM, class_="hit")
        told = element("title", f"{index} · {short(kimg)} {tr('kimg')} · {sentence}")
        parts.append(element("g", told, area, element("line", x1=at, x2=at, y1=TOP, y2=BOTTOM), class_="mark"))
        if close and at - close[-1][0][0] < (14 if len(close[-1]) == 1 else 40):
            close[-1].append((at, index))
        else:
            close.append([(at, index)])
    return parts + [_mark_number(group) for group in close]


def _mark_number(group: Sequence[tuple[float, int]]) -> Markup:
    numbers = [index for _, index in group]
    text = str(numbers[0]) if len(numbers) == 1 else f"{min(numbers)}–{max(numbers)}"
    return element("text", text, x=round((group[0][0] + group[-1][0]) / 2, 1), y=TOP - 5, class_="label middle mark-number")


def _line(runs: Sequence[Points], x: Axis, y: Axis, index: int) -> Markup:
    parts = []
    for run in runs:
        places = [f"{_x(kimg, x)} {_y(value, y)}" for kimg, value in thinned(run)]
        if len(places) > 1:
            parts.append(element("path", d="M" + "L".join(places), class_="line"))
    for kimg, value in {run[0] for run in runs if len(run) == 1} | {run[-1] for run in runs[-1:]}:
        parts.append(element("circle", cx=_x(kimg, x), cy=_y(value, y), r=3, class_="dot"))
    return element("g", *parts, class_=f"series-{index % 4}")


def _broken(where: Sequence[float], x: Axis) -> list[Markup]:
    """A small cross on the bottom line wherever a value was infinite or not a number, side by side at the closest."""
    places = {8 * round(_x(kimg, x) / 8): kimg for kimg in reversed(where)}
    return [
        element("g", element("title", tr("not a finite number at {kimg} kimg", kimg=short(kimg))),
                element("path", d=f"M{at - 3} {BOTTOM - 3}l6 6m0 -6l-6 6"), class_="broken")
        for at, kimg in places.items()
    ]  # fmt: skip


def scale(title: str, value: float | None, interval: tuple[float | None, float | None], floor: float, ceiling: float,
          mean: float | None = None) -> Markup:  # fmt: skip
    """A line from floor (left) to ceiling (right) with the value and its interval on it; it stretches to the width it is given.

    A ring stands where the mean picture is, if that is on the line.
    """
    axis = scale_axis(value, floor, ceiling)
    parts = [element("line", x1="2%", x2="98%", y1=13, y2=13, class_="track")]
    if axis.log:
        parts += [element("line", x1=_at(axis, tick), x2=_at(axis, tick), y1=8, y2=18, class_="minor") for tick in axis.decades()]
    parts += [element("line", x1=_at(axis, end), x2=_at(axis, end), y1=6, y2=20, class_="end-mark") for end in (floor, ceiling)]
    if mean is not None and usable(mean) and min(axis.low, axis.high) <= mean <= max(axis.low, axis.high):
        parts.append(element("circle", cx=_at(axis, mean), cy=13, r=4.5, class_="ring"))
    if usable(value):
        low, high = (value if end is None or not usable(end) else end for end in interval)
        if low is not None and high is not None and low != high:
            parts.append(element("line", x1=_at(axis, low), x2=_at(axis, high), y1=13, y2=13, class_="interval"))
        parts.append(element("circle", cx=_at(axis, value or 0.0), cy=13, r=5.5, class_="marker"))
    for end, text in ((floor, tr("floor {value}", value=short(floor))), (ceiling, tr("ceiling {value}", value=short(ceiling)))):
        where = axis.at(end)
        anchor = "start" if where < 0.3 else "end" if where > 0.7 else "middle"
        parts.append(element("text", text, x=_at(axis, end), y=36, class_=f"label {anchor}"))
    return element("svg", element("title", title), *parts, role="img", class_="scale", width="100%", height=42)


def scale_axis(value: float | None, floor: float, ceiling: float) -> Axis:
    """From floor to ceiling, reaching beyond them for a value that does, by half their distance at most; logarithmic over a factor of 30."""
    inside = value if value is not None and usable(value) else floor
    if min(floor, ceiling) > SMALLEST and max(floor, ceiling) / min(floor, ceiling) >= 30:
        reach = math.sqrt(ceiling / floor)
        ends = [floor, ceiling, min(max(inside, min(floor / reach, ceiling * reach)), max(floor / reach, ceiling * reach))]
        return Axis(*_oriented(ends, floor > ceiling), log=True)
    reach = (ceiling - floor) / 2
    ends = [floor, ceiling, min(max(inside, min(floor - reach, ceiling + reach)), max(floor - reach, ceiling + reach))]
    return Axis(*_oriented(ends, floor > ceiling))


def _oriented(ends: Sequence[float], downward: bool) -> tuple[float, float]:
    return (max(ends), min(ends)) if downward else (min(ends), max(ends))


def _at(axis: Axis, value: float) -> str:
    return f"{2 + 96 * axis.at(value):.2f}%"


def bar(title: str, made: float, wanted: float, most: float) -> Markup:
    """A bar for what was made, a mark for what was wanted; percent, on a line from 0 to `most`."""
    axis = Axis(0.0, most if most > 0 else 1.0)
    at = f"{100 * axis.at(wanted):.2f}%"
    return element(
        "svg", element("title", title), element("rect", x=0, y=3, width=f"{100 * axis.at(made):.2f}%", height=8, class_="made"),
        element("line", x1=at, x2=at, y1=0, y2=14, class_="wanted"), role="img", class_="bar", width="100%", height=14,
    )  # fmt: skip

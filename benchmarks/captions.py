"""Quality against variety of short texts: BLEU and self-BLEU of what runs write at several temperatures, and of real texts, in one table and plot.

    python benchmarks/captions.py TRAIN.txt TEST.txt [--recipes ngram,lstm] [--runs RUN,RUN] [--minutes 5] [--count 1000] [--sets 3] --out FOLDER

TRAIN and TEST hold a text per line (image captions of Texygen, say). Each recipe is trained on TRAIN for `--minutes`; `--runs` names runs
that were trained on it before. BLEU-2 to 5 is against all of TEST, self-BLEU among the `--count` texts that are written, and so many real
ones stand beside them: what is made should be like them in both, not have the highest BLEU. A run with a critic stands there a second time,
with what its critic finds most real of two and of five. Writes FOLDER/captions.svg, and a line per contender and temperature to
benchmarks/history.jsonl; what FOLDER/rows.json has of other contenders stays in table and plot. The sweep of temperatures is from Language
GANs Falling Short (Caccia et al. 2020).
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
from record import record

import fenshen.api
from fenshen.evaluate.charts import Axis, element, joined
from fenshen.measure.bleu import bleu, self_bleu, words
from fenshen.recipe import TextGan, set_from_text

LONGEST = 300  # Characters.
JUDGED = (2, 5)  # The critic chooses one of so many.
WIDTH, HEIGHT, EDGE = 720, 520, 64
COLORS = ("#1b1b1b", "#0062a3", "#b34700", "#00735a", "#8b3f86", "#a08000", "#c03050")
Row = tuple[str, str, dict[str, float]]  # Contender, temperature or what else was varied, measures.


def measured(made: list[str], test: list[list[str]], sets: int) -> dict[str, float]:
    """In the mean over `sets` parts: self-BLEU hangs on how many texts there are."""
    found = []
    for first in range(sets):
        split = [words(text) for text in made[first::sets] if text.strip()]
        quality, sameness = bleu(split, test), self_bleu(split)
        found.append({f"bleu_{n}": value for n, value in quality.items()} | {f"self_bleu_{n}": value for n, value in sameness.items()})
    return {name: round(float(np.mean([values[name] for values in found])), 4) for name in found[0]}


def contenders(options: argparse.Namespace) -> Iterator[tuple[str, fenshen.Run]]:
    """Runs, trained now or before."""
    for name in filter(None, options.runs.split(",")):
        yield Path(name).name, fenshen.api.load(name)
    for name in filter(None, options.recipes.split(",")):
        changes = {"data.unit": "line", "evaluate.report": False} | set_from_text(options.set)
        out = options.out / name
        yield (
            name,
            fenshen.train(options.train, name, minutes=None if name == "ngram" else options.minutes, seed=options.seed, changes=changes, out=out),
        )


def rows_of(name: str, run: fenshen.Run, options: argparse.Namespace, test: list[list[str]]) -> Iterator[Row]:
    """What it writes at each temperature, and what its critic chooses, if it has one."""
    wishes = [(name, temperature, {"temperature": float(temperature)}) for temperature in options.temperatures.split(",")]
    if isinstance(run.recipe.model, TextGan):
        wishes += [(f"{name}, judged", f"1 of {count}", {"keep": 1 / count}) for count in JUDGED]
    for contender, told, wish in wishes:
        texts = run.write(options.count * options.sets, seed=options.seed, max_chars=LONGEST, **wish).texts
        row = contender, told, measured(list(texts), test, options.sets)
        print(row, flush=True)
        yield row


def plot(rows: list[Row], n: int = 4) -> str:
    """BLEU-n upward, self-BLEU-n to the right, a line per contender through its temperatures."""
    points = [(name, told, values[f"self_bleu_{n}"], values[f"bleu_{n}"]) for name, told, values in rows]
    spans = [[float(point[place]) for point in points] for place in (2, 3)]
    x_axis, y_axis = (Axis(math.floor(20 * min(span)) / 20, math.ceil(20 * max(span)) / 20) for span in spans)

    def at(x: float, y: float) -> tuple[float, float]:
        return EDGE + x_axis.at(x) * (WIDTH - 2 * EDGE), HEIGHT - EDGE - y_axis.at(y) * (HEIGHT - 2 * EDGE)

    parts = [element("rect", x=0, y=0, width=WIDTH, height=HEIGHT, fill="#fff")]
    for tick in x_axis.ticks():
        x, y = at(tick, y_axis.low)
        parts.append(element("text", f"{tick:.2f}", x=x, y=y + 18, text_anchor="middle"))
    for tick in y_axis.ticks():
        x, y = at(x_axis.low, tick)
        parts += [element("text", f"{tick:.2f}", x=x - 8, y=y + 4, text_anchor="end"),
                  element("line", x1=EDGE, x2=WIDTH - EDGE, y1=y, y2=y, stroke="#e3e3de")]  # fmt: skip
    written: list[tuple[float, float]] = []
    for place, name in reversed([*enumerate(dict.fromkeys(point[0] for point in points))]):
        color, own = COLORS[place % len(COLORS)], [point for point in points if point[0] == name]
        spots = [at(point[2], point[3]) for point in own]
        parts.append(element("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in spots), fill="none", stroke=color, stroke_width=1.5))
        for (x, y), point in zip(spots, own, strict=True):
            parts.append(element("circle", cx=x, cy=y, r=6 if name == "real" else 3.5, fill=color))
            left = place % 2  # Labels of neighbors on both sides of the lines; none upon another.
            label = x + (-7 if left else 7), y + (-4 if left else 10)
            if all(abs(label[0] - other[0]) > 30 or abs(label[1] - other[1]) > 9 for other in written):
                written.append(label)
                parts.append(element("text", point[1], x=label[0], y=label[1], fill=color, font_size=9, text_anchor="end" if left else "start"))
        parts.append(element("text", name, x=EDGE + 14, y=EDGE + 14 + 16 * place, fill=color, font_weight=600))
    parts += [element("text", f"self-BLEU-{n}: sameness", x=WIDTH / 2, y=HEIGHT - 18, text_anchor="middle"),
              element("text", f"BLEU-{n}: likeness to real texts", x=EDGE - 40, y=EDGE - 28)]  # fmt: skip
    return element("svg", joined(parts), xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {WIDTH} {HEIGHT}", font_family="sans-serif", font_size=12)


def keep(rows: list[Row], path: Path) -> list[Row]:
    """Writes them to `path`, and returns them among the contenders that it already had."""
    names = {name for name, _, _ in rows}
    before = [tuple(row) for row in json.loads(path.read_text("utf-8"))] if path.exists() else []
    everything = [*rows[:1], *(row for row in before if row[0] not in names), *rows[1:]]
    path.write_text(json.dumps(everything), "utf-8")
    return everything


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--recipes", default="ngram,lstm")
    parser.add_argument("--runs", default="", help="runs that were trained on TRAIN before")
    parser.add_argument("--temperatures", default="0.7,0.8,0.9,1.0,1.1")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--sets", type=int, default=1, help="write so many times as much, and give the mean")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="recipe changes")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--quiet", action="store_true", help="do not append to history.jsonl")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    real, test = ([line.strip() for line in path.read_text("utf-8").splitlines() if line.strip()] for path in (options.train, options.test))
    reference = [words(text) for text in test]
    chosen = [real[place] for place in np.random.default_rng(options.seed).permutation(len(real))[: options.count * options.sets]]
    rows: list[Row] = [("real", "", measured(chosen, reference, options.sets))]
    for name, run in contenders(options):
        minutes = round(run.log()[-1]["seconds"] / 60, 1)
        for row in rows_of(name, run, options, reference):
            rows.append(row)
            line = {"benchmark": "captions", "date": f"{date.today()}", "contender": row[0], "temperature": row[1], "minutes": minutes}
            record(line | {"count": options.count, "sets": options.sets} | row[2], options.quiet)
    rows = keep(rows, options.out / "rows.json")
    print("| | temperature | BLEU-2 | 3 | 4 | 5 | self-BLEU-2 | 3 | 4 | 5 |\n|---|---|---|---|---|---|---|---|---|---|")
    for name, told, values in rows:
        print(f"| {name} | {told} | " + " | ".join(f"{value:.3f}" for value in values.values()) + " |")
    (options.out / "captions.svg").write_text(plot(rows), "utf-8")


if __name__ == "__main__":
    main()

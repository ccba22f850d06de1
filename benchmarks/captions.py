"""Quality against variety of short texts: BLEU and self-BLEU of what runs write at several temperatures, and of real texts, in one table and plot.

    python benchmarks/captions.py TRAIN.txt TEST.txt [--recipes ngram,lstm] [--runs RUN,RUN] [--minutes 5] [--count 1000] --out FOLDER

TRAIN and TEST hold a text per line (image captions of Texygen, say). Each recipe is trained on TRAIN for `--minutes`; `--runs` names runs
that were trained on it before. BLEU-2 to 5 is against all of TEST, self-BLEU among the `--count` texts that are written, and so many real
ones stand beside them: what is made should be like them in both, not have the highest BLEU. Writes FOLDER/captions.svg and a line per
contender to benchmarks/history.jsonl. A run with a critic stands there a second time, with only what its critic takes for real. The sweep of
temperatures is from Language GANs Falling Short (Caccia et al. 2020).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
from record import record

import fenshen.api
from fenshen.evaluate.charts import Axis, element, joined, number
from fenshen.measure.bleu import bleu, self_bleu, words
from fenshen.recipe import TextGan, set_from_text

LONGEST = 300  # Characters.
JUDGED = 3  # The critic chooses one of so many.
WIDTH, HEIGHT, EDGE = 640, 480, 60
COLORS = ("#0062a3", "#b34700", "#00735a", "#8b3f86", "#565c64", "#a08000")
Point = tuple[str, str, float, float]  # Contender, temperature, self-BLEU and BLEU.


def measured(made: list[str], test: list[list[str]]) -> dict[str, float]:
    split = [words(text) for text in made]
    quality, sameness = bleu(split, test), self_bleu(split)
    values = {f"bleu_{n}": value for n, value in quality.items()} | {f"self_bleu_{n}": value for n, value in sameness.items()}
    return {name: round(value, 4) for name, value in values.items()}


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


def plot(points: list[Point]) -> str:
    """BLEU-4 upward, self-BLEU-4 to the right, a line per contender through its temperatures."""
    x_axis, y_axis = (Axis.over([point[place] for point in points]) for place in (2, 3))

    def at(x: float, y: float) -> tuple[float, float]:
        return EDGE + x_axis.at(x) * (WIDTH - 2 * EDGE), HEIGHT - EDGE - y_axis.at(y) * (HEIGHT - 2 * EDGE)

    parts = [element("rect", x=0, y=0, width=WIDTH, height=HEIGHT, fill="#fff")]
    for tick in x_axis.ticks():
        x, y = at(tick, y_axis.low)
        parts.append(element("text", number(tick), x=x, y=y + 18, text_anchor="middle"))
    for tick in y_axis.ticks():
        x, y = at(x_axis.low, tick)
        parts += [element("text", number(tick), x=x - 8, y=y + 4, text_anchor="end"),
                  element("line", x1=EDGE, x2=WIDTH - EDGE, y1=y, y2=y, stroke="#e3e3de")]  # fmt: skip
    for place, name in enumerate(dict.fromkeys(point[0] for point in points)):
        color, own = COLORS[place % len(COLORS)], [point for point in points if point[0] == name]
        spots = [at(point[2], point[3]) for point in own]
        parts.append(element("polyline", points=" ".join(f"{x:.1f},{y:.1f}" for x, y in spots), fill="none", stroke=color, stroke_width=1.5))
        for (x, y), point in zip(spots, own, strict=True):
            parts += [element("circle", cx=x, cy=y, r=6 if name == "real" else 3.5, fill=color),
                      element("text", point[1], x=x + 7, y=y - 5, fill=color, font_size=10)]  # fmt: skip
        parts.append(element("text", name, x=EDGE + 10, y=EDGE + 16 * place, fill=color, font_weight=600))
    parts += [element("text", "self-BLEU-4: sameness", x=WIDTH / 2, y=HEIGHT - 16, text_anchor="middle"),
              element("text", "BLEU-4: likeness to real texts", x=EDGE - 40, y=EDGE - 20)]  # fmt: skip
    return element("svg", joined(parts), xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {WIDTH} {HEIGHT}", font_family="sans-serif", font_size=12)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("--recipes", default="ngram,lstm")
    parser.add_argument("--runs", default="", help="runs that were trained on TRAIN before")
    parser.add_argument("--temperatures", default="0.7,0.8,0.9,1.0,1.1")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="recipe changes")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--quiet", action="store_true", help="do not append to history.jsonl")
    options = parser.parse_args()
    real, test = ([line.strip() for line in path.read_text("utf-8").splitlines() if line.strip()] for path in (options.train, options.test))
    reference = [words(text) for text in test]
    chosen = [real[place] for place in np.random.default_rng(options.seed).permutation(len(real))[: options.count]]
    rows = [("real", "", measured(chosen, reference))]
    for name, run in contenders(options):
        for temperature in options.temperatures.split(","):
            texts = run.write(options.count, seed=options.seed, temperature=float(temperature), max_chars=LONGEST).texts
            rows.append((name, temperature, measured([text for text in texts if text.strip()], reference)))
            print(rows[-1], flush=True)
        if isinstance(run.recipe.model, TextGan):
            texts = run.write(options.count, seed=options.seed, max_chars=LONGEST, keep=1 / JUDGED).texts
            rows.append((f"{name}, judged", f"1, best of {JUDGED}", measured([text for text in texts if text.strip()], reference)))
            print(rows[-1], flush=True)
    for name, temperature, values in rows:
        line = {"benchmark": "captions", "date": f"{date.today()}", "contender": name, "temperature": temperature, "count": options.count}
        record(line | {"minutes": options.minutes} | values, options.quiet)
    print("| | temperature | BLEU-2 | 3 | 4 | 5 | self-BLEU-2 | 3 | 4 | 5 |\n|---|---|---|---|---|---|---|---|---|---|")
    for name, temperature, values in rows:
        print(f"| {name} | {temperature} | " + " | ".join(f"{value:.3f}" for value in values.values()) + " |")
    options.out.mkdir(parents=True, exist_ok=True)
    points = [(name, temperature, values["self_bleu_4"], values["bleu_4"]) for name, temperature, values in rows]
    (options.out / "captions.svg").write_text(plot(points), "utf-8")


if __name__ == "__main__":
    main()

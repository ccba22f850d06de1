"""How well does counting foretell text? Interpolated modified Kneser-Ney of several orders on the last tenth of a file, in nats per character.

    python benchmarks/counting.py TEXT [--unit document|line] [--orders 4,5,6]

TEXT is UTF-8; its last tenth (of the characters, or of the lines) is held out, nothing is shuffled and no copy removed. A line counts with
its end as one more character. This is the baseline that every network of words has to beat. Appends a line to benchmarks/history.jsonl.
"""

from __future__ import annotations

import argparse
import time
from datetime import date
from pathlib import Path

import numpy as np
from record import record

from fenshen.measure.ngram import fit
from fenshen.media.text import END, learn_characters


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path)
    parser.add_argument("--unit", choices=("document", "line"), default="document")
    parser.add_argument("--orders", default="4,5,6")
    parser.add_argument("--spaces", action="store_true", help="take spaces out, as where every Chinese character is followed by one")
    parser.add_argument("--quiet", action="store_true", help="do not append to history.jsonl")
    options = parser.parse_args()
    text = options.text.read_text("utf-8")
    text = text.replace(" ", "") if options.spaces else text
    alphabet = learn_characters([text])
    if options.unit == "line":
        rows = [alphabet.encode(line.strip()) for line in text.splitlines() if line.strip()]
        train, test = (np.concatenate([part for row in rows[side] for part in ([END], row)] + [[END]]) for side in _sides(len(rows)))
    else:
        tokens = alphabet.encode(text)
        train, test = (np.concatenate([[END], tokens[side]]) for side in _sides(len(tokens)))
    results = {}
    for order in map(int, options.orders.split(",")):
        began = time.process_time()
        model = fit(train, alphabet.size, order)
        fitted = time.process_time()
        results[str(order)] = {"nats": round(float(model.score(test).mean()), 4), "fit_seconds": round(fitted - began, 2),
                               "score_seconds": round(time.process_time() - fitted, 2)}  # fmt: skip
        print(f"{order}-gram: {results[str(order)]}", flush=True)
    entry = {"benchmark": "counting", "date": f"{date.today()}", "text": options.text.stem, "unit": options.unit, "characters": alphabet.size}
    if not options.quiet:
        record(entry | {"orders": results})


def _sides(count: int) -> tuple[slice, slice]:
    cut = count - count // 10
    return slice(0, cut), slice(cut, count)


if __name__ == "__main__":
    main()

"""How long does reading words take, from files to tokens? Each source in a process of its own and with an empty cache.

    python benchmarks/reading.py SOURCE [SOURCE ...] [--quiet]

Prints and appends to benchmarks/history.jsonl, per source: megabytes of text, seconds with nothing cached and from the cache, peak memory,
documents, tokens, and how many documents are copies. Exits with 1 where a document does not come back from its tokens.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

from record import record

from fenshen.data import look_words, prepare_texts
from fenshen.data.documents import read_library
from fenshen.data.libraries import open_library
from fenshen.data.prepare import silent
from fenshen.data.texts import split
from fenshen.recipe import Data


def measure(source: str) -> dict[str, Any]:
    """One line of the history."""
    with tempfile.TemporaryDirectory() as cache:
        os.environ["FENSHEN_CACHE"] = cache
        data = Data(source=source)
        start = time.perf_counter()
        texts = prepare_texts(data)
        cold = time.perf_counter() - start
        prepare_texts(data)
        warm = time.perf_counter() - start - cold
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        documents, _ = split(read_library(open_library(source), data, silent), data.held_out, 0)
        wrong = sum(texts.text(number) != document.text for number, document in enumerate(documents))
        report = look_words(data)
    return {
        "date": str(date.today()), "benchmark": "reading", "source": Path(source).name, "megabytes": round(int(texts.bytes_N.sum()) / 1e6, 2),
        "seconds": round(cold, 2), "seconds_cached": round(warm, 3), "peak_mb": round(peak), "documents": report.count, "unit": texts.unit,
        "alphabet": texts.alphabet.kind, "vocabulary": texts.alphabet.size, "tokens": len(texts.tokens), "copies": report.duplicates,
        "near_copies": report.near_duplicates, "not_as_they_were": wrong,
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="+")
    parser.add_argument("--quiet", action="store_true", help="do not write to the history")
    wishes = parser.parse_args()
    wrong = 0
    for source in wishes.sources:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            line = pool.apply(measure, (source,))
        record(line, wishes.quiet)
        wrong += line["not_as_they_were"]
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())

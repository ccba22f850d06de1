"""Whether the default recipe learns: judged by a nearest-neighbor classifier on the real digits, not by eye."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

import fenshen


@pytest.mark.slow
def test_the_digits_asked_for_are_the_digits_made(tmp_path: Path) -> None:
    run = fenshen.train(kimg=60, changes={"train.ticks": 2}, out=tmp_path / "run")
    made = run.generate(500, seed=1, by_class=True)
    digits = load_digits()
    judge = KNeighborsClassifier(5).fit(digits.images.reshape(-1, 64), digits.target)
    said = judge.predict(made.images.reshape(-1, 64).astype(float) * 16 / 255)
    right = [float((said[made.labels == k] == k).mean()) for k in range(10)]
    assert np.mean(right) > 0.8 and min(right) > 0.5, right
    assert made.images.astype(float).std(0).mean() > 20


@pytest.mark.slow
def test_a_hundred_thousand_files_fit_into_a_gigabyte(tmp_path: Path) -> None:
    import subprocess
    import sys

    run = fenshen.train(kimg=0.1, changes={"train.ticks": 1}, out=tmp_path / "run")
    code = (
        "import resource, sys; from fenshen.cli import main\n"
        f"sys.argv = ['fenshen', 'generate', {str(run.path)!r}, '--count', '100000', '--out', {str(tmp_path / 'many')!r}]\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout.split()[-1]) < 1_000_000, done.stdout
    assert sum(1 for _ in (tmp_path / "many").iterdir()) == 100_000

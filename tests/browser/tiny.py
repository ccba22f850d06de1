"""Runs that train for a moment, for pages that show, judge and manage runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import fenshen

FAST = {"train.ticks": 2, "train.threads": 1, "train.precision": "fp32", "train.batch": 16, "autopilot": "off", "evaluate.report": False}


def picture_run(runs: Path, name: str, seed: int = 0, count: int = 60) -> fenshen.Run:
    """Of noise, 8 × 8 pixels, brighter to the left."""
    data = runs.parent / f"{name}-data.npz"
    images = np.random.default_rng(seed).integers(0, 200, (count, 8, 8), np.uint8)
    images[:, :, :4] = images[:, :, :4] // 2 + 100
    np.savez(data, images=images)
    return fenshen.train(data, kimg=0.032, changes=FAST, out=runs / name)

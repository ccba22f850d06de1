"""Numbers, durations and sizes as people say them, the same on the command line and in the studio."""

from __future__ import annotations

from fenshen.lang import tr


def number(value: float) -> str:
    """A few digits, never an exponent: `0.012`, `3.5`, `1,797`."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def duration(seconds: float) -> str:
    """`45 s`, `3 min`, `2 h 05 min`."""
    if seconds < 100:
        return tr("{seconds} s", seconds=f"{seconds:.2g}" if seconds < 10 else f"{seconds:.0f}")
    minutes = round(seconds / 60)
    if minutes < 100:
        return tr("{minutes} min", minutes=minutes)
    return tr("{hours} h {minutes} min", hours=minutes // 60, minutes=f"{minutes % 60:02d}")


def bytes_in_words(count: int) -> str:
    """`3.2 MB`."""
    for unit in ("KB", "MB", "GB"):
        count_in_unit = count / 1000 ** (1 + ("KB", "MB", "GB").index(unit))
        if count_in_unit < 1000 or unit == "GB":
            return f"{number(count_in_unit)} {unit}"
    raise AssertionError(count)

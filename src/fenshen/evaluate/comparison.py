"""Two runs side by side: in what their recipes differ, how they ended, and which is clearly better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fenshen.evaluate.report import comparable, compared
from fenshen.lang import tr
from fenshen.run import RunFolder


@dataclass(frozen=True)
class Comparison:
    """`recipe`: dotted keys with other values, `last`: of the log's last line, each with both values; `reports`: report.json, None without."""

    runs: tuple[str, str]
    recipe: dict[str, list[Any]]
    last: dict[str, list[Any]]
    reports: tuple[dict[str, Any] | None, dict[str, Any] | None]

    def json(self) -> dict[str, Any]:
        return {"runs": list(self.runs), "recipe": self.recipe, "last": self.last, "reports": list(self.reports)}

    def scores(self) -> list[tuple[str, str, str]]:
        """Name and both values of what was measured of both in the same way, a star behind the clearly better one."""
        first, second = self.reports
        return compared(first, second) if first is not None and second is not None and comparable(first, second) else []

    def remark(self) -> str:
        """Why there are no scores, or no stars; "" where there is nothing to be said."""
        first, second = self.reports
        if first is None or second is None:
            return tr("Scores: not both runs are measured; measure with: fenshen evaluate RUN")
        if not comparable(first, second):
            return tr("Scores: measured on different pictures or by different encoders; such numbers cannot be compared.")
        counts = [report["scores"][0]["samples"] if report["scores"] else 0 for report in (first, second)]
        if counts[0] == counts[1]:
            return ""
        text = "Measured with {first} and with {second} made pictures: nothing is called better; measure both with the same --count."
        return tr(text, first=counts[0], second=counts[1])


def compare(first: RunFolder, second: RunFolder) -> Comparison:
    """RecipeError, RunFolderError for a run that cannot be read."""
    pair = first, second
    recipes = [_flat(run.recipe().model_dump()) for run in pair]
    lasts = [(run.log() or [{}])[-1] for run in pair]
    differences = {key: [recipe.get(key) for recipe in recipes] for key in recipes[0] | recipes[1] if recipes[0].get(key) != recipes[1].get(key)}
    endings = {key: [last.get(key) for last in lasts] for key in lasts[0] | lasts[1]}
    reports = [run.read_json("report.json") if (run.path / "report.json").exists() else None for run in pair]
    return Comparison((str(first.path), str(second.path)), differences, endings, (reports[0], reports[1]))


def _flat(values: dict[str, Any], before: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{before}{key}.") if isinstance(value, dict) else {before + key: value}
    return flat


def rows(values: dict[str, list[Any]]) -> list[list[str]]:
    """Pairs of values as cells behind their names."""
    return [[key, *(_short(value) for value in pair)] for key, pair in values.items()]


def _short(value: object) -> str:
    return "–" if value is None else f"{value:.5g}" if isinstance(value, float) else str(value)

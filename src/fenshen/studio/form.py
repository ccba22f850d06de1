"""Every setting of a recipe as a form, from the recipe's own types: a new field appears by itself, with its limits, unit and help."""

from __future__ import annotations

import json
import types
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from fenshen.evaluate.charts import Markup, element
from fenshen.lang import tr
from fenshen.recipe import Recipe, Wording, set_from_text

ELSEWHERE = ("data.source", "train.minutes", "adapt.")  # What the page asks for itself, or what has no effect here.
HARMLESS = ("data.encoding", "data.text_column", "data.label_column", "train.device")  # Texts that name no place on this computer.
ONLY_WORDS = "words: "  # How the help of a field begins that pictures have no use for.
Kind = Literal["choice", "switch", "whole", "number", "text", "list"]


@dataclass(frozen=True)
class Entry:
    """One field: its dotted key, what kind of part it gets, its value in this recipe (None: derived), its limits (None: none), its help."""

    key: str
    kind: Kind
    value: Any
    optional: bool = False
    choices: tuple[Any, ...] = ()
    low: float | None = None
    high: float | None = None
    help: str = ""

    @property
    def name(self) -> str:
        return self.key.rpartition(".")[2]

    @property
    def unit(self) -> str:
        """From the end of its name; "" where that says none."""
        units = {"kimg": tr("thousand samples"), "minutes": tr("minutes"), "seconds": tr("seconds"), "pixels": tr("pixels")}
        return (units | {"degrees": "°", "hz": "Hz"}).get(self.name.rpartition("_")[2], "")

    @property
    def slides(self) -> bool:
        """Whether it is a part of a whole, which a slider shows best."""
        return self.kind == "number" and not self.optional and self.low == 0 and self.high is not None and self.high <= 1

    def read(self, text: str) -> Any:
        """What was typed, as the recipe takes it; numbers stay text, which the recipe reads, and complains about in its own words."""
        if text == "" and self.optional:
            return None
        match self.kind:
            case "choice":
                return next((choice for choice in self.choices if str(choice) == text), text)
            case "switch":
                return text == "true"
            case "list":
                return set_from_text([f"{self.key}={text or '[]'}"])[self.key]
        return text


def entries(recipe: Recipe, home: bool) -> list[Entry]:
    """All fields of a recipe that can be set on this page; only who sits `home`, at this computer, can name files on it."""
    words = isinstance(recipe.model, Wording)
    found = (entry for entry in _of(recipe, "") if not entry.key.startswith(ELSEWHERE) and (words or not entry.help.startswith(ONLY_WORDS)))
    return [entry for entry in found if home or entry.kind != "text" or entry.key in HARMLESS]


def _of(section: BaseModel, before: str) -> Iterator[Entry]:
    for name, field in type(section).model_fields.items():
        value, key = getattr(section, name), before + name
        if isinstance(value, BaseModel):
            yield from _of(value, f"{key}.")
        elif (entry := _entry(Entry(key, "text", value, help=field.description or ""), field.annotation, field.metadata)) is not None:
            yield entry


def _entry(entry: Entry, kind: Any, limits: list[Any]) -> Entry | None:
    """The entry for a type; None for what no form can ask for: another section, or what has one value only."""
    if get_origin(kind) is Annotated:
        inside = [limit for info in get_args(kind)[1:] for limit in getattr(info, "metadata", [info])]
        return _entry(entry, get_args(kind)[0], [*limits, *inside])
    if get_origin(kind) in (Union, types.UnionType):
        parts = [part for part in get_args(kind) if part is not type(None)]
        return _entry(replace(entry, optional=True), parts[0], limits) if len(parts) == 1 else None
    if get_origin(kind) is Literal:
        return replace(entry, kind="choice", choices=get_args(kind)) if len(get_args(kind)) > 1 else None
    if get_origin(kind) is tuple:
        return replace(entry, kind="list")
    named: dict[Any, Kind] = {bool: "switch", int: "whole", float: "number", str: "text"}
    return replace(entry, kind=named[kind], low=_limit(limits, "ge", "gt"), high=_limit(limits, "le", "lt")) if kind in named else None


def _limit(limits: list[Any], *names: str) -> float | None:
    return next((value for limit in limits for name in names if (value := getattr(limit, name, None)) is not None), None)


def form(recipe: Recipe, home: bool) -> Markup:
    """The whole form, folded; form.js tells what was changed in it."""
    sections: dict[str, list[Markup]] = {}
    for entry in entries(recipe, home):
        sections.setdefault(entry.key.partition(".")[0], []).append(_row(entry))
    sets = [element("details", element("summary", _title(name)), element("div", *rows, class_="fs-fields")) for name, rows in sections.items()]
    return element("details", element("summary", tr("Every setting")), *sets, class_="fs-settings")


def _title(section: str) -> str:
    titles = {"data": tr("Data"), "model": tr("Networks"), "train": tr("Training"), "autopilot": tr("Autopilot"), "evaluate": tr("Measuring")}
    return titles.get(section, section)


def _row(entry: Entry) -> Markup:
    id = "set-" + entry.key.replace(".", "-")
    label = element("label", element("code", entry.key.partition(".")[2]), *([element("small", entry.unit)] if entry.unit else []), for_=id)
    shared = {"id": id, "data_key": entry.key, "data_was": shown(entry.value), "aria_describedby": f"{id}-help"}
    help = element("p", tr(entry.help) if entry.help else "", id=f"{id}-help")
    return element("div", label, _part(entry, shared), help, class_="fs-field")


def _part(entry: Entry, shared: dict[str, Any]) -> Markup:
    """The part that a hand can move."""
    value, derived = shown(entry.value), tr("by itself")
    if entry.kind == "choice" or (entry.kind == "switch" and entry.optional):
        choices = {str(choice): str(choice) for choice in entry.choices} or {"true": tr("yes"), "false": tr("no")}
        given = ({"": derived} if entry.optional else {}) | choices
        options = [element("option", said, value=choice, selected="" if choice == value else None) for choice, said in given.items()]
        return element("select", *options, **shared)
    if entry.kind == "switch":
        return element("input", type="checkbox", checked="" if entry.value else None, **shared)
    if entry.slides:
        slider = element("input", type="range", min=0, max=entry.high, step=0.01, value=value, **shared)
        return element("span", slider, element("output", value, for_=shared["id"]), class_="fs-slide")
    if entry.kind in ("whole", "number"):
        step = 1 if entry.kind == "whole" else "any"
        return element("input", type="number", min=entry.low, max=entry.high, step=step, value=value, placeholder=derived if entry.optional else None,
                       inputmode="decimal", **shared)  # fmt: skip
    return element("input", type="text", value=value, placeholder=derived if entry.optional else None, autocomplete="off", **shared)


def shown(value: Any) -> str:
    """A value as a part of the page holds it."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case tuple():
            return json.dumps(list(value))
        case float():
            return f"{value:g}"
    return str(value)


def changed(recipe: Recipe, told: str, home: bool) -> dict[str, Any]:
    """What form.js told of, key -> text, as changes of the recipe; keys that the form has not are passed over."""
    known = {entry.key: entry for entry in entries(recipe, home)}
    typed: dict[str, str] = json.loads(told or "{}")
    return {key: known[key].read(str(text).strip()) for key, text in typed.items() if key in known}


def checked(changes: dict[str, Any], problem: str = "") -> Markup:
    """What was changed, in a line, or what is wrong with it."""
    if problem:
        return element("p", problem.removeprefix("--set").lstrip(":： "), class_="fs-warning", role="alert")
    said = [f"{key} = {tr('by itself') if value is None else shown(value)}" for key, value in changes.items()]
    return element("p", tr("Changed: {settings}", settings=", ".join(said)), class_="fs-soft") if said else Markup()

"""Writes docs/recipe.md from the recipe's schema, and docs/api.md from what the API says of itself.

`FENSHEN_LANG=en python -m fenshen.cli.reference recipe > docs/recipe.md`, and the same with `api`.
"""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

import fenshen
from fenshen.recipe import FAMILIES, Recipe, ready_recipes

RECIPE = """<!-- Written by `make docs`; change the descriptions in src/fenshen/recipe.py. -->

# The keys of a recipe

Each can stand in a TOML file (`--recipe FILE`) or be set with `--set key=value`. Empty: derived from the data and the device
when a run starts; `fenshen train --dry-run` shows what comes out, and the run keeps it in its `recipe.toml`.
"""
API = """<!-- Written by `make docs`; change the docstrings in src/fenshen/api.py. -->

# From Python

    import fenshen
    run = fenshen.train("photos/", minutes=10)
    run.generate(64, seed=1).save("grid.png")

A person's mistake raises an exception of `fenshen.errors`, all of them a `FenshenError`, that says what to do.
"""
ROWS = "| key | default | values | meaning |\n|---|---|---|---|"


def recipe_page() -> str:
    """All keys as Markdown, a table per section, those of each family by themselves."""
    tables = [(f"[{name}]", keys(kind, f"{name}.")) for name, kind in _sections()]
    everywhere, rest = _of_families()
    tables.insert(1, ("[model], of every family", iter(everywhere)))
    tables[2:2] = [(f"[model], family {family}", iter(rows)) for family, rows in rest.items()]
    ready = "\n".join(f"| `{name}` | {_first_line(path.read_text('utf-8'))} |" for name, path in ready_recipes().items())
    parts = [RECIPE, "## Ready recipes\n", "| `--recipe` | |\n|---|---|", f"{ready}\n"]
    return "\n".join([*parts, *(f"## {title}\n\n{ROWS}\n" + "\n".join(rows) + "\n" for title, rows in tables)])


def _sections() -> Iterator[tuple[str, type[BaseModel]]]:
    for name, field in Recipe.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield name, field.annotation


def _of_families() -> tuple[list[str], dict[str, list[str]]]:
    """The rows that all families share, and the others of each."""
    of = {family: [row for row in keys(model, "model.") if not row.startswith("| `model.family`")] for family, model in FAMILIES.items()}
    everywhere = [row for row in next(iter(of.values())) if all(row in rows for rows in of.values())]
    first = f"| `model.family` | `gan` | {', '.join(FAMILIES)} | what is trained; another family begins with its own defaults |"
    return [first, *everywhere], {family: [row for row in rows if row not in everywhere] for family, rows in of.items()}


def _first_line(toml: str) -> str:
    """What a ready recipe says of itself first."""
    return next((line.lstrip("# ").strip() for line in toml.splitlines() if line.startswith("#")), "").replace("|", "\\|")


def api_page() -> str:
    """All that is public, with its signature and its docstring."""
    parts = [API]
    for name in fenshen.__all__:
        found = getattr(fenshen, name)
        if inspect.isclass(found):
            parts.append(f"## class {name}\n\n{_text(found)}\n")
            parts += [_entry(f"{name}.{key}", member) for key, member in vars(found).items() if not key.startswith("_") and _is_documented(member)]
        elif inspect.isfunction(found):
            parts.append(_entry(f"fenshen.{name}", found, 2))
    return "\n".join(parts)


def _is_documented(member: Any) -> bool:
    return bool((inspect.isfunction(member) or isinstance(member, property)) and member.__doc__)


def _entry(name: str, member: Any, level: int = 3) -> str:
    signature = ""
    if inspect.isfunction(member):
        taken = inspect.signature(member)
        kept = [p.replace(annotation=_Plain(p.annotation)) for key, p in taken.parameters.items() if key != "self"]
        plain = taken.replace(parameters=kept, return_annotation=_Plain(taken.return_annotation))
        signature = f"\n```python\n{name.rpartition('.')[2]}{plain}\n```\n"
    return f"{'#' * level} {name}\n{signature}\n{_text(member)}\n"


class _Plain(str):
    """An annotation that stands without quotes."""

    def __repr__(self) -> str:
        return str(self)


def _text(thing: Any) -> str:
    return inspect.getdoc(thing) or ""


def keys(section: type[BaseModel], before: str, made: BaseModel | None = None) -> Iterator[str]:
    """A row of the table per key, in the order of the file; `made`: the section whose values are the defaults here."""
    for name, field in section.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from keys(kind, f"{before}{name}.", field.default)
        else:
            value = field.default if made is None else getattr(made, name)
            default = "" if value is None else f"`{str(value).lower() if isinstance(value, bool) else value}`"
            values = f"{words_of(kind)}{limits_of([*field.metadata, *inner_metadata(kind)])}"
            yield f"| `{before}{name}` | {default} | {values} | {field.description or ''} |"


def inner_metadata(kind: Any) -> list[Any]:
    """The limits of the kinds inside an optional one."""
    found: list[Any] = []
    for part in get_args(kind) if get_origin(kind) in (Union, types.UnionType) else ():
        if get_origin(part) is Annotated:
            found += [limit for info in get_args(part)[1:] for limit in getattr(info, "metadata", [info])]
    return found


def limits_of(metadata: list[Any]) -> str:
    """Limits in words: ` ≥ 0 and ≤ 1`."""
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    said = [f"{sign} {value}" for limit in metadata for name, sign in signs.items() if (value := getattr(limit, name, None)) is not None]
    return f" {' and '.join(said)}" if said else ""


def words_of(kind: Any) -> str:
    """A type in words."""
    if get_origin(kind) is Annotated:
        return words_of(get_args(kind)[0])
    if get_origin(kind) is Literal:
        return ", ".join(map(str, get_args(kind)))
    if get_origin(kind) is tuple:
        return f"{words_of(get_args(kind)[0])}, or a list"
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return f"keys of {kind.__name__.lower()}"
    if get_args(kind):
        return " or ".join(words_of(part) for part in get_args(kind) if part is not type(None))
    return {float: "number", int: "whole number", bool: "true, false", str: "text"}.get(kind, str(kind))


PAGES = {"recipe": recipe_page, "api": api_page}

if __name__ == "__main__":
    print(PAGES[sys.argv[1]](), end="")

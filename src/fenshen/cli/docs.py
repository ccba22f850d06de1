"""Writes docs/cli.md from the program itself: `FENSHEN_LANG=en python -m fenshen.cli.docs > docs/cli.md`."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import typer
from pydantic import BaseModel

from fenshen.cli import ABOUT, FIRST_STEPS, app
from fenshen.recipe import FAMILIES, Recipe

HEAD = f"""<!-- Written by `make docs`; change the help texts in src/fenshen/cli/ and the descriptions in src/fenshen/recipe.py. -->

# The command line

{ABOUT}

{FIRST_STEPS.replace(chr(8) + chr(10), "").replace(chr(10) + "  ", chr(10) + "    ")}

Exit codes: 0 done, 1 a mistake of the program (with its traceback), 2 a mistake in what was asked for (one or two lines say what to do),
130 and 143 stopped by Ctrl-C or SIGTERM (saved). With `--json`, stdout holds JSON alone and everything meant for people goes to stderr.
`FENSHEN_LANG=zh` speaks Chinese, `FENSHEN_RUNS` is where runs are kept, `FENSHEN_CACHE` where prepared pictures are.
"""
RECIPE = """# The keys of a recipe

Each can stand in a TOML file (`--recipe FILE`) or be set with `--set key=value`. Empty: derived from the data and the device
when a run starts; `fenshen train --dry-run` shows what comes out, and the run keeps it in its `recipe.toml`.

| key | default | values | meaning |
|---|---|---|---|
"""


def page() -> str:
    """The whole page as Markdown."""
    commands = "\n".join(text for name, group in (("fenshen", app), *subgroups()) for text in sections(name, group))
    rows = "\n".join(keys(Recipe))
    return f"{HEAD}\n{commands}\n{RECIPE}{rows}\n"


def subgroups() -> Iterator[tuple[str, typer.Typer]]:
    for group in app.registered_groups:
        assert group.typer_instance is not None
        yield f"fenshen {group.name}", group.typer_instance


def sections(name: str, group: typer.Typer) -> Iterator[str]:
    """One section per verb."""
    first = group.registered_callback
    if group is not app and first is not None and first.callback is not None:
        yield section(name, str(group.info.help), first.callback)
    for command in group.registered_commands:
        assert command.callback is not None
        yield section(f"{name} {command.name}", str(command.help), command.callback)


def section(name: str, text: str, function: Callable[..., Any]) -> str:
    """Heading, usage and options of one verb."""
    options, arguments = [], []
    hints = get_type_hints(function, include_extras=True)
    for key, parameter in inspect.signature(function).parameters.items():
        if get_origin(hints[key]) is not Annotated:
            continue
        kind, info = get_args(hints[key])[:2]
        if isinstance(info, typer.models.ArgumentInfo):
            needed = parameter.default is inspect.Parameter.empty
            arguments.append(str(info.metavar) if needed else f"[{info.metavar}]")
            options.append(f"| `{info.metavar}` | {info.help} |")
        else:
            shown = "" if parameter.default in (None, False, True) else f" (default: {parameter.default})"
            names = [name for name in (info.default, *(info.param_decls or ())) if isinstance(name, str) and name.startswith("--")]
            flag = " ".join([names[0], value_of(kind, info.metavar)]).strip()
            options.append(f"| `{flag}` | {info.help}{shown} |")
    usage = " ".join([name, *arguments, "[OPTIONS]"])
    return "\n".join([f"## {name}", "", text, "", f"    {usage}", "", "| | |", "|---|---|", *options, ""]).replace("A|B", "A\\|B")


def value_of(kind: Any, metavar: str | None) -> str:
    """What stands behind a flag."""
    kind = next((k for k in get_args(kind) if k is not type(None)), kind) if get_origin(kind) in (Union, types.UnionType) else kind
    if kind is bool:
        return ""
    words = "|".join(get_args(kind)) if get_origin(kind) is Literal else (metavar or "N")
    return words.replace("|", "\\|")


def keys(section: type[BaseModel], before: str = "", made: BaseModel | None = None) -> Iterator[str]:
    """A row of the table per key, in the order of the file; `made`: the section whose values are the defaults here."""
    for name, field in section.model_fields.items():
        kind = field.annotation
        if section is Recipe and name == "model":
            yield from of_families()
        elif isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from keys(kind, f"{before}{name}.", field.default)
        else:
            value = field.default if made is None else getattr(made, name)
            default = "" if value is None else f"`{str(value).lower() if isinstance(value, bool) else value}`"
            values = f"{words_of(kind)}{limits_of([*field.metadata, *inner_metadata(kind)])}"
            yield f"| `{before}{name}` | {default} | {values} | {field.description or ''} |"


def of_families() -> Iterator[str]:
    """The keys of all families, each row once, with the families that have it where not all do."""
    having: dict[str, list[str]] = {}
    for family, model in FAMILIES.items():
        for row in keys(model, "model."):
            having.setdefault(row, []).append(family)
    yield f"| `model.family` | `gan` | {', '.join(FAMILIES)} | what is trained; another family begins with its own defaults |"
    for row, families in sorted(having.items(), key=lambda item: -len(item[1])):
        if not row.startswith("| `model.family`"):
            yield row if len(families) == len(FAMILIES) else f"{row.removesuffix(' |')} ({', '.join(families)}) |"


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


if __name__ == "__main__":
    print(page(), end="")

"""Writes docs/cli.md from the program itself: `FENSHEN_LANG=en python -m fenshen.cli.docs > docs/cli.md`."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import typer

from fenshen.cli import ABOUT, FIRST_STEPS, app

HEAD = f"""<!-- Written by `make docs`; change the help texts in src/fenshen/cli/. -->

# The command line

{ABOUT}

{FIRST_STEPS.replace(chr(8) + chr(10), "").replace(chr(10) + "  ", chr(10) + "    ")}

Exit codes: 0 done, 1 a mistake of the program (with its traceback), 2 a mistake in what was asked for (one or two lines say what to do),
130 and 143 stopped by Ctrl-C or SIGTERM (saved). With `--json`, stdout holds JSON alone and everything meant for people goes to stderr.
`FENSHEN_LANG=zh` speaks Chinese, `FENSHEN_RUNS` is where runs are kept, `FENSHEN_CACHE` where prepared pictures are.
The keys that `--set` changes are in [recipe.md](recipe.md).
"""

def page() -> str:
    """The whole page as Markdown."""
    commands = "\n".join(text for name, group in (("fenshen", app), *subgroups()) for text in sections(name, group))
    return f"{HEAD}\n{commands}"


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


if __name__ == "__main__":
    print(page(), end="")

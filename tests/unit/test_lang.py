"""The Chinese catalogue is complete: every text in the code has its translation, with the same fields, and no other."""

from __future__ import annotations

import ast
import json
import string
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

import fenshen
from fenshen import errors
from fenshen.errors import FenshenError
from fenshen.lang import language, tr
from fenshen.recipe import FAMILIES, Recipe

SOURCE = Path(fenshen.__file__).parent
SAYING = {"tr", "said", "Said"} | {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, FenshenError)}
DYNAMIC = {"critic", "generator", "restorer", "writer"}  # Names of players, translated where they are shown.
Function = ast.FunctionDef | ast.AsyncFunctionDef


def texts(tree: ast.AST) -> Iterator[tuple[int, str | None]]:
    """(line, text) of everything said in a module; None for what cannot be told from the code."""
    for scope in [tree, *(node for node in ast.walk(tree) if isinstance(node, Function))]:
        assigned = [node for node in within(scope) if isinstance(node, ast.Assign)]
        for node in within(scope):
            if isinstance(node, ast.Call) and _name(node.func) in SAYING and node.args and not isinstance(node.args[0], ast.Starred):
                yield from ((node.lineno, text) for text in literals(node.args[0], assigned))


def within(scope: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a scope, without those of the functions inside it."""
    for child in ast.iter_child_nodes(scope):
        if not isinstance(child, Function):
            yield child
            yield from within(child)


def _name(function: ast.expr) -> str:
    return function.id if isinstance(function, ast.Name) else function.attr if isinstance(function, ast.Attribute) else ""


def literals(node: ast.expr, assigned: list[ast.Assign]) -> Iterator[str | None]:
    """The literal texts that an argument may be."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.IfExp():
            yield from literals(node.body, assigned)
            yield from literals(node.orelse, assigned)
        case ast.Name():
            same = [a.value for a in assigned if any(isinstance(t, ast.Name) and t.id == node.id for t in a.targets)]
            for value in same:
                yield from (text for text in literals(value, []) if text is not None)
            if not same:
                yield None
        case _:
            yield None


def described(section: type[BaseModel]) -> Iterator[str]:
    """The help of every field of a recipe, which the studio's form shows."""
    for field in section.model_fields.values():
        if field.description:
            yield field.description
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from described(field.annotation)


def all_texts() -> dict[str, str]:
    """Text -> where it is said."""
    found = dict.fromkeys(DYNAMIC, "names of players")
    for section in (Recipe, *FAMILIES.values()):
        found |= dict.fromkeys(described(section), "recipe.py, a description")
    for path in sorted(SOURCE.rglob("*.py")):
        for line, text in texts(ast.parse(path.read_text("utf-8"))):
            if text:
                found[text] = f"{path.relative_to(SOURCE)}:{line}"
    return found


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


CATALOGUE: dict[str, str] = json.loads((SOURCE / "zh.json").read_text("utf-8"))


def test_every_text_is_translated() -> None:
    missing = {text: where for text, where in all_texts().items() if text not in CATALOGUE}
    assert not missing, json.dumps(missing, ensure_ascii=False, indent=1)


def test_nothing_is_translated_that_nobody_says() -> None:
    assert not set(CATALOGUE) - set(all_texts())


def test_translations_have_the_same_fields() -> None:
    assert not [text for text, translated in CATALOGUE.items() if fields(text) != fields(translated)]


def test_translations_are_chinese() -> None:
    plain = [text for text, translated in CATALOGUE.items() if not any("一" <= letter <= "鿿" for letter in translated)]
    assert not [text for text in plain if len(text) > 12 and "{" not in text]


def test_the_collector_sees_what_it_should() -> None:
    code = """
def f():
    text = "a {x}"
    if y:
        text = "b {x}"
    raise DataError(text, x=1)
def g():
    raise UnreadableError("c" if y else "d")
tr("e")
cli.tr(f"not {this}")
"""
    assert {text for _, text in texts(ast.parse(code))} == {"a {x}", "b {x}", "c", "d", "e", None}


@pytest.mark.parametrize(("variables", "expected"), [
    ({"FENSHEN_LANG": "zh"}, "zh"), ({"FENSHEN_LANG": "en", "LANG": "zh_CN.UTF-8"}, "en"), ({"LANG": "zh_CN.UTF-8"}, "zh"),
    ({"LC_ALL": "C", "LANG": "zh_CN.UTF-8"}, "en"), ({"LANG": "de_DE.UTF-8"}, "en"),
])  # fmt: skip
def test_language_follows_the_environment(variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FENSHEN_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert language() == expected


def test_unknown_texts_stay_english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FENSHEN_LANG", "zh")
    assert tr("never {said}", said="translated") == "never translated"

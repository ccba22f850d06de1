"""What mkdocs is asked to do beside its own work: one language per page, no link that leads out of the site, every decision listed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

CHINESE = ".zh-CN.md"
WRAPPED = re.compile(r"(?<=[\u3000-\u9fff\uff00-\uffef”])\n(?=[\u4e00-\u9fff“*`\[])(?!\[English)")
SOURCE = re.compile(r"\[([^\]]+)\]\((?:\.\./)+(?:src|tests|benchmarks|CHANGELOG|CONTRIBUTING|README)[^)]*\)")


def on_config(config: Any) -> Any:
    """Every decision has a place in the navigation."""
    reference = next(item["Reference"] for item in config["nav"] if "Reference" in item)
    reference.append({"Decisions": [f"adr/{path.name}" for path in sorted(Path(config["docs_dir"], "adr").glob("*.md"))]})
    return config


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Names of source files stay, their links go: the site does not hold them. A wrapped line of Chinese goes on without a space."""
    return WRAPPED.sub("", SOURCE.sub(r"\1", markdown))


def on_page_context(context: dict[str, Any], page: Any, config: Any, nav: Any) -> dict[str, Any]:
    """A Chinese page has Chinese words around it and Chinese pages beside it, and any other page English ones."""
    chinese = page.file.src_uri.endswith(CHINESE)
    config.theme["language"] = "zh" if chinese else "en"
    mine = [item for item in nav.items if any(file.endswith(CHINESE) for file in _files(item)) == chinese]
    context["nav"] = _Part(nav, mine)
    return context


def _files(item: Any) -> list[str]:
    return [item.file.src_uri] if getattr(item, "file", None) else [file for child in item.children or () for file in _files(child)]


class _Part:
    """The navigation with some of its items."""

    def __init__(self, nav: Any, items: list[Any]):
        self.items, self.pages = items, nav.pages
        self.homepage = next((item for item in items if getattr(item, "file", None)), nav.homepage)

    def __iter__(self) -> Any:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)

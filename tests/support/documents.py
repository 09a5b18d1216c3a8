"""The project's pages, taken apart."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.support.commands import PROJECT

PAGES = sorted([*PROJECT.glob("*.md"), *(PROJECT / "docs").glob("*.md")])
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def name(page: Path) -> str:
    """The page's path within the project."""
    return str(page.relative_to(PROJECT))


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks in this language."""
    return [block for found, block in _BLOCK.findall(text) if found == language]


def headings(page: Path) -> set[str]:
    """The anchors that a code host makes of the page's headings."""
    text = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def links(page: Path) -> Iterator[tuple[str, str]]:
    """The path and the anchor of every link within the project."""
    text = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"\w+:", target):
            path, _, anchor = target.partition("#")
            yield path, anchor


def examples(text: str) -> Iterator[tuple[str, str]]:
    """The path of every request that is followed by its answer in JSON, with that answer."""
    curl = r"^```sh\ncurl '?http://localhost:8080(/[^'\s]+)'?\n```\n\n```json\n(.*?)^```$"
    yield from re.findall(curl, text, re.MULTILINE | re.DOTALL)

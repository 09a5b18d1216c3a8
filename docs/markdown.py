"""Markdown tables."""

from collections.abc import Iterable


def table(heading: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table with this heading and these rows, whose cells are Markdown."""
    lines = [heading, ("---",) * len(heading), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    # a cell is one line, and a | would end it
    return " ".join(text.split()).replace("|", "\\|")

"""Prints tables for people."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from leaderboard.plain_text import escape_controls_in_lines


def print_table(
    columns: Mapping[str, bool],
    rows: Iterable[Sequence[str]],
    *,
    pipe_width: int,
    overflow: Literal["fold", "ellipsis"] = "ellipsis",
) -> None:
    """Prints a table on standard output. ``columns`` maps each heading to whether its values are numbers.

    On a terminal it fits the width. ``pipe_width`` is the width elsewhere,
    wide enough that nothing is cut. Control characters in headings and values
    are shown as escape sequences.
    """
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading, is_number in columns.items():
        # square brackets in headings and values are not markup
        table.add_column(_cell(heading), justify="right" if is_number else "left", overflow=overflow)
    for row in rows:
        table.add_row(*map(_cell, row))
    Console(width=None if sys.stdout.isatty() else pipe_width).print(table)


def _cell(value: str) -> Text:
    return Text(escape_controls_in_lines(value))

"""Prints tables for people."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text


def print_table(
    columns: Mapping[str, bool],
    rows: Iterable[Sequence[str]],
    *,
    pipe_width: int,
    overflow: Literal["fold", "ellipsis"] = "ellipsis",
) -> None:
    """Prints a table on standard output. ``columns`` maps each heading to whether its values are numbers.

    On a terminal it fits the width. ``pipe_width`` is the width elsewhere,
    wide enough that nothing is cut.
    """
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading, is_number in columns.items():
        # square brackets in headings and values are not markup
        table.add_column(Text(heading), justify="right" if is_number else "left", overflow=overflow)
    for row in rows:
        table.add_row(*map(Text, row))
    Console(width=None if sys.stdout.isatty() else pipe_width).print(table)

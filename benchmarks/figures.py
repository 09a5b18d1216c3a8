"""A measured figure, beside a plain way to do the same from the same run."""

import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from rich.box import MARKDOWN
from rich.table import Table

Unit = Literal["ms", "s", "per second", "MiB", "bytes"]
Plain = Literal["SQL", "COPY", "INSERT", "Flask", "PostgreSQL"]
"""What has the plain values: PostgreSQL without a service, or a small Flask app."""


@dataclass(frozen=True)
class Figure:
    """Measured values, and those of ``plain`` where it can do the same. Medians are shown."""

    name: str
    unit: Unit
    values: list[float]
    plain_values: list[float] = field(default_factory=list)
    plain: Plain = "SQL"

    @property
    def ratio(self) -> float | None:
        """How many times better the figure is than the plain one: above 1 it is faster, or smaller."""
        if not self.plain_values:
            return None
        measured, plain = statistics.median(self.values), statistics.median(self.plain_values)
        return measured / plain if self.unit == "per second" else plain / measured

    def as_json(self) -> dict[str, Any]:
        """The figure as a JSON object."""
        return asdict(self) | {"ratio": self.ratio}


def figures_table(title: str, figures: Iterable[Figure]) -> Table:
    """A table with one row per figure, in Markdown."""
    table = Table(title=title, box=MARKDOWN)
    table.add_column("figure")
    for heading in ("service", "plain", "times better"):
        table.add_column(heading, justify="right")
    for figure in figures:
        plain = f"{figure.plain} {_format(figure.plain_values, figure.unit)}" if figure.plain_values else ""
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2g}" if figure.ratio < 1 else f"{figure.ratio:,.1f}"
        table.add_row(figure.name, _format(figure.values, figure.unit), plain, ratio)
    return table


def _format(values: list[float], unit: Unit) -> str:
    value = statistics.median(values)
    return f"{value:,.2f} {unit}" if value < 10 else f"{value:,.0f} {unit}"

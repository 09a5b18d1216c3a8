"""A measured figure, beside the same in plain SQL from the same run."""

import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from rich.table import Table

Unit = Literal["ms", "s", "per second", "MiB", "bytes"]


@dataclass(frozen=True)
class Figure:
    """Measured values, and those of plain SQL where it can do the same. Medians are shown."""

    name: str
    unit: Unit
    values: list[float]
    sql_values: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float | None:
        """How many times better the figure is than that of plain SQL: above 1 it is faster, or smaller."""
        if not self.sql_values:
            return None
        measured, sql = statistics.median(self.values), statistics.median(self.sql_values)
        return measured / sql if self.unit == "per second" else sql / measured

    def as_json(self) -> dict[str, Any]:
        """The figure as a JSON object."""
        return asdict(self) | {"ratio": self.ratio}


def figures_table(title: str, figures: Iterable[Figure]) -> Table:
    """A table with one row per figure."""
    table = Table(title=title)
    table.add_column("figure")
    for heading in ("service", "plain SQL", "times better"):
        table.add_column(heading, justify="right")
    for figure in figures:
        sql = _format(figure.sql_values, figure.unit) if figure.sql_values else ""
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2g}" if figure.ratio < 1 else f"{figure.ratio:,.1f}"
        table.add_row(figure.name, _format(figure.values, figure.unit), sql, ratio)
    return table


def _format(values: list[float], unit: Unit) -> str:
    value = statistics.median(values)
    return f"{value:,.2f} {unit}" if value < 10 else f"{value:,.0f} {unit}"

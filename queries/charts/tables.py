"""Frames as tables for people, in notebooks and reports."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any

import polars as pl
from narwhals.stable.v2.typing import IntoFrame

from queries.charts.theme import FEW_TESTS, collect_rows
from queries.charts.wording import NOTHING, describe_job_type, visible_text
from queries.ranking import SUGGESTED_MIN_EVENTS

HEADINGS = {
    "begin": "from (UTC)",
    "end": "to (UTC)",
    "event_time": "time (UTC)",
    "last_seen": "last seen (UTC)",
    "error_code": "error",
    "events": "scored tests",
    "ranked_count": "of",
    "percentile": "percentile (%)",
    "success_rate": "success (%)",
    "success_share": "succeeded (%)",
    "share": "share (%)",
    "share_affected": "affected (%)",
    "round_trip_time": "round trip time (s)",
    "median_round_trip_time": "median of the network (s)",
    "p50_round_trip_time": "median round trip time (s)",
    "p95_round_trip_time": "95 % within (s)",
    "seg_duration": "segment (s)",
    "score_ci_low": "score, 95 % from",
    "score_ci_high": "score, 95 % to",
    "results": "in tests",
    "count": "times",
}
"""What people call a column, with its unit. Other columns have spaces for underscores."""

PERCENTAGES = {"success_rate", "success_share", "share", "share_affected"}
"""The columns from 0 to 1 that people read as percentages."""
SECONDS = {"round_trip_time", "median_round_trip_time", "p50_round_trip_time", "p95_round_trip_time", "seg_duration"}
SIGNED = {"change", "places_gained"}
"""The columns whose numbers show a plus sign, too."""
ADDRESSES = {"orchestrator"}
NAMES = {"class", "rule"}
"""The columns with names that have underscores."""

_DIGITS = 3


@dataclass(frozen=True)
class Table:
    """Rows as text under headings for people. Notebooks show it as HTML, other programs as aligned text."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    kinds: tuple[str, ...]
    """For each column, its class: number, address, time, or empty for text."""
    is_few: tuple[bool, ...]
    """For each row, whether it rests on few tests."""
    notes: tuple[str, ...]
    """The lines below the table."""

    def _repr_html_(self) -> str:
        """The table as HTML, with the classes of ``kinds``, and ``few`` for rows of few tests."""
        head = "".join(map(self._heading, range(len(self.headings))))
        body = "\n".join(self._row(cells, is_few=few) for cells, few in zip(self.rows, self.is_few, strict=True))
        notes = "".join(f'<p class="note">{escape(note)}</p>' for note in self.notes)
        return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>{notes}"

    def __repr__(self) -> str:
        """The table as aligned text."""
        lines = [self.headings, *self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        aligned = [
            "  ".join(
                text.rjust(width) if kind == "number" else text.ljust(width)
                for text, width, kind in zip(line, widths, self.kinds, strict=True)
            ).rstrip()
            for line in lines
        ]
        return "\n".join([*aligned, *self.notes])

    def _heading(self, index: int) -> str:
        return f'<th scope="col"{self._attributes(index)}>{escape(self.headings[index])}</th>'

    def _row(self, cells: tuple[str, ...], *, is_few: bool) -> str:
        inner = "".join(f"<td{self._attributes(index)}>{escape(text)}</td>" for index, text in enumerate(cells))
        return f'<tr class="few" style="opacity:.65">{inner}</tr>' if is_few else f"<tr>{inner}</tr>"

    def _attributes(self, index: int) -> str:
        kind = self.kinds[index]
        # notebooks align all cells to the right
        left = "" if kind == "number" else ' style="text-align:left"'
        return f' class="{kind}"{left}' if kind else left


def table(
    frame: IntoFrame, *, headings: Mapping[str, str] | None = None, max_rows: int | None = None, what: str = "rows"
) -> Table:
    """The rows of a frame of any engine for people: whole, with words and units in the headings.

    ``headings`` names columns in other words than HEADINGS. Scores have three
    digits, shares are percentages, times are in UTC, and "–" stands for null.
    Rows whose column ``events`` says that they rest on few tests are faint. With
    ``max_rows`` the table has the first rows only and says so: "The first 12 of
    50,442 rows", with the word of ``what``.

    >>> import polars as pl
    >>> table(pl.DataFrame({"region": ["FRA"], "success_rate": [0.75], "model": [None]}))
    region  success (%)  model
    FRA            75.0  –
    """
    found = collect_rows(frame)
    rows = found if max_rows is None else found.head(max_rows)
    words = {**HEADINGS, **(headings or {})}
    columns = rows.columns
    few = (rows["events"] < SUGGESTED_MIN_EVENTS).fill_null(value=False).to_list() if "events" in columns else ()
    few_note = f"Faint: {FEW_TESTS}." if any(few) else ""
    cut_note = f"The first {rows.height:,} of {found.height:,} {what}." if rows.height < found.height else ""
    empty_note = f"No {what}." if found.is_empty() else ""
    return Table(
        headings=tuple(visible_text(words.get(name, name.replace("_", " "))) for name in columns),
        rows=tuple(tuple(_text(name, value) for name, value in zip(columns, row, strict=True)) for row in rows.rows()),
        kinds=tuple(map(_kind, columns, rows.dtypes)),
        is_few=tuple(few) or (False,) * rows.height,
        notes=tuple(filter(None, (few_note, cut_note, empty_note))),
    )


def _kind(column: str, dtype: pl.DataType) -> str:
    if dtype.is_numeric():
        return "number"
    if isinstance(dtype, pl.Datetime):
        return "time"
    return "address" if column in ADDRESSES else ""


def _text(column: str, value: Any) -> str:
    """A value as people write it."""
    match value:
        case None:
            text = NOTHING
        case bool():
            text = "yes" if value else "no"
        case int():
            text = f"{value:+,}" if column in SIGNED else f"{value:,}"
        case float():
            text = _float_text(column, value)
        case datetime():
            text = f"{value:%Y-%m-%d %H:%M}"
        case list():
            text = ", ".join(_text(column, part) for part in value)
        case _:
            text = _name_text(column, str(value))
    return visible_text(text)


def _float_text(column: str, value: float) -> str:
    if column in PERCENTAGES:
        return f"{100 * value:.1f}"
    if column in SECONDS:
        return f"{value:#.3g}".rstrip(".") if value < 1000 else f"{value:,.0f}"
    if column == "percentile":
        return f"{value:.1f}"
    return f"{value:+.{_DIGITS}f}" if column in SIGNED else f"{value:.{_DIGITS}f}"


def _name_text(column: str, value: str) -> str:
    if column == "job_type":
        return describe_job_type(value)
    return value.replace("_", " ") if column in NAMES else value

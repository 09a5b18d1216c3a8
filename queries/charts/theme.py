"""The colours, scales and titles that all charts share."""

import altair as alt
import narwhals.stable.v2 as nw
import polars as pl
from narwhals.stable.v2.typing import IntoFrame

PRIMARY, MUTED, ACCENT = "#33658a", "#a9c4d8", "#d1495b"
"""The colours of measured values, of the background, and of a highlight."""
SCORE_SCALE = alt.Scale(scheme="viridis", domain=[0, 1])
"""Always from 0 (dark) to 1 (bright), so that charts can be compared."""
SHARE_SCALE = alt.Scale(domain=[0, 1])

_MAX_LABEL_CHARACTERS = 14


def shorten_expression(text: str) -> str:
    """The Vega expression that shortens the address in ``text``, itself a Vega expression, to fit beside an axis."""
    return f"length({text}) > {_MAX_LABEL_CHARACTERS} ? slice({text}, 0, 8) + '…' + slice({text}, -4) : {text}"


def shorten_address(address: str) -> str:
    """An address shortened in the same way."""
    return f"{address[:8]}…{address[-4:]}" if len(address) > _MAX_LABEL_CHARACTERS else address


def collect_rows(frame: IntoFrame) -> pl.DataFrame:
    """The rows of a frame of any engine, as a Polars frame with text as String."""
    rows: pl.DataFrame = nw.from_native(frame).lazy().collect("polars").to_native()
    return rows.cast({pl.Categorical: pl.String})


def inline_data(rows: pl.DataFrame) -> alt.InlineData:
    """The rows as a part of the chart, without a limit on their number; times are milliseconds since 1970."""
    return alt.InlineData(values=rows.with_columns(pl.col(pl.Datetime).dt.epoch("ms")).to_dicts())


def panel_facet(width: int, padding: int = 10) -> alt.Facet:
    """One panel for each value of the column ``panel``, which stands above it, cut to ``width`` pixels."""
    header = alt.Header(labelFontWeight="bold", labelAnchor="start", labelLimit=width, labelPadding=padding)
    return alt.Facet("panel:N", title=None, header=header)


def chart_title(text: str, rows: pl.DataFrame, *subtitle: str) -> alt.Title:
    """A title with the ``subtitle`` lines that are not empty; where there are no rows, it says so instead."""
    lines = ["No results in this window."] if rows.is_empty() else [line for line in subtitle if line]
    return alt.Title(text, subtitle=lines or alt.Undefined, anchor="start", subtitleColor="#666", offset=12)


def hidden_note(number: int, reason: str) -> str:
    """The line of a subtitle that says how many orchestrators are not shown, and why; empty where all are."""
    return f"{number} not shown, since they {reason}." if number else ""

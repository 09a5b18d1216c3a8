"""What all charts have in common."""

import altair as alt
import narwhals.stable.v2 as nw
import polars as pl
from narwhals.stable.v2.typing import IntoFrame

MAIN, SOFT, ACCENT = "#33658a", "#a9c4d8", "#d1495b"
"""Colours for what is measured, what stands behind it, and what is pointed at."""
SCORE = alt.Scale(scheme="viridis", domain=[0, 1])
"""From 0, dark, to 1, bright, whatever scores there are, so that charts compare."""
SHARE = alt.Scale(domain=[0, 1])

_LONGEST = 14


def short(text: str) -> str:
    """The Vega expression for an address that fits beside an axis, of the expression for its whole text."""
    return f"length({text}) > {_LONGEST} ? slice({text}, 0, 8) + '…' + slice({text}, -4) : {text}"


def shortened(address: str) -> str:
    """The same of a text."""
    return f"{address[:8]}…{address[-4:]}" if len(address) > _LONGEST else address


def collected(frame: IntoFrame) -> pl.DataFrame:
    """The rows of a frame of any engine, with text as String."""
    return nw.from_native(frame).lazy().collect("polars").to_native().cast({pl.Categorical: pl.String})


def data(rows: pl.DataFrame) -> alt.InlineData:
    """The rows as they go into a chart, however many; times are milliseconds since 1970."""
    return alt.InlineData(values=rows.with_columns(pl.col(pl.Datetime).dt.epoch("ms")).to_dicts())


def panels(width: int, padding: int = 10) -> alt.Facet:
    """A panel for each ``panel``, with that above it, at most as wide as the panel, by so many pixels."""
    header = alt.Header(labelFontWeight="bold", labelAnchor="start", labelLimit=width, labelPadding=padding)
    return alt.Facet("panel:N", title=None, header=header)


def titled(text: str, rows: pl.DataFrame, *subtitle: str) -> alt.Title:
    """A title, with what is to be said beneath it, or that there is nothing to be seen."""
    beneath = ["There is nothing in this window."] if rows.is_empty() else [line for line in subtitle if line]
    return alt.Title(text, subtitle=beneath or alt.Undefined, anchor="start", subtitleColor="#666", offset=12)

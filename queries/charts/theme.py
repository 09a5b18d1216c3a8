"""The look, scales and titles that all charts share. Importing this enables the look for all charts of Altair."""

from typing import Any

import altair as alt
import narwhals.stable.v2 as nw
import polars as pl
from narwhals.stable.v2.typing import IntoFrame

from queries.charts.palette import FONT_FAMILY, MONOSPACE_FAMILY, PALETTE, SCORE_STEPS, TEXT_SIZES
from queries.charts.wording import (
    MAX_ADDRESS_CHARACTERS,
    describe_jobs,
    describe_window,
    visible_frame,
    visible_text,
    visible_values,
)
from queries.filters import EventFilter
from queries.ranking import SUGGESTED_MIN_EVENTS
from queries.times import TimeRange

SURFACE, TEXT, TEXT_MUTED, BORDER = (PALETTE[name].light for name in ("surface", "text", "text-muted", "border"))
PRIMARY, PRIMARY_SOFT, ACCENT = (PALETTE[name].light for name in ("primary", "primary-soft", "accent"))
SERIES = tuple(shade.light for name, shade in PALETTE.items() if name.startswith("series-"))
"""The colours of lines and bars that are of one kind, such as orchestrators."""
SCORE_SCALE = alt.Scale(domain=[step / 10 for step in range(11)], range=[*SCORE_STEPS])
"""Always from 0 (dark) to 1 (bright), so that charts can be compared."""
SHARE_SCALE = alt.Scale(domain=[0, 1])
IS_FEW = f"isValid(datum.events) && datum.events < {SUGGESTED_MIN_EVENTS}"
"""The Vega expression for a row with few scored tests."""
FEW_TESTS = f"fewer than {SUGGESTED_MIN_EVENTS} scored tests"

_SMALL = TEXT_SIZES["small"]


@alt.theme.register("leaderboard", enable=True)
def leaderboard_theme() -> alt.theme.ThemeConfig:
    """The fonts, sizes and colours of all charts."""
    small = {
        "labelFontSize": _SMALL,
        "titleFontSize": _SMALL,
        "labelColor": TEXT_MUTED,
        "titleColor": TEXT,
    }
    config: Any = {
        "background": SURFACE,
        "font": FONT_FAMILY,
        "title": {
            "color": TEXT,
            "fontSize": TEXT_SIZES["body"],
            "subtitleColor": TEXT_MUTED,
            "subtitleFontSize": _SMALL,
            "subtitlePadding": 4,
        },
        "axis": small
        | {"gridColor": BORDER, "gridOpacity": 0.5, "domainColor": BORDER, "tickColor": BORDER}
        | {"titleFontWeight": "normal"},
        "legend": small | {"titleFontWeight": "normal", "labelLimit": 240},
        "header": small | {"labelColor": TEXT},
        "view": {"stroke": BORDER},
        "text": {"color": TEXT, "fontSize": _SMALL},
        "mark": {"color": PRIMARY},
        "rule": {"color": TEXT_MUTED},
        "range": {"category": [*SERIES], "ramp": [*SCORE_STEPS], "heatmap": [*SCORE_STEPS]},
    }
    return {"config": config}


def address_axis(labels: str = "datum.label") -> dict[str, Any]:
    """The options of an axis of orchestrators. ``labels`` is a Vega expression for their text."""
    return {"labelExpr": labels, "labelLimit": 220, "labelFont": MONOSPACE_FAMILY, "labelColor": TEXT} | PLAIN_AXIS


PLAIN_AXIS: dict[str, Any] = {"ticks": False, "domain": False, "title": None}
"""The options of an axis whose labels say what they are."""


def shorten_expression(text: str) -> str:
    """The Vega expression that shortens the address in ``text``, itself a Vega expression, to fit beside an axis."""
    return f"length({text}) > {MAX_ADDRESS_CHARACTERS} ? slice({text}, 0, 8) + '…' + slice({text}, -4) : {text}"


def collect_rows(frame: IntoFrame) -> pl.DataFrame:
    """The rows of a frame of any engine, as a Polars frame with text as String that can be shown."""
    rows: pl.DataFrame = nw.from_native(frame).lazy().collect("polars").to_native()
    return visible_frame(rows.cast({pl.Categorical: pl.String}))


def inline_data(rows: pl.DataFrame) -> alt.InlineData:
    """The rows as a part of the chart, without a limit on their number; times are milliseconds since 1970."""
    numeric = visible_frame(rows).with_columns(pl.col(pl.Datetime).dt.epoch("ms"))
    return alt.InlineData(values=numeric.to_dicts())


def panel_facet(width: int, padding: int = 10) -> alt.Facet:
    """One panel for each value of the column ``panel``, which stands above it, cut to ``width`` pixels."""
    header = alt.Header(labelFontWeight="bold", labelAnchor="start", labelLimit=width, labelPadding=padding)
    return alt.Facet("panel:N", title=None, header=header)


def chart_title(
    text: str,
    rows: pl.DataFrame,
    event_filter: EventFilter | None = None,
    window: TimeRange | None = None,
    *subtitle: str,
    what: str = "results",
) -> alt.Title:
    """A title that names the jobs and the window, where they are given, above the ``subtitle`` lines.

    Empty lines are left out. Where there are no rows, the subtitle says that there are no ``what``.
    """
    title = f"{text} · {describe_jobs(event_filter)}" if event_filter else text
    lines = [f"No {what} in this window."] if rows.is_empty() else [line for line in subtitle if line]
    lines = [describe_window(window), *lines] if window else lines
    return alt.Title(
        visible_text(title), subtitle=visible_values(lines) or alt.Undefined, anchor="start", offset=12, limit=680
    )


def hidden_note(number: int, reason: str) -> str:
    """The line of a subtitle that says how many orchestrators are not shown, and why; empty where all are."""
    return f"{number} not shown, since they {reason}." if number else ""


def few_note(rows: pl.DataFrame, mark: str) -> str:
    """The line of a subtitle that says which ``mark`` rests on few tests; empty where none does."""
    few = "events" in rows.columns and rows.filter(pl.col("events") < SUGGESTED_MIN_EVENTS).height
    return f"{mark}: {FEW_TESTS}." if few else ""

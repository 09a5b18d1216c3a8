"""How much was tested for a page, and how it went."""

import polars as pl

import queries
from leaderboard.web.pages.layout.state import PageState
from leaderboard.web.rendering import run_query
from queries import EventWindow


def network_stats(window: EventWindow, state: PageState, *group_columns: str, **changes: None) -> pl.DataFrame:
    """The rows of ``queries.network_stats`` for the page's filter without the ``changes``, with text as String."""
    event_filter = state.event_filter_with(**changes)
    rows = run_query(queries.network_stats, window, event_filter, group_columns=group_columns, formula=state.formula)
    return rows.with_columns(pl.selectors.categorical().cast(pl.String))

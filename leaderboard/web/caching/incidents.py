"""The incidents that overlap a window, for pages, which announce them beside other things."""

import io
from datetime import datetime, timedelta

import polars as pl

import queries
from leaderboard.services import service
from leaderboard.web.caching.response_cache import get_readthrough
from queries.times import TimeRange

CACHE_SECONDS = 60
"""Finding incidents takes longer than most pages, and they are known by the hour."""
LOOK_BACK = timedelta(days=7)
"""At least so much before the end of a window is read, since it tells what is usual."""


def incidents_in(time_range: TimeRange, job_type: str | None = None) -> pl.DataFrame:
    """The rows of ``queries.incidents`` that overlap the window, at most CACHE_SECONDS old.

    Raises StoreUnavailable and StoreTimeout.
    """
    since, until = time_range
    start = min(since, _earlier(until))
    # windows that end now are the same one for a minute
    key = ("incidents in", job_type, *(int(bound.timestamp()) // CACHE_SECONDS for bound in (start, until)))

    def find() -> bytes:
        window = service().events.window(start, until)
        events = window.collect(lambda events: events.select(queries.INCIDENT_EVENT_COLUMNS))
        out = io.BytesIO()
        queries.incidents(events, job_type=job_type).write_ipc(out)
        return out.getvalue()

    found = pl.read_ipc(get_readthrough(key, CACHE_SECONDS, find))
    return found.filter(pl.col("end") >= since, pl.col("begin") <= until)


def _earlier(until: datetime) -> datetime:
    try:
        return until - LOOK_BACK
    except OverflowError:
        return until

"""The incidents that overlap a window, for answers that mention them beside other things."""

from datetime import UTC, datetime, timedelta

import msgspec
import polars as pl

import queries
from leaderboard.services import service
from leaderboard.web.caching.response_cache import get_readthrough
from queries import EventWindow
from queries.errors import StoreError
from queries.times import EPOCH, MIN_TIME, TimeRange

REFRESH = timedelta(minutes=5)
"""Finding incidents takes longer than all else in an answer, and they are known by the hour."""
USUAL_DAYS, MAX_DAYS = timedelta(days=7), timedelta(days=31)
"""Of the time before the end of a window, so much is read at least, since it tells what is usual, and at most."""

_SCHEMA: dict[str, pl.DataType] = {
    **dict.fromkeys(("begin", "end"), pl.Datetime("us", "UTC")),
    **dict.fromkeys(("region", "job_type", "kind"), pl.String()),
    "share_affected": pl.Float64(),
    **dict.fromkeys(("orchestrators", "events"), pl.Int64()),
    "rule": pl.String(),
}


class _Incident(msgspec.Struct):
    begin: datetime
    end: datetime
    region: str
    job_type: str
    kind: str
    share_affected: float | None
    orchestrators: int | None
    events: int | None
    rule: str


_decoder = msgspec.json.Decoder(list[_Incident])


def incidents_in(time_range: TimeRange, job_type: str | None = None) -> pl.DataFrame:
    """The rows of ``queries.incidents`` that overlap the window, at most REFRESH old.

    Raises StoreUnavailable and StoreTimeout.
    """
    looked_in = incident_range(time_range)

    def find() -> bytes:
        window = service().events.window(*looked_in)
        events = window.collect(lambda events: events.select(queries.INCIDENT_EVENT_COLUMNS))
        return msgspec.json.encode(queries.incidents(events, job_type=job_type).to_dicts())

    stored = get_readthrough(("incidents in", job_type, looked_in), REFRESH.total_seconds(), find)
    try:
        found = _decoder.decode(stored)
    except msgspec.MsgspecError:
        # somebody else may write to a shared cache
        found = _decoder.decode(find())
    since, until = _round_down(time_range.since), looked_in.until
    rows = [msgspec.structs.asdict(one) for one in found if one.begin <= until and one.end >= since]
    return pl.DataFrame(rows, schema=_SCHEMA)


def incidents_beside(window: EventWindow, time_range: TimeRange, job_type: str | None = None) -> pl.DataFrame:
    """As ``incidents_in``, for a page of ``window``: none where an outage leaves only its events known."""
    try:
        return incidents_in(time_range, job_type)
    except StoreError:
        if window.as_of is None:
            raise
        return pl.DataFrame(schema=_SCHEMA)


def incident_range(time_range: TimeRange) -> TimeRange:
    """The window in which incidents are looked for. Requests within REFRESH have the same one, so that it is a key."""
    until = _round_down(min(time_range.until, datetime.now(UTC))) + REFRESH
    earliest, latest = (until - length if until - MIN_TIME > length else MIN_TIME for length in (MAX_DAYS, USUAL_DAYS))
    return TimeRange(max(earliest, min(latest, _round_down(time_range.since))), until)


def _round_down(moment: datetime) -> datetime:
    return moment - (moment - EPOCH) % REFRESH if moment - MIN_TIME > REFRESH else MIN_TIME

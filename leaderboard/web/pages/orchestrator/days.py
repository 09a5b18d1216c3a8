"""How many of an orchestrator's tests succeeded on each of the last days, by region."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import Any

import msgspec
import polars as pl

import queries
from leaderboard.services import service
from leaderboard.web.caching.response_cache import get_readthrough
from leaderboard.web.pages.orchestrator.pictures import day_bars
from queries import EventFilter, Formula
from queries.times import EPOCH, MICROSECOND, MIN_TIME, TimeRange

BAR_DAYS = 90
REFRESH = timedelta(minutes=15)
"""So old may the days be, as reading them takes longer than the rest of the page."""


class RegionDay(msgspec.Struct):
    """The tests of one day in one region: how many are scored, and the success rate of these."""

    region: str
    day: date
    success_rate: float
    events: int


_decoder = msgspec.json.Decoder(list[RegionDay])


def region_days(event_filter: EventFilter, time_range: TimeRange, formula: Formula) -> list[RegionDay]:
    """The days of ``bar_range`` on which the filter's orchestrator has scored results, sorted by region and day.

    They are up to REFRESH old. Raises StoreUnavailable and StoreTimeout.
    """
    days = bar_range(time_range)

    def find() -> bytes:
        return msgspec.json.encode(_read(event_filter, days, formula).to_dicts())

    stored = get_readthrough(("region days", event_filter, days, formula), REFRESH.total_seconds(), find)
    try:
        return _decoder.decode(stored)
    except msgspec.MsgspecError:
        # somebody else may write to a shared cache
        return _decoder.decode(find())


def bar_range(time_range: TimeRange) -> TimeRange:
    """BAR_DAYS up to the end of the window, or up to today. Requests within REFRESH have the same range."""
    until = min(time_range.until, datetime.now(UTC))
    length = timedelta(days=BAR_DAYS - 1)
    first_day = (max(until, MIN_TIME + length) - length).replace(hour=0, minute=0, second=0, microsecond=0)
    # still on the same day
    return TimeRange(first_day, until - (until - EPOCH) % REFRESH + REFRESH - MICROSECOND)


def region_rows(found: Iterable[RegionDay], time_range: TimeRange) -> list[dict[str, Any]]:
    """One row per region: its bars, and the success rate and the number of tests of all days."""
    first, last = (bound.date() for bound in bar_range(time_range))
    axis = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    return [_region_row(region, [*rows], axis) for region, rows in groupby(found, attrgetter("region"))]


def _region_row(region: str, rows: Sequence[RegionDay], axis: Sequence[date]) -> dict[str, Any]:
    events = sum(row.events for row in rows)
    return {
        "region": region,
        "bars": day_bars(f"Success in {region}", axis, {row.day: (row.success_rate, row.events) for row in rows}),
        "events": events,
        "success_rate": sum(row.success_rate * row.events for row in rows) / events,
    }


def _read(event_filter: EventFilter, days: TimeRange, formula: Formula) -> pl.DataFrame:
    """The rows of ``region_days``, from the orchestrator's own results: an index finds them sooner than all events."""
    results = service().events.results(event_filter.orchestrator or "", *days, event_filter.job_type).load().lazy()
    posted = pl.col("payload").str.json_path_match("$.success_rate").cast(pl.Float64, strict=False)
    # success does not depend on times
    events = results.with_columns(success_rate=posted, round_trip_time=pl.lit(1.0), seg_duration=pl.lit(1.0))
    conformed = queries.conform(events.drop("payload"))
    if formula.applies_exclusions:
        conformed = queries.leave_out(conformed, service().exclusions.active())
    history = queries.collect(queries.score_history(conformed, event_filter, formula=formula))
    scored = history.filter(pl.col("events") > 0)
    by_day = scored.group_by(pl.col("region").cast(pl.String), pl.col("bucket").dt.date().alias("day"))
    mean = (pl.col("success_rate") * pl.col("events")).sum() / pl.col("events").sum()
    return by_day.agg(mean.alias("success_rate"), pl.col("events").sum()).sort("region", "day")

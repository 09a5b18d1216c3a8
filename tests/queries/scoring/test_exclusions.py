"""Which events an exclusion covers."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from queries import AI, TRANSCODING, Exclusion, leave_out
from tests.queries.conftest import make_events, to_polars

BEGIN, END = datetime(2026, 9, 1, tzinfo=UTC), datetime(2026, 9, 2, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
EVENTS = make_events(
    [
        {"id": 1, "event_time": BEGIN - MICROSECOND},
        {"id": 2, "event_time": BEGIN},
        {"id": 3, "event_time": END - MICROSECOND},
        {"id": 4, "event_time": END},
        {"id": 5, "event_time": BEGIN, "region": "NYC"},
        {"id": 6, "event_time": BEGIN, "job_type": AI, "pipeline": "llm", "model": "small"},
    ]
)


def exclusion(job_type: str | None = TRANSCODING, region: str = "FRA") -> Exclusion:
    return Exclusion(region, job_type, BEGIN, END, "the tester's disk was full")


@pytest.mark.parametrize(
    ("exclusions", "left"),
    [
        ([], [1, 2, 3, 4, 5, 6]),
        ([exclusion()], [1, 4, 5, 6]),
        ([exclusion(AI)], [1, 2, 3, 4, 5]),
        ([exclusion(None)], [1, 4, 5]),
        ([exclusion(None), exclusion(None, "NYC"), exclusion()], [1, 4]),
        ([exclusion(region="SEA")], [1, 2, 3, 4, 5, 6]),
    ],
    ids=["none", "transcoding", "AI", "both job types", "several", "another region"],
)
def test_events_of_an_exclusion_are_left_out(
    on_engine: Callable[[pl.DataFrame], Any], exclusions: list[Exclusion], left: list[int]
) -> None:
    result = to_polars(leave_out(on_engine(EVENTS), exclusions)).sort("id")
    assert result["id"].to_list() == left
    assert result.columns == EVENTS.columns


@pytest.mark.parametrize(
    ("since", "until", "overlaps"),
    [
        (BEGIN - timedelta(days=1), BEGIN - MICROSECOND, False),
        (BEGIN - timedelta(days=1), BEGIN, True),
        (END - MICROSECOND, END + timedelta(days=1), True),
        (END, END + timedelta(days=1), False),
    ],
)
def test_exclusion_overlaps_windows_that_may_have_its_events(since: datetime, until: datetime, overlaps: bool) -> None:
    assert exclusion().overlaps(since, until) is overlaps
    in_window = EVENTS.filter(pl.col("event_time").is_between(since, until))
    assert (leave_out(in_window, [exclusion()]).height < in_window.height) is overlaps

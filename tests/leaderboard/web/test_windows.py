"""Several windows of events in one response."""

import polars as pl

from leaderboard.web.windows import select_events
from queries import EventFilter


def test_results_that_are_newer_than_the_events_are_left_out() -> None:
    events = pl.LazyFrame({"id": [1, 2, 3], "orchestrator": ["0xa", "0xb", "0xa"]})
    results = pl.LazyFrame({"id": [4, 3, 1], "payload": ["new", "second", "first"]})
    assert select_events(results, events, EventFilter(orchestrator="0xa")).collect()["payload"].to_list() == [
        "second",
        "first",
    ]

"""Several windows of events in one response."""

import polars as pl
import pytest

from leaderboard.web.windows import select_events
from queries import EventFilter


@pytest.mark.parametrize(("warm", "expected"), [(None, ["second", "first"]), (True, ["first"]), (False, ["second"])])
def test_results_that_are_newer_than_the_events_are_left_out(warm: bool | None, expected: list[str]) -> None:
    own_events = pl.DataFrame({"id": [1, 2, 3], "warm": [True, None, False]})
    results = pl.LazyFrame({"id": [4, 3, 1], "payload": ["new", "second", "first"]})
    selected = select_events(results, own_events, EventFilter(orchestrator="0xa", warm=warm))
    assert selected["payload"].to_list() == expected

"""Results come newest first, each as it was posted."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from queries import EventFilter, raw_stats
from tests.queries.conftest import make_events, to_polars

NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)


def test_results_of_one_moment_are_in_reverse_id_order(
    on_engine: Callable[[pl.DataFrame], Any],
) -> None:
    moments = {1: NOON, 2: NOON, 3: NOON - timedelta(hours=1), 4: NOON, 5: NOON + timedelta(hours=1)}
    events = make_events(
        [{"id": number, "event_time": moment, "payload": str(number)} for number, moment in moments.items()]
    )
    answer = to_polars(raw_stats(on_engine(events), EventFilter(orchestrator="0xa")))
    assert answer["payload"].to_list() == ["5", "4", "2", "1", "3"]
    assert answer.columns == ["region", "orchestrator", "payload", "event_time"]

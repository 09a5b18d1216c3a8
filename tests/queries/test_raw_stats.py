"""Results come newest first, each as it was posted."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from queries import AI, EventFilter, raw_stats
from queries.schema import OPTIONAL_COLUMNS
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


def test_pipeline_is_found_in_any_spelling_and_warm_results_apart(
    on_engine: Callable[[pl.DataFrame], Any],
) -> None:
    ai = {"job_type": AI, "model": "m"}
    rows = [
        ai | {"id": 1, "pipeline": "Text to image", "warm": True},
        ai | {"id": 2, "pipeline": "text-to-image", "warm": False},
        ai | {"id": 3, "pipeline": "TEXT_TO_IMAGE", "warm": None},
        ai | {"id": 4, "pipeline": "llm", "warm": True},
    ]
    events = make_events([row | {"payload": str(row["id"])} for row in rows])

    def payloads(frame: pl.DataFrame, **fields: Any) -> list[str]:
        return to_polars(raw_stats(on_engine(frame), EventFilter(AI, **fields)))["payload"].to_list()

    # results of a database have no slug, and those of older files do not say whether a model was warm
    for frame in (events, events.drop("pipeline_slug"), events.drop(OPTIONAL_COLUMNS)):
        assert payloads(frame, pipeline="text-to-image") == ["3", "2", "1"]
    assert payloads(events, warm=True) == ["4", "1"]
    assert payloads(events, warm=False, pipeline="text to Image") == ["2"]
    assert payloads(events.drop("warm"), warm=True) == []

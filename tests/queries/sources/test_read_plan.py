"""A window is read from the lake where the lake is right, and from the database where only that is."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from queries import StoreUnavailable
from queries.sources.database_state import DatabaseState
from queries.sources.lake_snapshot import LakeSnapshot, hash64
from queries.sources.read_plan import DatabasePart, LakePart, plan_read
from queries.times import MIN_TIME

SINCE, UNTIL = datetime(2026, 9, 1, tzinfo=UTC), datetime(2026, 9, 30, tzinfo=UTC)
PRUNED = datetime(2026, 9, 10, tzinfo=UTC)
BEFORE_PRUNED = PRUNED - timedelta(microseconds=1)
LAKE = LakeSnapshot(3, 100, UNTIL, hash64("database"), hash64("no changes"), pl.DataFrame(), None)


def state(changes: str = "no changes", pruned: datetime | None = None) -> DatabaseState:
    return DatabaseState("database", changes, pruned)


def test_current_lake_is_read_with_the_events_after_its_watermark() -> None:
    for pruned in (None, PRUNED):
        assert plan_read(SINCE, UNTIL, state(pruned=pruned), LAKE) == [
            LakePart(LAKE, SINCE, UNTIL),
            DatabasePart(SINCE, UNTIL, 100),
        ]


@pytest.mark.parametrize("lake", [LAKE, None], ids=["changed since", "no lake"])
def test_database_is_read_where_the_lake_may_be_wrong(lake: LakeSnapshot | None) -> None:
    assert plan_read(SINCE, UNTIL, state("some changes"), lake) == [DatabasePart(SINCE, UNTIL)]


def test_only_the_pruned_part_is_read_from_a_lake_that_may_be_wrong() -> None:
    parts = [
        DatabasePart(PRUNED, UNTIL),
        LakePart(LAKE, SINCE, BEFORE_PRUNED),
        DatabasePart(SINCE, BEFORE_PRUNED, 100),
    ]
    assert plan_read(SINCE, UNTIL, state("some changes", PRUNED), LAKE) == parts
    assert plan_read(SINCE, UNTIL, state(pruned=PRUNED), LAKE, prefer_database=True) == parts


def test_window_that_was_pruned_as_a_whole_is_read_from_the_lake() -> None:
    assert plan_read(SINCE, BEFORE_PRUNED, state("some changes", PRUNED), LAKE) == [
        LakePart(LAKE, SINCE, BEFORE_PRUNED),
        DatabasePart(SINCE, BEFORE_PRUNED, 100),
    ]


def test_window_after_what_was_pruned_is_read_from_the_database() -> None:
    assert plan_read(PRUNED, UNTIL, state("some changes", PRUNED), None) == [DatabasePart(PRUNED, UNTIL)]


def test_pruned_events_without_a_lake_are_unavailable() -> None:
    with pytest.raises(StoreUnavailable, match="only the lake has events before 2026-09-10"):
        plan_read(SINCE, UNTIL, state(pruned=PRUNED), None)


def test_empty_window_is_one_part() -> None:
    for lake in (LAKE, None):
        assert plan_read(UNTIL, SINCE, state(pruned=PRUNED), lake) == [DatabasePart(UNTIL, SINCE)]


def test_nothing_is_before_the_earliest_moment() -> None:
    assert plan_read(MIN_TIME, UNTIL, state(pruned=MIN_TIME), None) == [DatabasePart(MIN_TIME, UNTIL)]

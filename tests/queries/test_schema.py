"""The frame of events."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl
import pytest

from queries import EVENT_SCHEMA, SchemaError, conform
from queries.schema import OPTIONAL_COLUMNS
from tests.queries.conftest import make_events, to_polars


def test_conform_orders_columns_and_appends_others() -> None:
    mixed = make_events([{}]).with_columns(payload=pl.lit("{}"))
    shuffled = mixed.select(sorted(mixed.columns))
    assert conform(shuffled).columns == [*EVENT_SCHEMA, "payload"]


def test_conform_turns_null_and_nan_measures_into_0(on_engine: Callable[[pl.DataFrame], Any]) -> None:
    odd = make_events([{}]).with_columns(
        success_rate=pl.lit(None, pl.Float64), round_trip_time=pl.lit(float("nan")), seg_duration=pl.lit(1, pl.Int32)
    )
    row = to_polars(conform(on_engine(odd))).row(0, named=True)
    assert (row["success_rate"], row["round_trip_time"], row["seg_duration"]) == (0.0, 0.0, 1.0)


@pytest.mark.parametrize("lazy", [False, True])
def test_conform_casts_to_the_schema(lazy: bool) -> None:
    narrow = make_events([{}]).with_columns(
        pl.col("id").cast(pl.Int32), pl.col("event_time").cast(pl.Datetime("ms")).dt.convert_time_zone("Asia/Tokyo")
    )
    schema = nw.from_native(conform(narrow.lazy() if lazy else narrow)).collect_schema()
    assert dict(schema) == EVENT_SCHEMA


def test_conform_converts_times_to_utc() -> None:
    moment = datetime(2026, 9, 1, 12, 0, 0, 123456, tzinfo=UTC)
    tokyo = make_events([{"event_time": moment}]).with_columns(pl.col("event_time").dt.convert_time_zone("Asia/Tokyo"))
    assert conform(tokyo)["event_time"][0] == moment


@pytest.mark.parametrize("column", [name for name in EVENT_SCHEMA if name not in OPTIONAL_COLUMNS])
def test_missing_column_is_named(column: str) -> None:
    with pytest.raises(SchemaError, match=f"no column '{column}'"):
        conform(make_events([{}]).drop(column))


def test_frames_of_older_releases_get_the_columns_that_they_lack(on_engine: Callable[[pl.DataFrame], Any]) -> None:
    old = make_events([{"pipeline": "Text to_Image"}, {}]).drop(OPTIONAL_COLUMNS)
    rows = to_polars(conform(on_engine(old))).select(OPTIONAL_COLUMNS).rows()
    assert rows == [(None, "none", None, None, "text-to-image"), (None, "none", None, None, None)]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("id", "1"),
        ("warm", "yes"),
        ("outcome", 1),
        ("success_rate", "1"),
        ("region", 1),
        ("event_time", 1),
        ("event_time", datetime(2026, 1, 1)),  # noqa: DTZ001  a time without a zone is what is refused
    ],
)
def test_column_of_a_wrong_type_is_named(column: str, value: object) -> None:
    with pytest.raises(SchemaError, match=f"column '{column}' must be"):
        conform(make_events([{}]).with_columns(pl.lit(value).alias(column)))

"""Events on every engine that the queries run on."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import duckdb
import polars as pl
import pytest

from queries import conform
from tests.conftest import conformance


def make_events(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Events with the given columns. The other columns are those of a good transcoding result."""
    defaults = {
        "id": 1,
        "event_time": datetime(2026, 9, 1, tzinfo=UTC),
        "orchestrator": "0xa",
        "region": "FRA",
        "job_type": "transcoding",
        "pipeline": None,
        "model": None,
        "success_rate": 1.0,
        "round_trip_time": 1.0,
        "seg_duration": 2.0,
        "outcome": None,
        "error_kind": "none",
        "warm": None,
        "service_uri": None,
    }
    schema_overrides = dict.fromkeys(("pipeline", "model", "outcome", "service_uri"), pl.String)
    schema_overrides |= {"warm": pl.Boolean, "event_time": pl.Datetime("us", "UTC")}
    typed = pl.DataFrame([defaults | row for row in rows or [{}]], schema_overrides=schema_overrides, strict=False)
    return conform(typed if rows else typed.clear())


def recorded_events() -> pl.DataFrame:
    """The events of the conformance set."""
    return make_events(
        [
            {
                "id": number,
                "event_time": datetime.fromtimestamp(moment, UTC),
                "orchestrator": orchestrator,
                "region": region,
                "job_type": job_type,
                **{name: payload.get(name) for name in ("pipeline", "model")},
                **{name: float(payload.get(name, 0)) for name in ("success_rate", "round_trip_time", "seg_duration")},
                "payload": str(number),
            }
            for number, (moment, orchestrator, region, job_type, payload) in enumerate(conformance("events")["events"])
        ]
    )


ENGINES: dict[str, Callable[[pl.DataFrame], Any]] = {
    "polars eager": lambda events: events,
    "polars lazy": lambda events: events.lazy(),
    "duckdb": lambda events: duckdb.from_arrow(events.to_arrow()),
    "polars with categories": lambda events: events.with_columns(pl.selectors.string().cast(pl.Categorical)),
}


@pytest.fixture(params=ENGINES.values(), ids=ENGINES.keys())
def on_engine(request: pytest.FixtureRequest) -> Callable[[pl.DataFrame], Any]:
    """Converts a Polars frame of events to an engine's frame."""
    return request.param


def to_polars(result: Any) -> pl.DataFrame:
    """The result of a query, from any engine, as a Polars frame."""
    if isinstance(result, pl.LazyFrame):
        result = result.collect()
    elif isinstance(result, duckdb.DuckDBPyRelation):
        result = result.pl()
    # DuckDB uses the time zone name of its session, which may be an alias of UTC
    times = pl.selectors.datetime(time_zone="*").dt.convert_time_zone("UTC")
    return result.with_columns(times).cast({pl.Categorical: pl.String})

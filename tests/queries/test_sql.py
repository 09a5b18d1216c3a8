"""SQL sees all events and nothing else."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from leaderboard.lake.sync import sync
from leaderboard.lake.table import LakeTable
from queries import (
    AI,
    EVENT_SCHEMA,
    FORMULA_1,
    EventFilter,
    HybridEvents,
    PostgresEvents,
    StoreUnavailable,
    aggregated_stats,
    connect,
    open_events,
    score_history,
)
from queries.times import MAX_TIME, MIN_TIME
from tests.conftest import clone, conformance, load_events, rows
from tests.queries.conftest import to_polars
from tests.support.older_lake import make_older
from tests.support.waiting import eventually

DAY = datetime(2026, 9, 2, tzinfo=UTC)
SPLIT = 1000
"""How many events the lake has. Only the database has the others."""


def export(url: str, lake: str) -> None:
    """Syncs a lake."""
    postgres = PostgresEvents(url)
    try:
        sync(postgres, lake, lambda *_: None)
    finally:
        postgres.close()


def result(moment: datetime, **payload: object) -> list[object]:
    return [moment.timestamp(), "0x" + "a" * 40, "FRA", "transcoding", payload]


@pytest.fixture(scope="module")
def places(server: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A database with the events of the conformance set, and a lake that has the first of them."""
    url, lake = clone(server, template, "sql"), str(tmp_path_factory.mktemp("lake"))
    events = conformance("events")["events"]
    assert len(events) > SPLIT
    load_events(url, events[:SPLIT])
    export(url, lake)
    load_events(url, events[SPLIT:])
    return url, lake


@pytest.fixture
def both(places: tuple[str, str]) -> Iterator[duckdb.DuckDBPyConnection]:
    url, lake = places
    with connect(url, lake=lake) as connection:
        yield connection


def everything(url: str, lake: str | None = None) -> pl.DataFrame:
    source = open_events(url, lake=lake)
    events = source.window(MIN_TIME, MAX_TIME).collect()
    source.close()
    return to_polars(events).sort("id")


def test_view_has_the_events_of_lake_and_database(both: duckdb.DuckDBPyConnection, places: tuple[str, str]) -> None:
    events = to_polars(both.sql("FROM events ORDER BY id"))
    assert_frame_equal(events.drop("payload"), everything(places[0]))
    assert events.height > SPLIT


def test_database_without_a_lake_has_all_events(places: tuple[str, str]) -> None:
    with connect(places[0]) as connection:
        assert_frame_equal(to_polars(connection.sql("FROM events ORDER BY id")).drop("payload"), everything(places[0]))


def test_lake_without_its_database_has_the_synced_events(places: tuple[str, str]) -> None:
    with connect(places[1]) as connection:
        events = to_polars(connection.sql("FROM events ORDER BY id"))
        regions = connection.sql("FROM regions").fetchall()
    assert_frame_equal(events.drop("payload"), everything(places[1]))
    assert events.height == SPLIT
    seen = events.select("region", "job_type").unique()
    assert sorted(regions) == sorted((region, None, job_type) for region, job_type in seen.iter_rows())


def test_older_lake_has_the_same_events(places: tuple[str, str], tmp_path: Path) -> None:
    older = tmp_path / "lake"
    shutil.copytree(places[1], older)
    make_older(older)
    with connect(str(older)) as connection:
        events = to_polars(connection.sql("FROM events ORDER BY id"))
        scored = connection.sql("SELECT sum(events)::int8 FROM scores_daily").fetchall()
    assert_frame_equal(events.drop("payload"), everything(places[1]))
    with connect(places[1]) as connection:
        assert connection.sql("SELECT sum(events)::int8 FROM scores_daily").fetchall() == scored


def test_change_in_the_database_wins_over_the_lake(database: str, tmp_path: Path) -> None:
    load_events(database, [result(DAY, success_rate=1), result(DAY, success_rate=1)])
    export(database, str(tmp_path))
    rows(database, "DELETE FROM events WHERE id = (SELECT min(id) FROM events)")
    # the server counts changes when the session ends
    assert eventually(lambda: len(everything(database, str(tmp_path))) == 1)
    with connect(database, lake=str(tmp_path)) as connection:
        assert connection.sql("SELECT count(*) FROM events").fetchall() == [(1,)]


def test_views_of_no_events_are_empty(database: str, tmp_path: Path) -> None:
    export(database, str(tmp_path))
    for url, lake in ((database, None), (database, str(tmp_path)), (str(tmp_path), None)):
        with connect(url, lake=lake) as connection:
            for view in ("events", "event_details", "scores_daily"):
                assert connection.sql(f"FROM {view}").fetchall() == []


def test_event_details_equals_the_view_in_postgresql(both: duckdb.DuckDBPyConnection, places: tuple[str, str]) -> None:
    columns = "id, region_name, job_type_name, event_time, success_rate, seg_duration, round_trip_time, orchestrator"
    statement = f"SELECT {columns} FROM event_details ORDER BY id"
    ours = [(*row[:3], row[3].astimezone(UTC), *row[4:]) for row in both.sql(statement).fetchall()]
    theirs = [(*row[:3], row[3].astimezone(UTC), *row[4:-1], row[-1].lower()) for row in rows(places[0], statement)]
    assert ours == theirs
    assert both.sql("FROM event_details").columns == [
        *("region_name", "job_type_name", "id", "event_time"),
        *("success_rate", "seg_duration", "round_trip_time", "orchestrator", "payload"),
    ]


def test_missing_measure_is_null_in_event_details(database: str) -> None:
    load_events(database, [result(DAY, success_rate=1), result(DAY, success_rate="many", round_trip_time=2)])
    with connect(database) as connection:
        statement = "SELECT success_rate, seg_duration, round_trip_time FROM event_details ORDER BY id"
        assert connection.sql(statement).fetchall() == [(1, None, None), (None, None, 2)]


def test_payload_is_json(both: duckdb.DuckDBPyConnection) -> None:
    counts = both.sql("SELECT count(*) FILTER (payload->>'model' = model), count(model) FROM events").fetchall()[0]
    assert counts[0] == counts[1] > 0


def test_regions_equal_the_database(both: duckdb.DuckDBPyConnection, places: tuple[str, str]) -> None:
    theirs = rows(
        places[0], "SELECT r.name, r.display_name, j.name FROM regions r JOIN job_types j ON j.id = r.job_type_id"
    )
    assert sorted(both.sql("SELECT name, display_name, job_type FROM regions").fetchall()) == sorted(theirs)


def test_scores_daily_equals_score_history(both: duckdb.DuckDBPyConnection, places: tuple[str, str]) -> None:
    events = everything(places[0])
    expected = pl.concat(
        [score_history(events, EventFilter()), score_history(events, EventFilter(job_type=AI))], how="vertical_relaxed"
    )
    order = ["job_type", "bucket", "orchestrator", "region", "pipeline", "model"]
    answer = to_polars(both.sql("FROM scores_daily")).sort(order)
    assert_frame_equal(answer, to_polars(expected.sort(order)), rel_tol=1e-9, abs_tol=1e-9)
    assert set(answer["job_type"]) == {"ai", "transcoding"}


def test_scores_daily_is_by_the_given_formula_without_excluded_events(database: str) -> None:
    live = {"pipeline": "live-video-to-video", "model": "m"}
    unscored = result(DAY, test_outcome="unscored_busy", **live)
    load_events(database, [[*unscored[:3], "ai", unscored[4]], result(DAY, success_rate=1)])
    rows(
        database,
        "INSERT INTO exclusions (region, job_type, since, until, reason, added_by) "
        f"VALUES ('FRA', 'transcoding', '{DAY}', '{DAY + timedelta(hours=1)}', 'the disk was full', 'me')",
    )
    statement = "SELECT job_type, events, unscored FROM scores_daily ORDER BY 1"
    with connect(database) as connection:
        assert connection.sql(statement).fetchall() == [("ai", 0, 1)]
    with connect(database, formula=FORMULA_1) as connection:
        assert connection.sql(statement).fetchall() == [("ai", 1, 0), ("transcoding", 1, 0)]


def test_query_functions_accept_the_view(both: duckdb.DuckDBPyConnection, places: tuple[str, str]) -> None:
    answer = to_polars(aggregated_stats(both.table("events"), EventFilter()))
    expected = aggregated_stats(everything(places[0]), EventFilter())
    assert_frame_equal(answer, expected, rel_tol=1e-9, abs_tol=1e-9)


@pytest.mark.parametrize(
    "condition",
    [
        "event_time >= '2026-03-04' AND event_time < '2026-03-05'",
        "event_time BETWEEN TIMESTAMPTZ '2026-03-04 00:00Z' AND TIMESTAMPTZ '2026-03-04 23:00Z'",
        "date_trunc('day', event_time) = '2026-03-04'",
    ],
)
def test_condition_on_time_limits_the_files_that_are_opened(database: str, tmp_path: Path, condition: str) -> None:
    moments = [datetime(2026, month, 4, 12, tzinfo=UTC) for month in range(1, 9)]
    load_events(database, [result(moment, success_rate=1) for moment in moments])
    export(database, str(tmp_path))
    with connect(str(tmp_path)) as connection:
        for folder in tmp_path.glob("month=*"):
            if folder.name != "month=2026-03":
                next(folder.iterdir()).unlink()
        statement = f"SELECT count(*), sum(success_rate) FROM events WHERE {condition}"
        assert connection.sql(statement).fetchall() == [(1, 1)]
        with pytest.raises(duckdb.Error, match="parquet"):
            connection.sql("SELECT sum(success_rate) FROM events").fetchall()


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SELECT events FROM scores_daily WHERE bucket = '2026-03-04'", [(1,)]),
        (
            "SELECT count(*), count(payload) FROM events WHERE event_time BETWEEN '2026-03-04' AND '2026-03-05'",
            [(1, 1)],
        ),
        ("SELECT count(*) FROM events WHERE payload->>'success_rate' = '1' AND event_time < '2026-03-05'", [(3,)]),
    ],
)
def test_condition_on_time_limits_the_days_that_the_database_reads(
    database: str, monkeypatch: pytest.MonkeyPatch, statement: str, expected: list[tuple[int, ...]]
) -> None:
    moments = [datetime(2026, month, 4, 12, tzinfo=UTC) for month in range(1, 9)]
    load_events(database, [result(moment, success_rate=1) for moment in moments])
    read, heights = HybridEvents.read_part, []

    def counted(*arguments: Any, **options: Any) -> pl.DataFrame:
        events = read(*arguments, **options)
        heights.append(events.height)
        return events

    monkeypatch.setattr(HybridEvents, "read_part", counted)
    with connect(database) as connection:
        assert connection.sql(statement).fetchall() == expected
        assert heights == [expected[0][0]]
        assert connection.sql("SELECT count(*) FROM events").fetchall() == [(8,)]


@pytest.mark.parametrize(
    ("condition", "days"),
    [
        ("bucket = '2026-03-04'", [4]),
        ("bucket = DATE '2026-03-05'", [5]),
        ("bucket >= '2026-03-04' AND bucket < '2026-03-06'", [4, 5]),
        ("bucket BETWEEN '2026-03-05' AND '2026-03-31' AND region = 'FRA'", [5]),
        ("bucket = '2026-03-06'", []),
    ],
)
def test_day_of_scores_limits_the_files_that_are_opened(
    database: str, tmp_path: Path, condition: str, days: list[int]
) -> None:
    job = {"pipeline": "llm", "model": "m", "success_rate": 1, "round_trip_time": 2}
    for month, day in ((2, 28), (3, 4), (3, 5), (4, 1)):
        moment = datetime(2026, month, day, 23, 59, 59, 999_999, tzinfo=UTC)
        ai = result(moment, **job)
        load_events(database, [result(moment, success_rate=1), [*ai[:3], "ai", ai[4]]])
        export(database, str(tmp_path))
    with connect(str(tmp_path)) as connection:
        for folder in ("month=2026-02", "month=2026-04"):
            next((tmp_path / folder).iterdir()).unlink()
        statement = f"SELECT day(bucket), job_type, events FROM scores_daily WHERE {condition} ORDER BY ALL"
        expected = [(day, job_type, 1) for day in days for job_type in ("ai", "transcoding")]
        assert connection.sql(statement).fetchall() == expected
        with pytest.raises(duckdb.Error, match="parquet"):
            connection.sql("SELECT sum(events) FROM scores_daily").fetchall()


def test_pipeline_of_a_day_is_spelled_as_its_newest_result_does(database: str) -> None:
    spellings = [(0, "LLM"), (1, "llm"), (24, "Llm"), (25, "LLM")]
    for hours, pipeline in spellings:
        ai = result(DAY + timedelta(hours=hours), pipeline=pipeline, model="m", success_rate=1)
        load_events(database, [[*ai[:3], "ai", ai[4]]])
    with connect(database) as connection:
        statement = "SELECT day(bucket), pipeline, events FROM scores_daily ORDER BY ALL"
        assert connection.sql(statement).fetchall() == [(2, "llm", 2), (3, "LLM", 2)]


def test_event_at_the_end_of_a_compacted_file_is_read(database: str, tmp_path: Path) -> None:
    last = DAY + timedelta(microseconds=1_234_567)
    for moment in (DAY, last):
        load_events(database, [result(moment, success_rate=1)])
        export(database, str(tmp_path))
    assert LakeTable(str(tmp_path)).compact() == 1
    with connect(str(tmp_path)) as connection:
        statement = f"SELECT count(*) FROM events WHERE event_time >= '{last.isoformat()}'"
        assert connection.sql(statement).fetchall() == [(1,)]
    assert open_events(str(tmp_path)).window(last, last).collect().height == 1


def test_folder_may_have_any_name(database: str, tmp_path: Path) -> None:
    folder = str(tmp_path / "der See é")
    load_events(database, [result(DAY, success_rate=1)])
    export(database, folder)
    assert everything(folder).height == 1
    with connect(folder) as connection:
        assert connection.sql("SELECT count(*) FROM events").fetchall() == [(1,)]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_text('{folder}/secret')",
        "SELECT * FROM read_csv('{folder}/secret')",
        "SELECT * FROM sniff_csv('{folder}/secret')",
        "SELECT * FROM glob('{folder}/*')",
        "SELECT * FROM read_parquet('s3://bucket/x.parquet')",
        "SELECT * FROM 'http://127.0.0.1:1/x.parquet'",
        "COPY events TO '{folder}/made'",
        "COPY (SELECT 1) TO ':memory:'",
        "COPY (SELECT 1) TO '.tmp/made'",
        "EXPORT DATABASE '{folder}/made'",
        "ATTACH '{folder}/made'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "CREATE PERSISTENT SECRET s (TYPE s3)",
        "SET enable_external_access = true",
        "SET disabled_filesystems = ''",
        "RESET disabled_filesystems",
        "SET lock_configuration = false",
        "SET TimeZone = 'Asia/Tokyo'",
        "PRAGMA enable_profiling = 'json'",
        "SELECT * FROM statement",
    ],
)
def test_statement_cannot_reach_anything_else(
    both: duckdb.DuckDBPyConnection, statement: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret").write_text("a,b\n1,2\n")
    with pytest.raises(duckdb.Error):
        both.sql(statement.format(folder=tmp_path)).fetchall()
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_invalid_url_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="names no source of events"):
        connect("mysql://host/x")
    with pytest.raises(StoreUnavailable, match="there is no lake in"):
        connect(str(tmp_path / "nothing"))
    with pytest.raises(StoreUnavailable, match=r"the database x at .* is not available"):
        connect("postgresql://u@127.0.0.1:1/x")


def test_events_view_has_the_schema(both: duckdb.DuckDBPyConnection) -> None:
    assert both.table("events").columns == [*EVENT_SCHEMA, "payload"]

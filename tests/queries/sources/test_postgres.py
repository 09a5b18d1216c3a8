"""Events read from a real PostgreSQL."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta, timezone

import polars as pl
import psycopg2
import pytest
from psycopg2.extensions import make_dsn, parse_dsn

from queries import EVENT_SCHEMA, PostgresEvents, StoreTimeout, StoreUnavailable, open_events
from tests.conftest import load_events, rows
from tests.queries.sources.support import frozen, locked
from tests.support.postgres import StoppablePostgres
from tests.support.standby import Standby
from tests.support.waiting import eventually

NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ALL_TIME = (NOON - HOUR, NOON + HOUR)
ADDRESS = "0x" + "Ab" * 20


@pytest.fixture
def events(database: str) -> Iterator[PostgresEvents]:
    events = open_events(database)
    yield events
    events.close()


def store(url: str, payload: dict[str, object], moment: datetime = NOON, job_type: str = "transcoding") -> None:
    load_events(url, [[moment.timestamp(), ADDRESS, "FRA", job_type, payload]])


def test_event_has_the_schema(database: str, events: PostgresEvents) -> None:
    store(database, {"success_rate": 1, "round_trip_time": 0.5, "pipeline": "LLM", "model": "m"}, job_type="ai")
    frame = events.window(NOON, NOON).collect()
    assert frame.columns == list(EVENT_SCHEMA)
    assert frame.row(0, named=True) == {
        "id": 1,
        "event_time": NOON,
        "orchestrator": ADDRESS.lower(),
        "region": "FRA",
        "job_type": "ai",
        "pipeline": "LLM",
        "model": "m",
        "success_rate": 1.0,
        "round_trip_time": 0.5,
        "seg_duration": 0.0,
        "outcome": None,
        "error_kind": "none",
        "warm": None,
        "service_uri": None,
        "pipeline_slug": "llm",
    }


def test_window_includes_both_ends_to_the_microsecond(database: str, events: PostgresEvents) -> None:
    microsecond = timedelta(microseconds=1)
    for moment in (NOON - microsecond, NOON, NOON + HOUR, NOON + HOUR + microsecond):
        store(database, {}, moment)
    assert events.window(NOON, NOON + HOUR).collect()["id"].sort().to_list() == [2, 3]


def test_window_that_ends_before_it_starts_is_empty(database: str, events: PostgresEvents) -> None:
    store(database, {})
    assert events.window(NOON + HOUR, NOON - HOUR).collect().is_empty()


def test_widest_window_has_every_event(database: str, events: PostgresEvents) -> None:
    store(database, {})
    earliest, latest = (moment.replace(tzinfo=UTC) for moment in (datetime.min, datetime.max))  # noqa: DTZ901
    assert events.window(earliest, latest).collect().height == 1


def test_window_may_be_in_any_time_zone(database: str, events: PostgresEvents) -> None:
    store(database, {})
    tokyo = NOON.astimezone(timezone(9 * HOUR))
    assert events.window(tokyo, tokyo).collect().height == 1


@pytest.mark.parametrize(
    "value", ["fast", "0.5", None, True, [1], {"a": 1}], ids=["text", "number in text", "null", "bool", "list", "map"]
)
def test_value_that_is_no_number_counts_as_zero(database: str, events: PostgresEvents, value: object) -> None:
    store(database, {"success_rate": value, "round_trip_time": 2})
    assert events.window(NOON, NOON).select("success_rate", "round_trip_time").collect().row(0) == (0.0, 2.0)


def test_empty_pipeline_is_null(database: str, events: PostgresEvents) -> None:
    store(database, {"pipeline": "", "model": ""})
    assert events.window(NOON, NOON).select("pipeline", "model").collect().row(0) == (None, None)


def test_event_without_a_region_is_left_out(database: str, events: PostgresEvents) -> None:
    store(database, {})
    rows(database, "UPDATE events SET region_id = NULL")
    assert events.window(NOON, NOON).collect().is_empty()


def test_results_match_an_orchestrator_stored_in_any_case(database: str, events: PostgresEvents) -> None:
    store(database, {"x": 1})
    frame = events.results(ADDRESS.lower(), NOON, NOON, "transcoding").collect()
    assert frame.columns == [*list(EVENT_SCHEMA)[:7], "payload", "warm"]
    assert frame["payload"].to_list() == ['{"x": 1}']
    assert events.results(ADDRESS.lower(), NOON, NOON, "ai").collect().is_empty()
    assert events.results("0x' OR 1=1 --", NOON, NOON, "transcoding").collect().is_empty()


def test_results_with_errors_are_those_whose_error_kind_says_so(database: str, events: PostgresEvents) -> None:
    values = [[], None, "[text", "text", {"a": 1}, [{"error_code": "Timeout"}], [{"error_code": "OrchestratorBusy"}], 5]
    for job_type in ("transcoding", "ai"):
        for value in values:
            store(database, {"errors": value}, job_type=job_type)
    expected = events.window(NOON, NOON).filter(pl.col("error_kind") != "none").collect()["id"].sort()
    found = events.results(ADDRESS.lower(), NOON, NOON, None, with_errors=True).collect()["id"].sort()
    assert found.to_list() == expected.to_list() == [3, 6, 7, 11, 14, 15]
    found = events.results(ADDRESS.lower(), NOON, NOON, "ai", with_errors=True).collect()["id"]
    assert sorted(found) == [11, 14, 15]


@pytest.mark.parametrize(("warm", "expected"), [(True, True), (False, False), (None, None), (1, None), ("yes", None)])
def test_results_say_whether_the_model_was_warm(
    database: str, events: PostgresEvents, warm: object, expected: bool | None
) -> None:
    store(database, {"model_is_warm": warm})
    found = events.results(ADDRESS.lower(), NOON, NOON, "transcoding").collect()["warm"].to_list()
    assert found == events.window(NOON, NOON).collect()["warm"].to_list()
    assert found == [expected]


def test_server_cancels_a_slow_read(database: str) -> None:
    events = PostgresEvents(database, timeout=2)
    with locked(database), pytest.raises(StoreTimeout, match="took too long"):
        events.window(NOON, NOON)
    assert events.window(NOON, NOON).collect().is_empty()
    events.close()


def test_silent_server_is_a_timeout(database: str) -> None:
    events = PostgresEvents(database, timeout=0.2)

    def responds() -> bool:
        # on a busy machine a response may take longer than the timeout
        with suppress(StoreTimeout):
            return events.window(NOON, NOON).collect().is_empty()
        return False

    assert eventually(responds)
    with frozen(database), pytest.raises(StoreTimeout, match="no answer"):
        events.window(NOON, NOON)
    assert eventually(responds)
    # the read that hung ends as well
    busy = "FROM pg_stat_activity WHERE application_name = 'leaderboard' AND state <> 'idle'"
    assert eventually(lambda: rows(make_dsn(database, application_name="tests"), f"SELECT 1 {busy}") == [])
    events.close()


def test_cut_connections_are_replaced(database: str, events: PostgresEvents) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: events.window(NOON, NOON), range(8)))
    rows(database, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
         " AND datname = current_database()")  # fmt: skip
    assert events.window(NOON, NOON).collect().is_empty()


def test_connection_cut_during_a_read_is_unavailable(database: str) -> None:
    store(database, {})
    events = PostgresEvents(database, timeout=20)
    found: list[Exception] = []

    def read() -> None:
        try:
            events.window(NOON, NOON)
        except StoreUnavailable as error:
            found.append(error)

    with locked(database):
        reader = threading.Thread(target=read)
        reader.start()
        waiting = "FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        assert eventually(lambda: rows(database, f"SELECT 1 {waiting}"))
        rows(database, f"SELECT pg_terminate_backend(pid) {waiting}")
        reader.join(20)
    assert len(found) == 1
    assert events.window(NOON, NOON).collect().height == 1
    events.close()


def test_refused_connection_is_unavailable() -> None:
    events = PostgresEvents("postgresql://nobody@127.0.0.1:1/nothing")
    with pytest.raises(StoreUnavailable):
        events.window(NOON, NOON)


def test_more_readers_than_connections_take_turns(database: str) -> None:
    store(database, {})
    events = PostgresEvents(database, connections=1)
    with ThreadPoolExecutor(16) as pool:
        heights = list(pool.map(lambda _: events.window(NOON, NOON).collect().height, range(64)))
    assert heights == [1] * 64
    events.close()


@pytest.mark.parametrize("url", ["", "mysql://localhost/x", "https://example.org/lake"])
def test_url_of_another_scheme_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="valid are postgresql://"):
        open_events(url)


def test_url_that_is_not_valid_is_not_shown() -> None:
    with pytest.raises(ValueError, match="not a PostgreSQL URL") as raised:
        open_events("postgresql://user:hush@[host")
    assert "hush" not in str(raised.value)


def test_option_that_libpq_does_not_know_is_named() -> None:
    with pytest.raises(ValueError, match="the option schema, which"):
        open_events("postgresql://user:password@host/scores?sslmode=require&schema=public")


@pytest.mark.slow
def test_settled_events_are_read_from_the_server_that_settled_them(
    stoppable_postgres: StoppablePostgres, standby: Standby
) -> None:
    # as behind a proxy that sends some connections to a standby
    folders = [parse_dsn(url)["host"] for url in (standby.url, stoppable_postgres.url)]
    hosts = f"host={','.join(folders)}&port=5432,5432"
    events = PostgresEvents(f"postgresql://postgres@/leaderboard?{hosts}&target_session_attrs=primary")
    elsewhere = PostgresEvents(f"postgresql://postgres@/leaderboard?{hosts}&target_session_attrs=standby")
    store(stoppable_postgres.url, {})
    standby.wait_for(stoppable_postgres)
    assert elsewhere.window(*ALL_TIME).collect().height == 1
    snapshot = events.read_writer_snapshot()
    assert events.window(*ALL_TIME).collect().height == 1
    stoppable_postgres.stop()
    standby.promote()
    with pytest.raises(StoreUnavailable, match="another server took over"):
        events.window(*ALL_TIME)
    with pytest.raises(StoreUnavailable, match="another server took over"):
        events.results(ADDRESS.lower(), *ALL_TIME, "transcoding")
    assert events.read_writer_snapshot().storage != snapshot.storage
    assert events.window(*ALL_TIME).collect().height == 1
    assert events.results(ADDRESS.lower(), *ALL_TIME, "transcoding").collect().height == 1
    events.close()
    elsewhere.close()


def test_database_that_may_hold_what_is_no_text_is_not_read(server: str, empty_database: str) -> None:
    name = parse_dsn(empty_database)["dbname"]
    connection = psycopg2.connect(server.format("postgres"))
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
    connection.close()
    rows(
        empty_database,
        "CREATE TABLE job_types (id int, name text); CREATE TABLE regions (id int, name text, job_type_id int);"
        "CREATE TABLE events (id serial, event_time timestamptz, orchestrator text, region_id int, payload jsonb);"
        "INSERT INTO job_types VALUES (1, 'transcoding'); INSERT INTO regions VALUES (1, E'\\xff', 1);"
        f"INSERT INTO events (event_time, orchestrator, region_id, payload) VALUES (now(), '{ADDRESS}', 1, '{{}}')",
    )
    with closing(open_events(empty_database)) as source, pytest.raises(StoreUnavailable, match="encoding SQL_ASCII"):
        source.window(*ALL_TIME)


def test_server_that_keeps_no_log_of_its_own_is_read(database: str) -> None:
    """As some hosted databases, whose functions about the log end in an error."""
    name = parse_dsn(database)["dbname"]
    rows(
        database,
        "CREATE SCHEMA hosted; CREATE FUNCTION hosted.pg_current_wal_lsn() RETURNS pg_lsn LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'not supported here' USING ERRCODE = '0A000'; END $$; "
        f"ALTER DATABASE {name} SET search_path = hosted, pg_catalog, public",
    )
    store(database, {})
    with closing(open_events(database)) as source:
        assert source.read_writer_snapshot().max_id == 1
        assert source.changes().startswith("primary-")
        assert source.window(*ALL_TIME).collect().height == 1

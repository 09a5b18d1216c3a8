"""Events read from a real PostgreSQL."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone

import psutil
import psycopg2
import pytest

from queries import EVENT_SCHEMA, PostgresEvents, StoreTimeout, StoreUnavailable, open_events
from queries.concurrency import timeouts
from tests.conftest import load_events, rows

NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ADDRESS = "0x" + "Ab" * 20


@pytest.fixture
def events(database: str) -> Iterator[PostgresEvents]:
    events = open_events(database)
    yield events
    events.close()


def store(url: str, payload: dict[str, object], moment: datetime = NOON, job_type: str = "transcoding") -> None:
    load_events(url, [[moment.timestamp(), ADDRESS, "FRA", job_type, payload]])


def test_an_event_comes_typed(database: str, events: PostgresEvents) -> None:
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
    }


def test_both_ends_of_a_window_belong_to_it_to_the_microsecond(database: str, events: PostgresEvents) -> None:
    microsecond = timedelta(microseconds=1)
    for moment in (NOON - microsecond, NOON, NOON + HOUR, NOON + HOUR + microsecond):
        store(database, {}, moment)
    assert events.window(NOON, NOON + HOUR).collect()["id"].sort().to_list() == [2, 3]


def test_a_window_that_ends_before_it_begins_is_empty(database: str, events: PostgresEvents) -> None:
    store(database, {})
    assert events.window(NOON + HOUR, NOON - HOUR).collect().is_empty()


def test_the_widest_window_is_read(database: str, events: PostgresEvents) -> None:
    store(database, {})
    earliest, latest = (moment.replace(tzinfo=UTC) for moment in (datetime.min, datetime.max))  # noqa: DTZ901
    assert events.window(earliest, latest).collect().height == 1


def test_a_window_may_be_told_in_any_zone(database: str, events: PostgresEvents) -> None:
    store(database, {})
    tokyo = NOON.astimezone(timezone(9 * HOUR))
    assert events.window(tokyo, tokyo).collect().height == 1


@pytest.mark.parametrize(
    "value", ["fast", "0.5", None, True, [1], {"a": 1}], ids=["text", "number in text", "null", "bool", "list", "map"]
)
def test_what_is_no_number_counts_as_absent(database: str, events: PostgresEvents, value: object) -> None:
    store(database, {"success_rate": value, "round_trip_time": 2})
    assert events.window(NOON, NOON).select("success_rate", "round_trip_time").collect().row(0) == (0.0, 2.0)


def test_an_empty_pipeline_is_none(database: str, events: PostgresEvents) -> None:
    store(database, {"pipeline": "", "model": ""})
    assert events.window(NOON, NOON).select("pipeline", "model").collect().row(0) == (None, None)


def test_an_event_without_a_region_is_nobodys(database: str, events: PostgresEvents) -> None:
    store(database, {})
    rows(database, "UPDATE events SET region_id = NULL")
    assert events.window(NOON, NOON).collect().is_empty()


def test_results_are_one_orchestrators_in_whatever_case_they_were_stored(database: str, events: PostgresEvents) -> None:
    store(database, {"x": 1})
    frame = events.results(ADDRESS.lower(), NOON, NOON, "transcoding").collect()
    assert frame.columns == [*list(EVENT_SCHEMA)[:7], "payload"]
    assert frame["payload"].to_list() == ['{"x": 1}']
    assert events.results(ADDRESS.lower(), NOON, NOON, "ai").collect().is_empty()
    assert events.results("0x' OR 1=1 --", NOON, NOON, "transcoding").collect().is_empty()


def test_a_slow_read_is_ended_by_the_server(database: str) -> None:
    events = PostgresEvents(database, timeout=0.2)
    with locked(database), pytest.raises(StoreTimeout, match="took too long"):
        events.window(NOON, NOON)
    assert events.window(NOON, NOON).collect().is_empty()
    events.close()


def test_a_server_that_says_nothing_is_not_waited_for(database: str) -> None:
    events = PostgresEvents(database, timeout=0.2)
    events.window(NOON, NOON)
    with frozen(database), pytest.raises(StoreTimeout, match="no answer"):
        events.window(NOON, NOON)
    # what hung goes on, and gives back its connection
    while len(timeouts._idle_threads) < sum(thread.name == "background" for thread in threading.enumerate()):
        time.sleep(0.01)
    events.close()


def test_connections_that_were_cut_are_made_anew(database: str, events: PostgresEvents) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: events.window(NOON, NOON), range(8)))
    rows(database, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
         " AND datname = current_database()")  # fmt: skip
    assert events.window(NOON, NOON).collect().is_empty()


def test_a_connection_cut_during_a_read_is_told_and_not_taken_for_an_answer(database: str) -> None:
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
        while not rows(database, f"SELECT 1 {waiting}"):
            pass
        rows(database, f"SELECT pg_terminate_backend(pid) {waiting}")
        reader.join(20)
    assert len(found) == 1
    assert events.window(NOON, NOON).collect().height == 1
    events.close()


def test_a_database_that_is_away_is_unavailable() -> None:
    events = PostgresEvents("postgresql://nobody@127.0.0.1:1/nothing")
    with pytest.raises(StoreUnavailable):
        events.window(NOON, NOON)


def test_more_readers_than_connections_wait_for_each_other(database: str) -> None:
    store(database, {})
    events = PostgresEvents(database, connections=1)
    with ThreadPoolExecutor(16) as pool:
        heights = list(pool.map(lambda _: events.window(NOON, NOON).collect().height, range(64)))
    assert heights == [1] * 64
    events.close()


@pytest.mark.parametrize("url", ["", "mysql://localhost/x", "https://example.org/lake"])
def test_a_url_of_another_kind_has_no_source(url: str) -> None:
    with pytest.raises(ValueError, match="valid are postgresql://"):
        open_events(url)


def test_a_url_that_cannot_be_read_is_not_shown(database: str) -> None:
    with pytest.raises(ValueError, match="not a PostgreSQL URL") as raised:
        open_events("postgresql://user:password@host:port?nonsense=1")
    assert "password" not in str(raised.value).replace("user:password@host:5432", "")


@contextmanager
def locked(url: str) -> Iterator[None]:
    """While nobody else can read the events."""
    connection = psycopg2.connect(url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("LOCK TABLE events")
            yield
    finally:
        connection.close()


@contextmanager
def frozen(url: str) -> Iterator[None]:
    """While the server processes behind a source's idle connections do not run."""
    pids = [
        row[0]
        for row in rows(
            psycopg2.extensions.make_dsn(url, application_name="tests"),
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'leaderboard' AND datname = current_database()",
        )
    ]
    assert pids
    for pid in pids:
        psutil.Process(pid).suspend()
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)

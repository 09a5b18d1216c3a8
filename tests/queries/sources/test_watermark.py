"""No id up to the watermark can appear later, whatever the writers do."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from io import StringIO
from typing import Any

import psycopg2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg2.extensions import parse_dsn

from queries import PostgresEvents
from queries.sources.watermark import Watermark, WriterSnapshot
from tests.conftest import clone, load_events, rows

EVENT = ("0x" + "ab" * 20, 1, "{}")
INSERT = "INSERT INTO events (orchestrator, region_id, payload) VALUES (%s, %s, %s) RETURNING id"


def snapshot(max_id: int, *writers: str) -> WriterSnapshot:
    return WriterSnapshot(max_id, frozenset(writers), "storage")


@pytest.mark.parametrize(
    ("before", "now", "after"),
    [
        pytest.param(Watermark(), snapshot(5), Watermark(5), id="nobody writes"),
        pytest.param(Watermark(), snapshot(0), Watermark(0), id="no events"),
        pytest.param(
            Watermark(), snapshot(5, "a"), Watermark(-1, snapshot(5, "a")), id="somebody writes from the start"
        ),
        pytest.param(Watermark(3), snapshot(5, "a"), Watermark(3, snapshot(5, "a")), id="somebody begins to write"),
        pytest.param(
            Watermark(3, snapshot(5, "a")), snapshot(5, "a"), Watermark(3, snapshot(5, "a")), id="still the same writer"
        ),
        pytest.param(
            Watermark(3, snapshot(5, "a")),
            snapshot(9, "a", "b", "c"),
            Watermark(3, snapshot(5, "a")),
            id="others have begun, the awaited one goes on",
        ),
        pytest.param(
            Watermark(3, snapshot(5, "a", "b")),
            snapshot(9, "b"),
            Watermark(3, snapshot(5, "a", "b")),
            id="one of two has ended",
        ),
        pytest.param(
            Watermark(3, snapshot(5, "a", "b")),
            snapshot(9, "c"),
            Watermark(5, snapshot(9, "c")),
            id="all have ended, another writes",
        ),
        pytest.param(Watermark(3, snapshot(5, "a")), snapshot(9), Watermark(9), id="all have ended, nobody writes"),
        pytest.param(Watermark(7), snapshot(5), Watermark(7), id="the newest events were deleted"),
        pytest.param(
            Watermark(7, snapshot(5, "a")),
            snapshot(5, "b"),
            Watermark(7, snapshot(5, "b")),
            id="the newest events were deleted, others write",
        ),
    ],
)
def test_watermark_after_a_snapshot(before: Watermark, now: WriterSnapshot, after: Watermark) -> None:
    assert before.advance(now) == after


@given(
    st.lists(st.tuples(st.sampled_from(["draw", "commit", "roll back", "snapshot"]), st.integers(0, 3)), max_size=60)
)
def test_no_settled_id_appears_later(steps: list[tuple[str, int]]) -> None:
    """Four sessions draw ids and end their transactions in any order."""
    settled, drawn = Watermark(), 0
    transactions: dict[int, list[int]] = {}
    committed: set[int] = set()
    for step, session in steps:
        if step == "draw":
            drawn += 1
            transactions.setdefault(session, []).append(drawn)
        elif step == "snapshot":
            before = settled.id
            # the first id identifies a transaction
            writers = (f"{session}/{ids[0]}" for session, ids in transactions.items())
            settled = settled.advance(snapshot(max(committed, default=0), *writers))
            assert settled.id >= before
            assert transactions or settled == Watermark(max(committed, default=0))
        elif session in transactions:
            ids = transactions.pop(session)
            if step == "commit":
                assert min(ids) > settled.id
                committed.update(ids)


@given(st.integers(1, 4))
def test_later_writers_do_not_hold_the_watermark_back(generations: int) -> None:
    settled = Watermark().advance(snapshot(1, "0"))
    for n in range(generations):
        settled = settled.advance(snapshot(n + 2, f"{n}", f"{n + 1}")).advance(snapshot(n + 2, f"{n + 1}"))
        assert settled.id == n + 1


@contextmanager
def writing(url: str) -> Iterator[Any]:
    """The cursor of a session of its own, whose last transaction is rolled back."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        yield cursor


@pytest.fixture
def events(database: str) -> Iterator[PostgresEvents]:
    events = PostgresEvents(database)
    yield events
    events.close()


def test_writer_is_listed_from_its_first_id_to_its_end(database: str, events: PostgresEvents) -> None:
    assert events.read_writer_snapshot().writers == frozenset()
    with writing(database) as one, writing(database) as other:
        one.execute(INSERT, EVENT)
        (first,) = events.read_writer_snapshot().writers
        other.execute(INSERT, EVENT)
        assert len(events.read_writer_snapshot().writers) == 2
        one.connection.commit()
        (second,) = events.read_writer_snapshot().writers
        assert second != first
        one.execute(INSERT, EVENT)
        # a new transaction of the same session
        assert first not in events.read_writer_snapshot().writers
        one.connection.rollback()
        other.connection.rollback()
        assert events.read_writer_snapshot().writers == frozenset()


def test_uncommitted_id_is_not_the_highest(database: str, events: PostgresEvents) -> None:
    assert events.read_writer_snapshot().max_id == 0
    with writing(database) as writer:
        writer.execute(INSERT, EVENT)
        assert events.read_writer_snapshot().max_id == 0
        writer.connection.commit()
        assert events.read_writer_snapshot().max_id == 1


@pytest.mark.parametrize("kept", [True, False], ids=["a savepoint that is kept", "a savepoint that is rolled back"])
def test_writer_with_savepoints_is_listed_while_it_may_commit_an_event(
    database: str, events: PostgresEvents, kept: bool
) -> None:
    with writing(database) as writer:
        writer.execute("SAVEPOINT here")
        writer.execute(INSERT, EVENT)
        writer.execute("RELEASE here" if kept else "ROLLBACK TO here")
        # after the rollback, no id that it drew can appear
        assert bool(events.read_writer_snapshot().writers) == kept
        writer.execute(INSERT, EVENT)
        assert events.read_writer_snapshot().writers


def test_copy_is_a_writer(database: str, events: PostgresEvents) -> None:
    with writing(database) as writer:
        writer.copy_expert("COPY events (orchestrator, region_id, payload) FROM STDIN", StringIO("0x\t1\t{}\n"))
        assert len(events.read_writer_snapshot().writers) == 1


def test_writer_that_has_locked_the_table_is_listed(database: str, events: PostgresEvents) -> None:
    with writing(database) as writer:
        writer.execute("LOCK TABLE events IN EXCLUSIVE MODE")
        assert events.read_writer_snapshot().writers == frozenset()
        writer.execute(INSERT, EVENT)
        assert len(events.read_writer_snapshot().writers) == 1


def test_readers_and_writers_of_other_tables_are_not_listed(
    server: str, template: str, database: str, empty_database: str, events: PostgresEvents
) -> None:
    clone(server, template, parse_dsn(empty_database)["dbname"])
    with writing(database) as here, writing(empty_database) as there:
        here.execute("SELECT * FROM events FOR UPDATE")
        here.execute("INSERT INTO job_types (name) VALUES ('another')")
        there.execute(INSERT, EVENT)
        assert events.read_writer_snapshot().writers == frozenset()


def test_storage_changes_when_the_table_is_emptied_or_rewritten(database: str, events: PostgresEvents) -> None:
    load_events(database, [[0, EVENT[0], "FRA", "transcoding", {}]])
    first = events.read_writer_snapshot().storage
    rows(database, "DELETE FROM events")
    assert events.read_writer_snapshot().storage == first
    rows(database, "TRUNCATE events")
    second = events.read_writer_snapshot().storage
    with writing(database) as administrator:
        administrator.execute("TRUNCATE events")
        administrator.connection.rollback()
        assert events.read_writer_snapshot().storage == second
        administrator.connection.autocommit = True
        administrator.execute("VACUUM events")
        assert events.read_writer_snapshot().storage == second
        administrator.execute("VACUUM FULL events")
    assert len({first, second, events.read_writer_snapshot().storage}) == 3


@pytest.mark.parametrize(
    ("change", "sequential"),
    [
        ("ALTER SEQUENCE events_id_seq CACHE 1", True),
        ("ALTER SEQUENCE events_id_seq CACHE 10", False),
        ("ALTER SEQUENCE events_id_seq OWNED BY NONE", False),
    ],
)
def test_sequence_tells_whether_ids_are_sequential(
    database: str, events: PostgresEvents, change: str, sequential: bool
) -> None:
    rows(database, change)
    assert events.ids_are_sequential() == sequential

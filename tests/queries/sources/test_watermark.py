"""Which ids are settled: none that is can appear later, whatever the writers do."""

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


def snapshot(newest: int, *writers: str) -> WriterSnapshot:
    return WriterSnapshot(newest, frozenset(writers), 1)


@pytest.mark.parametrize(
    ("before", "now", "after"),
    [
        pytest.param(Watermark(), snapshot(5), Watermark(5), id="nobody writes"),
        pytest.param(Watermark(), snapshot(0), Watermark(0), id="there are none"),
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
        pytest.param(Watermark(7), snapshot(5), Watermark(7), id="the newest were deleted"),
        pytest.param(
            Watermark(7, snapshot(5, "a")),
            snapshot(5, "b"),
            Watermark(7, snapshot(5, "b")),
            id="the newest were deleted, others write",
        ),
    ],
)
def test_what_is_settled_by_a_look(before: Watermark, now: WriterSnapshot, after: Watermark) -> None:
    assert before.advance(now) == after


@given(st.lists(st.tuples(st.sampled_from(["draw", "commit", "roll back", "look"]), st.integers(0, 3)), max_size=60))
def test_no_settled_id_appears_later(steps: list[tuple[str, int]]) -> None:
    """Four sessions draw ids and end their transactions in any order."""
    settled, drawn = Watermark(), 0
    transactions: dict[int, list[int]] = {}
    committed: set[int] = set()
    for step, session in steps:
        if step == "draw":
            drawn += 1
            transactions.setdefault(session, []).append(drawn)
        elif step == "look":
            before = settled.id
            # a transaction is known by what no other one has, here its first id
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
def test_the_settled_id_is_not_held_back_by_those_who_came_later(generations: int) -> None:
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


def test_a_writer_is_seen_from_its_first_id_to_its_end(database: str, events: PostgresEvents) -> None:
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
        # another transaction, though the same session
        assert first not in events.read_writer_snapshot().writers
        one.connection.rollback()
        other.connection.rollback()
        assert events.read_writer_snapshot().writers == frozenset()


def test_what_is_not_committed_is_not_the_newest(database: str, events: PostgresEvents) -> None:
    assert events.read_writer_snapshot().max_id == 0
    with writing(database) as writer:
        writer.execute(INSERT, EVENT)
        assert events.read_writer_snapshot().max_id == 0
        writer.connection.commit()
        assert events.read_writer_snapshot().max_id == 1


@pytest.mark.parametrize("kept", [True, False], ids=["a savepoint that is kept", "a savepoint that is rolled back"])
def test_a_writer_with_savepoints_is_seen_while_it_may_bring_an_event(
    database: str, events: PostgresEvents, kept: bool
) -> None:
    with writing(database) as writer:
        writer.execute("SAVEPOINT here")
        writer.execute(INSERT, EVENT)
        writer.execute("RELEASE here" if kept else "ROLLBACK TO here")
        # nothing of what it drew can appear any more, once that was taken back
        assert bool(events.read_writer_snapshot().writers) == kept
        writer.execute(INSERT, EVENT)
        assert events.read_writer_snapshot().writers


def test_whoever_copies_is_a_writer(database: str, events: PostgresEvents) -> None:
    with writing(database) as writer:
        writer.copy_expert("COPY events (orchestrator, region_id, payload) FROM STDIN", StringIO("0x\t1\t{}\n"))
        assert len(events.read_writer_snapshot().writers) == 1


def test_a_writer_that_has_locked_the_table_is_seen(database: str, events: PostgresEvents) -> None:
    with writing(database) as writer:
        writer.execute("LOCK TABLE events IN EXCLUSIVE MODE")
        assert events.read_writer_snapshot().writers == frozenset()
        writer.execute(INSERT, EVENT)
        assert len(events.read_writer_snapshot().writers) == 1


def test_who_reads_or_writes_elsewhere_is_no_writer(
    server: str, template: str, database: str, empty_database: str, events: PostgresEvents
) -> None:
    clone(server, template, parse_dsn(empty_database)["dbname"])
    with writing(database) as here, writing(empty_database) as there:
        here.execute("SELECT * FROM events FOR UPDATE")
        here.execute("INSERT INTO job_types (name) VALUES ('another')")
        there.execute(INSERT, EVENT)
        assert events.read_writer_snapshot().writers == frozenset()


def test_storage_is_another_once_the_table_was_emptied_or_rewritten(database: str, events: PostgresEvents) -> None:
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
    ("change", "in_turn"),
    [
        ("ALTER SEQUENCE events_id_seq CACHE 1", True),
        ("ALTER SEQUENCE events_id_seq CACHE 10", False),
        ("ALTER SEQUENCE events_id_seq OWNED BY NONE", False),
    ],
)
def test_the_sequence_is_asked_whether_it_ids_are_sequential(
    database: str, events: PostgresEvents, change: str, in_turn: bool
) -> None:
    rows(database, change)
    assert events.ids_are_sequential() == in_turn

"""The pool runs each operation in one transaction, and survives what happens to the database."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from threading import Event

import psycopg2
import pytest
from psycopg2.extensions import cursor as Cursor  # noqa: N812  it is a class

from leaderboard.postgres.pool import Database
from queries.errors import OutcomeUnknown, StoreTimeout, StoreUnavailable
from tests.conftest import rows
from tests.support.postgres import StoppablePostgres
from tests.support.service import free_port

REGIONS = "SELECT count(*) FROM regions"
INSERT = "INSERT INTO regions (name, display_name, job_type_id) VALUES ('NEW', 'New', 1)"


@pytest.fixture
def pool(database: str) -> Iterator[Database]:
    with closing(Database(database, 20)) as pool:
        yield pool


def count_regions(cursor: Cursor) -> int:
    cursor.execute(REGIONS)
    return cursor.fetchone()[0]


def insert_twice(cursor: Cursor) -> None:
    cursor.execute(INSERT)
    cursor.execute(INSERT)


def test_transaction_is_committed_when_run_returns(pool: Database, database: str) -> None:
    pool.run(lambda cursor: cursor.execute(INSERT))
    assert rows(database, REGIONS) == [(29,)]
    assert pool.run(count_regions) == 29


def test_failed_statement_rolls_back_and_raises_the_driver_error(pool: Database, database: str) -> None:
    with pytest.raises(psycopg2.errors.UniqueViolation):
        pool.run(insert_twice)
    assert rows(database, REGIONS) == [(28,)]
    assert pool.run(count_regions) == 28


def test_error_of_the_caller_rolls_back(pool: Database, database: str) -> None:
    def insert_and_fail(cursor: Cursor) -> None:
        cursor.execute(INSERT)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        pool.run(insert_and_fail)
    assert rows(database, REGIONS) == [(28,)]


def test_failed_statement_that_the_caller_ignores_is_no_success(pool: Database, database: str) -> None:
    def insert_and_ignore(cursor: Cursor) -> None:
        with suppress(psycopg2.Error):
            insert_twice(cursor)

    with pytest.raises(RuntimeError, match="rolled back"):
        pool.run(insert_and_ignore)
    assert rows(database, REGIONS) == [(28,)]


def test_slow_statement_is_cancelled(database: str) -> None:
    with closing(Database(database, 0.2, connections=1)) as pool:
        with pytest.raises(StoreTimeout, match="took too long"):
            pool.run(lambda cursor: cursor.execute("SELECT pg_sleep(60)"))
        pool.run(count_regions)


def test_transaction_that_its_caller_gave_up_is_never_committed(pool: Database, database: str) -> None:
    inserted, opened = Event(), Event()

    def insert_and_wait(cursor: Cursor) -> None:
        cursor.execute(INSERT)
        inserted.set()
        assert opened.wait(60)

    with pytest.raises(StoreTimeout) as failure:
        pool.run(insert_and_wait, timeout=0.5)
    assert not isinstance(failure.value, OutcomeUnknown)
    assert inserted.is_set()
    opened.set()
    # the name is free again as soon as the transaction has ended
    pool.run(lambda cursor: cursor.execute(INSERT))
    assert rows(database, REGIONS) == [(29,)]


def test_connection_lost_in_a_commit_leaves_the_outcome_unknown(pool: Database, database: str) -> None:
    rows(
        database,
        """CREATE FUNCTION end_connection() RETURNS trigger LANGUAGE plpgsql AS $$
           BEGIN RAISE 'the pooler lost its server' USING ERRCODE = '08006'; END $$;
           CREATE CONSTRAINT TRIGGER end_connection AFTER INSERT ON regions DEFERRABLE INITIALLY DEFERRED
           FOR EACH ROW EXECUTE FUNCTION end_connection()""",
    )
    with pytest.raises(OutcomeUnknown):
        pool.run(lambda cursor: cursor.execute(INSERT))
    assert pool.run(count_regions) == 28


def test_lost_connection_means_unavailable_and_is_replaced(pool: Database) -> None:
    with pytest.raises(StoreUnavailable, match="is not available: "):
        pool.run(lambda cursor: cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())"))
    assert pool.run(count_regions) == 28


def test_connections_that_a_restart_broke_are_replaced(stoppable_postgres: StoppablePostgres) -> None:
    with closing(Database(stoppable_postgres.url, 20)) as pool:
        assert pool.run(count_regions) == 28
        stoppable_postgres.stop()
        stoppable_postgres.start()
        # the pool does not know of the restart before it uses a connection
        assert pool.run(count_regions) == 28
        stoppable_postgres.stop()
        with pytest.raises(StoreUnavailable):
            pool.run(count_regions)


def test_silent_database_is_given_up(stoppable_postgres: StoppablePostgres) -> None:
    with closing(Database(stoppable_postgres.url, 0.5)) as pool:
        pool.run(count_regions)
        with stoppable_postgres.frozen(), pytest.raises(StoreTimeout, match=r"no answer within 1\.5 s"):
            pool.run(count_regions)


def test_unreachable_database_is_named_without_its_password() -> None:
    port = free_port()
    with (
        closing(Database(f"postgresql://user:hush@127.0.0.1:{port}/scores", 2)) as pool,
        pytest.raises(StoreUnavailable) as failure,
    ):
        pool.run(count_regions)
    assert str(failure.value) == f"the database scores at 127.0.0.1:{port} is not available: Connection refused"


def test_waiting_for_a_connection_is_limited(database: str) -> None:
    entered, opened = Event(), Event()

    def block(_: Cursor) -> None:
        entered.set()
        assert opened.wait(60)

    with closing(Database(database, 1, connections=1)) as pool, ThreadPoolExecutor(1) as threads:
        blocked = threads.submit(pool.run, block)
        assert entered.wait(60)
        with pytest.raises(StoreTimeout, match=r"no connection to the database .* became free in 1 s"):
            pool.run(count_regions)
        opened.set()
        blocked.exception()
        pool.run(count_regions)

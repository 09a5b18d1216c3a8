"""Group commit: few transactions for many rows, and each row has its own outcome."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg2
import pytest
from flask import Flask

from leaderboard.results.group_commit import GroupCommit
from queries import StoreTimeout, StoreUnavailable
from queries.errors import OutcomeUnknown
from tests.conftest import rows
from tests.leaderboard.results.test_posting import good
from tests.support.serving import post_signed
from tests.support.waiting import eventually
from tests.support.waiting_callers import WaitingCallers

FIRST = -1
LONG_SECONDS = 60.0
HURRIED = {0, 2}
LOCK_WAITERS = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'events'::regclass"


class RecordingStore:
    """Records the batches that it is given. It blocks on the first row and refuses some rows."""

    def __init__(self, error: Exception | None = None, *refused: int) -> None:
        self.batches: list[list[int]] = []
        self.entered, self.opened = threading.Event(), threading.Event()
        self._error, self._refused = error, set(refused)

    def write(self, batch: list[int], timeout: float) -> list[Exception | None]:
        assert 0 < timeout <= LONG_SECONDS
        self.batches.append(list(batch))
        if batch == [FIRST]:
            self.entered.set()
            assert self.opened.wait(60)
        if self._error is not None and self._refused & set(batch):
            raise self._error
        return [None] * len(batch)


def add(group: GroupCommit[int], row: int, seconds: float = LONG_SECONDS) -> int | type[Exception]:
    """The row, or the type of the error that it raises."""
    try:
        group.add(row, time.monotonic() + seconds)
    except Exception as error:  # noqa: BLE001
        return type(error)
    return row


def add_during_a_write(store: RecordingStore, count: int) -> list[int | type[Exception]]:
    """The outcomes of ``count`` rows that are all added while the first row is being written."""
    group = GroupCommit(store.write)
    callers = WaitingCallers()
    with ThreadPoolExecutor(count + 1) as threads:
        first = threads.submit(add, group, FIRST)
        assert store.entered.wait(60)
        others = [threads.submit(callers.run, add, group, row) for row in range(count)]
        callers.wait_for(count)
        store.opened.set()
        assert first.result() == FIRST
        return [other.result() for other in others]


def test_rows_that_arrive_during_a_write_are_written_together() -> None:
    store = RecordingStore()
    assert add_during_a_write(store, 16) == [*range(16)]
    assert [sorted(batch) for batch in store.batches] == [[FIRST], [*range(16)]]


def test_refused_row_fails_alone() -> None:
    store = RecordingStore(ValueError(), 3, 5)
    expected = [ValueError if row in (3, 5) else row for row in range(8)]
    assert add_during_a_write(store, 8) == expected
    assert sorted(map(len, store.batches)) == [1] * 9 + [8]


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (StoreUnavailable("lost"), StoreUnavailable),
        (StoreTimeout("cancelled"), StoreUnavailable),
        (OutcomeUnknown("not confirmed"), OutcomeUnknown),
    ],
)
def test_unavailable_store_is_not_tried_again_for_each_row(error: Exception, raised: type[Exception]) -> None:
    store = RecordingStore(error, 3)
    assert add_during_a_write(store, 8) == [raised] * 8
    assert len(store.batches) == 2


def test_row_that_waits_too_long_is_not_written() -> None:
    store = RecordingStore()
    group = GroupCommit(store.write)
    with ThreadPoolExecutor(5) as threads:
        first = threads.submit(add, group, FIRST)
        assert store.entered.wait(60)
        others = [threads.submit(add, group, row, 0.1) for row in range(4)]
        assert [other.result() for other in others] == [StoreUnavailable] * 4
        store.opened.set()
        assert first.result() == FIRST
    assert store.batches == [[FIRST]]


def test_rows_that_have_time_outlive_a_transaction_that_took_too_long() -> None:
    writing = threading.Event()

    def write(batch: list[int], timeout: float) -> list[Exception | None]:
        writing.set()
        if HURRIED & set(batch):
            time.sleep(timeout)
            raise StoreTimeout("a lock")
        return [None] * len(batch)

    group = GroupCommit(write)
    with ThreadPoolExecutor(4) as threads:
        hanging = threads.submit(add, group, 0, 0.6)
        assert writing.wait(60)
        # these have to wait for the one that hangs, each until its own deadline
        assert threads.submit(add, group, 1, 0.3).result() is StoreUnavailable
        others = [threads.submit(add, group, 2, 1.2), threads.submit(add, group, 3)]
        assert hanging.result() is StoreUnavailable
        assert [other.result() for other in others] == [StoreUnavailable, 3]


def test_row_refused_by_the_write_fails_alone() -> None:
    def write(batch: list[int], _: float) -> list[Exception | None]:
        return [ValueError() if row == FIRST else None for row in batch]

    group = GroupCommit(write)
    assert [add(group, row) for row in (1, FIRST, 2)] == [1, ValueError, 2]


Post = Callable[[bytes], int]


@pytest.fixture
def post_status(app: Flask) -> Post:
    """Posts a signed result with a client of its own, and returns the status."""

    def post(body: bytes) -> int:
        return post_signed(app.test_client(), body).status_code

    # regions are read before the first result is written, so that later ones only wait for each other
    assert post(good()) == 200
    return post


def post_during_a_write(database: str, post: Post, bodies: list[bytes]) -> list[int]:
    """The statuses of results that are all posted while another one is being written."""
    callers = WaitingCallers()
    with closing(psycopg2.connect(database)) as holder, ThreadPoolExecutor(len(bodies) + 1) as threads:
        with holder, holder.cursor() as cursor:
            cursor.execute("LOCK TABLE events IN SHARE MODE")
            first = threads.submit(post, good())
            eventually(lambda: rows(database, LOCK_WAITERS) == [(1,)])
            others = [threads.submit(callers.run, post, body) for body in bodies]
            callers.wait_for(len(bodies))
        assert first.result() == 200
        return [other.result() for other in others]


def test_results_posted_during_a_transaction_share_the_next(database: str, post_status: Post) -> None:
    assert post_during_a_write(database, post_status, [good()] * 12) == [200] * 12
    assert rows(database, "SELECT count(*), count(DISTINCT xmin::text) FROM events") == [(14, 3)]


def test_result_that_the_database_refuses_does_not_affect_others(database: str, post_status: Post) -> None:
    rows(database, "ALTER TABLE events ADD CHECK (payload->>'note' <> 'bad')")
    bodies = [good(note="bad" if number % 4 == 0 else "good") for number in range(12)]
    assert post_during_a_write(database, post_status, bodies) == [500, 200, 200, 200] * 3
    assert rows(database, "SELECT count(*) FROM events") == [(11,)]

"""Rows of many requests in few transactions, each with its own outcome."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg2
import pytest
from flask import Flask

from leaderboard.results.auth import sign
from leaderboard.results.group_commit import GroupCommit
from queries import StoreTimeout, StoreUnavailable
from tests.conftest import SECRET, rows
from tests.leaderboard.results.test_posting import good


def outcomes(group: GroupCommit[int], numbers: range) -> list[Any]:
    """What becomes of these rows, added at once while one is being written."""

    def add(number: int) -> Any:
        try:
            group.add(number)
        except Exception as error:  # noqa: BLE001
            return type(error)
        return number

    with ThreadPoolExecutor(len(numbers) + 1) as pool:
        first = pool.submit(add, -1)
        time.sleep(0.1)
        found = list(pool.map(add, numbers))
        assert first.result() == -1
    return found


class Written:
    """A store that is slow with its first batch and refuses what it is told to."""

    def __init__(self, error: Exception, *refused: int) -> None:
        self.batches: list[list[int]] = []
        self.error, self.refused = error, refused

    def write(self, batch: list[int]) -> None:
        self.batches.append(list(batch))
        if batch == [-1]:
            time.sleep(0.5)
        if set(batch) & set(self.refused):
            raise self.error


def test_rows_that_come_meanwhile_are_written_together() -> None:
    store = Written(ValueError())
    assert outcomes(GroupCommit(store.write, 20), range(16)) == [*range(16)]
    assert len(store.batches) == 2
    assert sorted(store.batches[1]) == [*range(16)]


def test_a_row_that_is_refused_fails_alone() -> None:
    store = Written(ValueError(), 3, 5)
    expected = [ValueError if number in (3, 5) else number for number in range(8)]
    assert outcomes(GroupCommit(store.write, 20), range(8)) == expected
    assert sorted(map(len, store.batches)) == [1] * 9 + [8]


@pytest.mark.parametrize("error", [StoreUnavailable("away"), StoreTimeout("slow")])
def test_a_store_that_is_away_is_not_tried_again_for_each(error: Exception) -> None:
    store = Written(error, 3)
    assert outcomes(GroupCommit(store.write, 20), range(8)) == [type(error)] * 8
    assert len(store.batches) == 2


def test_who_waits_too_long_is_told_and_not_written() -> None:
    store = Written(ValueError())
    assert outcomes(GroupCommit(store.write, 0.1), range(4)) == [StoreTimeout] * 4
    assert store.batches == [[-1]]


def test_one_result_that_the_database_refuses_does_not_hurt_those_beside_it(app: Flask, database: str) -> None:
    rows(database, "ALTER TABLE events ADD CHECK (payload->>'note' <> 'bad')")

    def post(number: int) -> int:
        body = good(note="bad" if number % 4 == 0 else "good")
        headers = {"Authorization": sign(SECRET, body)}
        return app.test_client().post("/api/post_stats", data=body, headers=headers).status_code

    holder = psycopg2.connect(database)
    with holder, holder.cursor() as cursor, ThreadPoolExecutor(16) as pool:
        cursor.execute("LOCK TABLE events IN SHARE MODE")
        waiting = [pool.submit(post, number) for number in range(16)]
        threading.Event().wait(1)
        holder.commit()
        statuses = [future.result() for future in waiting]
    holder.close()
    assert statuses == [500, 200, 200, 200] * 4
    assert rows(database, "SELECT count(*) FROM events") == [(12,)]
    # one transaction for the first, and then few for all others
    assert rows(database, "SELECT count(DISTINCT xmin::text) FROM events")[0][0] <= 14

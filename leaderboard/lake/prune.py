"""Deletes events from the database after checking that its lake has them."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import date, datetime

import polars as pl
import psycopg2

from leaderboard.lake.chunks import Progress
from leaderboard.lake.errors import LakeError
from leaderboard.lake.registry import check_other_lakes_reach
from leaderboard.lake.verify import compare_days, find_days_missing_events
from leaderboard.postgres.admin import connect, transaction
from queries import ADDRESS_PATTERN, DatabaseState, LakeSnapshot, PostgresEvents, hash64
from queries.db import translate_psycopg2_error
from queries.times import MIN_TIME

DELETE_BATCH_ROWS = 10_000
"""Events that one transaction deletes."""

# events that no source returns are not in the lake either, and late events stay until the lake has them
_PRUNABLE = """
    event_time >= %(first)s AND event_time < %(before)s AND id <= %(max_id)s AND lower(orchestrator) ~ %(address)s
    AND region_id IN (SELECT r.id FROM regions r JOIN job_types j ON j.id = r.job_type_id)"""
_COUNT = f"SELECT count(*), coalesce(max(id), 0) FROM events WHERE {_PRUNABLE}"  # noqa: S608
_DELETE = f"DELETE FROM events WHERE id = ANY (ARRAY(SELECT id FROM events WHERE {_PRUNABLE} LIMIT %(batch)s))"  # noqa: S608


# one row; what is pruned stays pruned, whatever a later pruning asks for
_NOTE = """
    WITH earlier AS (DELETE FROM pruned RETURNING before, max_id)
    INSERT INTO pruned (before, max_id) SELECT max(before), max(max_id)
    FROM (SELECT * FROM earlier UNION ALL SELECT %(before)s, %(max_id)s) noted"""


class Pruning:
    """Deletes the events before a midnight: first ``prepare``, then ``delete_batches``.

    The caller holds the exclusive lock, so that no other process prunes.
    ``timeout`` is the limit for connecting to the database at ``url``, in
    seconds. ``before_commit`` may raise an error to prevent a commit, such as
    the ``check`` of the lock.
    """

    def __init__(
        self,
        url: str,
        postgres: PostgresEvents,
        lake: LakeSnapshot,
        before: datetime,
        timeout: float,
        before_commit: Callable[[], None] = lambda: None,
    ) -> None:
        self._url = url
        self._postgres = postgres
        self._lake = lake
        self._before = before
        self._timeout = timeout
        self._before_commit = before_commit
        self._prepared_state: DatabaseState | None = None
        # what the lake has; once that is known, the highest id that is deleted
        self._max_id = lake.watermark

    def prepare(self, progress: Progress) -> int:
        """Checks that the lake has these days as the database has them, and returns the number of events to delete.

        Raises LakeError, which names the days, if it has not. Raises it as
        well if another lake of the database lacks some of the events. Raises
        StoreUnavailable and StoreTimeout.
        """
        state = self._prepared_state = self._postgres.state()
        if self._lake.database != hash64(state.database):
            raise LakeError("the lake was made of another database")
        if days := self._days_that_differ(state, progress):
            raise LakeError(f"the lake differs on {', '.join(map(str, days))}; leaderboard lake sync mends it")
        with self._connect() as connection, transaction(connection) as cursor:
            cursor.execute(_COUNT, self._statement_values())
            ((events, self._max_id),) = cursor
        check_other_lakes_reach(self._url, self._timeout, self._lake.table_id, self._max_id)
        return int(events)

    def delete_batches(self) -> Iterator[int]:
        """Deletes the events in batches, and yields the size of each batch after its commit.

        Before the first batch it records in the database that the lake alone
        has these days. If it is interrupted, the next pruning continues. Raises
        LakeError, with nothing deleted, if events were changed after
        ``prepare``, and StoreUnavailable and StoreTimeout.
        """
        with self._connect() as connection:
            with transaction(connection) as cursor:
                cursor.execute(_NOTE, self._statement_values())
                # a change that the lake does not have would be lost
                if self._postgres.state() != self._prepared_state:
                    raise LakeError("events were changed meanwhile; try again")
                self._before_commit()
            deleted = DELETE_BATCH_ROWS
            while deleted == DELETE_BATCH_ROWS:
                with transaction(connection) as cursor:
                    cursor.execute(_DELETE, self._statement_values())
                    deleted = cursor.rowcount
                    self._before_commit()
                yield deleted

    @contextmanager
    def _connect(self) -> Iterator[psycopg2.extensions.connection]:
        try:
            with closing(connect(self._url, self._timeout)) as connection:
                yield connection
        except psycopg2.Error as error:
            raise translate_psycopg2_error(error, self._url) from error

    def _days_that_differ(self, state: DatabaseState, progress: Progress) -> list[date]:
        pruned = state.pruned or MIN_TIME
        days = compare_days(self._postgres, self._lake, pruned, self._lake.watermark, progress, before=self._before)
        # before ``pruned`` the database has only events of an interrupted pruning and events that came late
        missing = find_days_missing_events(self._postgres, self._lake, min(pruned, self._before), progress)
        return sorted({*missing, *days.filter(~pl.col("same"))["day"]})

    def _statement_values(self) -> dict[str, object]:
        return {
            "first": MIN_TIME,
            "before": self._before,
            "max_id": self._max_id,
            "address": ADDRESS_PATTERN,
            "batch": DELETE_BATCH_ROWS,
        }

"""Deletes events from the database that its lake has, and has been found to have whole."""

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime

import polars as pl

from leaderboard.lake.table import LakeError
from leaderboard.lake.verify import Progress, compared, lacking
from leaderboard.postgres.admin import connect
from queries import ADDRESS_PATTERN, DatabaseState, LakeSnapshot, PostgresEvents, hash64
from queries.times import MIN_TIME

BATCH = 10_000
"""Events that one transaction deletes."""

# an event that no source gives is not in the lake either, and what came late stays until the lake has it
_WHERE = """
    event_time >= %(first)s AND event_time < %(before)s AND id <= %(watermark)s AND lower(orchestrator) ~ %(address)s
    AND region_id IN (SELECT r.id FROM regions r JOIN job_types j ON j.id = r.job_type_id)"""
_COUNT = f"SELECT count(*) FROM events WHERE {_WHERE}"  # noqa: S608
_DELETE = f"DELETE FROM events WHERE id = ANY (ARRAY(SELECT id FROM events WHERE {_WHERE} LIMIT %(batch)s))"  # noqa: S608


class Pruning:
    """The deletion of the events before a midnight, in a database that nobody else prunes meanwhile."""

    def __init__(
        self, url: str, postgres: PostgresEvents, lake: LakeSnapshot, before: datetime, timeout: float
    ) -> None:
        self._url = url
        self._postgres = postgres
        self._lake = lake
        self._before = before
        self._timeout = timeout
        self._found: DatabaseState | None = None

    def prepare(self, progress: Progress) -> int:
        """How many events are to be deleted.

        Raises LakeError, which names the days, where the lake does not have
        these days as the database has them.
        """
        self._found = self._postgres.state()
        if self._lake.database != hash64(self._found.database):
            raise LakeError("the lake was made of another database")
        pruned = self._found.pruned or MIN_TIME
        days = compared(self._postgres, self._lake, pruned, self._lake.watermark, progress, before=self._before)
        # what was left when it was broken off, and what has been imported since
        left = lacking(self._postgres, self._lake, min(pruned, self._before), progress)
        if other := sorted({*left, *days.filter(~pl.col("same"))["day"]}):
            raise LakeError(f"the lake differs on {', '.join(map(str, other))}; leaderboard lake sync mends it")
        with closing(connect(self._url, self._timeout)) as connection, connection.cursor() as cursor:
            cursor.execute(_COUNT, self._condition())
            return cursor.fetchone()[0]

    def run(self) -> Iterator[int]:
        """Deletes them, and yields with each batch how many it was; it is committed by then.

        Before the first one these days are read from the lake. Where it is
        broken off, the next time goes on. Raises LakeError, with nothing
        deleted, where the database was changed since it was prepared.
        """
        with closing(connect(self._url, self._timeout)) as connection, connection.cursor() as cursor:
            connection.autocommit = False
            with connection:
                cursor.execute("DELETE FROM pruned WHERE before < %s", (self._before,))
                cursor.execute("INSERT INTO pruned SELECT %s WHERE NOT EXISTS (SELECT FROM pruned)", (self._before,))
                # what was changed until now would be lost
                if self._postgres.state() != self._found:
                    raise LakeError("events were changed meanwhile; try again")
            deleted = BATCH
            while deleted == BATCH:
                with connection:
                    cursor.execute(_DELETE, self._condition())
                    deleted = cursor.rowcount
                yield deleted

    def _condition(self) -> dict[str, object]:
        ids = {"watermark": self._lake.watermark, "batch": BATCH}
        return ids | {"first": MIN_TIME, "before": self._before, "address": ADDRESS_PATTERN}

"""All events of a database, wherever they are: its lake has the settled past, and the database itself the rest.

Which of them has an event is told by its id: the lake holds every one up to
its watermark, whatever its time. So the two together are whole at every
moment, however far the lake lags behind. The database stays the truth: where
somebody has changed its events since the lake was last compared with it, all
that it still has is read from it.
"""

import logging
from collections.abc import Callable
from datetime import date, datetime
from typing import TypeVar

import polars as pl

from queries.errors import StoreUnavailable
from queries.sources.database_state import DatabaseState
from queries.sources.lake import LakeEvents, LakeSnapshot, collect, hash64
from queries.sources.live.cache import categorical, sort_and_encode
from queries.sources.postgres import PostgresEvents
from queries.times import MAX_TIME, MICROSECOND, MIN_TIME

log = logging.getLogger(__name__)
Part = TypeVar("Part")


class HybridEvents:
    """Events of a database and of the lake that it is exported to, if there is one.

    Safe to share between threads. Every read raises StoreUnavailable where
    the database, or a lake that is needed, cannot be reached, and
    StoreTimeout where it takes too long.
    """

    def __init__(self, postgres: PostgresEvents, lake: LakeEvents | None = None) -> None:
        self._postgres = postgres
        self._lake = lake
        # which database it is, once that has been seen
        self._database: int | None = None
        self._complained = False
        self.horizon = postgres.horizon
        self.writers_began = postgres.writers_began
        self.after = postgres.after
        self.hands_out_ids_in_turn = postgres.hands_out_ids_in_turn

    @property
    def timeout(self) -> float:
        """Seconds that one read of the database may take."""
        return self._postgres.timeout

    def window(self, since: datetime, until: datetime, *, max_id: int | None = None) -> pl.LazyFrame:
        """The events with since ≤ event_time ≤ until (aware datetimes), as EVENT_SCHEMA, in no order.

        Their text is Categorical. With ``max_id``, those whose id is at most
        that. What the database has is read by now, what the lake has when the
        frame is collected.
        """
        return self._whole(
            since,
            until,
            lambda snapshot, first, last: categorical(snapshot.window(first, last, max_id=max_id)),
            lambda first, last, after_id: sort_and_encode(
                self._postgres.window(first, last, after_id=after_id, max_id=max_id)
            ).lazy(),
        )

    def rows(self, since: datetime, until: datetime) -> pl.LazyFrame:
        """As ``window``, with ``payload``: the result as JSON. All text is String."""
        return self._whole(
            since,
            until,
            lambda snapshot, first, last: snapshot.window(first, last, payload=True),
            lambda first, last, after_id: self._postgres.window(first, last, after_id=after_id, payload=True),
        )

    def parts(
        self, of_lake: Callable[[LakeSnapshot, datetime, datetime], Part], of_postgres: Callable[[pl.LazyFrame], Part]
    ) -> list[Part]:
        """All events, as ``rows`` has them, in parts that share none: what is made of each.

        ``of_lake`` is given a version of the lake and the bounds, both
        inclusive, of the time that is to be read from it.
        """
        return self._parts(
            MIN_TIME,
            MAX_TIME,
            of_lake,
            lambda first, last, after_id: of_postgres(
                self._postgres.window(first, last, after_id=after_id, payload=True)
            ),
        )

    def regions(self) -> pl.DataFrame:
        """As PostgresEvents.regions."""
        return self._postgres.regions()

    def results(self, orchestrator: str, since: datetime, until: datetime, job_type: str) -> pl.LazyFrame:
        """The results of one orchestrator (lower case) and job type, as PostgresEvents.results gives them."""
        return self._whole(
            since,
            until,
            lambda snapshot, first, last: snapshot.results(orchestrator, first, last, job_type),
            lambda first, last, after_id: self._postgres.results(
                orchestrator, first, last, job_type, after_id=after_id
            ),
            # its index finds them sooner than any lake
            rather_postgres=True,
        )

    def days(self, since: datetime, until: datetime) -> list[date]:
        """The days, in UTC, that have events with since ≤ event_time ≤ until (aware datetimes), in order."""
        days = set(self._postgres.days(since, until))
        pruned = self._state().pruned
        if pruned is not None and since < pruned:
            # what may have been deleted is known to the lake alone
            old = self.window(since, min(until, pruned - MICROSECOND))
            days |= set(collect(old.select(pl.col("event_time").dt.date().unique()))["event_time"])
        return sorted(days)

    def nth_before(self, moment: datetime, n: int) -> datetime | None:
        """The event_time of about the n-th event before a moment, counted backwards in time; None where fewer."""
        snapshot = self._snapshot()
        places = [self._postgres.nth_before(moment, n), snapshot and snapshot.nth_before(moment, n)]
        return max((place for place in places if place is not None), default=None)

    def changes(self) -> str:
        """A text that is another one some time after stored events or regions were changed or deleted."""
        return self._state().changes

    def lake(self) -> LakeSnapshot | None:
        """The lake as it is by now, None where there is none. Raises StoreUnavailable where it cannot be reached.

        A lake that was made of another database is none.
        """
        snapshot = self._lake and self._lake.snapshot()
        if snapshot is None or self._database in (None, snapshot.database):
            return snapshot
        if not self._complained:
            self._complained = True
            log.error("the lake in %s is another database's, and not read", self._lake.url)
        return None

    def close(self) -> None:
        """Closes the connections that are idle."""
        self._postgres.close()
        if self._lake is not None:
            self._lake.close()

    def _whole(
        self,
        since: datetime,
        until: datetime,
        of_lake: Callable[[LakeSnapshot, datetime, datetime], pl.LazyFrame],
        of_postgres: Callable[[datetime, datetime, int | None], pl.LazyFrame],
        rather_postgres: bool = False,
    ) -> pl.LazyFrame:
        parts = self._parts(since, until, of_lake, of_postgres, rather_postgres)
        return pl.concat(parts, rechunk=False) if parts else of_postgres(since, until, None)

    def _parts(
        self,
        since: datetime,
        until: datetime,
        of_lake: Callable[[LakeSnapshot, datetime, datetime], Part],
        of_postgres: Callable[[datetime, datetime, int | None], Part],
        rather_postgres: bool = False,
    ) -> list[Part]:
        if rather_postgres:
            parts = [of_postgres(since, until, None)]
            pruned = self._postgres.pruned()
            if pruned is None or pruned <= since:
                return parts
        while True:
            state = self._state()
            begin = since if state.pruned is None else max(since, state.pruned)
            snapshot = self._snapshot()
            if rather_postgres or snapshot is None or snapshot.changes != hash64(state.changes):
                # the lake for what may have been deleted, the database for the rest
                parts = [of_postgres(begin, until, None)] if begin <= until else []
                end = min(until, begin - MICROSECOND) if begin > since else None
            else:
                parts, end = [], until
            if end is not None and since <= end:
                if snapshot is None:
                    raise StoreUnavailable(f"events before {state.pruned} are in the lake alone, which is not there")
                parts += [of_lake(snapshot, since, end), of_postgres(since, end, snapshot.watermark)]
            # what was deleted in between would be missing
            if self._state().pruned == state.pruned:
                return parts

    def _state(self) -> DatabaseState:
        state = self._postgres.state()
        self._database = hash64(state.database)
        return state

    def _snapshot(self) -> LakeSnapshot | None:
        try:
            return self.lake()
        except StoreUnavailable as error:
            log.warning("%s: %s", error, error.__cause__)
            return None

"""Events for requests: current ones, or those of memory and the lake while the database fails."""

import logging
from collections.abc import Callable
from concurrent.futures import wait
from contextlib import suppress
from datetime import datetime
from functools import partial

from leaderboard.postgres.readiness import Readiness
from queries import REFRESH_PATIENCE_SECONDS, EventWindow, LiveEvents, MemoryUsage
from queries.concurrency import OutageLog, run_in_thread
from queries.errors import StoreError, StoreTimeout

log = logging.getLogger(__name__)

STALL_CHECK_SECONDS = 0.2
"""How often a request that waits for the database checks whether that stalls."""


class EventReader:
    """Reads from ``events``, once the database is ready. Threads may share it.

    ``trusts_lake`` says whether the lake belongs to the database even where
    this process has not seen the database yet.
    """

    def __init__(self, events: LiveEvents, readiness: Readiness, *, trusts_lake: bool) -> None:
        self._events = events
        self._readiness = readiness
        self._trusts_lake = trusts_lake
        self._outage_log = OutageLog("the database", log)

    @property
    def memory(self) -> MemoryUsage | None:
        """What this process has in memory, or None where nothing was read yet."""
        return self._events.memory

    def window(self, since: datetime, until: datetime) -> EventWindow:
        """The events from ``since`` to ``until``.

        While the database is unavailable or stalls, the events of memory and
        the lake, as of the moment for which they are complete. A window that
        these do not have waits for a database that stalls. Raises
        StoreUnavailable and StoreTimeout.
        """
        try:
            self._readiness.ensure(REFRESH_PATIENCE_SECONDS)
            window = self._events.at(since, until)
        except StoreError as error:
            self._check_outage_is_bridged(error)
            try:
                return self._events.window_during_outage(since, until)
            except StoreError:
                if not isinstance(error, StoreTimeout):
                    raise
            self._readiness.ensure()
            return self._events.at(since, until, timeout=self._events.timeout)
        self._outage_log.worked()
        return window

    def results(
        self, orchestrator: str, since: datetime, until: datetime, job_type: str | None, *, with_errors: bool = False
    ) -> EventWindow:
        """The results of one orchestrator, or those that list errors, which memory does not have.

        While the database is unavailable or stalls, the results of the lake.
        Without a lake that has them, waits for a database that stalls. Raises
        StoreUnavailable and StoreTimeout.
        """
        query = orchestrator, since, until, job_type
        read = partial(self._events.results, *query, with_errors=with_errors)
        read_lake = partial(self._events.results_during_outage, *query, with_errors=with_errors)
        try:
            self._readiness.ensure(REFRESH_PATIENCE_SECONDS)
            return self._results_or_lake(read, read_lake)
        except StoreError as error:
            self._check_outage_is_bridged(error)
            try:
                return read_lake()
            except StoreError:
                if self._readiness.was_ready or not isinstance(error, StoreTimeout):
                    raise error from None
            self._readiness.ensure()
            return read()

    def _results_or_lake(self, read: Callable[[], EventWindow], read_lake: Callable[[], EventWindow]) -> EventWindow:
        """The results from the database, or from the lake as soon as the database is known to stall."""
        stalls = self._events.is_overdue
        outcome = None if stalls else run_in_thread(read)
        while not stalls and outcome is not None and not wait([outcome], STALL_CHECK_SECONDS).done:
            stalls = self._events.does_database_stall()
        if stalls:
            with suppress(StoreError):
                return read_lake()
        return outcome.result() if outcome is not None else read()

    def _check_outage_is_bridged(self, error: StoreError) -> None:
        """Raises the error where the lake may belong to another database, since this one was never seen."""
        if not (self._readiness.was_ready or self._trusts_lake):
            raise error
        self._outage_log.failed(error)

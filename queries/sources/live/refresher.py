"""Keeps the cache up to date: reads new events at each request, and reloads what may have changed on a thread."""

import logging
import time
from datetime import datetime
from threading import Event, Thread

from queries.concurrency.bounded_flight import BoundedFlight
from queries.errors import StoreError
from queries.sources.activity.change_log import ALL_DAYS
from queries.sources.activity.forgotten_writers import ForgottenWriterLog
from queries.sources.database_state import changes_by_log
from queries.sources.hybrid import HybridEvents
from queries.sources.live.backfill import Backfill
from queries.sources.live.cache import NEVER_MICROS
from queries.sources.live.new_events import KnownChanges, NewEventReader, read_known_changes, table_version
from queries.sources.live.shared_cache import SharedCache

log = logging.getLogger(__name__)

REFRESH_PATIENCE_SECONDS = 1.0
"""How long a request waits for new events before it is answered from memory as of the last refresh."""
CHANGE_POLL_SECONDS = 1.0
"""How often the thread checks whether stored events were changed."""
RETRY_PAUSE_SECONDS = 0.05
"""How long the thread waits before it asks a database again that stalls."""
UNSETTLED_POLL_SECONDS = 0.05
"""How often the thread checks which ids are settled, until the first are."""
RELOAD_REST_FACTOR = 5
"""After a reload of everything, the next one waits this many times as long as it took."""
MAX_POSITION_AGE_SECONDS = 12 * 3600.0
"""The database keeps its log of changes for a day. A reader that has not read it for this long reloads everything."""


class Refresher:
    """Refreshes a cache from ``source``, and reloads it where stored events may have changed.

    The warm window is reloaded every ``reload_interval`` seconds, and
    days that the database's log of changes names as soon as it does. Without
    such a log, everything is as soon as the database's counters differ.
    """

    def __init__(self, source: HybridEvents, shared: SharedCache, backfill: Backfill, reload_interval: float) -> None:
        self._source = source
        self._shared = shared
        self._backfill = backfill
        self._reload_interval = reload_interval
        self._new_events = NewEventReader(source, shared)
        self.refresh = BoundedFlight("the database", self._new_events.read, REFRESH_PATIENCE_SECONDS)
        """Adds every event that is committed by now and returns the cache.

        None where nobody can tell which ids are settled: on a standby, and
        where sessions draw ids ahead.
        """
        # only the thread changes these
        self._reload_at = self._rest_until = 0.0
        self._forgotten_writers = ForgottenWriterLog(source.forgotten_writers)
        self._closed = Event()
        self._thread = Thread(target=self._refresh_loop, name="live-events", daemon=True)

    @property
    def as_of(self) -> datetime | None:
        """The cache has every event that was committed by this moment. None before the first refresh."""
        return self._new_events.as_of

    @property
    def changes(self) -> str | None:
        """The DatabaseState.changes that the cache reflects."""
        known = self._new_events.known
        return known.changes if known is not None else None

    def start(self) -> None:
        """Starts the thread, which loads the warm window first."""
        self._thread.start()

    def close(self) -> None:
        """Ends the thread."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join(self._source.timeout)

    def _refresh_loop(self) -> None:
        """Keeps the warm window loaded, and reloads what may have changed."""
        self._reload_at, self._rest_until = time.monotonic() + self._reload_interval, 0.0
        while not self._closed.is_set():
            pause = CHANGE_POLL_SECONDS
            try:
                if self.refresh.is_overdue:
                    # this keeps one connection busy, however long the database stalls
                    self.refresh(self._source.timeout)
                pause = self._reload_what_changed()
                self._forgotten_writers.update()
                self._backfill.extend(self._shared.warm_start(), time.monotonic() + self._source.timeout)
            except StoreError as error:
                log.debug("the events are not up to date: %s", error)
            except BaseException:
                # requests meet the same error and report it; a panic of a library is no Exception
                log.exception("cannot refresh the events")
            # with a call under way, requests see at once that the database is well again
            self._closed.wait(RETRY_PAUSE_SECONDS if self.refresh.is_overdue else pause)

    def _reload_what_changed(self) -> float:
        """Returns after how many seconds to check again."""
        changes = self._source.changes()
        cache, now = self.refresh(self._source.timeout), time.monotonic()
        if cache is None:
            return UNSETTLED_POLL_SECONDS if self._new_events.can_settle else CHANGE_POLL_SECONDS
        if changes != self.changes:
            if not self._reload_logged_changes(changes) and now >= self._rest_until:
                self._reload(cache.since, changes)
                self._rest_until = time.monotonic() + RELOAD_REST_FACTOR * (time.monotonic() - now)
        elif now >= self._reload_at:
            self._reload(self._shared.warm_start(), None)
            self._reload_at = time.monotonic() + self._reload_interval
        return CHANGE_POLL_SECONDS

    def _reload_logged_changes(self, changes: str) -> bool:
        """Reloads the days that the log of changes names, and returns whether that was all."""
        known, now = self._new_events.known, time.monotonic()
        if known is None or known.position is None or not changes_by_log(known.changes, changes):
            return False
        days, position = self._source.changed_days(known.position)
        if ALL_DAYS in days or now - known.read_at > MAX_POSITION_AGE_SECONDS:
            return False
        generation = self._shared.start_generation()
        self._shared.start_transition()
        self._reread_unsettled()
        self._backfill.reload_days(days)
        self._new_events.known = KnownChanges(known.changes, position, now)
        # otherwise there is more to reload, and the cache may have a part of that already
        if self._source.changes() == changes:
            self._set_known(KnownChanges(changes, position, now), generation)
        return True

    def _reload(self, target_start: int, changes: str | None) -> None:
        """Reads everything in the cache from ``target_start`` on again.

        ``changes`` are the DatabaseState.changes that the cache reflects once
        everything has been reloaded; None leaves them.
        """
        generation = self._shared.start_generation()
        known = None if changes is None else read_known_changes(self._source, changes)
        self._reread_unsettled()
        chunk_end = NEVER_MICROS
        while chunk_end > target_start:
            chunk_end = self._backfill.load(chunk_end, target_start)
        if known is not None:
            self._set_known(known, generation)

    def _reread_unsettled(self) -> None:
        # these are in no day of the cache
        self._new_events.reread_unsettled()
        self.refresh(self._source.timeout)

    def _set_known(self, known: KnownChanges, generation: int) -> None:
        cache = self._shared.current
        if cache is not None:
            storage = cache.table_version.partition("-")[0]
            if self._shared.set_table_version(table_version(storage, known.changes), generation):
                self._new_events.known = known

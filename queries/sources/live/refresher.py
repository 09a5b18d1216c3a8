"""Keeps the cache up to date: reads new events at each request, and reloads what may have changed on a thread."""

import logging
import time
from datetime import UTC, datetime
from threading import Event, Thread

from queries.concurrency.bounded_flight import BoundedFlight
from queries.errors import ReadOnlyDatabase, StoreError
from queries.sources.hybrid import HybridEvents
from queries.sources.live.backfill import Backfill
from queries.sources.live.cache import EMPTY_EVENTS, NEVER_MICROS, EventCache, sort_and_encode
from queries.sources.live.shared_cache import SharedCache
from queries.sources.watermark import Watermark, WriterSnapshot

log = logging.getLogger(__name__)

REFRESH_PATIENCE_SECONDS = 1.0
"""How long a request waits for new events before it is answered from memory as of the last refresh."""
CHANGE_POLL_SECONDS = 5.0
"""How often the thread checks whether stored events were changed."""
RETRY_PAUSE_SECONDS = 0.05
"""How long the thread waits before it asks a database again that stalls."""
UNSETTLED_POLL_SECONDS = 0.05
"""How often the thread checks which ids are settled, until the first are."""
RELOAD_REST_FACTOR = 5
"""After a reload of everything, the next one waits this many times as long as it took."""


class Refresher:
    """Refreshes a cache from ``source``, and reloads it where stored events may have changed.

    The warm window is reloaded every ``reload_interval`` seconds, and
    everything as soon as the database's change counters differ.
    """

    def __init__(self, source: HybridEvents, shared: SharedCache, backfill: Backfill, reload_interval: float) -> None:
        self._source = source
        self._shared = shared
        self._backfill = backfill
        self._reload_interval = reload_interval
        self.refresh = BoundedFlight("the database", self._refresh, REFRESH_PATIENCE_SECONDS)
        """Adds every event that is committed by now and returns the cache.

        None where nobody can tell which ids are settled: on a standby, and
        where sessions draw ids ahead.
        """
        # only _refresh changes these
        self._ids_are_sequential: bool | None = None
        self._is_standby = False
        self._writers: WriterSnapshot | None = None
        self._watermark = Watermark()
        self._as_of: datetime | None = None
        # the database's change counters when everything in the cache was read
        self._changes: str | None = None
        # only the thread changes these
        self._reload_at = self._rest_until = 0.0
        self._closed = Event()
        self._thread = Thread(target=self._refresh_loop, name="live-events", daemon=True)

    @property
    def as_of(self) -> datetime | None:
        """The cache has every event that was committed by this moment. None before the first refresh."""
        return self._as_of

    @property
    def changes(self) -> str | None:
        """The database's change counters that the cache reflects."""
        return self._changes

    def start(self) -> None:
        """Starts the thread, which loads the warm window first."""
        self._thread.start()

    def close(self) -> None:
        """Ends the thread."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join(self._source.timeout)

    def _refresh(self) -> EventCache | None:
        if not self._check_ids():
            return None
        now = datetime.now(UTC)
        writers = self._read_writer_snapshot()
        if writers is None:
            return None
        if writers == self._writers:
            self._as_of = now
            return self._shared.current
        if self._was_emptied(writers):
            log.info("the events were emptied, rewritten or replaced; reading them again")
            self._reset()
            if not self._check_ids():
                return None
        watermark = self._watermark.advance(writers)
        if watermark.id >= 0:
            self._add_new_events(writers, watermark.id)
        self._writers, self._watermark, self._as_of = writers, watermark, now
        return self._shared.current

    def _read_writer_snapshot(self) -> WriterSnapshot | None:
        """The snapshot, or None on a standby, where every request reads all of its events."""
        try:
            writers = self._source.read_writer_snapshot()
        except ReadOnlyDatabase:
            if not self._is_standby:
                log.warning("the database is a standby, so every request reads all of its events")
                self._reset()
            self._is_standby = True
            return None
        if self._is_standby:
            log.warning("the database is not a standby any more")
        self._is_standby = False
        return writers

    def _check_ids(self) -> bool:
        if self._ids_are_sequential is None:
            self._ids_are_sequential = self._source.ids_are_sequential()
            if not self._ids_are_sequential:
                log.error(
                    "sessions draw the ids of events ahead, so every request reads all of its events; "
                    "run ALTER SEQUENCE events_id_seq CACHE 1 and restart"
                )
        return self._ids_are_sequential

    def _was_emptied(self, writers: WriterSnapshot) -> bool:
        last = self._writers
        return last is not None and (writers.storage != last.storage or writers.max_id < self._watermark.id)

    def _add_new_events(self, writers: WriterSnapshot, settled_id: int) -> None:
        # the rows must be read after the writers were
        cache = self._shared.current or self._empty_cache(writers, settled_id)
        has_new = writers.max_id > cache.settled_id
        events = sort_and_encode(self._source.events_after(cache.settled_id)) if has_new else EMPTY_EVENTS
        self._shared.add_new_events(cache, events, settled_id)

    def _empty_cache(self, writers: WriterSnapshot, settled_id: int) -> EventCache:
        # later changes are in what is read from here on, or the counters show them
        self._changes = self._source.changes()
        return self._shared.empty_cache(settled_id, _table_version(writers.storage, self._changes))

    def _reset(self) -> None:
        self._shared.reset()
        self._writers, self._watermark, self._ids_are_sequential = None, Watermark(), None

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
            is_unsettled = self._ids_are_sequential and not self._is_standby
            return UNSETTLED_POLL_SECONDS if is_unsettled else CHANGE_POLL_SECONDS
        if changes != self._changes and now >= self._rest_until:
            self._reload(cache.since, changes)
            self._rest_until = time.monotonic() + RELOAD_REST_FACTOR * (time.monotonic() - now)
        elif now >= self._reload_at:
            self._reload(self._shared.warm_start(), None)
            self._reload_at = time.monotonic() + self._reload_interval
        return CHANGE_POLL_SECONDS

    def _reload(self, target_start: int, changes: str | None) -> None:
        """Reads everything in the cache from ``target_start`` on again.

        ``changes`` are the change counters that the cache reflects once
        everything has been reloaded; None leaves them.
        """
        generation = self._shared.start_generation()
        chunk_end = NEVER_MICROS
        while chunk_end > target_start:
            chunk_end = self._backfill.load(chunk_end, target_start)
        cache = self._shared.current
        if changes is not None and cache is not None:
            storage = cache.table_version.partition("-")[0]
            if self._shared.set_table_version(_table_version(storage, changes), generation):
                self._changes = changes


def _table_version(storage: str, changes: str) -> str:
    return f"{storage}-{changes}"

"""Keeps the cache up to date: reads new events at each request, and reloads what may have changed on a thread."""

import logging
import time
from datetime import UTC, datetime
from threading import Event, Thread

from queries.concurrency.bounded_flight import BoundedFlight
from queries.errors import ReadOnlyDatabase, StoreError
from queries.sources.change_log import ALL_DAYS, ChangePosition
from queries.sources.database_state import changes_by_log
from queries.sources.forgotten_writers import ForgottenWriterLog
from queries.sources.hybrid import HybridEvents
from queries.sources.live.backfill import Backfill
from queries.sources.live.cache import EMPTY_EVENTS, NEVER_MICROS, EventCache, sort_and_encode
from queries.sources.live.shared_cache import SharedCache
from queries.sources.watermark import Watermark, WriterSnapshot

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
MIN_INCREMENTAL_EVENTS = 1000
"""Fewer unsettled events than this are read again at each refresh."""
MAX_GAPS = 500
"""With more gaps between the ids of unsettled events than this, all of these are read again."""


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
        # DatabaseState.changes when everything in the cache was read, and what was known of the log of changes then
        self._changes: str | None = None
        self._position: ChangePosition | None = None
        self._position_at = 0.0
        # whether events were changed, and unsettled ones among them perhaps
        self._rereads_unsettled = False
        # only the thread changes these
        self._reload_at = self._rest_until = 0.0
        self._forgotten_writers = ForgottenWriterLog(source.forgotten_writers)
        self._closed = Event()
        self._thread = Thread(target=self._refresh_loop, name="live-events", daemon=True)

    @property
    def as_of(self) -> datetime | None:
        """The cache has every event that was committed by this moment. None before the first refresh."""
        return self._as_of

    @property
    def changes(self) -> str | None:
        """The DatabaseState.changes that the cache reflects."""
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
        if writers == self._writers and not self._rereads_unsettled:
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
        rereads, self._rereads_unsettled = self._rereads_unsettled, False
        try:
            gaps = None if rereads or cache.unsettled.height < MIN_INCREMENTAL_EVENTS else cache.unsettled_gaps()
            if gaps is None or len(gaps) > MAX_GAPS:
                has_new = writers.max_id > cache.settled_id
                events = sort_and_encode(self._source.events_after(cache.settled_id)) if has_new else EMPTY_EVENTS
                self._shared.add_new_events(cache, events, settled_id)
            else:
                # a transaction was forgotten: this reads what came since, and what was missing
                events = sort_and_encode(self._source.events_after(cache.max_id, gaps))
                self._shared.add_new_events(cache, events, settled_id, keeps_unsettled=True)
        except BaseException:
            self._rereads_unsettled = rereads
            raise

    def _empty_cache(self, writers: WriterSnapshot, settled_id: int) -> EventCache:
        # later changes are in what is read from here on, or the database tells of them
        self._changes = self._source.changes()
        self._position, self._position_at = self._read_position(self._changes), time.monotonic()
        return self._shared.empty_cache(settled_id, _table_version(writers.storage, self._changes))

    def _read_position(self, changes: str) -> ChangePosition | None:
        """The present position in the log of changes, or None where there is none."""
        return self._source.changed_days(None)[1] if changes_by_log(changes, changes) else None

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
            is_unsettled = self._ids_are_sequential and not self._is_standby
            return UNSETTLED_POLL_SECONDS if is_unsettled else CHANGE_POLL_SECONDS
        if changes != self._changes:
            if not self._reload_logged_changes(changes) and now >= self._rest_until:
                self._reload(cache.since, changes)
                self._rest_until = time.monotonic() + RELOAD_REST_FACTOR * (time.monotonic() - now)
        elif now >= self._reload_at:
            self._reload(self._shared.warm_start(), None)
            self._reload_at = time.monotonic() + self._reload_interval
        return CHANGE_POLL_SECONDS

    def _reload_logged_changes(self, changes: str) -> bool:
        """Reloads the days that the log of changes names, and returns whether that was all."""
        is_old = time.monotonic() - self._position_at > MAX_POSITION_AGE_SECONDS
        if self._changes is None or self._position is None or is_old or not changes_by_log(self._changes, changes):
            return False
        began = time.monotonic()
        days, position = self._source.changed_days(self._position)
        if ALL_DAYS in days:
            return False
        generation = self._shared.start_generation()
        self._shared.start_transition()
        self._reread_unsettled()
        self._backfill.reload_days(days)
        self._position, self._position_at = position, began
        # otherwise there is more to reload, and the cache may have a part of that already
        if self._source.changes() == changes:
            self._set_changes(changes, generation)
        return True

    def _reload(self, target_start: int, changes: str | None) -> None:
        """Reads everything in the cache from ``target_start`` on again.

        ``changes`` are the DatabaseState.changes that the cache reflects once
        everything has been reloaded; None leaves them.
        """
        generation = self._shared.start_generation()
        began, position = time.monotonic(), None if changes is None else self._read_position(changes)
        self._reread_unsettled()
        chunk_end = NEVER_MICROS
        while chunk_end > target_start:
            chunk_end = self._backfill.load(chunk_end, target_start)
        if changes is not None and self._set_changes(changes, generation):
            self._position, self._position_at = position, began

    def _reread_unsettled(self) -> None:
        """Reads the events above the settled id again, which are in no day of the cache."""
        self._rereads_unsettled = True
        self.refresh(self._source.timeout)

    def _set_changes(self, changes: str, generation: int) -> bool:
        cache = self._shared.current
        if cache is None:
            return False
        storage = cache.table_version.partition("-")[0]
        is_set = self._shared.set_table_version(_table_version(storage, changes), generation)
        if is_set:
            self._changes = changes
        return is_set


def _table_version(storage: str, changes: str) -> str:
    return f"{storage}-{changes}"

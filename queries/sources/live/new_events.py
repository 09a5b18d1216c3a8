"""Reads the events that are new since the last time into the cache."""

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from queries.errors import ReadOnlyDatabase
from queries.sources.activity.change_log import ChangePosition
from queries.sources.database_state import changes_by_log
from queries.sources.hybrid import HybridEvents
from queries.sources.live.cache import EMPTY_EVENTS, EventCache, sort_and_encode
from queries.sources.live.shared_cache import SharedCache
from queries.sources.watermark import Watermark, WriterSnapshot

log = logging.getLogger(__name__)

MIN_INCREMENTAL_EVENTS = 1000
"""Fewer unsettled events than this are read again at each refresh."""
MAX_GAPS = 500
"""With more gaps between the ids of unsettled events than this, all of these are read again."""


@dataclass(frozen=True)
class KnownChanges:
    """What was known of changes when everything in the cache was read.

    ``changes`` is DatabaseState.changes, ``position`` the position in the log
    of changes, or None where there is none, and ``read_at`` when that was
    read (time.monotonic).
    """

    changes: str
    position: ChangePosition | None
    read_at: float


def read_known_changes(source: HybridEvents, changes: str) -> KnownChanges:
    """The position in the log of changes now, which must be read before the events. Raises as ``source`` does."""
    now = time.monotonic()
    position = source.changed_days(None)[1] if changes_by_log(changes, changes) else None
    return KnownChanges(changes, position, now)


def table_version(storage: str, changes: str) -> str:
    """The version of a table in a storage (see WriterSnapshot) with these changes (see DatabaseState)."""
    return f"{storage}-{changes}"


class NewEventReader:
    """Adds new events of ``source`` to the shared cache. Only one thread may call ``read`` at a time."""

    def __init__(self, source: HybridEvents, shared: SharedCache) -> None:
        self._source = source
        self._shared = shared
        self._ids_are_sequential: bool | None = None
        self._is_standby = False
        self._writers: WriterSnapshot | None = None
        self._watermark = Watermark()
        self._rereads_unsettled = False
        self.as_of: datetime | None = None
        """The cache has every event that was committed by this moment. None before the first read."""
        self.known: KnownChanges | None = None
        """The changes that the cache reflects. None before the first read."""

    @property
    def can_settle(self) -> bool:
        """Whether ids settle here, as far as is known: not on a standby, nor where sessions draw ids ahead."""
        return bool(self._ids_are_sequential) and not self._is_standby

    def reread_unsettled(self) -> None:
        """Has the next read read all events above the settled id again, because some may have been changed."""
        self._rereads_unsettled = True

    def read(self) -> EventCache | None:
        """Adds every event that is committed by now and returns the cache. None where ids do not settle.

        Raises StoreUnavailable and StoreTimeout.
        """
        if not self._check_ids():
            return None
        now = datetime.now(UTC)
        writers = self._read_writer_snapshot()
        if writers is None:
            return None
        if writers == self._writers and not self._rereads_unsettled:
            self.as_of = now
            return self._shared.current
        if self._was_emptied(writers):
            log.info("the events were emptied, rewritten or replaced; reading them again")
            self._reset()
            if not self._check_ids():
                return None
        watermark = self._watermark.advance(writers)
        if watermark.id >= 0:
            self._add_new_events(writers, watermark.id)
        self._writers, self._watermark, self.as_of = writers, watermark, now
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
        self.known = read_known_changes(self._source, self._source.changes())
        return self._shared.empty_cache(settled_id, table_version(writers.storage, self.known.changes))

    def _reset(self) -> None:
        self._shared.reset()
        self._writers, self._watermark, self._ids_are_sequential = None, Watermark(), None

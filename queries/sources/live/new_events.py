"""Reads the events that are new since the last time, and takes over newer versions of the lake."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import polars as pl

from queries.errors import ReadOnlyDatabase
from queries.sources.activity.change_log import ChangePosition
from queries.sources.database_state import DatabaseState, changes_by_log
from queries.sources.decoded import MappedEvents, TextCategories
from queries.sources.hybrid import HybridEvents
from queries.sources.lake_snapshot import hash64
from queries.sources.live.days import collect_sorted
from queries.sources.live.lake_mapper import LakeMapper
from queries.sources.live.shared_state import SharedState
from queries.sources.live.state import EVENT_BYTES, LiveState
from queries.sources.watermark import Watermark, WriterSnapshot

log = logging.getLogger(__name__)

MIN_INCREMENTAL_EVENTS = 1000
"""Fewer unsettled events than this are read again at each refresh."""
MAX_GAPS = 500
"""With more gaps between the ids of unsettled events than this, all of these are read again."""
MAX_LAG_EVENTS = 100_000
"""A lake that lacks more ids than this is not the base before it has caught up."""
MAPPING_PATIENCE_SECONDS = 0.5
"""How long the first refresh waits for the lake to be mapped."""


@dataclass(frozen=True)
class KnownChanges:
    """What is known of changes.

    ``changes`` is DatabaseState.changes, ``position`` the position in the log
    of changes, or None where there is none, and ``read_at`` when that was
    read (time.monotonic).
    """

    changes: str
    position: ChangePosition | None
    read_at: float


def read_known_changes(source: HybridEvents) -> tuple[KnownChanges, DatabaseState]:
    """The changes up to now, and the state of the database. What is read later has them all. Raises as ``source``."""
    while True:
        state = source.state()
        now = time.monotonic()
        position = source.changed_days(None)[1] if changes_by_log(state.changes, state.changes) else None
        # what was changed between the two would be in neither
        if position is None or source.state().changes == state.changes:
            return KnownChanges(state.changes, position, now), state


def table_version(storage: str, changes: str) -> str:
    """The version of a table in a storage (see WriterSnapshot) with these changes (see DatabaseState)."""
    return f"{storage}-{changes}"


class NewEventReader:
    """Adds new events of ``source`` to the shared state. Only one thread may call ``read`` at a time."""

    def __init__(self, source: HybridEvents, shared: SharedState, lake: LakeMapper) -> None:
        self._source = source
        self._shared = shared
        self._lake = lake
        self._ids_are_sequential: bool | None = None
        self._is_standby = False
        self._writers: WriterSnapshot | None = None
        self._watermark = Watermark()
        self._rereads = False
        self._database: int | None = None
        self.as_of: datetime | None = None
        """The state has every event that was committed by this moment. None before the first read."""
        self.known: KnownChanges | None = None
        """The changes that the state reflects. None before the first read."""

    @property
    def can_settle(self) -> bool:
        """Whether ids settle here, as far as is known: not on a standby, nor where sessions draw ids ahead."""
        return bool(self._ids_are_sequential) and not self._is_standby

    def reread_recent(self) -> None:
        """Has the next read read all recent events again, because some may have been changed."""
        self._rereads = True

    def read(self) -> LiveState | None:
        """Adds every event that is committed by now and returns the state. None where ids do not settle.

        Raises StoreUnavailable and StoreTimeout.
        """
        if not self._check_ids():
            return None
        now = datetime.now(UTC)
        writers = self._read_writer_snapshot()
        if writers is None:
            return None
        if self._was_emptied(writers):
            log.info("the events were emptied, rewritten or replaced; reading them again")
            self._reset()
            if not self._check_ids():
                return None
        if writers != self._writers or self._rereads:
            watermark = self._watermark.advance(writers)
            if watermark.id >= 0:
                self._add_new_events(writers, watermark.id)
            self._writers, self._watermark = writers, watermark
        self._take_over_lake()
        self.as_of = now
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
        state = self._shared.current or self._start(writers, settled_id)
        settled_id = max(settled_id, state.settled_id)
        rereads, self._rereads = self._rereads, False
        try:
            unsettled = 0 if state.unsettled is None else state.unsettled.height
            gaps = None if rereads or unsettled < MIN_INCREMENTAL_EVENTS else state.unsettled_gaps()
            if rereads:
                events = self._read_after(state.base_id, state.categories)
                self._shared.update(lambda current: current.with_recent(events, settled_id))
            elif gaps is None or len(gaps) > MAX_GAPS:
                has_new = writers.max_id > state.settled_id
                events = self._read_after(state.settled_id, state.categories) if has_new else state.categories.empty
                self._shared.update(lambda current: current.with_unsettled(events, settled_id))
            else:
                # a transaction was forgotten: this reads what came since, and what was missing
                events = self._read_after(state.max_id, state.categories, gaps)
                self._shared.update(lambda current: current.with_unsettled(events, settled_id, keeps_unsettled=True))
        except BaseException:
            self._rereads = self._rereads or rereads
            raise

    def _read_after(
        self, after_id: int, categories: TextCategories, gaps: Sequence[tuple[int, int]] = ()
    ) -> pl.DataFrame:
        return collect_sorted(self._source.events_after(after_id, gaps), categories)

    def _start(self, writers: WriterSnapshot, settled_id: int) -> LiveState:
        self.known, found = read_known_changes(self._source)
        self._database = hash64(found.database)
        state = LiveState(
            TextCategories(), settled_id, settled_id, edit_count=self._shared.edit_count
        ).with_table_version(table_version(writers.storage, self.known.changes), hash64(self.known.changes))
        self._lake.wait(MAPPING_PATIENCE_SECONDS)
        self._shared.start(state)
        return state

    def _take_over_lake(self) -> None:
        """Makes the newest mapped version of the lake the base of the state, if that has the same changes."""
        state, base = self._shared.current, self._lake.newest
        if state is None:
            return
        if base is None or base is state.base or self._rejects(base, state):
            max_recent = max(2 * MAX_LAG_EVENTS, self._shared.max_bytes // EVENT_BYTES)
            if state.base is not None and state.recent_count > max_recent:
                log.warning("the lake lacks %s events, so old ones are read from the database", state.recent_count)
                self._shared.update(LiveState.without_base)
            return
        events = None
        if state.base_id > base.snapshot.watermark:
            events = self._read_after(base.snapshot.watermark, base.categories)
            newest = self._source.lake()
            # events that a newer version has may have been pruned before they were read
            if newest is None or newest.watermark != base.snapshot.watermark:
                return
        epoch = state.epoch

        def take_over(current: LiveState) -> LiveState:
            # what was changed meanwhile is read again first
            return current.with_base(base, events) if current.epoch == epoch else current

        self._shared.update(take_over)

    def _rejects(self, base: MappedEvents, state: LiveState) -> bool:
        """Whether the base cannot be that of the state, as far as the state's history and its ids tell."""
        snapshot = base.snapshot
        is_other = snapshot.database != self._database or snapshot.changes not in state.history
        return is_other or state.in_transition or state.settled_id - snapshot.watermark > MAX_LAG_EVENTS

    def _reset(self) -> None:
        self._shared.reset()
        self._writers, self._watermark, self._ids_are_sequential = None, Watermark(), None

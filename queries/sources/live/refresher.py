"""Keeps the state up to date: reads new events at each request, and finds on a thread what was changed."""

import logging
import time
from collections.abc import Iterable
from datetime import datetime
from threading import Event, Thread

import polars as pl

from queries.concurrency.bounded_flight import BoundedFlight
from queries.errors import StoreError
from queries.sources.activity.change_log import ALL_DAYS
from queries.sources.activity.forgotten_writers import ForgottenWriterLog
from queries.sources.database_state import DatabaseState, changes_by_log
from queries.sources.hybrid import HybridEvents
from queries.sources.lake_snapshot import hash64
from queries.sources.live.day_reader import DayReader
from queries.sources.live.days import (
    DAY_MICROS,
    DAYS_END,
    Span,
    common_days,
    moments_of,
    partition_by_day,
    sort_events,
    spans_of,
    without_days,
)
from queries.sources.live.lake_mapper import LakeMapper
from queries.sources.live.new_events import KnownChanges, NewEventReader, read_known_changes, table_version
from queries.sources.live.shared_state import SharedState
from queries.sources.live.state import LiveState
from queries.sources.parquet_files import collect
from queries.sources.text_encoding import decode_text
from queries.times import from_micros, to_micros

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
"""After everything was read again, the next time waits this many times as long as that took."""
MAX_POSITION_AGE_SECONDS = 12 * 3600.0
"""The database keeps its log of changes for a day. A reader that has not read it for this long reads all again."""


class Refresher:
    """Refreshes a state from ``source``, and has what was changed read again.

    These are the days that the database's log of changes names. Without such
    a log, it is everything as soon as the database's counters differ. The
    warm window is compared with the database every ``reload_interval``
    seconds, as neither may have told of a change.
    """

    def __init__(
        self, source: HybridEvents, shared: SharedState, days: DayReader, lake: LakeMapper, reload_interval: float
    ) -> None:
        self._source = source
        self._shared = shared
        self._days = days
        self._lake = lake
        self._reload_interval = reload_interval
        self._new_events = NewEventReader(source, shared, lake)
        self.refresh = BoundedFlight("the database", self._new_events.read, REFRESH_PATIENCE_SECONDS)
        """Adds every event that is committed by now and returns the state.

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
        """The state has every event that was committed by this moment. None before the first refresh."""
        return self._new_events.as_of

    @property
    def changes(self) -> str | None:
        """The DatabaseState.changes that the state reflects."""
        known = self._new_events.known
        return known.changes if known is not None else None

    def start(self) -> None:
        """Starts the threads, which map the lake and load the warm window first."""
        self._lake.start()
        self._thread.start()

    def close(self) -> None:
        """Ends the threads."""
        self._closed.set()
        self._lake.close()
        if self._thread.is_alive():
            self._thread.join(self._source.timeout)

    def _refresh_loop(self) -> None:
        """Keeps the warm window loaded, and has what was changed read again."""
        self._reload_at, self._rest_until = time.monotonic() + self._reload_interval, 0.0
        while not self._closed.is_set():
            pause = CHANGE_POLL_SECONDS
            try:
                if self.refresh.is_overdue:
                    # this keeps one connection busy, however long the database stalls
                    self.refresh(self._source.timeout)
                pause = self._follow_changes()
                self._forgotten_writers.update()
                self._load_missing()
            except StoreError as error:
                log.debug("the events are not up to date: %s", error)
            except BaseException:
                # requests meet the same error and report it; a panic of a library is no Exception
                log.exception("cannot refresh the events")
            # with a call under way, requests see at once that the database is well again
            self._closed.wait(RETRY_PAUSE_SECONDS if self.refresh.is_overdue else pause)

    def _load_missing(self) -> None:
        """Loads the warm window, and the changed days of any time that requests have wanted already."""
        if (state := self._shared.current) is not None:
            self._days.read(state, self._shared.warm_start(), DAYS_END * DAY_MICROS - 1)

    def _follow_changes(self) -> float:
        """Returns after how many seconds to check again."""
        found = self._source.state()
        state, now = self.refresh(self._source.timeout), time.monotonic()
        if state is None:
            return UNSETTLED_POLL_SECONDS if self._new_events.can_settle else CHANGE_POLL_SECONDS
        if found.changes != self.changes or state.in_transition:
            if not self._follow_log(found) and now >= self._rest_until:
                self._forget_all()
                self._rest_until = time.monotonic() + RELOAD_REST_FACTOR * (time.monotonic() - now)
        elif now >= self._reload_at:
            self._compare_warm_window(state)
            self._reload_at = time.monotonic() + self._reload_interval
        return CHANGE_POLL_SECONDS

    def _follow_log(self, found: DatabaseState) -> bool:
        """Has the days read again that the log of changes names, and returns whether that is all that was changed."""
        known, now = self._new_events.known, time.monotonic()
        if known is None or known.position is None or not changes_by_log(known.changes, found.changes):
            return False
        days, position = self._source.changed_days(known.position)
        if ALL_DAYS in days or now - known.read_at > MAX_POSITION_AGE_SECONDS:
            return False
        if found.pruned is not None:
            # the lake has these as they are
            days = {day for day in days if day >= to_micros(found.pruned) // DAY_MICROS}
        before = self._shared.current
        self._shared.update(lambda current: current.with_changed_days(days))
        self._new_events.known = KnownChanges(known.changes, position, now)
        self._read_again(() if before is None else common_days(before.held, spans_of(days)))
        # otherwise there is more to read again, and some of that may be in memory already
        if self._source.changes() == found.changes:
            self._settle(KnownChanges(found.changes, position, now))
        return True

    def _forget_all(self) -> None:
        """Has everything read again, what was in memory at once."""
        known, before = read_known_changes(self._source)[0], self._shared.current
        # while the log was not written, anything may have been changed, and its text may be what it was
        log_was_off = (known.position is None) != (
            self._new_events.known is None or self._new_events.known.position is None
        )
        self._shared.update(lambda state: state.with_all_changed(edit_count=state.edit_count + log_was_off))
        self._read_again(() if before is None else before.held)
        self._settle(known)

    def _compare_warm_window(self, state: LiveState) -> None:
        """Has the days of the warm window read again that the database has otherwise."""
        edited: set[int] = set()
        for first, end in without_days(
            [(self._shared.warm_start() // DAY_MICROS, DAYS_END)], state.missing_days(-DAYS_END, DAYS_END)
        ):
            since, until = moments_of((first, end))
            fresh = self._source.window(
                from_micros(since), from_micros(until), max_id=state.settled_id, prefer_database=True
            )
            known = [events.lazy() for events in state.window(since, until)]
            mine = decode_text(pl.concat([state.categories.empty.lazy(), *known])).filter(
                pl.col("id") <= state.settled_id
            )
            stored, found = (partition_by_day(sort_events(collect(events))) for events in (fresh, mine))
            edited |= {day for day in stored.keys() | found.keys() if not _is_same(stored.get(day), found.get(day))}
        if edited and self._new_events.known is not None:
            self._shared.update(lambda current: current.with_edited_days(edited))
            self._read_again(common_days(state.held, spans_of(edited)))
            self._settle(self._new_events.known)

    def _read_again(self, held: Iterable[Span]) -> None:
        """Reads the recent events again, and the days that were held and are not any more."""
        self._new_events.reread_recent()
        self.refresh(self._source.timeout)
        for span in held:
            if (state := self._shared.current) is not None:
                self._days.read(state, *moments_of(span))

    def _settle(self, known: KnownChanges) -> None:
        def settle(state: LiveState) -> LiveState:
            # not where the table was emptied since
            if not state.in_transition:
                return state
            storage = state.table_version.partition("-")[0]
            return state.with_table_version(table_version(storage, known.changes), hash64(known.changes))

        before = self._shared.current
        self._shared.update(settle)
        if before is not None and before.in_transition:
            self._new_events.known = known


def _is_same(one: pl.DataFrame | None, other: pl.DataFrame | None) -> bool:
    return one is not None and other is not None and one.equals(other)

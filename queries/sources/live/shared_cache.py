"""The current EventCache of a process. Several threads read it; refresh and backfill replace it under a lock."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Lock
from uuid import uuid4

import polars as pl

from queries.sources.live.cache import DAY_MICROS, EventCache
from queries.times import MIN_TIME, to_micros


class SharedCache:
    """Holds the current cache.

    ``warm_window`` is the recent time that is never evicted. What is older is
    evicted above ``max_bytes``.
    """

    def __init__(self, warm_window: timedelta, max_bytes: int) -> None:
        self._warm_window = warm_window
        self._max_bytes = max_bytes
        self._lock = Lock()
        self._cache: EventCache | None = None
        # chunks whose read began in an earlier generation are dropped
        self._generation = 0
        # a new cache counts on from the one before, as equal versions must mean equal events
        self._edit_count = 0

    @property
    def current(self) -> EventCache | None:
        """The current cache, or None before the first refresh and after a reset."""
        return self._cache

    @property
    def has_room(self) -> bool:
        """Whether the cache takes less memory than it may."""
        return self._cache is not None and self._cache.bytes < self._max_bytes

    def current_with_generation(self) -> tuple[EventCache | None, int]:
        """The current cache, and the generation to which a chunk belongs whose read begins now."""
        with self._lock:
            return self._cache, self._generation

    def warm_start(self) -> int:
        """Where the warm window starts, in microseconds since 1970."""
        try:
            return to_micros(datetime.now(UTC) - self._warm_window)
        except OverflowError:
            return to_micros(MIN_TIME)

    def empty_cache(self, settled_id: int, table_version: str) -> EventCache:
        """A cache without events, for a table whose events up to ``settled_id`` are committed."""
        return EventCache(settled_id, settled_id, table_version, self._edit_count)

    def add_new_events(
        self, initial: EventCache, events: pl.DataFrame, settled_id: int, *, keeps_unsettled: bool = False
    ) -> None:
        """Adds events as EventCache.add_new_events. ``initial`` is the cache to begin with, if there is none."""
        with self._lock:
            cache = self._cache or initial
            cache = cache.add_new_events(events, settled_id, keeps_unsettled=keeps_unsettled)
            self._cache = cache.evict(self._max_bytes, self.warm_start())

    def backfill(
        self, chunk: Mapping[int, pl.DataFrame], since: int, until: int, read_with: EventCache, generation: int
    ) -> None:
        """Adds the days between two midnights, read when ``read_with`` was current, unless they would leave a gap.

        Days may have been evicted since then. Where they were, newer events
        of these days were evicted as well, so the days are not added again.
        """
        with self._lock:
            cache = self._cache
            if cache is None or generation != self._generation or cache.since > until:
                return
            evicted = cache.complete_after_id > read_with.settled_id
            start = max(since, cache.since) if evicted else since
            days = {day: events for day, events in chunk.items() if day * DAY_MICROS >= start}
            self._cache = cache.backfill(days, start, until, read_with.settled_id)

    def reset(self) -> None:
        """Drops all events: the table was emptied or rewritten."""
        with self._lock:
            # one more, so that the version differs from every version of the dropped cache
            self._edit_count = 1 + (self._cache.edit_count if self._cache else self._edit_count)
            self._cache = None
            self._generation += 1

    def start_generation(self) -> int:
        """Makes sure that no chunk is added whose read began before now. Returns the new generation."""
        with self._lock:
            self._generation += 1
            return self._generation

    def start_transition(self) -> None:
        """Gives the cache a version that no other process has, until ``set_table_version``."""
        with self._lock:
            if self._cache is not None and not self._cache.transition:
                self._edit_count = self._cache.edit_count
                self._cache = replace(self._cache, transition=uuid4().hex)

    def set_table_version(self, table_version: str, generation: int) -> bool:
        """Sets the version of the table that the cache has, unless the generation has ended. Returns whether it did.

        The new version stands for the edits that a transition has found.
        """
        with self._lock:
            cache = self._cache
            if cache is None or generation != self._generation:
                return False
            edit_count = self._edit_count if cache.transition else cache.edit_count
            self._cache = replace(cache, table_version=table_version, edit_count=edit_count, transition="")
            return True

"""The events of a window of time, in parts of which some never change."""

import logging
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

import polars as pl

from queries.engines import SMALL_FRAME_ROWS
from queries.errors import StoreUnavailable, first_line
from queries.scoring.exclusions import Exclusion, leave_out
from queries.sources.decoded import MappedBatch
from queries.sources.lake_snapshot import hash64
from queries.sources.parquet_files import collect
from queries.times import to_micros

log = logging.getLogger(__name__)

MAX_SMALL_CHUNKS = 8
"""A small frame in more chunks than this is copied into one."""

Events = pl.DataFrame | pl.LazyFrame
FrameFunction = Callable[[Any], Events]


class EventPart(NamedTuple):
    """Some events of a window, and the mapped batch of which they are all events, if they are."""

    events: Events
    batch: MappedBatch | None = None


@dataclass(frozen=True)
class EventWindow:
    """The events of a window, which ``load_parts`` reads. Their text is Categorical.

    ``version`` is equal for two windows of one database only where they have
    the same events; None where that is unknown. ``as_of`` is None unless the
    database is unavailable or a standby: then the window has every event that
    was committed by that moment.
    """

    version: str | None
    load_parts: Callable[[], list[EventPart]]
    as_of: datetime | None = None
    load_from_database: Callable[[], Events] | None = None
    """Reads what the database has from there, where a file of the lake is missing or broken. None if it has nothing."""
    exclusions: tuple[Exclusion, ...] = ()
    """Those that were left out of the events."""

    def load(self) -> Events:
        """The events, as a DataFrame where all are in memory, for which query functions keep their plans."""
        return _join(part.events for part in self.load_parts())

    def leave_out(self, exclusions: Iterable[Exclusion], since: datetime, until: datetime) -> "EventWindow":
        """This window from ``since`` to ``until`` without the events that the exclusions cover.

        Its version says which of them overlap the window.
        """
        left_out = tuple(exclusion for exclusion in exclusions if exclusion.overlaps(since, until))
        if not left_out:
            return self
        spans = sorted((x.region, x.job_type or "", to_micros(x.since), to_micros(x.until)) for x in left_out)
        return replace(
            self._change(lambda part: _leave_out(part, left_out), lambda events: leave_out(events, left_out)),
            version=None if self.version is None else f"{self.version}-{hash64(repr(spans))}",
            exclusions=left_out,
        )

    def map_events(self, change: Callable[[Events], Events]) -> "EventWindow":
        """This window with each of its events changed."""
        return self._change(lambda part: EventPart(change(part.events)), change)

    def _change(
        self, change_part: Callable[[EventPart], EventPart], change_events: Callable[[Events], Events]
    ) -> "EventWindow":
        """This window with each of its parts changed, and the database's events in the same way."""
        from_database = self.load_from_database
        return replace(
            self,
            load_parts=lambda: [change_part(part) for part in self.load_parts()],
            load_from_database=None if from_database is None else lambda: change_events(from_database()),
        )

    def collect(self, query: FrameFunction) -> pl.DataFrame:
        """The rows of a query over the events, with text as String. Raises StoreUnavailable and StoreTimeout."""
        return self._read(lambda: collect(query(self.load())), query)

    def collect_sums(self, sum_up: FrameFunction, key: Hashable, add_up: FrameFunction) -> pl.DataFrame:
        """The rows of ``add_up`` over the rows of ``sum_up`` over each part of the events, with text as String.

        The sums of a whole batch of a mapped file are kept under ``key``, which
        tells ``sum_up`` apart from all others, as long as the batch is mapped.
        Raises as ``collect`` does.
        """

        def read() -> pl.DataFrame:
            parts = self.load_parts()
            sums = [part.batch.rows(key, lambda events: collect(sum_up(events))) for part in parts if part.batch]
            if others := [part.events for part in parts if part.batch is None]:
                sums.append(collect(sum_up(_join(others))))
            return collect(add_up(pl.concat(sums)))

        return self._read(read, lambda events: add_up(collect(sum_up(events))))

    def _read(self, read: Callable[[], pl.DataFrame], query: FrameFunction) -> pl.DataFrame:
        """What ``read`` returns, or the rows of the query over the database's events where the lake cannot be read."""
        try:
            rows = read()
        except StoreUnavailable as error:
            if self.load_from_database is None:
                raise
            log.warning("reading a window from the database: %s", first_line(error))
            rows = collect(query(self.load_from_database()))
        # categories of two windows may differ, so their rows could not be joined
        return rows.with_columns(pl.selectors.categorical().cast(pl.String))


def _join(parts: Iterable[Events]) -> Events:
    """All events of the parts: a DataFrame if each of them is one."""
    frames = list(parts)
    in_memory = [frame for frame in frames if isinstance(frame, pl.DataFrame)]
    scanned = [frame for frame in frames if isinstance(frame, pl.LazyFrame)]
    if not in_memory:
        return pl.concat(scanned, rechunk=False)
    # one frame of many chunks is quicker than a union of as many frames
    frame = pl.concat(in_memory, rechunk=False)
    if frame.height <= SMALL_FRAME_ROWS and len(in_memory) > MAX_SMALL_CHUNKS:
        frame = frame.rechunk()
    return pl.concat([frame.lazy(), *scanned], rechunk=False) if scanned else frame


def _leave_out(part: EventPart, exclusions: tuple[Exclusion, ...]) -> EventPart:
    events, batch = part
    if batch is not None and not any(exclusion.overlaps(batch.since, batch.until) for exclusion in exclusions):
        return part
    # a copy of what remains of many events would take too much memory
    is_large = isinstance(events, pl.DataFrame) and events.height > SMALL_FRAME_ROWS
    return EventPart(leave_out(events.lazy() if is_large else events, exclusions))

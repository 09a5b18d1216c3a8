"""The present: recent events kept in memory and brought up to date whenever somebody asks."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from threading import Condition, Event, Lock, Thread

import polars as pl

from queries.concurrency.coalescing import SingleFlight
from queries.concurrency.timeouts import CLIENT_MARGIN_SECONDS, run_in_thread
from queries.errors import StoreTimeout, StoreUnavailable
from queries.sources.hybrid import HybridEvents
from queries.sources.lake import LakeSnapshot, hash64
from queries.sources.live.cache import DAY, NEVER, NONE, EventCache, by_day, categorical, sort_and_encode
from queries.sources.watermark import Watermark, WriterSnapshot
from queries.times import from_micros, to_micros

log = logging.getLogger(__name__)

PIECE = 250_000
"""Events of one read, nearly: whole days are read."""
AT_ONCE = 2
"""Reads at a time, as one keeps a single core of the database busy."""
LOOK_AROUND = 5.0
"""Seconds between two looks whether somebody has changed what is stored."""
SOON = 0.05
"""Seconds between two looks while it is not known yet which ids are settled."""
REST = 5
"""How many times as long as it took to read again all that is held, until that may be done once more."""


@dataclass(frozen=True)
class EventWindow:
    """The events of a window, read when they are asked for.

    ``version`` is equal for two windows of one database only where they have
    the same events; it is None where that cannot be told. ``as_of`` is None
    but where the database is away: every event is there that had been
    committed by then.
    """

    version: str | None
    load: Callable[[], pl.LazyFrame]
    as_of: datetime | None = None


class LiveEvents:
    """Events of a database and its lake, held in memory as far as they have been asked for.

    A window has every event that was committed before it was asked for.

    The last ``warm`` are always held, once ``start`` has loaded them. A longer
    window widens what is held, up to ``memory`` bytes; what is older is read
    for that call alone. Every ``reread`` seconds the warm window is read again
    whole, for what an administrator may have changed; where the database's
    counters tell of changes, all that is held is read again at once. Safe to
    share between threads. Every read raises StoreUnavailable and StoreTimeout
    as those of ``source`` do.
    """

    def __init__(self, source: HybridEvents, *, warm: timedelta, memory: int, reread: float) -> None:
        self._source = source
        self._warm = warm
        self._memory = memory
        self._reread_every = reread
        self._refreshed = SingleFlight(self._refresh, source.timeout + CLIENT_MARGIN_SECONDS)
        # these four are changed by a refresh alone
        self._look: WriterSnapshot | None = None
        self._settled = Watermark()
        self._in_turn: bool | None = None
        self._as_of: datetime | None = None
        # this by a piece that was read as well, and under the lock
        self._lock = Lock()
        self._held: EventCache | None = None
        # how many edits what was forgotten last had seen
        self._edits = 0
        # pieces of another reading are not taken in
        self._reading_number = 0
        # one piece at a time is read
        self._pieces = Condition()
        self._busy = False
        self._changes: str | None = None
        self._closed = Event()
        self._keeper = Thread(target=self._keep, name="live-events", daemon=True)

    def start(self) -> None:
        """Loads the warm window, and keeps it warm, on a thread of its own."""
        self._keeper.start()

    def window(self, since: datetime, until: datetime) -> pl.LazyFrame:
        """The events with since ≤ event_time ≤ until (aware datetimes), as EVENT_SCHEMA, in no order."""
        return self.at(since, until).load()

    def at(self, since: datetime, until: datetime) -> EventWindow:
        """The window of what is committed by now, and the version of that."""
        held, first, last = self._refreshed(), to_micros(since), to_micros(until)
        if held is None:
            return EventWindow(None, lambda: self._source.window(since, until))
        version = held.fingerprint(first, last)
        if held.since <= first:
            return EventWindow(version, lambda: held.window(first, last).lazy())
        return EventWindow(f"{version}-{first}-{last}", lambda: self._widened(first, last))

    def results(self, orchestrator: str, since: datetime, until: datetime, job_type: str) -> EventWindow:
        """The results of one orchestrator, as StoredEvents.results gives them, by now."""
        results = self._source.results(orchestrator, since, until, job_type)
        return EventWindow(None, lambda: results)

    def window_during_outage(self, since: datetime, until: datetime) -> EventWindow:
        """The window as it was when the database could last be reached: what is held, and what the lake has.

        Raises StoreUnavailable where these do not have all of it.
        """
        held, as_of, first, last = self._held, self._as_of, to_micros(since), to_micros(until)
        if held is not None and as_of is not None and held.since <= first and since <= as_of:
            return EventWindow(held.fingerprint(first, last), lambda: held.window(first, last).lazy(), as_of)
        lake = self._lake(since)
        if held is None or as_of is None or as_of < lake.as_of or not self._overlaps_lake(held, lake):
            return EventWindow(None, lambda: categorical(lake.window(since, until)), lake.as_of)
        later = held.events_after(lake.watermark, first, last).lazy()
        return EventWindow(None, lambda: pl.concat([categorical(lake.window(since, until)), later]), as_of)

    def results_during_outage(self, orchestrator: str, since: datetime, until: datetime, job_type: str) -> EventWindow:
        """The results of one orchestrator as the lake has them. Raises StoreUnavailable where it does not."""
        lake = self._lake(since)
        return EventWindow(None, lambda: lake.results(orchestrator, since, until, job_type), lake.as_of)

    def _lake(self, since: datetime) -> LakeSnapshot:
        lake = self._source.lake()
        if lake is None or since > lake.as_of:
            raise StoreUnavailable("the database is not available, and nothing else has this window")
        return lake

    def _overlaps_lake(self, held: EventCache, lake: LakeSnapshot) -> bool:
        """Whether what is held has every event that the lake does not have."""
        return lake.watermark >= held.floor and self._changes is not None and lake.changes == hash64(self._changes)

    def close(self) -> None:
        """Ends the thread and closes the connections that are idle."""
        self._closed.set()
        if self._keeper.is_alive():
            self._keeper.join(self._source.timeout)
        self._source.close()

    def _refresh(self) -> EventCache | None:
        """What is held, with every event that is committed by now; None where it cannot be told which are missing."""
        if self._in_turn is None:
            self._in_turn = self._source.hands_out_ids_in_turn()
            if not self._in_turn:
                log.error("the ids of events are drawn ahead, so each answer reads them all; "
                          "ALTER SEQUENCE events_id_seq CACHE 1, and start again")  # fmt: skip
        if not self._in_turn:
            return None
        now = datetime.now(UTC)
        look = self._source.horizon()
        if look == self._look:
            self._as_of = now
            return self._held
        if self._look is not None and (look.storage != self._look.storage or look.newest < self._settled.id):
            log.info("the events were emptied or rewritten, and are read again")
            self._forget()
        settled, held = self._settled.advance(look), self._held
        if settled.id >= 0:
            held = held or self._nothing(settled.id, look)
            rows = sort_and_encode(self._source.after(held.settled)) if look.newest > held.settled else NONE
            with self._lock:
                held = (self._held or held).refreshed(rows, settled.id)
                self._held = held.evict(self._memory, self._warm_since())
        self._look, self._settled, self._as_of = look, settled, now
        return self._held

    def _nothing(self, settled: int, look: WriterSnapshot) -> EventCache:
        # changes from here on are seen by what is read from here on, or told by the counters
        self._changes = self._source.changes()
        return EventCache(settled=settled, floor=settled, era=f"{look.storage}-{self._changes}", edits=self._edits)

    def _forget(self) -> None:
        with self._lock:
            # of two contents, the later has seen more edits, whatever was forgotten in between
            self._edits = 1 + (self._held.edits if self._held else self._edits)
            self._held = None
            self._reading_number += 1
        self._look, self._settled = None, Watermark()

    def _widened(self, since: int, until: int) -> pl.LazyFrame:
        """A window that is not held as a whole. Raises StoreTimeout where that takes longer than one read may."""
        if since > until:
            return NONE.lazy()
        deadline = time.monotonic() + self._source.timeout
        if (held := self._held) is not None and self._begin(held.since, until) <= until:
            # the events between the window and what is held are few
            self._widen(since, deadline)
        if (held := self._held) is None:
            return self._source.window(from_micros(since), from_micros(until))
        older, edge = [], min(held.since, until + 1)
        while edge > since:
            _left(deadline)
            begin = self._begin(edge, since)
            older.append(
                self._source.window(from_micros(max(begin, since)), from_micros(edge - 1), max_id=held.settled)
            )
            edge = begin
        return pl.concat([held.window(since, until).lazy(), *older], rechunk=False)

    def _widen(self, goal: int, deadline: float) -> None:
        """Holds all from the goal on, or from as far back as there is memory for.

        What has been read by the deadline stays, so whoever asks again finds less to read.
        """
        while (edge := self._edge(goal)) is not None:
            with self._pieces:
                if self._busy:
                    self._pieces.wait(_left(deadline))
                    continue
                self._busy = True
            try:
                _left(deadline)
                self._load(edge, goal)
            finally:
                with self._pieces:
                    self._busy = False
                    self._pieces.notify_all()

    def _edge(self, goal: int) -> int | None:
        """Before which moment the next piece is to be read, if one is."""
        held = self._held
        if held is None or held.since <= goal:
            return None
        return held.since if held.since > self._warm_since() or held.bytes < self._memory else None

    def _begin(self, edge: int, goal: int) -> int:
        """Where a piece begins that ends before a midnight and goes back to the goal, or has enough events."""
        bound = self._source.nth_before(from_micros(edge), PIECE)
        return (goal if bound is None else max(goal, to_micros(bound))) // DAY * DAY

    def _load(self, edge: int, goal: int) -> int:
        """Takes in some pieces before the edge, read at once, and returns where they begin."""
        with self._lock:
            held, number = self._held, self._reading_number
        edges = [edge]
        while len(edges) <= AT_ONCE and edges[-1] > goal:
            edges.append(self._begin(edges[-1], goal))
        begin = edges[-1]
        if held is not None:
            spans = zip(edges[1:], edges, strict=False)
            readings = [run_in_thread(self._days, since, until, held.settled) for since, until in spans]
            piece = {day: events for reading in readings for day, events in reading.result().items()}
            with self._lock:
                now = self._held
                # what is held may have been dropped in part since: a piece must leave no gap to it, and of days
                # that are not held any more, later events have been dropped as well
                if now is not None and number == self._reading_number and now.since <= edge:
                    start = begin if now.floor <= held.settled else max(begin, now.since)
                    piece = {day: events for day, events in piece.items() if day * DAY >= start}
                    self._held = now.backfill(piece, start, edge, held.settled)
        return begin

    def _days(self, since: int, until: int, max_id: int) -> dict[int, pl.DataFrame]:
        """The days between two midnights, of the events with an id of at most ``max_id``."""
        return by_day(sort_and_encode(self._source.window(from_micros(since), from_micros(until - 1), max_id=max_id)))

    def _warm_since(self) -> int:
        try:
            return to_micros(datetime.now(UTC) - self._warm)
        except OverflowError:
            return to_micros(datetime.min.replace(tzinfo=UTC))

    def _keep(self) -> None:
        """Keeps the warm window, and reads again what may have changed."""
        due, rested = time.monotonic() + self._reread_every, 0.0
        while not self._closed.is_set():
            pause = LOOK_AROUND
            try:
                changes = self._source.changes()
                held, began = self._refreshed(), time.monotonic()
                if held is None:
                    pause = SOON if self._in_turn else LOOK_AROUND
                elif changes != self._changes and began >= rested:
                    self._reread(held.since, changes)
                    rested = time.monotonic() + REST * (time.monotonic() - began)
                elif began >= due:
                    self._reread(self._warm_since(), self._changes)
                    due = time.monotonic() + self._reread_every
                self._widen(self._warm_since(), time.monotonic() + self._source.timeout)
            except (StoreUnavailable, StoreTimeout) as error:
                log.debug("the events are not up to date: %s", error)
            except Exception:
                # the next requests meet it too, and say so
                log.exception("the events could not be kept")
            self._closed.wait(pause)

    def _reread(self, goal: int, changes: str) -> None:
        """Reads again what is held from the goal on; ``changes`` are those that had been made by now."""
        with self._lock:
            self._reading_number += 1
            number = self._reading_number
        edge = NEVER
        while edge > goal:
            edge = self._load(edge, goal)
        with self._lock:
            if self._held is not None and number == self._reading_number and changes != self._changes:
                storage = self._held.era.partition("-")[0]
                self._held, self._changes = replace(self._held, era=f"{storage}-{changes}"), changes


def _left(deadline: float) -> float:
    """Seconds until then. Raises StoreTimeout where there are none."""
    if (left := deadline - time.monotonic()) <= 0:
        raise StoreTimeout("the window took too long to read")
    return left

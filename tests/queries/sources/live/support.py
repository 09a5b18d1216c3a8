"""What the tests of LiveEvents share: stored events, what the database itself has, and a source that can be watched."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import polars as pl
import psycopg2
from polars.testing import assert_frame_equal

from queries import LiveEvents, PostgresEvents
from queries.sources.database_state import DatabaseState
from tests.conftest import conformance, load_events, rows
from tests.queries.conftest import to_polars
from tests.support.waiting import eventually

NOW = datetime.now(UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MICROSECOND = timedelta(microseconds=1)
EARLIEST, LATEST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
EVER = (EARLIEST, LATEST)
FIRST, LAST = datetime(2026, 9, 10, tzinfo=UTC), datetime(2026, 10, 21, tzinfo=UTC)
"""Days that have all the events of the conformance set between them."""
ADDRESS = "0x" + "ab" * 20
REFRESH_THREAD = "live-events"

DATABASES: dict[str, PostgresEvents] = {}

Window = tuple[datetime, datetime]
Open = Callable[..., LiveEvents]


class WatchedEvents(PostgresEvents):
    """Counts what is read from the database, and runs an action after a read, before the caller has its events."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.windows = 0
        self.new_events = 0
        self.rounds = 0
        self._lock = threading.Lock()
        self._after_windows: tuple[int, Callable[[], object]] | None = None
        self._during_refresh: Callable[[], object] | None = None

    def run_after(self, windows: int, action: Callable[[], object]) -> None:
        """Runs the action once, after so many more windows were read."""
        self._after_windows = self.windows + windows, action

    def run_during_refresh(self, action: Callable[[], object]) -> None:
        """Runs the action once, after the next new events were read."""
        self._during_refresh = action

    def wait_for_rounds(self, rounds: int = 3) -> None:
        """Waits until the refresh thread has begun so many rounds. With three, one of them began and ended."""
        target = self.rounds + rounds
        assert eventually(lambda: self.rounds >= target)

    def window(self, since: datetime, until: datetime, **options: Any) -> pl.LazyFrame:
        """As PostgresEvents.window."""
        events = super().window(since, until, **options)
        with self._lock:
            self.windows += 1
            due = self._after_windows if self._after_windows and self._after_windows[0] <= self.windows else None
            self._after_windows = None if due else self._after_windows
        if due is not None:
            due[1]()
        return events

    def events_after(self, after_id: int, gaps: Sequence[tuple[int, int]] = ()) -> pl.LazyFrame:
        """As PostgresEvents.events_after."""
        events = super().events_after(after_id, gaps)
        self.new_events += events.select(pl.len()).collect().item()
        action, self._during_refresh = self._during_refresh, None
        if action is not None:
            action()
        return events

    def state(self) -> DatabaseState:
        """As PostgresEvents.state, with which the refresh thread begins each round."""
        if threading.current_thread().name == REFRESH_THREAD:
            self.rounds += 1
        return super().state()


def put(url: str, *moments: datetime, rate: float = 1) -> None:
    """Stores an event at each of the moments."""
    load_events(url, [[at.timestamp(), ADDRESS, "FRA", "transcoding", {"success_rate": rate}] for at in moments])


def content(events: pl.LazyFrame) -> pl.DataFrame:
    """The events by id, with their text as String."""
    return to_polars(events).sort("id")


def ids(events: pl.LazyFrame) -> list[int]:
    """The ids in order."""
    return content(events)["id"].to_list()


def rates(events: pl.LazyFrame) -> list[float]:
    """The success rates by id."""
    return content(events)["success_rate"].to_list()


def stored(url: str, window: Window = EVER) -> pl.DataFrame:
    """What the database itself has."""
    if url not in DATABASES:
        DATABASES[url] = PostgresEvents(url)
    return content(DATABASES[url].window(*window))


def assert_equals_database(events: LiveEvents, url: str, *windows: Window) -> None:
    """Each window has what the database has."""
    for window in windows:
        assert_frame_equal(content(events.window(*window)), stored(url, window))


def cached_since(events: LiveEvents, source: WatchedEvents, last: datetime) -> datetime:
    """The earliest midnight, counted back from ``last``, from which a window is answered without reading one."""
    since = last.replace(hour=0, minute=0, second=0, microsecond=0)
    for _ in range(100):
        read = source.windows
        events.window(since, LATEST)
        if source.windows > read:
            return since + DAY
        since -= DAY
    raise AssertionError("everything is cached")


@contextmanager
def writing(url: str) -> Iterator[Any]:
    """The cursor of a session of its own, whose last transaction is rolled back."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        yield cursor


@contextmanager
def unnoticed(url: str) -> Iterator[Any]:
    """The cursor of an administrator whose changes the database neither counts nor notes."""
    with writing(url) as administrator:
        administrator.execute("SET track_counts = off")
        administrator.execute("ALTER TABLE events DISABLE TRIGGER note_event_change")
        administrator.connection.commit()
        yield administrator
        administrator.execute("ALTER TABLE events ENABLE ALWAYS TRIGGER note_event_change")
        administrator.connection.commit()


def insert(cursor: Any, at: datetime = NOW) -> int:
    """The id of a new event, which is not committed."""
    cursor.execute(
        "INSERT INTO events (event_time, orchestrator, region_id, payload) VALUES (%s, %s, 1, '{}') RETURNING id",
        (at, ADDRESS),
    )
    return cursor.fetchone()[0]


def set_rates(url: str, rate: float) -> None:
    """Changes the success rate of every stored event."""
    rows(url, f"UPDATE events SET payload = '{{\"success_rate\": {rate}}}'")


def touch(url: str) -> None:
    """Updates every stored event without changing it, which the database counts as changes."""
    rows(url, "UPDATE events SET payload = payload")


def rewrite(url: str) -> None:
    """Has the database rewrite the table, without changing its rows."""
    with writing(url) as administrator:
        administrator.connection.autocommit = True
        administrator.execute("VACUUM FULL events")


def some_windows() -> list[Window]:
    """Windows over the conformance set: of all lengths, at its ends, at midnights and exactly at events."""
    random = Random(7)
    times = [datetime.fromtimestamp(at, UTC) for at, *_ in random.sample(conformance("events")["events"], 6)]
    picked = [FIRST + random.uniform(-3, 44) * DAY for _ in range(24)]
    midnights = [FIRST + random.randint(0, 40) * DAY for _ in range(6)]
    windows = [
        *zip(picked[::2], picked[1::2], strict=True),
        *zip(midnights[::2], midnights[1::2], strict=True),
        *zip(times[::2], times[1::2], strict=True),
        *((at, at) for at in times[:2]),
        *((at + MICROSECOND, at + HOUR) for at in times[2:4]),
    ]
    return [(min(window), max(window)) for window in windows]


WINDOWS = {
    "all": (FIRST, LAST),
    "ever": EVER,
    "the last day": (LAST - DAY, LAST),
    "whole days": (FIRST + 5 * DAY, FIRST + 8 * DAY),
    "one midnight": (FIRST + 5 * DAY, FIRST + 5 * DAY),
    "the first year": (EARLIEST, EARLIEST + 300 * DAY),
    "the last year": (LATEST - 300 * DAY, LATEST),
    "before all": (FIRST - 20 * DAY, FIRST - DAY),
    "after all": (LAST + DAY, LAST + 20 * DAY),
    "from the past to the future": (FIRST + 20 * DAY, NOW + 4000 * DAY),
    "since after until": (LAST, FIRST),
    "since after until, within a day": (FIRST + 5 * DAY + HOUR, FIRST + 5 * DAY),
    "since after until, ever": (LATEST, EARLIEST),
    **{f"any {number}": window for number, window in enumerate(some_windows(), 1)},
}

"""The limit of time is one for each read of the database, so a window of many reads takes as long as it takes."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from queries import HybridEvents, LiveEvents
from tests.conftest import load_events
from tests.queries.sources.live.support import WatchedEvents

pytestmark = pytest.mark.slow

NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)
DAYS = 400
WINDOW = (NOON - timedelta(days=DAYS), NOON)


class SlowEvents(WatchedEvents):
    """Takes a moment for each window."""

    def window(self, since: datetime, until: datetime, **options: Any) -> pl.LazyFrame:
        """As PostgresEvents.window."""
        time.sleep(0.02)
        return super().window(since, until, **options)


@pytest.fixture
def source(database: str, monkeypatch: pytest.MonkeyPatch) -> WatchedEvents:
    """A database of which each read has one day of many, and all reads together take longer than one may."""
    monkeypatch.setattr("queries.sources.live.day_reader.CHUNK_ROWS", 1)
    times = [(NOON - timedelta(days=days)).timestamp() for days in range(DAYS)]
    load_events(database, [[moment, "0x" + "a" * 40, "FRA", "transcoding", {}] for moment in times])
    return SlowEvents(database, timeout=3)


@pytest.fixture
def live(source: WatchedEvents, memory_bytes: int) -> Iterator[LiveEvents]:
    warm_window = timedelta(days=1)
    with closing(
        LiveEvents(HybridEvents(source), warm_window=warm_window, memory_bytes=memory_bytes, reload_interval=3600)
    ) as events:
        yield events


@pytest.mark.parametrize("memory_bytes", [1 << 20, 0], ids=["with memory for it", "without memory"])
def test_long_window_is_whole_however_long_its_reads_take(live: LiveEvents) -> None:
    began = time.monotonic()
    assert live.at(*WINDOW, timeout=20).load().height == DAYS
    assert time.monotonic() > began + live.timeout


@pytest.mark.parametrize("memory_bytes", [0], ids=["without memory"])
def test_requests_at_the_same_time_share_the_reads(live: LiveEvents, source: WatchedEvents) -> None:
    window, together = live.at(*WINDOW, timeout=20), threading.Barrier(6)

    def load(_: int) -> int:
        together.wait(60)
        return window.load().height

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(load, range(6))) == [DAYS] * 6
    assert source.windows < 2 * DAYS

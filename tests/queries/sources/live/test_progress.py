"""A window that one request cannot read in time is cached in parts, and complete after several requests."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from queries import HybridEvents, LiveEvents, PostgresEvents, StoreTimeout
from tests.conftest import load_events

pytestmark = pytest.mark.slow

NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)
DAYS = 400
WINDOW = (NOON - timedelta(days=DAYS), NOON)


@pytest.fixture
def source(database: str, monkeypatch: pytest.MonkeyPatch) -> HybridEvents:
    """A database of which no single call can read all days in time."""
    monkeypatch.setattr("queries.sources.live.backfill.CHUNK_ROWS", 1)
    times = [(NOON - timedelta(days=days)).timestamp() for days in range(DAYS)]
    load_events(database, [[moment, "0x" + "a" * 40, "FRA", "transcoding", {}] for moment in times])
    return HybridEvents(PostgresEvents(database, timeout=0.1))


@pytest.fixture
def live(source: HybridEvents, memory_bytes: int) -> Iterator[LiveEvents]:
    warm_window = timedelta(days=1)
    with closing(
        LiveEvents(source, warm_window=warm_window, memory_bytes=memory_bytes, reload_interval=3600)
    ) as events:
        yield events


@pytest.mark.parametrize("memory_bytes", [1 << 20])
def test_repeated_requests_complete_a_long_window(live: LiveEvents) -> None:
    timeouts = 0
    while True:
        try:
            events = live.window(*WINDOW)
            break
        except StoreTimeout:
            timeouts += 1
    assert events.collect().height == DAYS
    assert timeouts > 0


@pytest.mark.parametrize("memory_bytes", [0])
def test_window_without_memory_for_it_is_a_timeout(live: LiveEvents) -> None:
    with pytest.raises(StoreTimeout):
        live.window(*WINDOW)

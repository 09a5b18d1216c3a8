"""A window that takes longer to read than anybody waits for is there in the end."""

from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from queries import HybridEvents, LiveEvents, PostgresEvents, StoreTimeout
from tests.conftest import load_events

NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)
DAYS = 400


@pytest.mark.parametrize("memory", [1 << 20, 0], ids=["held", "read for one call"])
def test_who_asks_again_finds_less_to_read(database: str, monkeypatch: pytest.MonkeyPatch, memory: int) -> None:
    monkeypatch.setattr("queries.sources.live.backfill.CHUNK_ROWS", 1)
    times = [(NOON - timedelta(days=days)).timestamp() for days in range(DAYS)]
    load_events(database, [[moment, "0x" + "a" * 40, "FRA", "transcoding", {}] for moment in times])
    source = HybridEvents(PostgresEvents(database, timeout=0.1))
    with closing(
        LiveEvents(source, warm_window=timedelta(days=1), memory_bytes=memory, reload_interval=3600)
    ) as events:
        tries = 0
        while True:
            tries += 1
            try:
                window = events.window(NOON - timedelta(days=DAYS), NOON)
                break
            except StoreTimeout:
                # what is not held has to be read by one call, which is given up
                if memory == 0:
                    return
        assert window.collect().height == DAYS
        assert tries > 1

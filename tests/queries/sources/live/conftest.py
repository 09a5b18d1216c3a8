"""Opens LiveEvents, and changes their constants so that little data and little time show what much would."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from queries import HybridEvents, LiveEvents, PostgresEvents
from tests.queries.sources.live.support import DATABASES, HOUR, Open


@pytest.fixture(autouse=True)
def databases() -> Iterator[None]:
    """Closes the connections of ``stored``."""
    yield
    for source in DATABASES.values():
        source.close()
    DATABASES.clear()


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Opens LiveEvents over a database, which are closed at the end.

    They wait for the database longer than those of the service do, since the
    threads of a test keep a small machine busy.
    """
    monkeypatch.setattr("queries.sources.live.refresher.REFRESH_PATIENCE_SECONDS", 20)
    opened = []

    def open_live(
        database: str | PostgresEvents,
        *,
        warm_window: timedelta = HOUR,
        memory_bytes: int = 1 << 30,
        reload_interval: float = 3600,
        timeout: float = 20,
    ) -> LiveEvents:
        source = PostgresEvents(database, timeout=timeout) if isinstance(database, str) else database
        opened.append(
            LiveEvents(
                HybridEvents(source),
                warm_window=warm_window,
                memory_bytes=memory_bytes,
                reload_interval=reload_interval,
            )
        )
        return opened[-1]

    yield open_live
    for events in opened:
        events.close()


@pytest.fixture
def frequent_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    """The refresh thread looks for changes all the time."""
    monkeypatch.setattr("queries.sources.live.refresher.CHANGE_POLL_SECONDS", 0.02)
    monkeypatch.setattr("queries.sources.live.refresher.RELOAD_REST_FACTOR", 0)


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of the conformance set are read in many chunks."""
    monkeypatch.setattr("queries.sources.live.day_reader.CHUNK_ROWS", 400)


@pytest.fixture
def chunks_of_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each day with events is a chunk of its own, nearly."""
    monkeypatch.setattr("queries.sources.live.day_reader.CHUNK_ROWS", 2)

"""Waits until the ids of events are settled. ``queries.Watermark`` says what that means."""

import time
from datetime import UTC, datetime
from typing import NamedTuple

from queries import HybridEvents, PostgresEvents, StoreUnavailable, Watermark

MAX_SETTLE_SECONDS = 30.0
"""How long to wait for open transactions that write events."""
SETTLE_POLL_SECONDS = 0.05


class SettledPoint(NamedTuple):
    """Every event with an id up to ``id`` is committed, and so is every event that was written before ``as_of``."""

    id: int
    as_of: datetime


def wait_until_settled(postgres: PostgresEvents | HybridEvents) -> SettledPoint | None:
    """Waits until the ids that exist now are settled, for at most MAX_SETTLE_SECONDS.

    If the time runs out, the result is the point that was reached, or None if
    no id is known to be settled. Raises ReadOnlyDatabase for a standby, and
    StoreUnavailable and StoreTimeout.
    """
    watermark, as_of, awaited_since = Watermark(), datetime.now(UTC), datetime.now(UTC)
    storage: str | None = None
    target_id, deadline = None, time.monotonic() + MAX_SETTLE_SECONDS
    while target_id is None or (watermark.id < target_id and time.monotonic() < deadline):
        if target_id is not None:
            time.sleep(SETTLE_POLL_SECONDS)
        now = datetime.now(UTC)
        snapshot = postgres.read_writer_snapshot()
        if snapshot.storage != storage and storage is not None:
            raise StoreUnavailable("the database was replaced while its ids settled")
        storage = snapshot.storage
        target_id = snapshot.max_id if target_id is None else target_id
        before, watermark = watermark, watermark.advance(snapshot)
        if watermark.id > before.id:
            # the newly settled ids include all that were written before their writers were first seen
            as_of = awaited_since if snapshot.writers else now
        if watermark.awaited is not before.awaited:
            awaited_since = now
    return SettledPoint(watermark.id, as_of) if watermark.id >= 0 else None

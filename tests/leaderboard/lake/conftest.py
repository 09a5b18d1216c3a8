"""A database with its lake, and events for them."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import psycopg2
import pytest

from leaderboard.lake import chunks
from leaderboard.lake.sync import Rewrite, SyncOptions, SyncResult, sync
from leaderboard.storage.files import Files
from queries import HybridEvents, LakeEvents, PostgresEvents
from queries.sources.lake_snapshot import LakeSnapshot
from queries.times import MAX_TIME, MIN_TIME
from tests.conftest import load_events

ADDRESS = "0x" + "ab" * 20
NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)


def no_progress(activity: str, done: int, total: int) -> None:
    """Ignores the progress."""


def insert_events(url: str, *moments: datetime, rate: float = 1) -> None:
    """Stores an event with each of these event_times."""
    load_events(url, [[at.timestamp(), ADDRESS, "FRA", "transcoding", {"success_rate": rate}] for at in moments])


def insert_uncommitted(cursor: psycopg2.extensions.cursor, at: datetime = NOON) -> int:
    """Inserts an event without a commit, and returns its id."""
    cursor.execute(
        "INSERT INTO events (event_time, orchestrator, region_id, payload) VALUES (%s, %s, 1, '{}') RETURNING id",
        (at, ADDRESS),
    )
    return cursor.fetchone()[0]


class Stores:
    """A database, its lake, and both together as the service reads them."""

    def __init__(self, url: str, lake: Path) -> None:
        self.url = url
        self.lake = str(lake)
        self.postgres = PostgresEvents(url)
        self.events = HybridEvents(PostgresEvents(url), LakeEvents(self.lake))

    def sync(self, rewrite: Rewrite = Rewrite.IF_CHANGED, *, adopt: bool = False) -> SyncResult:
        """Syncs the lake."""
        return sync(self.postgres, self.lake, no_progress, SyncOptions(rewrite, adopt))

    def snapshot(self) -> LakeSnapshot:
        """The newest version of the lake."""
        return LakeEvents(self.lake).require_snapshot()

    def database_events(self, since: datetime = MIN_TIME, until: datetime = MAX_TIME) -> pl.DataFrame:
        """The events of the database alone."""
        return self.postgres.window(since, until, payload=True).sort("id").collect()

    def lake_events(self, since: datetime = MIN_TIME, until: datetime = MAX_TIME) -> pl.DataFrame:
        """The events of the lake alone."""
        return self.snapshot().window(since, until, payload=True).sort("id").collect()

    def hybrid_events(self, since: datetime = MIN_TIME, until: datetime = MAX_TIME) -> pl.DataFrame:
        """The events that queries read."""
        return self.events.rows(since, until).sort("id").collect()

    def success_rates(self) -> list[float]:
        """The success rates that queries read, by id."""
        return self.hybrid_events()["success_rate"].to_list()

    def close(self) -> None:
        """Closes the connections."""
        self.postgres.close()
        self.events.close()


@pytest.fixture
def open_stores(tmp_path: Path) -> Iterator[Callable[..., Stores]]:
    """Opens a database and a lake, and closes them after the test."""
    with ExitStack() as opened:

        def open_stores(url: str, lake: Path | None = None) -> Stores:
            return opened.enter_context(closing(Stores(url, lake or tmp_path / "lake")))

        yield open_stores


@pytest.fixture
def stores(database: str, open_stores: Callable[..., Stores]) -> Stores:
    """A fresh database, and a lake that does not exist yet."""
    return open_stores(database)


@pytest.fixture
def writer(database: str) -> Iterator[psycopg2.extensions.cursor]:
    """A cursor in a transaction, which is rolled back unless the test commits it."""
    with closing(psycopg2.connect(database)) as connection, connection.cursor() as cursor:
        yield cursor


def sync_until_killed(url: str, lake: str, limit: int, step_rows: int = chunks.CHUNK_ROWS) -> None:
    """Syncs in this process, which is killed once it has written so many files."""
    chunks.CHUNK_ROWS = step_rows
    put_file, written = Files.put, []

    def put_or_die(files: Files, path: str, content: bytes) -> None:
        if len(written) == limit:
            os.kill(os.getpid(), signal.SIGKILL)
        put_file(files, path, content)
        written.append(path)

    Files.put = put_or_die
    sync(PostgresEvents(url), lake, no_progress)

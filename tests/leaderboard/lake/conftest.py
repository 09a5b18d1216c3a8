"""A lake of a database, and all events of both."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import psycopg2
import pytest

from leaderboard.lake.sync import Rewrite, SyncResult, sync
from queries import HybridEvents, LakeEvents, PostgresEvents
from queries.sources.lake_snapshot import LakeSnapshot
from queries.times import MAX_TIME, MIN_TIME
from tests.conftest import load_events

ADDRESS = "0x" + "ab" * 20
NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)


def no_progress(doing: str, done: int, total: int) -> None:
    """Is told of progress."""


def put(url: str, *moments: datetime, rate: float = 1) -> None:
    """Stores an event at each of the moments."""
    load_events(url, [[at.timestamp(), ADDRESS, "FRA", "transcoding", {"success_rate": rate}] for at in moments])


def insert(cursor: psycopg2.extensions.cursor, at: datetime = NOON) -> int:
    """The id of an event, which is not committed."""
    cursor.execute(
        "INSERT INTO events (event_time, orchestrator, region_id, payload) VALUES (%s, %s, 1, '{}') RETURNING id",
        (at, ADDRESS),
    )
    return cursor.fetchone()[0]


class Stores:
    """A database, its lake, and both together as a service reads them."""

    def __init__(self, url: str, lake: Path) -> None:
        self.url = url
        self.lake = str(lake)
        self.postgres = PostgresEvents(url)
        self.events = HybridEvents(PostgresEvents(url), LakeEvents(self.lake))

    def sync(self, rewrite: Rewrite = Rewrite.IF_CHANGED, *, adopt: bool = False) -> SyncResult:
        """Brings the lake up to date."""
        return sync(self.postgres, self.lake, no_progress, rewrite, adopt=adopt)

    def snapshot(self) -> LakeSnapshot:
        """The lake as it is."""
        found = LakeEvents(self.lake).snapshot()
        assert found is not None
        return found

    def of_database(self, since: datetime = MIN_TIME, until: datetime = MAX_TIME) -> pl.DataFrame:
        """What the database itself has."""
        return self.postgres.window(since, until, payload=True).sort("id").collect()

    def of_lake(self, since: datetime = MIN_TIME, until: datetime = MAX_TIME) -> pl.DataFrame:
        """What the lake itself has."""
        return self.snapshot().window(since, until, payload=True).sort("id").collect()

    def of_both(self, since: datetime = MIN_TIME, until: datetime = MAX_TIME) -> pl.DataFrame:
        """What is answered from."""
        return self.events.rows(since, until).sort("id").collect()

    def rates(self) -> list[float]:
        """The success rates that are answered from, by id."""
        return self.of_both()["success_rate"].to_list()

    def close(self) -> None:
        """Closes the connections."""
        self.postgres.close()
        self.events.close()


@pytest.fixture
def open_stores(tmp_path: Path) -> Iterator[Callable[..., Stores]]:
    """Opens a database and a lake, which are closed at the end."""
    opened = []

    def open(url: str, lake: Path | None = None) -> Stores:
        opened.append(Stores(url, lake or tmp_path / "lake"))
        return opened[-1]

    yield open
    for stores in opened:
        stores.close()


@pytest.fixture
def stores(database: str, open_stores: Callable[..., Stores]) -> Stores:
    """A fresh database, and a lake that does not exist yet."""
    return open_stores(database)


@pytest.fixture
def writer(database: str) -> Iterator[psycopg2.extensions.cursor]:
    """A session that writes to the database; what it does not commit is rolled back."""
    with closing(psycopg2.connect(database)) as connection, connection.cursor() as cursor:
        yield cursor

"""The exclusions that a service holds in memory."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from leaderboard.exclusions.exclusion_table import insert_exclusion, remove_exclusion
from leaderboard.exclusions.registry import ExclusionRegistry
from leaderboard.postgres.pool import Database
from queries import Exclusion, HybridEvents, LakeEvents, PostgresEvents
from queries.errors import StoreUnavailable
from tests.conftest import rows
from tests.support.postgres import StoppablePostgres
from tests.support.waiting import eventually

FIRST = Exclusion("FRA", None, datetime(2026, 9, 1, tzinfo=UTC), datetime(2026, 9, 2, tzinfo=UTC), "a full disk")
LAST_SECOND = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
SECOND = Exclusion("SIN", "ai", datetime(2026, 9, 1, tzinfo=UTC), LAST_SECOND, "nobody looks after it")


@pytest.fixture
def pool(database: str) -> Iterator[Database]:
    # where it is tomorrow already, so that Python cannot hold the last second
    rows(
        database,
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET timezone = ''Pacific/Kiritimati''', current_database()); "
        "END $$",
    )
    with closing(Database(database, 20)) as pool:
        yield pool


@pytest.fixture
def registry(pool: Database) -> Iterator[ExclusionRegistry]:
    with closing(ExclusionRegistry(pool)) as registry:
        yield registry


def add(pool: Database, exclusion: Exclusion) -> int:
    return pool.run(lambda cursor: insert_exclusion(cursor, exclusion, "me"))


def test_change_is_seen_without_asking(registry: ExclusionRegistry, pool: Database) -> None:
    registry.start()
    assert registry.active() == ()
    first = add(pool, FIRST)
    add(pool, SECOND)
    eventually(lambda: registry.active() == (FIRST, SECOND))
    pool.run(lambda cursor: remove_exclusion(cursor, first, "me"))
    eventually(lambda: registry.active() == (SECOND,))
    assert [stored.exclusion for stored in registry.all().exclusions] == [SECOND]
    assert [stored.exclusion for stored in registry.all(with_removed=True).exclusions] == [FIRST, SECOND]


def test_list_that_was_never_read_is_unavailable(registry: ExclusionRegistry) -> None:
    assert (registry.is_known, registry.active()) == (False, ())
    with pytest.raises(StoreUnavailable, match="the exclusions were not read yet"):
        registry.all()


@pytest.mark.slow
def test_outage_leaves_the_last_known_ones(stoppable_postgres: StoppablePostgres) -> None:
    with closing(Database(stoppable_postgres.url, 1)) as pool, closing(ExclusionRegistry(pool)) as registry:
        add(pool, FIRST)
        registry.load()
        assert registry.all().as_of is None
        stoppable_postgres.stop()
        registry.load()
        assert registry.active() == (FIRST,)
        assert registry.all().as_of is not None
        stoppable_postgres.start()
        registry.load()
        assert registry.all().as_of is None


def test_library_reads_those_that_count(database: str, pool: Database, tmp_path: Path) -> None:
    removed = add(pool, SECOND)
    pool.run(lambda cursor: remove_exclusion(cursor, removed, "me"))
    add(pool, FIRST)
    add(pool, SECOND)
    with closing(PostgresEvents(database)) as postgres:
        assert postgres.exclusions() == HybridEvents(postgres).exclusions() == [FIRST, SECOND]
        rows(database, "DROP TABLE exclusions")
        assert postgres.exclusions() == []
    assert LakeEvents(str(tmp_path)).exclusions() == []

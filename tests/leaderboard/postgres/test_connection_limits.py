"""A worker holds no more than DB_CONNECTIONS, and a post has one of these whatever readers do."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http import HTTPStatus
from pathlib import Path

import psycopg2
import pytest
from flask import Flask

from leaderboard.app import create_app
from leaderboard.lake.background import BackgroundSync
from leaderboard.settings import MIN_CONNECTIONS, Settings
from queries import LakeEvents
from tests.conftest import load_events, rows
from tests.support.endpoints import RESULT
from tests.support.service import SECRET
from tests.support.serving import post_signed
from tests.support.waiting import eventually

READERS = 12
DAY = 86400
FIRST_DAY = 1_600_000_000
WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
# reads by this role, and they alone, wait for a lock
HOLD_READS = """
    CREATE FUNCTION wait() RETURNS bool LANGUAGE sql AS
        'SELECT true FROM (SELECT pg_advisory_xact_lock_shared(1)) waited';
    ALTER TABLE events ENABLE ROW LEVEL SECURITY;
    CREATE POLICY reads ON events FOR SELECT TO limited USING (wait());
    CREATE POLICY writes ON events FOR INSERT TO limited WITH CHECK (true)"""


@pytest.fixture
def limited(database: str) -> Iterator[str]:
    """The URL of ``database`` for a role that is no superuser, for whom alone limits hold."""
    rows(database, "DROP ROLE IF EXISTS limited; CREATE ROLE limited LOGIN")
    rows(database, "GRANT ALL ON ALL TABLES IN SCHEMA public TO limited")
    rows(database, "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO limited")
    yield database.replace("//postgres@", "//limited@")
    rows(database, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'limited'")
    rows(database, "DROP OWNED BY limited")
    rows(database, "DROP ROLE limited")


@contextmanager
def service(url: str, connections: int, data_dir: Path) -> Iterator[Flask]:
    app = create_app(
        Settings(lake_sync_interval=0, postgres=url, secret=SECRET, db_connections=connections, data_dir=data_dir)
    )
    try:
        yield app
    finally:
        app.extensions["leaderboard"].close()


def post(app: Flask, body: object) -> int:
    return post_signed(app.test_client(), body).status_code


def read_day(app: Flask, day: int) -> int:
    """Asks for a day of its own, which no memory and no lake has."""
    since = FIRST_DAY + day * DAY

    def ask() -> int:
        return app.test_client().get(f"/api/aggregated_stats?since={since}&until={since + 3600}").status_code

    # the server may still count a connection that was closed a moment ago
    return ask() if (status := ask()) == HTTPStatus.SERVICE_UNAVAILABLE else status


@pytest.mark.parametrize("connections", [MIN_CONNECTIONS, 7])
def test_worker_under_load_needs_no_more_than_its_connections(
    limited: str, database: str, connections: int, tmp_path: Path
) -> None:
    with service(limited, connections, tmp_path) as app, ThreadPoolExecutor(3 * READERS) as threads:
        # PostgreSQL itself refuses one that is too many
        rows(database, f"ALTER ROLE limited CONNECTION LIMIT {connections}")
        read = [threads.submit(read_day, app, day) for day in range(8 * READERS)]
        posted = [threads.submit(post, app, RESULT) for _ in range(8 * READERS)]
        batches = [threads.submit(post, app, [RESULT, RESULT]) for _ in range(READERS)]
        statuses = [[future.result() for future in futures] for futures in (read, posted, batches)]
        held = rows(database, "SELECT count(*) FROM pg_stat_activity WHERE usename = 'limited'")[0][0]
    assert statuses == [[200] * 8 * READERS, [200] * 8 * READERS, [200] * READERS]
    assert connections - 2 <= held <= connections


@pytest.mark.parametrize(
    ("connections", "limit"),
    # with a limit of 5 and a setting of 7, one connection is left for reads, and they wait for one another
    [(MIN_CONNECTIONS, MIN_CONNECTIONS), (7, 5), (7, -1)],
)
def test_posts_go_on_while_readers_hold_all_connections(
    limited: str, database: str, connections: int, limit: int, tmp_path: Path
) -> None:
    load_events(
        database,
        [[FIRST_DAY + day * DAY, "0x" + "a" * 40, "FRA", "transcoding", RESULT] for day in range(READERS)],
    )
    rows(database, HOLD_READS)
    with (
        service(limited, connections, tmp_path) as app,
        closing(psycopg2.connect(database)) as blocker,
        ThreadPoolExecutor(READERS) as threads,
    ):
        rows(database, f"ALTER ROLE limited CONNECTION LIMIT {limit}")
        assert post(app, RESULT) == 200
        with blocker.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(1)")
        read = [threads.submit(read_day, app, day) for day in range(READERS)]
        eventually(lambda: rows(database, WAITING)[0][0] > 0)
        assert [post(app, RESULT) for _ in range(20)] == [200] * 20
        blocker.rollback()
        assert [future.result() for future in read] == [200] * READERS


def test_post_has_its_connection_before_the_first_post(limited: str, database: str, tmp_path: Path) -> None:
    with service(limited, 7, tmp_path) as app:
        # posts need the ids of regions
        assert app.test_client().get("/api/regions").status_code == 200
        # no slot is left
        held = rows(database, "SELECT count(*) FROM pg_stat_activity WHERE usename = 'limited'")[0][0]
        rows(database, f"ALTER ROLE limited CONNECTION LIMIT {held}")
        assert post(app, RESULT) == 200


def test_process_that_has_synced_holds_no_connections(database: str, tmp_path: Path) -> None:
    sync = BackgroundSync(database, str(tmp_path), 0.1, 20)
    held = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    try:
        sync.start()
        eventually(lambda: LakeEvents(str(tmp_path), timeout=20).snapshot())
        # between two syncs
        eventually(lambda: rows(database, held) == [(0,)])
    finally:
        sync.close()

"""Everything that uses the database does so through a transaction pooler too, which moves clients between sessions."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from flask import Flask

from leaderboard.app import create_app
from leaderboard.lake.errors import LakeConflict
from leaderboard.lake.lock import PRUNE_LOCK_ID, exclusive_lock
from leaderboard.postgres.admin import connect, is_pooled
from leaderboard.postgres.errors import MigrationError
from leaderboard.postgres.golang_migrate import lock_ids
from leaderboard.postgres.migration_files import load
from leaderboard.postgres.migrations import Migrator, migrate
from leaderboard.settings import Settings
from queries.db import ArrowPool, DirectConnection
from queries.errors import StoreUnavailable
from tests.conftest import NEWEST, load_events, rows
from tests.support.commands import run_leaderboard
from tests.support.endpoints import GETS, load_endpoint_events
from tests.support.pgbouncer import pgbouncer, server_connections
from tests.support.service import SECRET
from tests.support.serving import post_signed
from tests.support.waiting import eventually

POOL_SIZE = 3
READERS = 6
READS = 50
"""Of each reader."""
FIRST = 1_600_000_000
RESULT = {"region": "FRA", "orchestrator": "0x" + "a" * 40, "success_rate": 1, "round_trip_time": 1, "seg_duration": 2}


@pytest.fixture
def pooled(database: str) -> Iterator[str]:
    """The URL of ``database`` through a pooler."""
    with pgbouncer(database, POOL_SIZE) as url:
        yield url


@pytest.fixture
def app(pooled: str, tmp_path: Path) -> Iterator[Flask]:
    """The service behind a pooler."""
    app = create_app(Settings(lake_sync_interval=0, postgres=pooled, secret=SECRET, data_dir=tmp_path))
    yield app
    app.extensions["leaderboard"].close()


def post(app: Flask, body: object) -> int:
    return post_signed(app.test_client(), body).status_code


def sessions(pooled: str) -> list[psycopg2.extensions.connection]:
    """Transactions on every server connection of the pooler at once."""
    connections = [psycopg2.connect(pooled) for _ in range(POOL_SIZE)]
    for connection in connections:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    return connections


def assert_nothing_is_left(pooled: str) -> None:
    """No server connection of the pooler has a setting, a lock or a table that a client of ours left there."""
    found = []
    for connection in sessions(pooled):
        with closing(connection), connection.cursor() as cursor:
            cursor.execute(
                "SELECT array_agg(name) FROM pg_settings WHERE source = 'session' AND name NOT IN "
                "('application_name', 'client_encoding', 'DateStyle', 'TimeZone', 'standard_conforming_strings', "
                # PostgreSQL shows it so in every transaction
                "'transaction_isolation')"
            )
            found += cursor.fetchall()
            cursor.execute("SELECT count(*)::text FROM pg_locks WHERE locktype = 'advisory'")
            found += cursor.fetchall()
            cursor.execute("SELECT count(*)::text FROM pg_prepared_statements")
            found += cursor.fetchall()
    assert found == [(None,), ("0",), ("0",)] * POOL_SIZE


def test_concurrent_reads_return_their_own_rows(app: Flask, database: str, pooled: str) -> None:
    load_events(
        database,
        [
            [FIRST + second, f"0x{second:040x}", "FRA", "transcoding", RESULT | {"success_rate": second / 1000}]
            for second in range(READERS * READS)
        ],
    )

    def read(reader: int) -> list[tuple[int, Any]]:
        client, found = app.test_client(), []
        for second in range(reader * READS, (reader + 1) * READS):
            moment = FIRST + second
            response = client.get(f"/api/raw_stats?orchestrator=0x{second:040x}&since={moment}&until={moment}")
            stored = [row["success_rate"] for region in response.json.values() for row in region]
            found.append((response.status_code, stored))
        return found

    with ThreadPoolExecutor(READERS) as threads:
        found = [answer for answers in threads.map(read, range(READERS)) for answer in answers]
    assert found == [(200, [second / 1000]) for second in range(READERS * READS)]
    assert server_connections(pooled) <= POOL_SIZE
    assert_nothing_is_left(pooled)


def test_every_question_and_post_is_answered(app: Flask, database: str, pooled: str) -> None:
    load_endpoint_events(database)
    client = app.test_client()
    assert {path: client.get(path).status_code for path in GETS.values()} == dict.fromkeys(GETS.values(), 200)
    with ThreadPoolExecutor(READERS) as threads:
        single = list(threads.map(lambda _: post(app, RESULT), range(READS)))
        batches = list(threads.map(lambda _: post(app, [RESULT] * 3), range(10)))
    assert (set(single), set(batches)) == ({200}, {200})
    assert rows(database, "SELECT count(*) FROM events") == [(3 + READS + 30,)]
    assert_nothing_is_left(pooled)


def test_migrations_go_up_and_down_and_up(database: str, pooled: str) -> None:
    # CREATE INDEX CONCURRENTLY would wait for the transaction that holds the locks, if that had a snapshot
    for command, version in [(("down", "2"), NEWEST - 2), (("up",), NEWEST), (("goto", "3"), 3), (("up",), NEWEST)]:
        done = run_leaderboard("migrate", *command, POSTGRES=pooled)
        assert done.returncode == 0, done.stderr
        assert rows(database, "SELECT version, dirty FROM schema_migrations") == [(version, False)]
    status = run_leaderboard("migrate", "status", POSTGRES=pooled)
    assert status.returncode == 0, status.stderr
    assert_nothing_is_left(pooled)


@pytest.mark.parametrize("which", [0, 1])
def test_predecessor_that_migrates_is_waited_for(database: str, pooled: str, which: int) -> None:
    name = psycopg2.extensions.parse_dsn(database)["dbname"]
    with (
        closing(psycopg2.connect(database)) as predecessor,
        predecessor.cursor() as cursor,
        ThreadPoolExecutor(1) as threads,
        Migrator(pooled, 20) as migrator,
    ):
        cursor.execute("SELECT pg_advisory_lock(%s)", (lock_ids(name, "public")[which],))
        reverted = threads.submit(migrator.down, 1)
        with pytest.raises(TimeoutError):
            reverted.result(0.5)
        cursor.execute("SELECT pg_advisory_unlock_all()")
        reverted.result(60)
    assert rows(database, "SELECT version FROM schema_migrations") == [(NEWEST - 1,)]


def test_predecessor_waits_for_a_migration(database: str, pooled: str, tmp_path: Path) -> None:
    (tmp_path / "1_slow.up.sql").write_text("SELECT pg_sleep(1)", encoding="utf-8")
    name = psycopg2.extensions.parse_dsn(database)["dbname"]
    rows(database, "DELETE FROM schema_migrations")

    def migrate_slowly() -> None:
        with Migrator(pooled, 20, load(tmp_path)) as migrator:
            migrator.up()

    with closing(psycopg2.connect(database)) as predecessor, ThreadPoolExecutor(1) as threads:
        predecessor.autocommit = True
        migrated = threads.submit(migrate_slowly)
        eventually(lambda: rows(database, "SELECT 1 FROM pg_locks WHERE locktype = 'advisory'"))
        for lock_id in lock_ids(name, "public"):
            with predecessor.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_lock(%s)", (lock_id,))
        assert migrated.done() or rows(database, "SELECT version FROM schema_migrations") == [(1,)]
        migrated.result(60)


def test_statement_that_the_role_limits_asks_for_the_direct_url(database: str, pooled: str, tmp_path: Path) -> None:
    (tmp_path / f"{NEWEST + 1}_slow.up.sql").write_text("-- no transaction\nSELECT pg_sleep(0.4);\n", encoding="utf-8")
    name = psycopg2.extensions.parse_dsn(database)["dbname"]
    rows(database, f"ALTER DATABASE {name} SET statement_timeout = 200")
    migrations = [*load(), *load(tmp_path)]
    with Migrator(pooled, 20, migrations) as migrator, pytest.raises(MigrationError, match="with the direct URL"):
        migrator.up()
    with Migrator(database, 20, migrations) as migrator:
        migrator.up()
    assert rows(database, "SELECT version, dirty FROM schema_migrations") == [(NEWEST + 1, False)]


def test_lake_is_synced_and_exported(database: str, pooled: str, tmp_path: Path) -> None:
    load_events(database, [[FIRST, RESULT["orchestrator"], "FRA", "transcoding", RESULT]])
    settings = {"POSTGRES": pooled, "DATA_DIR": str(tmp_path)}
    for _ in range(2):
        done = run_leaderboard("lake", "sync", **settings)
        assert (done.returncode, "the lake reaches id 1" in done.stderr) == (0, True), done.stderr
    exported = run_leaderboard("export", "raw", "--to", "-", "--format", "csv", "--day", "2020-09-13", **settings)
    assert (exported.returncode, len(exported.stdout.splitlines())) == (0, 2), exported.stderr
    assert_nothing_is_left(pooled)


def test_settings_that_another_client_left_in_its_session_do_not_matter(app: Flask, database: str, pooled: str) -> None:
    load_endpoint_events(database)
    for connection in sessions(pooled):
        with closing(connection), connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 500; SET search_path = pg_catalog; SET lock_timeout = 1")
            connection.commit()
    client = app.test_client()
    assert {path: client.get(path).status_code for path in GETS.values()} == dict.fromkeys(GETS.values(), 200)
    assert post(app, RESULT) == 200
    migrate(pooled, 20)
    with closing(DirectConnection(pooled, 20)) as connection:
        assert connection.run("SELECT true FROM pg_sleep(1)") == [(True,)]
    with closing(ArrowPool(pooled, timeout=20, connections=1)) as pool:
        assert pool.read("SELECT true AS slept FROM pg_sleep(1)").to_pylist() == [{"slept": True}]


def test_lock_whose_connection_is_lost_is_noticed(database: str, pooled: str, tmp_path: Path) -> None:
    with exclusive_lock(pooled, str(tmp_path / "lake"), 20) as lock:
        lock.check()
        rows(database, "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
        with pytest.raises(StoreUnavailable):
            lock.check()


def test_session_lock_of_an_older_release_excludes_ours(database: str, pooled: str, tmp_path: Path) -> None:
    with closing(psycopg2.connect(database)) as older, older.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", (PRUNE_LOCK_ID,))
        with (
            pytest.raises(LakeConflict, match="another process"),
            exclusive_lock(pooled, str(tmp_path / "lake"), 20, for_prune=True),
        ):
            pass


def test_pooler_is_told_from_the_server(database: str, pooled: str) -> None:
    for url, expected in ((database, False), (pooled, True)):
        with closing(connect(url, 20)) as connection:
            assert is_pooled(connection) is expected

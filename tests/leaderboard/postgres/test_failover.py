"""After a failover (the database ends its sessions, is read-only for a while, then takes writes) all paths recover."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from flask import Flask
from psycopg2.extensions import parse_dsn

from leaderboard.app import create_app
from leaderboard.settings import Settings
from tests.conftest import new_folder, rows
from tests.support.endpoints import RESULT
from tests.support.postgres import StoppablePostgres
from tests.support.service import SECRET
from tests.support.serving import post_signed
from tests.support.standby import standby_of
from tests.support.waiting import eventually

END_SESSIONS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()"""


def post(app: Flask, body: object) -> tuple[int, bool]:
    """The status of a post, and whether the response says when to try again."""
    response = post_signed(app.test_client(), body)
    return response.status_code, "Retry-After" in response.headers


@pytest.fixture
def app(database: str, tmp_path: Path) -> Iterator[Flask]:
    """The service over a fresh database."""
    app = create_app(Settings(lake_sync_interval=0, postgres=database, secret=SECRET, data_dir=tmp_path))
    yield app
    app.extensions["leaderboard"].close()


@pytest.mark.parametrize("ends_sessions", [True, False])
def test_posts_and_batches_recover_from_a_read_only_database(
    app: Flask, server: str, database: str, ends_sessions: bool
) -> None:
    assert [post(app, RESULT), post(app, [RESULT])] == [(200, False)] * 2
    name = parse_dsn(database)["dbname"]
    rows(database, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    rows(database, END_SESSIONS)
    for _ in range(3):
        assert [post(app, RESULT), post(app, [RESULT])] == [(503, True)] * 2
    assert app.test_client().get("/api/regions").status_code == 200
    assert app.test_client().get("/api/aggregated_stats").status_code == 200
    rows(server.format("postgres"), f"ALTER DATABASE {name} RESET default_transaction_read_only")
    if ends_sessions:
        rows(database, END_SESSIONS)
    assert eventually(lambda: post(app, RESULT) == (200, False))
    assert eventually(lambda: post(app, [RESULT]) == (200, False))


def test_posts_and_batches_are_taken_once_the_standby_is_promoted(
    stoppable_postgres: StoppablePostgres, tmp_path: Path
) -> None:
    with new_folder() as folder, standby_of(stoppable_postgres, folder) as standby:
        standby.wait_for(stoppable_postgres)
        app = create_app(Settings(lake_sync_interval=0, postgres=standby.url, secret=SECRET, data_dir=tmp_path))
        with closing(app.extensions["leaderboard"]):
            for _ in range(3):
                assert [post(app, RESULT), post(app, [RESULT])] == [(503, True)] * 2
            stoppable_postgres.stop()
            standby.promote()
            assert eventually(lambda: post(app, RESULT) == (200, False))
            assert eventually(lambda: post(app, [RESULT]) == (200, False))
            assert rows(standby.url, "SELECT count(*) FROM events") == [(2,)]

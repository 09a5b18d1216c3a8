"""Conditions of the database that pass: 503 or 504 over HTTP, and 75 in commands, as long as they last."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from leaderboard.app import create_app
from leaderboard.settings import Settings
from tests.conftest import load_events, rows
from tests.support.commands import run_leaderboard
from tests.support.endpoints import RESULT
from tests.support.service import SECRET
from tests.support.serving import post_signed
from tests.support.waiting import eventually

FIRST = 1_600_000_000
RESULTS = f"/api/raw_stats?orchestrator={RESULT['orchestrator']}&since={FIRST}&until="
# reads and writes of events fail with the code in the table ``failure``
FAIL = """
    CREATE TABLE failure (code text);
    CREATE FUNCTION fail() RETURNS bool LANGUAGE plpgsql AS
        $$ BEGIN RAISE 'the reason' USING ERRCODE = (SELECT code FROM failure); END $$;
    CREATE FUNCTION passes() RETURNS bool LANGUAGE sql AS
        'SELECT CASE WHEN EXISTS (SELECT FROM failure) THEN fail() ELSE true END';
    ALTER TABLE regions RENAME TO stored_regions;
    CREATE VIEW regions AS SELECT * FROM stored_regions WHERE passes();
    CREATE FUNCTION check_insert() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM passes(); RETURN NULL; END $$;
    CREATE TRIGGER check_insert BEFORE INSERT ON events FOR EACH STATEMENT EXECUTE FUNCTION check_insert()"""


@pytest.fixture
def failing(database: str) -> str:
    """The URL of a database with one event, whose reads and writes can be made to fail."""
    load_events(database, [[FIRST, RESULT["orchestrator"], "FRA", "transcoding", RESULT]])
    rows(database, FAIL)
    return database


@pytest.fixture
def app(failing: str, tmp_path: Path) -> Iterator[Flask]:
    """The service over that database."""
    app = create_app(Settings(lake_sync_interval=0, postgres=failing, secret=SECRET, data_dir=tmp_path))
    yield app
    app.extensions["leaderboard"].close()


def post(app: Flask, body: object) -> tuple[int, bool]:
    """The status of a post, and whether the response says when to try again."""
    response = post_signed(app.test_client(), body)
    return response.status_code, "Retry-After" in response.headers


def get(app: Flask, until: int) -> int:
    """The status of results, which no memory has."""
    return app.test_client().get(f"{RESULTS}{until}").status_code


@pytest.mark.parametrize(
    ("code", "status"),
    [("40001", 503), ("40P01", 503), ("53100", 503), ("57P01", 503), ("42501", 503), ("XX000", 503), ("55P03", 504)],
)
def test_reads_and_posts_fail_while_it_lasts_and_work_afterwards(
    app: Flask, failing: str, code: str, status: int
) -> None:
    assert (get(app, FIRST + 1), post(app, RESULT), post(app, [RESULT])) == (200, (200, False), (200, False))
    rows(failing, f"INSERT INTO failure VALUES ('{code}')")
    assert get(app, FIRST + 2) == status
    assert [post(app, RESULT), post(app, [RESULT])] == [(503, True)] * 2
    rows(failing, "DELETE FROM failure")
    assert eventually(lambda: get(app, FIRST + 3) == 200)
    assert (post(app, RESULT), post(app, [RESULT])) == ((200, False), (200, False))


@pytest.mark.parametrize("code", ["40001", "55P03"])
def test_commands_end_with_75(failing: str, code: str, tmp_path: Path) -> None:
    rows(failing, f"INSERT INTO failure VALUES ('{code}')")
    settings = {"POSTGRES": failing, "DATA_DIR": str(tmp_path)}
    for command in (("scores", "--since", "2020-01-01"), ("lake", "sync")):
        done = run_leaderboard(*command, **settings)
        assert (done.returncode, done.stderr.count("\n"), "the reason" in done.stderr) == (75, 1, True), done.stderr

"""A full disk is one clear line at start, loses nothing while running, and is over as soon as there is room."""

from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from leaderboard.app import create_app
from leaderboard.postgres.embedded import EmbeddedPostgres
from leaderboard.postgres.errors import EmbeddedPostgresError
from leaderboard.results.auth import sign
from leaderboard.settings import Settings
from tests.conftest import rows
from tests.support.disks import fill, small_disk
from tests.support.postgres import copy_data_dir
from tests.support.service import SECRET
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

DISK_BYTES = 160 << 20
BODY = b'{"region": "FRA", "orchestrator": "0x%040d", "success_rate": 1, "note": "%s"}' % (1, b"x" * 2000)
MAX_POSTS = 2000
"""More than fit into the pages that the table has already."""
FILL_THE_LOG = "SELECT pg_logical_emit_message(true, 'x', repeat('x', 4000000)) FROM generate_series(1, 50)"


@pytest.fixture
def disk() -> Iterator[Path]:
    """An empty disk."""
    with small_disk(DISK_BYTES) as disk:
        yield disk


def test_start_on_a_full_disk_is_one_clear_line(disk: Path) -> None:
    filler = fill(disk)
    with pytest.raises(EmbeddedPostgresError, match=r"^initdb failed in .*: .*No space left on device.*$"):
        EmbeddedPostgres(disk).acquire()
    filler.unlink()
    server = EmbeddedPostgres(disk)
    server.acquire()
    server.release()
    fill(disk)
    with pytest.raises(EmbeddedPostgresError, match=r"^the embedded PostgreSQL does not start \(.*No space left"):
        EmbeddedPostgres(disk).acquire()


def test_posts_on_a_full_disk_are_refused_or_stored(disk: Path, data_dir_template: Path) -> None:
    copy_data_dir(data_dir_template, disk)
    server = EmbeddedPostgres(disk)
    url = server.acquire()
    app = create_app(Settings(lake_sync_interval=0, postgres=url, secret=SECRET, data_dir=disk))
    client = app.test_client()

    def post() -> int:
        headers = {"Authorization": sign(SECRET, BODY)}
        return client.post("/api/post_stats", data=BODY, headers=headers).status_code

    assert post() == 200
    stored = 1
    filler = fill(disk)
    for _ in range(MAX_POSTS):
        status = post()
        if status != 200:
            break
        stored += 1
    assert status == 503
    assert rows(url, "SELECT count(*) FROM events") == [(stored,)]
    filler.unlink()
    eventually(lambda: post() == 200)
    assert rows(url, "SELECT count(*) FROM events") == [(stored + 1,)]
    app.extensions["leaderboard"].close()
    server.release()


def test_server_that_a_full_disk_ended_starts_again_when_there_is_room(disk: Path, data_dir_template: Path) -> None:
    copy_data_dir(data_dir_template, disk)
    server = EmbeddedPostgres(disk)
    url = server.acquire()
    server.watch()
    filler = fill(disk)
    # the server cannot go on without its write-ahead log
    with pytest.raises(psycopg2.OperationalError):
        rows(url, FILL_THE_LOG)
    filler.unlink()

    def answers() -> bool:
        try:
            return rows(url, "SELECT 1") == [(1,)]
        except psycopg2.OperationalError:
            return False

    eventually(answers)
    server.release()

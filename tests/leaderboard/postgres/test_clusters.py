"""Servers with other defaults than ours: other encodings, several hosts."""

from pathlib import Path

import pytest
from psycopg2.extensions import parse_dsn

from leaderboard.postgres import system_user
from leaderboard.postgres.migrations import migrate
from leaderboard.postgres.programs import ServerPrograms
from queries import PostgresEvents
from tests.conftest import new_folder, rows
from tests.support.postgres import StoppablePostgres
from tests.support.standby import Standby

pytestmark = pytest.mark.slow


def make_cluster(data_dir: Path, *options: str) -> None:
    data = data_dir / "postgres"
    data.mkdir(mode=0o700)
    system_user.give_to_server(data)
    done = ServerPrograms(data_dir).run("initdb", "-D", str(data), "--auth=trust", "-U", "postgres", "-N", *options)
    assert done.returncode == 0, done.stdout
    (data_dir / "users.lock").touch()


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1", "EUC_JP"])
def test_database_is_created_in_utf_8_on_any_server(encoding: str) -> None:
    with new_folder() as folder:
        make_cluster(folder, f"--encoding={encoding}", "--locale=C")
        server = StoppablePostgres(folder)
        try:
            assert migrate(server.url, 20).encoding == "UTF8"
            assert rows(server.url, "SELECT display_name FROM regions WHERE name = 'SAO'") == [("São Paulo",)]
        finally:
            server.close()


def test_of_several_hosts_the_primary_is_used(stoppable_postgres: StoppablePostgres, standby: Standby) -> None:
    folders = [parse_dsn(url)["host"] for url in (standby.url, stoppable_postgres.url)]
    url = f"postgresql://postgres@/leaderboard?host={','.join(folders)}&port=5432,5432"
    assert migrate(url, 20).is_standby is False
    events = PostgresEvents(url)
    assert events.read_writer_snapshot().max_id == 0
    assert events.replayed_until() is None
    events.close()
    reader = PostgresEvents(f"{url}&target_session_attrs=standby")
    assert reader.replayed_until() is not None
    reader.close()

"""A standby of a test's PostgreSQL, by streaming replication."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2

from leaderboard.postgres import system_user
from leaderboard.postgres.programs import ServerPrograms
from tests.support.postgres import StoppablePostgres
from tests.support.waiting import eventually


class Standby(StoppablePostgres):
    """A server that replays what its primary writes, until it is promoted."""

    def query(self, statement: str) -> list[tuple]:
        """The rows of a statement, which runs outside of a transaction block."""
        connection = psycopg2.connect(self.url)
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall()
        finally:
            connection.close()

    def wait_for(self, primary: StoppablePostgres) -> None:
        """Returns when the standby has replayed all that the primary has written by now."""
        connection = psycopg2.connect(primary.url)
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT pg_current_wal_flush_lsn()")
            ((position,),) = cursor.fetchall()
        connection.close()
        eventually(lambda: self.query(f"SELECT pg_last_wal_replay_lsn() >= '{position}'") == [(True,)])

    def promote(self) -> None:
        """Makes the standby a primary."""
        assert self.query("SELECT pg_promote(true, 60)") == [(True,)]

    def pause(self) -> None:
        """Stops the replay of what the primary writes."""
        self.query("SELECT pg_wal_replay_pause()")
        eventually(lambda: self.query("SELECT pg_get_wal_replay_pause_state()") == [("paused",)])

    def resume(self) -> None:
        """Continues the replay."""
        self.query("SELECT pg_wal_replay_resume()")


@contextmanager
def standby_of(primary: StoppablePostgres, data_dir: Path, **settings: str) -> Iterator[Standby]:
    """A standby of the primary in an empty folder, with these settings of PostgreSQL."""
    data = data_dir / "postgres"
    data.mkdir(mode=0o700)
    system_user.give_to_server(data)
    options = ("-d", primary.url, "-D", str(data), "-R", "-c", "fast", "-X", "stream")
    done = ServerPrograms(data_dir).run("pg_basebackup", *options)
    assert done.returncode == 0, done.stdout.decode()
    with open(data / "postgresql.auto.conf", "a", encoding="utf-8") as config:
        config.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
    (data_dir / "users.lock").touch()
    standby = Standby(data_dir)
    try:
        yield standby
    finally:
        standby.close()

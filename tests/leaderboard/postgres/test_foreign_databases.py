"""Databases that are not ours, or cannot hold our data, are refused in one line."""

import pytest

from leaderboard.postgres.errors import MigrationError
from leaderboard.postgres.migrations import migrate
from tests.conftest import NEWEST, rows
from tests.support.commands import run_leaderboard

RAILS = (
    "CREATE TABLE schema_migrations (version varchar PRIMARY KEY); INSERT INTO schema_migrations VALUES ('20260901')"
)
COMMANDS = (
    ("migrate", "status"),
    ("migrate", "up"),
    ("migrate", "force", "1"),
    ("scores",),
    ("lake", "sync"),
    ("export", "events", "--to", "-", "--format", "csv", "--day", "2026-09-01"),
    ("serve", "--port", "0"),
)


def make_database(server: str, url: str, options: str = "", sql: str = "SELECT 1") -> None:
    name = url.rpartition("/")[2].partition("?")[0]
    run_outside_transaction(server.format("postgres"), f"CREATE DATABASE {name} {options}")
    rows(url, sql)


def run_outside_transaction(url: str, statement: str) -> None:
    import psycopg2

    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(statement)
    connection.close()


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_other_encodings_are_refused(server: str, empty_database: str, encoding: str) -> None:
    make_database(server, empty_database, f"ENCODING '{encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
    with pytest.raises(MigrationError, match=f"has the encoding {encoding} and cannot hold every result"):
        migrate(empty_database, 20)


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_refuses_in_one_line(server: str, empty_database: str, command: tuple[str, ...]) -> None:
    make_database(server, empty_database, "ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
    done = run_leaderboard(*command, POSTGRES=empty_database)
    assert done.returncode == 1
    last_line = done.stderr.strip().splitlines()[-1]
    assert "has the encoding LATIN1" in last_line
    assert "Traceback" not in done.stderr


def test_created_database_holds_utf_8_whatever_the_template(server: str, empty_database: str) -> None:
    migrate(empty_database, 20)
    assert rows(empty_database, "SELECT getdatabaseencoding()") == [("UTF8",)]
    name = rows(empty_database, "SELECT name FROM regions WHERE name = 'SAO'")
    assert name == [("SAO",)]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        (RAILS, "schema_migrations in the database .* is another program's"),
        (
            "CREATE TABLE schema_migrations (version bigint PRIMARY KEY, dirty boolean NOT NULL);"
            "INSERT INTO schema_migrations VALUES (5, false)",
            "says version 5, but .* is not there: the record is another program's, or the tables were dropped",
        ),
        (
            "CREATE TABLE schema_migrations (version bigint PRIMARY KEY, dirty boolean NOT NULL);"
            "INSERT INTO schema_migrations VALUES (4, false), (5, false)",
            "schema_migrations in the database .* is another program's",
        ),
        ("CREATE TABLE events (id serial, title text)", "the table events in the database .* is another program's"),
        (
            "CREATE TABLE schema_migrations (version bigint PRIMARY KEY, dirty boolean NOT NULL);"
            "INSERT INTO schema_migrations VALUES (1000, false); CREATE TABLE events (id serial, title text)",
            "says version 1000, but",
        ),
    ],
)
def test_another_programs_tables_are_refused_and_left_alone(
    server: str, empty_database: str, sql: str, message: str
) -> None:
    make_database(server, empty_database, sql=sql)
    tables = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1"
    before = rows(empty_database, tables)
    with pytest.raises(MigrationError, match=message):
        migrate(empty_database, 20)
    assert rows(empty_database, tables) == before


def test_tables_out_of_the_search_path_are_not_made_again(database: str) -> None:
    name = database.rpartition("/")[2].partition("?")[0]
    rows(database, "CREATE SCHEMA other")
    run_outside_transaction(database, f"ALTER DATABASE {name} SET search_path = other")
    with pytest.raises(MigrationError, match="are not in the search path"):
        migrate(database, 20)
    assert rows(database, "SELECT to_regclass('other.events')") == [(None,)]
    # an operator who names a schema means it
    separator = "&" if "?" in database else "?"
    url = f"{database}{separator}options=-csearch_path%3Dother"
    assert migrate(url, 20).record.version == NEWEST
    assert rows(database, "SELECT to_regclass('other.events') IS NULL") == [(False,)]


def test_newer_schema_is_served_with_a_warning(database: str, caplog: pytest.LogCaptureFixture) -> None:
    rows(database, f"UPDATE schema_migrations SET version = {NEWEST + 1}")
    assert migrate(database, 20).record.version == NEWEST + 1
    assert "a newer release made the schema" in caplog.text

"""The settings that each transaction has."""

import psycopg2
import pytest

from queries.db import conninfo, transaction_settings
from queries.db.transaction_settings import search_path

URL = "postgresql://host/leaderboard"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", '"$user", public'),
        ("-c%20work_mem%3D4MB", '"$user", public'),
        ("-csearch_path%3DScores", '"scores"'),
        ("-c%20search_path%3Dscores,%22Public%22", '"scores", "Public"'),
        ("--search_path%3Dscores,%5C%20public", '"scores", "public"'),
        ("-csearch_path%3Done%20-csearch_path%3Dtwo", '"two"'),
    ],
)
def test_search_path_is_that_of_the_url_or_the_default(options: str, expected: str) -> None:
    assert search_path(f"{URL}?options={options}") == expected


def test_roles_settings_do_not_reach_a_transaction(database: str) -> None:
    name = psycopg2.extensions.parse_dsn(database)["dbname"]
    odd = {
        "search_path": "pg_catalog",
        "lock_timeout": "1ms",
        "idle_in_transaction_session_timeout": "1min",
        "statement_timeout": "1ms",
        "default_transaction_isolation": "serializable",
        "client_encoding": "SQL_ASCII",
    }
    connection = psycopg2.connect(database)
    connection.autocommit = True
    with connection.cursor() as cursor:
        for setting, value in odd.items():
            cursor.execute(f"ALTER DATABASE {name} SET {setting} = '{value}'")
    connection.close()
    connection = psycopg2.connect(conninfo(database, 5))
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(transaction_settings(database, 2))
            found = {}
            for setting in (*odd, "transaction_isolation"):
                cursor.execute(f"SHOW {setting}")
                found[setting] = cursor.fetchone()[0]
    finally:
        connection.close()
    assert found == {
        "search_path": '"$user", public',
        "lock_timeout": "0",
        "idle_in_transaction_session_timeout": "0",
        "statement_timeout": "2s",
        "default_transaction_isolation": "serializable",
        "transaction_isolation": "read committed",
        "client_encoding": "UTF8",
    }

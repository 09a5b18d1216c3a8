"""The settings that each transaction has."""

import psycopg2

from queries.db import conninfo, transaction_settings


def test_roles_settings_do_not_reach_a_transaction(database: str) -> None:
    name = psycopg2.extensions.parse_dsn(database)["dbname"]
    odd = {
        "search_path": "scores",
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
            # as another client of a pooler may have left it
            cursor.execute("SET search_path = left_behind")
        with connection, connection.cursor() as cursor:
            cursor.execute(transaction_settings(2))
            found = {}
            for setting in (*odd, "transaction_isolation"):
                cursor.execute(f"SHOW {setting}")
                found[setting] = cursor.fetchone()[0]
    finally:
        connection.close()
    assert found == {
        "search_path": "scores",
        "lock_timeout": "0",
        "idle_in_transaction_session_timeout": "0",
        "statement_timeout": "2s",
        "default_transaction_isolation": "serializable",
        "transaction_isolation": "read committed",
        "client_encoding": "UTF8",
    }

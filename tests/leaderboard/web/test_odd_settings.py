"""What roles and databases set must not change what is read and written."""

import json
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest
from flask.testing import FlaskClient
from psycopg2.extensions import parse_dsn

from leaderboard.app import create_app
from leaderboard.results.auth import sign
from leaderboard.settings import Settings
from tests.conftest import clone, rows
from tests.support.endpoints import GETS, load_endpoint_events
from tests.support.service import SECRET

ROLE = "odd_role"
ODD_SETTINGS = {
    "DateStyle": "SQL, DMY",
    "IntervalStyle": "sql_standard",
    "TimeZone": "Asia/Kathmandu",
    "extra_float_digits": "-15",
    "bytea_output": "escape",
    "client_encoding": "LATIN1",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "standard_conforming_strings": "off",
    "escape_string_warning": "off",
    "backslash_quote": "off",
    "transform_null_equals": "on",
    "array_nulls": "off",
    "row_security": "off",
    "xmloption": "document",
    "statement_timeout": "3s",
    "lock_timeout": "1ms",
    "idle_in_transaction_session_timeout": "1ms",
    "idle_session_timeout": "1s",
    "synchronous_commit": "off",
    "enable_seqscan": "off",
    "plan_cache_mode": "force_generic_plan",
    "search_path": "odd, public",
}
TEXT = "ünïcödé € \\ ' 日本"
RESULT = {
    "region": "SAO",
    "orchestrator": "0x" + "ef" * 20,
    "success_rate": 0.1234567890123456,
    "round_trip_time": 0.3,
    "seg_duration": 2.0000000000000004,
    "note": TEXT,
}


@pytest.fixture(scope="module")
def odd_role(server: str) -> Iterator[str]:
    """A role with odd settings."""
    _execute(server.format("postgres"), f"DROP ROLE IF EXISTS {ROLE}", f"CREATE ROLE {ROLE} SUPERUSER LOGIN")
    yield ROLE
    _execute(server.format("postgres"), f"DROP ROLE {ROLE}")


def _execute(url: str, *statements: str) -> None:
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
    connection.close()


def _with_role(url: str) -> str:
    user, _, rest = url.removeprefix("postgresql://").partition("@")
    assert user == "postgres"
    return f"postgresql://{ROLE}@{rest}"


def _set(url: str, target: str) -> None:
    lists = {"search_path", "DateStyle"}
    values = {name: value if name in lists else f"'{value}'" for name, value in ODD_SETTINGS.items()}
    _execute(url, *[f"ALTER {target} SET {name} = {value}" for name, value in values.items()])


def post(client: FlaskClient, result: dict[str, Any] | list[dict[str, Any]]) -> Any:
    body = json.dumps(result).encode()
    return client.post("/api/post_stats", data=body, headers={"Authorization": sign(SECRET, body)})


def exercise(url: str) -> list[Any]:
    """Posts and asks everything; what is answered, and what is stored then."""
    app = create_app(Settings(lake_sync_interval=0, postgres=url, secret=SECRET, regions_cache_timeout=0))
    client = app.test_client()
    try:
        posted = [post(client, RESULT).status_code, post(client, [RESULT, RESULT | {"region": "FRA"}]).status_code]
        # idle connections are ended meanwhile
        answers = [
            (answer.status_code, answer.json)
            for name, answer in ((name, client.get(path)) for name, path in GETS.items())
            # the preview has the time of what was just posted
            if name not in ("health", "gateway_preview")
        ]
        raw = client.get(f"/api/raw_stats?orchestrator={RESULT['orchestrator']}").json
        scores = client.get("/api/aggregated_stats").json
    finally:
        app.extensions["leaderboard"].close()
    return [posted, answers, raw, scores]


@pytest.mark.slow
@pytest.mark.parametrize("target", ["role", "database"])
def test_settings_of_roles_and_databases_change_nothing(server: str, template: str, odd_role: str, target: str) -> None:
    plain, odd = clone(server, template, "plain_settings"), clone(server, template, "odd_settings")
    for url in (plain, odd):
        load_endpoint_events(url)
        _execute(url, "CREATE SCHEMA odd")
    if target == "database":
        _set(server.format("postgres"), "DATABASE odd_settings")
    else:
        _set(server.format("postgres"), f"ROLE {odd_role}")
    expected = exercise(plain)
    found = exercise(_with_role(odd) if target == "role" else odd)
    assert expected[0] == [200, 200]
    assert found == expected
    _execute(server.format("postgres"), "ALTER DATABASE odd_settings RESET ALL", f"ALTER ROLE {odd_role} RESET ALL")
    stored = "SELECT orchestrator, payload FROM events ORDER BY id"
    assert rows(odd, f"{stored}") == rows(plain, stored)
    assert TEXT in json.dumps(found[2], ensure_ascii=False).replace("\\\\", "\\")
    at = "SELECT max(abs(extract(epoch FROM now() - event_time))) < 60 FROM events WHERE region_id IN (SELECT id FROM "
    assert rows(odd, f"{at} regions WHERE name = 'SAO')") == [(True,)]
    _execute(server.format("postgres"), "DROP DATABASE odd_settings WITH (FORCE)")


def test_confirmed_results_are_on_disk_whatever_the_role_says(database: str) -> None:
    name = parse_dsn(database)["dbname"]
    _execute(
        database,
        "CREATE TABLE seen (value text)",
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "INSERT INTO seen VALUES (current_setting('synchronous_commit')); RETURN NEW; END $$",
        "CREATE TRIGGER note BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION note()",
        f"ALTER DATABASE {name} SET synchronous_commit = off",
    )
    assert exercise(database)[0] == [200, 200]
    assert rows(database, "SELECT DISTINCT value FROM seen") == [("on",)]

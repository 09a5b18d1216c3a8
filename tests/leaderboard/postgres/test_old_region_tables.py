"""Migration 3 copies results from the years when each region had a table of its own."""

import json

import pytest

from leaderboard.postgres.migrations import Migrator, migrate
from tests.conftest import rows

RESULTS = {
    "mdw": [{"orchestrator": "0xAB", "timestamp": 1632467739, "success_rate": 1}],
    "fra": [
        {"orchestrator": "0xcd", "timestamp": 1632467740, "success_rate": 0.5, "errors": None},
        {"orchestrator": "0xcd", "timestamp": 1632467741, "pipeline": "LLM", "model": "m"},
    ],
    "nyc": [
        {"orchestrator": "0xef", "timestamp": 1632467742, "pipeline": "LLM", "model": "m"},
        {"orchestrator": "0xef"},
        {"timestamp": 5},
        [],
        {"orchestrator": "0xef" * 20, "timestamp": 5},
    ],
    "SIN": [
        {"orchestrator": "0x12", "timestamp": "yesterday"},
        {"orchestrator": "0x12", "timestamp": 1632467743000000000},
    ],
}


@pytest.fixture
def old_database(empty_database: str) -> str:
    with Migrator(empty_database, 20) as migrator:
        migrator.goto(2)
    for table, results in RESULTS.items():
        rows(empty_database, f'CREATE TABLE "{table}" (id serial, stats jsonb)')
        for result in results:
            rows(empty_database, f"""INSERT INTO "{table}" (stats) VALUES ('{json.dumps(result)}')""")
    rows(empty_database, "CREATE TABLE lax (id serial, other text); CREATE TABLE other (stats jsonb)")
    rows(empty_database, "CREATE VIEW lon AS SELECT * FROM mdw")
    return empty_database


def test_rows_become_events(old_database: str) -> None:
    migrate(old_database, 20)
    found = rows(
        old_database,
        "SELECT region_name, job_type_name, orchestrator, extract(epoch FROM event_time)::int, payload "
        "FROM event_details ORDER BY event_time, id",
    )
    mdw, fra, nyc, sin = (RESULTS[table] for table in ("mdw", "fra", "nyc", "SIN"))
    assert sorted(found[:3], key=str) == sorted(
        [
            ("NYC", "transcoding", "0xef", 0, nyc[1]),
            ("SIN", "transcoding", "0x12", 0, sin[0]),
            ("SIN", "transcoding", "0x12", 0, sin[1]),
        ],
        key=str,
    )
    assert found[3:] == [
        ("MDW", "transcoding", "0xab", 1632467739, mdw[0]),
        ("FRA", "transcoding", "0xcd", 1632467740, fra[0]),
        ("FRA", "ai", "0xcd", 1632467741, fra[1]),
        ("NYC", "ai", "0xef", 1632467742, nyc[0]),
    ]


def test_old_tables_stay(old_database: str) -> None:
    migrate(old_database, 20)
    for table, results in RESULTS.items():
        assert rows(old_database, f'SELECT stats FROM "{table}" ORDER BY id') == [(result,) for result in results]


def test_missing_ai_region_is_added(old_database: str) -> None:
    migrate(old_database, 20)
    assert rows(old_database, "SELECT count(*) FROM regions") == [(28,)]


def test_reverting_deletes_only_what_was_copied(old_database: str) -> None:
    migrate(old_database, 20)
    rows(
        old_database,
        "INSERT INTO events (orchestrator, region_id, payload) SELECT '0x1', id, '{}' FROM regions LIMIT 1",
    )
    with Migrator(old_database, 20) as migrator:
        migrator.goto(2)
    assert rows(old_database, "SELECT orchestrator FROM events") == [("0x1",)]

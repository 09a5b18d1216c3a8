"""The schema is brought to its version, whatever state it is found in."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from leaderboard.postgres.admin import DatabaseUnavailable
from leaderboard.postgres.errors import MigrationError
from leaderboard.postgres.migration_files import load
from leaderboard.postgres.migrations import Migrator, Record, lock_ids, migrate
from tests.conftest import NEWEST, rows, sample

TABLES = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1"
RECORD = "SELECT version, dirty FROM schema_migrations"


@pytest.fixture
def fresh(empty_database: str) -> Iterator[Migrator]:
    with Migrator(empty_database, 20) as migrator:
        yield migrator


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Migrations 1 and 2 of a small schema."""
    write(tmp_path, "1_pets.up.sql", "CREATE TABLE pets (name text)")
    write(tmp_path, "1_pets.down.sql", "DROP TABLE pets")
    write(tmp_path, "2_rex.up.sql", "INSERT INTO pets VALUES ('100 % Rex')")
    write(tmp_path, "2_rex.down.sql", "DELETE FROM pets")
    write(tmp_path, "README.md", "not a migration")
    return tmp_path


def write(folder: Path, name: str, sql: str) -> None:
    (folder / name).write_text(sql)


def test_the_database_is_made_where_it_is_not_there(empty_database: str) -> None:
    migrate(empty_database, 20)
    assert rows(empty_database, RECORD) == [(NEWEST, False)]
    assert [name for (name,) in rows(empty_database, TABLES)] == [
        "event_details",
        "events",
        "job_types",
        "pruned",
        "regions",
        "schema_migrations",
    ]


def test_the_regions_are_the_seeded_ones_in_order(database: str) -> None:
    listed = rows(
        database,
        "SELECT r.name, display_name, j.name FROM regions r JOIN job_types j ON j.id = job_type_id ORDER BY r.id",
    )
    assert listed == [(region["id"], region["name"], region["type"]) for region in sample("regions-seed.json")]
    assert rows(database, "SELECT id, name FROM job_types ORDER BY id") == [(1, "transcoding"), (2, "ai")]


def test_a_database_that_cannot_be_reached_or_made_is_unavailable(empty_database: str) -> None:
    with pytest.raises(DatabaseUnavailable):
        migrate("postgresql://nobody@127.0.0.1:1/nothing", 1)
    migrate(empty_database, 20)
    rows(empty_database, "DROP ROLE IF EXISTS guest; CREATE ROLE guest LOGIN")
    guest = psycopg2.extensions.make_dsn(empty_database, user="guest", dbname="not_there")
    with pytest.raises(DatabaseUnavailable, match="not_there does not exist and cannot be created"):
        migrate(guest, 20)


def test_a_role_that_may_only_read_and_write_rows_finds_a_migrated_database_ready(database: str) -> None:
    rows(database, "DROP ROLE IF EXISTS clerk; CREATE ROLE clerk LOGIN; GRANT SELECT ON schema_migrations TO clerk")
    migrate(psycopg2.extensions.make_dsn(database, user="clerk"), 20)
    rows(database, "DROP OWNED BY clerk")


def test_ten_processes_at_once_end_in_one_clean_version(empty_database: str) -> None:
    code = "import sys; from leaderboard.postgres.migrations import migrate; migrate(sys.argv[1], 20)"
    processes = [subprocess.Popen([sys.executable, "-c", code, empty_database]) for _ in range(10)]
    assert [process.wait(60) for process in processes] == [0] * 10
    assert rows(empty_database, RECORD) == [(NEWEST, False)]
    assert rows(empty_database, "SELECT count(*) FROM regions") == [(26,)]


def test_the_locks_are_those_of_golang_migrate() -> None:
    assert lock_ids("leaderboard", "public") == [937752251, 2958894751]


@pytest.mark.parametrize("which", [0, 1])
def test_nothing_is_migrated_beside_another_migrator(database: str, which: int) -> None:
    name = rows(database, "SELECT current_database()")[0][0]
    rows(database, "UPDATE schema_migrations SET version = 2")
    with psycopg2.connect(database) as other, other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", (lock_ids(name, "public")[which],))
        code = "import sys; from leaderboard.postgres.migrations import migrate; migrate(sys.argv[1], 20)"
        waiting = subprocess.Popen([sys.executable, "-c", code, database])
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(1.5)
        assert rows(database, RECORD) == [(2, False)]
    other.close()
    assert waiting.wait(20) == 0
    assert rows(database, RECORD) == [(NEWEST, False)]


def test_a_database_that_the_predecessor_left_is_taken_over_untouched(empty_database: str) -> None:
    with Migrator(empty_database, 20) as migrator:
        migrator.goto(2)
    # names of its own, and its record
    rows(
        empty_database,
        """ALTER TABLE regions RENAME CONSTRAINT regions_name_job_type_id_key TO unique_name_jobtype;
           ALTER INDEX events_event_time RENAME TO idx_events_timestamp;
           UPDATE schema_migrations SET version = 3""",
    )
    migrate(empty_database, 20)
    assert rows(empty_database, RECORD) == [(NEWEST, False)]
    assert rows(empty_database, "SELECT 1 FROM pg_indexes WHERE indexname = 'idx_events_timestamp'") == [(1,)]


def test_a_dirty_database_is_refused_with_what_to_do(database: str) -> None:
    rows(database, "UPDATE schema_migrations SET version = 3, dirty = true")
    with pytest.raises(MigrationError, match=r"dirty at version 3.*migrate force V"):
        migrate(database, 20)
    with Migrator(database, 20) as migrator:
        for step in (lambda: migrator.down(1), lambda: migrator.goto(1)):
            with pytest.raises(MigrationError, match="dirty"):
                step()
        migrator.force(3)
        assert migrator.record() == Record(3)
    migrate(database, 20)


def test_a_version_of_a_newer_release_is_left_alone(database: str) -> None:
    rows(database, "UPDATE schema_migrations SET version = 99")
    migrate(database, 20)
    assert rows(database, RECORD) == [(99, False)]
    with Migrator(database, 20) as migrator, pytest.raises(MigrationError, match="version 99, which is not known"):
        migrator.down(1)


def test_steps_go_up_and_down(fresh: Migrator) -> None:
    assert fresh.record() == Record()
    assert [migration.version for migration in fresh.pending()] == [*range(1, NEWEST + 1)]
    fresh.goto(2)
    assert fresh.record() == Record(2)
    fresh.up()
    fresh.up()
    assert fresh.record() == Record(NEWEST)
    fresh.down(NEWEST - 1)
    assert fresh.record() == Record(1)
    fresh.goto(3)
    fresh.goto(0)
    assert fresh.record() == Record()
    fresh.up()
    assert fresh.record() == Record(NEWEST)
    with pytest.raises(MigrationError, match="no migration 9; there are 1, 2, 3, 4"):
        fresh.goto(9)


def test_a_version_that_was_left_with_results_is_reached_again(database: str) -> None:
    rows(database, "INSERT INTO events (orchestrator, region_id, payload) SELECT '0x1', max(id), '{}' FROM regions")
    with Migrator(database, 20) as migrator:
        migrator.goto(1)
        migrator.up()
    assert rows(database, "SELECT count(*) FROM regions") == [(26,)]
    assert rows(database, "SELECT region_name FROM event_details") == [("TOR",)]


def test_what_only_the_lake_has_is_not_forgotten_by_the_way(database: str) -> None:
    rows(database, "INSERT INTO pruned VALUES ('2026-01-01')")
    with Migrator(database, 20) as migrator:
        with pytest.raises(MigrationError, match="only the lake has them"):
            migrator.goto(3)
        assert migrator.record() == Record(NEWEST)
        rows(database, "DELETE FROM pruned")
        migrator.goto(3)
        assert migrator.record() == Record(3)


def test_a_file_that_fails_leaves_the_database_at_the_version_before(empty_database: str, folder: Path) -> None:
    write(folder, "3_bad.up.sql", "CREATE TABLE half (a int); INSERT INTO nowhere VALUES (1)")
    with Migrator(empty_database, 20, load(folder)) as migrator:
        with pytest.raises(MigrationError, match=r'3_bad\.up failed: relation "nowhere" does not exist'):
            migrator.up()
        assert migrator.record() == Record(2)
    assert rows(empty_database, "SELECT to_regclass('half')") == [(None,)]
    assert rows(empty_database, "SELECT name FROM pets") == [("100 % Rex",)]


def test_a_process_that_is_killed_leaves_the_database_at_the_version_before(empty_database: str, folder: Path) -> None:
    write(folder, "3_slow.up.sql", "CREATE TABLE slow (a int); SELECT pg_sleep(60)")
    code = """if True:
        import sys; from pathlib import Path
        from leaderboard.postgres.migrations import Migrator; from leaderboard.postgres.migration_files import load
        with Migrator(sys.argv[1], 20, load(Path(sys.argv[2]))) as migrator: migrator.up()"""
    with Migrator(empty_database, 20, load(folder)):
        process = subprocess.Popen([sys.executable, "-c", code, empty_database, str(folder)])
        busy = "SELECT pid FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()"
        while not rows(empty_database, busy):
            assert process.poll() is None
        process.kill()
        process.wait()
    rows(empty_database, busy.replace("SELECT pid", "SELECT pg_terminate_backend(pid)"))
    (folder / "3_slow.up.sql").unlink()
    with Migrator(empty_database, 20, load(folder)) as migrator:
        migrator.up()
        assert migrator.record() == Record(2)
    assert rows(empty_database, "SELECT to_regclass('slow')") == [(None,)]


def test_a_connection_that_is_lost_on_the_way_is_a_database_that_is_away(empty_database: str, folder: Path) -> None:
    write(folder, "3_cut.up.sql", "SELECT pg_terminate_backend(pg_backend_pid())")
    with pytest.raises(DatabaseUnavailable), Migrator(empty_database, 20, load(folder)) as migrator:
        migrator.up()
    with Migrator(empty_database, 20, load(folder)) as migrator:
        assert migrator.record() == Record(2)


def test_a_role_that_may_not_look_is_told_so(database: str) -> None:
    rows(database, "DROP ROLE IF EXISTS stranger; CREATE ROLE stranger LOGIN")
    stranger = psycopg2.extensions.make_dsn(database, user="stranger")
    with pytest.raises(MigrationError, match="refuses: permission denied for table schema_migrations"):
        migrate(stranger, 20)


def test_what_the_url_says_of_connecting_holds(database: str) -> None:
    with Migrator(f"{database}&connect_timeout=7&application_name=mine", 20) as migrator:
        parameters = migrator._connection.get_dsn_parameters()
    assert (parameters["connect_timeout"], parameters["application_name"]) == ("7", "mine")


def test_a_file_may_stay_outside_a_transaction_and_is_dirty_where_it_fails(empty_database: str, folder: Path) -> None:
    write(folder, "3_index.up.sql", "-- no transaction\nCREATE INDEX CONCURRENTLY pets_name ON pets (name)")
    write(folder, "4_again.up.sql", "-- no transaction\nCREATE INDEX CONCURRENTLY pets_name ON pets (name)")
    with Migrator(empty_database, 20, load(folder)) as migrator:
        migrator.goto(3)
        assert migrator.record() == Record(3)
        with pytest.raises(MigrationError, match="4_again"):
            migrator.up()
        assert migrator.record() == Record(4, dirty=True)


def test_a_file_outside_a_transaction_that_did_not_end_is_run_once_more(empty_database: str, folder: Path) -> None:
    write(
        folder,
        "3_index.up.sql",
        "-- no transaction\nDROP INDEX CONCURRENTLY IF EXISTS pets_name;\n"
        "CREATE UNIQUE INDEX CONCURRENTLY pets_name ON pets (name);\n",
    )
    with Migrator(empty_database, 20, load(folder)) as migrator:
        migrator.goto(2)
        rows(empty_database, "INSERT INTO pets VALUES ('Tom'), ('Tom')")
        with pytest.raises(MigrationError, match=r"3_index\.up failed: could not create unique index"):
            migrator.up()
        assert migrator.record() == Record(3, dirty=True)
        with pytest.raises(MigrationError, match="dirty at version 3"):
            migrator.down(1)
        rows(empty_database, "DELETE FROM pets")
        migrator.up()
        assert migrator.record() == Record(3)
    assert rows(empty_database, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'pets_name'::regclass") == [(True,)]


def test_results_of_one_orchestrator_are_found_by_an_index_in_any_case(database: str) -> None:
    asked = "SELECT payload FROM events WHERE lower(orchestrator) = '0xab' AND event_time > '2026-01-01'"
    plan = rows(database, f"SET enable_seqscan = off; EXPLAIN {asked}")
    assert any("events_orchestrator_time" in line for (line,) in plan)


def test_two_files_for_one_step_are_refused(folder: Path) -> None:
    write(folder, "2_other.up.sql", "SELECT 1")
    with pytest.raises(MigrationError, match="two migrations lead up at version 2"):
        load(folder)


def test_a_step_without_a_file_is_refused(empty_database: str, folder: Path) -> None:
    (folder / "2_rex.down.sql").unlink()
    with Migrator(empty_database, 20, load(folder)) as migrator:
        migrator.up()
        with pytest.raises(MigrationError, match="migration 2 has no down file"):
            migrator.down(1)


class TestOldRegionTables:
    """Migration 3 moves the results of the years when each region had a table."""

    OLD = {  # noqa: RUF012
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
    def old(self, empty_database: str) -> str:
        with Migrator(empty_database, 20) as migrator:
            migrator.goto(2)
        for table, results in self.OLD.items():
            rows(empty_database, f'CREATE TABLE "{table}" (id serial, stats jsonb)')
            for result in results:
                rows(empty_database, f"""INSERT INTO "{table}" (stats) VALUES ('{json.dumps(result)}')""")
        rows(empty_database, "CREATE TABLE lax (id serial, other text); CREATE TABLE other (stats jsonb)")
        rows(empty_database, "CREATE VIEW lon AS SELECT * FROM mdw")
        return empty_database

    def test_their_rows_become_events(self, old: str) -> None:
        migrate(old, 20)
        found = rows(
            old,
            "SELECT region_name, job_type_name, orchestrator, extract(epoch FROM event_time)::int, payload "
            "FROM event_details ORDER BY event_time, id",
        )
        mdw, fra, nyc, sin = (self.OLD[table] for table in ("mdw", "fra", "nyc", "SIN"))
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

    def test_the_old_tables_stay(self, old: str) -> None:
        migrate(old, 20)
        for table, results in self.OLD.items():
            assert rows(old, f'SELECT stats FROM "{table}" ORDER BY id') == [(result,) for result in results]

    def test_a_region_of_the_other_job_type_is_added_where_a_row_needs_it(self, old: str) -> None:
        migrate(old, 20)
        assert rows(old, "SELECT count(*) FROM regions") == [(27,)]

    def test_the_way_back_takes_only_what_was_copied(self, old: str) -> None:
        migrate(old, 20)
        rows(old, "INSERT INTO events (orchestrator, region_id, payload) SELECT '0x1', id, '{}' FROM regions LIMIT 1")
        with Migrator(old, 20) as migrator:
            migrator.goto(2)
        assert rows(old, "SELECT orchestrator FROM events") == [("0x1",)]

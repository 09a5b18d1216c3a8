"""Migrations bring the schema to its version from whatever state they find."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from leaderboard.postgres import migrations
from leaderboard.postgres.admin import connect
from leaderboard.postgres.errors import MigrationError
from leaderboard.postgres.golang_migrate import Record, lock_ids
from leaderboard.postgres.migration_files import load
from leaderboard.postgres.migrations import Migrator, migrate
from queries.errors import StoreUnavailable
from tests.conftest import NEWEST, rows, sample

TABLES = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1"
RECORD = "SELECT version, dirty FROM schema_migrations"
MIGRATE = """if True:
    import logging, sys
    from leaderboard.postgres.migrations import migrate
    logging.basicConfig(level="INFO")
    migrate(sys.argv[1], 20)"""


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


def test_missing_database_is_created(empty_database: str) -> None:
    migrate(empty_database, 20)
    assert rows(empty_database, RECORD) == [(NEWEST, False)]
    assert [name for (name,) in rows(empty_database, TABLES)] == [
        "event_changes",
        "event_details",
        "events",
        "exclusions",
        "job_types",
        "lakes",
        "pruned",
        "refused_regions",
        "regions",
        "schema_migrations",
    ]


def test_seeded_regions_are_in_order(database: str) -> None:
    listed = rows(
        database,
        "SELECT r.name, display_name, j.name FROM regions r JOIN job_types j ON j.id = job_type_id ORDER BY r.id",
    )
    assert listed == [(region["id"], region["name"], region["type"]) for region in sample("regions-seed.json")]
    assert rows(database, "SELECT id, name FROM job_types ORDER BY id") == [(1, "transcoding"), (2, "ai")]


def test_database_that_cannot_be_reached_or_created_is_unavailable(empty_database: str) -> None:
    with pytest.raises(StoreUnavailable):
        migrate("postgresql://nobody@127.0.0.1:1/nothing", 1)
    migrate(empty_database, 20)
    rows(empty_database, "DROP ROLE IF EXISTS guest; CREATE ROLE guest LOGIN")
    guest = psycopg2.extensions.make_dsn(empty_database, user="guest", dbname="not_there")
    with pytest.raises(StoreUnavailable, match="not_there does not exist and cannot be created"):
        migrate(guest, 20)


def test_role_without_ddl_rights_can_use_a_migrated_database(database: str) -> None:
    rows(database, "DROP ROLE IF EXISTS clerk; CREATE ROLE clerk LOGIN; GRANT SELECT ON schema_migrations TO clerk")
    migrate(psycopg2.extensions.make_dsn(database, user="clerk"), 20)
    rows(database, "DROP OWNED BY clerk")


@pytest.mark.slow
def test_ten_processes_that_migrate_together_leave_one_clean_version(empty_database: str) -> None:
    processes = [subprocess.Popen([sys.executable, "-c", MIGRATE, empty_database]) for _ in range(10)]
    assert [process.wait(120) for process in processes] == [0] * 10
    assert rows(empty_database, RECORD) == [(NEWEST, False)]
    assert rows(empty_database, "SELECT count(*) FROM regions") == [(28,)]


def test_locks_are_those_of_golang_migrate() -> None:
    assert lock_ids("leaderboard", "public") == [937752251, 2958894751]


@pytest.mark.parametrize("which", [0, 1])
def test_migration_waits_for_another_migrator(database: str, which: int) -> None:
    name = rows(database, "SELECT current_database()")[0][0]
    rows(database, "UPDATE schema_migrations SET version = 2")
    with psycopg2.connect(database) as other, other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", (lock_ids(name, "public")[which],))
        waiting = subprocess.Popen([sys.executable, "-c", MIGRATE, database], stderr=subprocess.PIPE, text=True)
        assert "waiting for another process that migrates" in waiting.stderr.readline()
        assert rows(database, RECORD) == [(2, False)]
    other.close()
    waiting.communicate(timeout=60)
    assert waiting.returncode == 0
    assert rows(database, RECORD) == [(NEWEST, False)]


def test_lock_that_an_idle_session_left_behind_is_named(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrations, "MAX_IDLE_LOCK_SECONDS", 0)
    name = psycopg2.extensions.parse_dsn(database)["dbname"]
    with closing(psycopg2.connect(database)) as other, Migrator(database, 20) as migrator:
        other.autocommit = True
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", (lock_ids(name, "public")[0],))
        pid = other.info.backend_pid
        with pytest.raises(StoreUnavailable, match=rf"left it behind a pooler.*pg_terminate_backend\({pid}\)"):
            migrator.down(1)


def test_database_of_the_predecessor_is_taken_over_unchanged(empty_database: str) -> None:
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


def test_dirty_database_is_refused_with_instructions(database: str) -> None:
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


def test_version_of_a_newer_release_stays(database: str) -> None:
    rows(database, "UPDATE schema_migrations SET version = 99")
    migrate(database, 20)
    assert rows(database, RECORD) == [(99, False)]
    with Migrator(database, 20) as migrator, pytest.raises(MigrationError, match="version 99, which is not known"):
        migrator.down(1)


def test_migrations_are_applied_and_reverted(fresh: Migrator) -> None:
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
    with pytest.raises(MigrationError, match="no migration 99; there are 1, 2, 3, 4"):
        fresh.goto(99)


def test_reverting_and_applying_keeps_results(database: str) -> None:
    rows(database, "INSERT INTO events (orchestrator, region_id, payload) SELECT '0x1', max(id), '{}' FROM regions")
    with Migrator(database, 20) as migrator:
        migrator.goto(1)
        migrator.up()
    assert rows(database, "SELECT count(*) FROM regions") == [(28,)]
    assert rows(database, "SELECT region_name FROM event_details") == [("NYC",)]


def add_region(database: str, name: str, display_name: str) -> None:
    rows(
        database,
        "INSERT INTO regions (name, display_name, job_type_id) "
        f"SELECT '{name}', '{display_name}', id FROM job_types WHERE name = 'ai'",
    )


def test_ai_regions_that_were_added_by_hand_stay_as_they_are(database: str) -> None:
    with Migrator(database, 20) as migrator:
        migrator.goto(6)
        add_region(database, "SEA", "Emerald City")
        add_region(database, "Nyc", "Gotham")
        migrator.up()
    assert rows(
        database,
        "SELECT name, display_name FROM regions WHERE upper(name) IN ('SEA', 'NYC') "
        "AND job_type_id = (SELECT id FROM job_types WHERE name = 'ai') ORDER BY id",
    ) == [("SEA", "Emerald City"), ("Nyc", "Gotham")]


def test_reverted_administration_of_regions_keeps_results(database: str) -> None:
    rows(
        database,
        "UPDATE regions SET retired_at = now() WHERE name = 'FRA'; "
        "INSERT INTO events (orchestrator, region_id, payload) "
        "SELECT '0x1', regions.id, '{}' FROM regions JOIN job_types ON job_types.id = job_type_id "
        "WHERE regions.name = 'SEA' AND job_types.name = 'ai'",
    )
    with Migrator(database, 20) as migrator:
        migrator.goto(6)
        assert rows(database, "SELECT region_name, job_type_name FROM event_details") == [("SEA", "ai")]
        assert rows(database, "SELECT count(*) FROM regions") == [(27,)]
        assert rows(database, "SELECT to_regclass('refused_regions')") == [(None,)]
        migrator.up()
    assert rows(database, "SELECT count(*), count(retired_at) FROM regions") == [(28, 0)]


def test_exclusions_outlive_a_schema_without_them(database: str) -> None:
    rows(
        database,
        "INSERT INTO exclusions (region, since, until, reason, added_by) "
        "VALUES ('FRA', '2026-09-01', '2026-09-02', 'a full disk', 'me')",
    )
    with Migrator(database, 20) as migrator:
        migrator.goto(3)
        migrator.up()
    assert rows(database, "SELECT reason FROM exclusions") == [("a full disk",)]


def test_record_of_pruned_events_is_not_dropped(database: str) -> None:
    rows(database, "INSERT INTO pruned VALUES ('2026-01-01')")
    with Migrator(database, 20) as migrator:
        with pytest.raises(MigrationError, match="only the lake has them"):
            migrator.goto(3)
        assert migrator.record() == Record(5)  # the version that holds it
        rows(database, "DELETE FROM pruned")
        migrator.goto(3)
        assert migrator.record() == Record(3)


def test_failed_file_leaves_the_version_before(empty_database: str, folder: Path) -> None:
    write(folder, "3_bad.up.sql", "CREATE TABLE half (a int); INSERT INTO nowhere VALUES (1)")
    with Migrator(empty_database, 20, load(folder)) as migrator:
        with pytest.raises(MigrationError, match=r'3_bad\.up failed: relation "nowhere" does not exist'):
            migrator.up()
        assert migrator.record() == Record(2)
    assert rows(empty_database, "SELECT to_regclass('half')") == [(None,)]
    assert rows(empty_database, "SELECT name FROM pets") == [("100 % Rex",)]


def test_killed_process_leaves_the_version_before(empty_database: str, folder: Path) -> None:
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


def test_lost_connection_means_unavailable(empty_database: str, folder: Path) -> None:
    write(folder, "3_cut.up.sql", "SELECT pg_terminate_backend(pg_backend_pid())")
    with pytest.raises(StoreUnavailable), Migrator(empty_database, 20, load(folder)) as migrator:
        migrator.up()
    with Migrator(empty_database, 20, load(folder)) as migrator:
        assert migrator.record() == Record(2)


def test_role_without_access_gets_the_reason(database: str) -> None:
    rows(database, "DROP ROLE IF EXISTS stranger; CREATE ROLE stranger LOGIN")
    stranger = psycopg2.extensions.make_dsn(database, user="stranger")
    with pytest.raises(MigrationError, match="refuses: permission denied for table schema_migrations"):
        migrate(stranger, 20)


def test_connection_options_of_the_url_win(database: str) -> None:
    with closing(connect(f"{database}&connect_timeout=7&application_name=mine", 20)) as connection:
        parameters = connection.get_dsn_parameters()
    assert (parameters["connect_timeout"], parameters["application_name"]) == ("7", "mine")


def test_failed_file_without_transaction_leaves_a_dirty_version(empty_database: str, folder: Path) -> None:
    write(folder, "3_index.up.sql", "-- no transaction\nCREATE INDEX CONCURRENTLY pets_name ON pets (name)")
    write(folder, "4_again.up.sql", "-- no transaction\nCREATE INDEX CONCURRENTLY pets_name ON pets (name)")
    with Migrator(empty_database, 20, load(folder)) as migrator:
        migrator.goto(3)
        assert migrator.record() == Record(3)
        with pytest.raises(MigrationError, match="4_again"):
            migrator.up()
        assert migrator.record() == Record(4, dirty=True)


def test_interrupted_file_without_transaction_is_repeated(empty_database: str, folder: Path) -> None:
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
    with pytest.raises(MigrationError, match="two up files for version 2"):
        load(folder)


def test_step_without_a_file_is_refused(empty_database: str, folder: Path) -> None:
    (folder / "2_rex.down.sql").unlink()
    with Migrator(empty_database, 20, load(folder)) as migrator:
        migrator.up()
        with pytest.raises(MigrationError, match="migration 2 has no down file"):
            migrator.down(1)

"""``leaderboard migrate``."""

import pytest

from tests.conftest import NEWEST, rows
from tests.leaderboard.cli.conftest import RunCommand


def test_status_prints_the_version(run: RunCommand) -> None:
    result = run("migrate", "status")
    assert (result.exit_code, result.stdout) == (0, f"version: {NEWEST}\n")


def test_each_step_prints_the_new_version(run: RunCommand, database: str) -> None:
    assert run("migrate", "goto", "2").stdout == "version: 2\n"
    assert run("migrate", "down", "1").stdout == "version: 1\n"
    status = run("migrate", "status")
    assert status.stdout.startswith("version: 1\npending: 2_regions\npending: 3_old_region_tables\n")
    assert run("migrate", "goto", "2").stdout == "version: 2\n"
    assert run("migrate", "up").stdout == f"version: {NEWEST}\n"
    assert rows(database, "SELECT count(*) FROM regions") == [(28,)]


def test_dirty_database_is_refused_until_it_is_forced(run: RunCommand, database: str) -> None:
    rows(database, "UPDATE schema_migrations SET version = 3, dirty = true")
    status = run("migrate", "status").stdout.splitlines()
    assert status[0] == "version: 3 (dirty)"
    assert [line.partition("_")[0] for line in status[1:]] == [f"pending: {number}" for number in range(4, NEWEST + 1)]
    for arguments in (("up",), ("down", "1"), ("goto", "1")):
        result = run("migrate", *arguments)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "dirty at version 3" in result.stderr
    assert run("migrate", "force", "3").stdout.startswith("version: 3\n")
    assert run("migrate", "up").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(("goto", "99"), 1), (("goto", "x"), 2), (("down", "0"), 2), (("down",), 2), (("force", "-5"), 2)],
)
def test_invalid_version_or_number_of_steps_is_refused(run: RunCommand, arguments: tuple[str, ...], code: int) -> None:
    result = run("migrate", *arguments)
    assert result.exit_code == code
    assert "Error: " in result.stderr

"""A user without a home, or unknown to the system, as containers have them, gets a service or one clear line."""

import subprocess
from pathlib import Path

import pytest

from tests.support.commands import LEADERBOARD, Completed, environment
from tests.support.users import UNKNOWN_UID, command_of_user

pytestmark = pytest.mark.slow


def run_as_unknown_user(*arguments: str, **settings: str) -> Completed:
    variables = environment(**settings)
    if "HOME" not in settings:
        del variables["HOME"]
    return subprocess.run(
        command_of_user(UNKNOWN_UID, *LEADERBOARD, *arguments),
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize(
    "arguments",
    [("migrate", "status"), ("scores",), ("export", "scores", "--day", "2026-09-01", "--to", "-", "--format", "csv")],
)
def test_unknown_user_needs_no_home_with_a_database(arguments: tuple[str, ...]) -> None:
    done = run_as_unknown_user(*arguments, POSTGRES="postgresql://u@127.0.0.1:1/x")
    assert (done.returncode, done.stdout) == (75, "")
    assert done.stderr.startswith("Error: the database x at 127.0.0.1:1 is not available: ")
    assert len(done.stderr.splitlines()) == 1


def test_data_folder_of_an_unknown_user_is_that_of_the_system() -> None:
    done = run_as_unknown_user("database", "url")
    assert "host=%2Fvar%2Flib%2Fleaderboard%2Fpostgres" in done.stdout
    assert "requirepeer" not in done.stdout


def test_embedded_server_of_an_unknown_user_is_refused_in_one_line(tmp_path: Path) -> None:
    done = run_as_unknown_user("migrate", "status", DATA_DIR=str(tmp_path / "data"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"Error: PostgreSQL cannot create its data for uid {UNKNOWN_UID}, which is not a user of this system: "
        "run as another user, or set POSTGRES\n"
    )


@pytest.mark.parametrize("home", ["/proc/nonexistent", "/dev/null"])
def test_home_that_cannot_be_used_names_data_dir(home: str) -> None:
    done = run_as_unknown_user("migrate", "status", HOME=home)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Error: DATA_DIR {home}/.local/share/leaderboard cannot be used: ")
    assert len(done.stderr.splitlines()) == 1

"""Commands whose output cannot be written, and input that is not text, end with one line and a code of their own."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.commands import LEADERBOARD, environment, run_leaderboard

pytestmark = pytest.mark.slow

FULL = Path("/dev/full")
SQL = ("sql", "--format", "csv", "FROM range(100000)")
EXPORT = ("export", "scores", "--day", "2026-09-01", "--to", "-", "--format", "csv")


def run_in_shell(script: str, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Runs a line of a shell in which ``"$@"`` is ``leaderboard`` with the arguments."""
    return subprocess.run(
        ["sh", "-c", script, "sh", *LEADERBOARD, *arguments],
        env=environment(LOG_LEVEL="ERROR", **settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("--version",), ("migrate", "status"), ("scores", "--json"), SQL, ("sql", "SELECT 1"), EXPORT],
    ids=" ".join,
)
def test_full_disk_of_the_output_is_one_line_and_exit_code_73(database: str, arguments: tuple[str, ...]) -> None:
    done = run_in_shell('"$@" > /dev/full', *arguments, POSTGRES=database)
    assert done.returncode == 73
    assert done.stderr == "Error: standard output cannot be written: No space left on device\n"


@pytest.mark.parametrize("arguments", [("--version",), ("migrate", "status"), SQL], ids=" ".join)
def test_closed_output_is_one_line_and_exit_code_73(database: str, arguments: tuple[str, ...]) -> None:
    done = run_in_shell('"$@" >&-', *arguments, POSTGRES=database)
    assert (done.returncode, done.stderr) == (73, "Error: standard output cannot be written: Bad file descriptor\n")


@pytest.mark.parametrize("where", ["2>&-", "2>/dev/full", "<&-", "<&- 2>&-"])
def test_streams_that_a_command_does_not_need_may_be_closed_or_full(database: str, where: str) -> None:
    done = run_in_shell(f'"$@" {where}', "migrate", "status", POSTGRES=database)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("version: ")


def test_error_without_standard_error_keeps_its_exit_code() -> None:
    done = run_in_shell('"$@" <&- >&- 2>&-', "migrate", "status", POSTGRES="postgresql://u@127.0.0.1:1/x")
    assert done.returncode == 75


def test_reader_that_ends_early_ends_the_command_without_a_word(database: str) -> None:
    done = run_in_shell('"$@" | head -1', *SQL, POSTGRES=database)
    assert (done.stdout, done.stderr) == ("range\n", "")


def test_input_that_is_not_utf8_is_wrong_usage(database: str) -> None:
    done = run_in_shell('''printf "SELECT '\\377'" | "$@"''', "sql", "-", POSTGRES=database)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (2, "Error: standard input is not UTF-8")


def test_argument_that_is_not_utf8_is_wrong_usage(database: str) -> None:
    done = run_leaderboard("sql", os.fsdecode(b"SELECT '\xff'"), POSTGRES=database)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "Error: an argument is not UTF-8\n")


def test_setting_that_is_not_utf8_is_named() -> None:
    done = run_leaderboard("migrate", "status", SECRET=os.fsdecode(b"\xff"))
    assert (done.returncode, done.stderr) == (1, "Error: SECRET must be UTF-8\n")


def test_library_that_panics_ends_the_command_with_one_sentence(database: str) -> None:
    done = run_leaderboard("scores", POSTGRES=database, POLARS_MAX_THREADS="0")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].startswith("Error: ")
    assert "Traceback (most recent call last)" not in done.stderr

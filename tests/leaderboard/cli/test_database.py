"""``leaderboard database``."""

import subprocess
from pathlib import Path

import psutil
import psycopg2
import pytest

from leaderboard.postgres.embedded import EmbeddedPostgres
from leaderboard.postgres.programs import psql_path
from tests.leaderboard.cli.conftest import RunCommand
from tests.support.commands import LEADERBOARD, environment, run_leaderboard
from tests.support.terminal import Terminal
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow


def test_url_is_that_of_the_settings(run: RunCommand) -> None:
    url = "postgresql://somebody:secret@db.example:6432/x?sslmode=require"
    result = run("database", "url", POSTGRES=url)
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"{url}\n", "")


def test_url_of_the_embedded_database_says_whether_it_runs(data_dir: Path) -> None:
    settings = {"DATA_DIR": str(data_dir), "LOG_LEVEL": "ERROR"}
    postgres = EmbeddedPostgres(data_dir)
    url = postgres.acquire()
    running = run_leaderboard("database", "url", **settings)
    postgres.release()
    stopped = run_leaderboard("database", "url", **settings)
    assert running.stdout == stopped.stdout == f"{url}\n"
    assert running.stderr == ""
    assert stopped.stderr.startswith("the embedded PostgreSQL is not running")


def test_psql_starts_the_embedded_database(data_dir: Path) -> None:
    settings = {"DATA_DIR": str(data_dir), "LOG_LEVEL": "ERROR"}
    done = run_leaderboard("database", "psql", "-At", stdin="SELECT count(*) FROM regions;", **settings)
    assert (done.returncode, done.stdout, done.stderr) == (0, "28\n", "")


def test_psql_passes_arguments_and_exit_code_on(database: str) -> None:
    done = run_leaderboard("database", "psql", "-Atc", "SELECT 1 / 0", POSTGRES=database)
    assert done.returncode == 1
    assert "division by zero" in done.stderr


def test_password_is_not_in_the_process_list(database: str) -> None:
    # the server trusts everybody, and ignores the password
    url = database.replace("postgres@", "postgres:hush@", 1)
    with subprocess.Popen(
        [*LEADERBOARD, "database", "psql", "-At"],
        env=environment(POSTGRES=url),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("SELECT 'connected';\n")
        process.stdin.flush()
        assert process.stdout.readline() == "connected\n"
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children()]
        assert any("psql" in one.name() for one in family)
        assert [one.cmdline() for one in family if "hush" in " ".join(one.cmdline())] == []
        process.stdin.close()
    assert process.returncode == 0


def test_ctrl_c_reaches_psql_alone(database: str) -> None:
    with Terminal("database", "psql", "-X", POSTGRES=database) as terminal:
        terminal.read_until("=# ")
        terminal.type("SELECT pg_sleep(600);\n")
        connection = psycopg2.connect(database)
        # within one transaction pg_stat_activity never changes
        connection.autocommit = True
        with connection.cursor() as cursor:

            def sleeps() -> bool:
                cursor.execute("SELECT FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(600)%'")
                return cursor.rowcount == 1

            eventually(sleeps)
        connection.close()
        terminal.type("\x03")
        terminal.read_until("canceling statement due to user request")
        terminal.type("\\q\n")
        assert terminal.exit_code() == 0


def test_psql_of_the_package_is_used_without_another(database: str, tmp_path: Path) -> None:
    done = run_leaderboard("database", "psql", "--version", POSTGRES=database, PATH=str(tmp_path))
    package = subprocess.run([psql_path(), "--version"], capture_output=True, text=True, check=True)
    assert (done.returncode, done.stdout) == (0, package.stdout)

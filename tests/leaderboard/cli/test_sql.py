"""``leaderboard sql``, as a person and as a script use it."""

import io
import json
import os
import pty
import signal
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import psutil
import pytest

from leaderboard.lake.sync import sync
from queries import PostgresEvents
from tests.conftest import load_events
from tests.support.commands import LEADERBOARD, environment, run_leaderboard

pytestmark = pytest.mark.slow

ADDRESS = "0x" + "a" * 40
RESULT = [datetime(2026, 9, 2, tzinfo=UTC).timestamp(), ADDRESS, "FRA", "transcoding", {"success_rate": 0.5, "x": [1]}]
ENDLESS = "SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def variables(database: str, tmp_path: Path) -> dict[str, str]:
    """The settings of a database with a lake, each with an event that the other has not."""
    load_events(database, [RESULT])
    postgres = PostgresEvents(database)
    sync(postgres, str(tmp_path / "lake"), lambda *_: None)
    postgres.close()
    load_events(database, [RESULT])
    return {"POSTGRES": database, "LAKE_URL": str(tmp_path / "lake"), "COLUMNS": "80"}


@pytest.fixture
def run(variables: dict[str, str]) -> Run:
    """Runs ``leaderboard sql``."""
    return lambda *arguments, **more: run_leaderboard("sql", *arguments, **variables, **more)


def test_a_table_is_printed(run: Run) -> None:
    done = run("SELECT region, count(*) AS n, NULL AS nothing, '[b]' AS text FROM events GROUP BY region")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["region", "n", "nothing", "text"],
        ["FRA", "2", "NULL", "[b]"],
    ]


def test_nothing_of_a_value_is_cut_in_a_pipe(run: Run) -> None:
    assert "x" * 500 in run("SELECT repeat('x', 500)").stdout


def test_the_lake_alone_is_enough(run: Run) -> None:
    done = run("--lake-only", "SELECT count(*) AS n FROM events", "--format", "csv")
    assert (done.returncode, done.stdout) == (0, "n\n1\n")


def test_csv(run: Run) -> None:
    done = run("SELECT id, event_time, '' AS empty, NULL AS nothing, 'a,\"b' AS q FROM events", "--format", "csv")
    assert done.stdout.splitlines() == [
        "id,event_time,empty,nothing,q",
        '1,2026-09-02 00:00:00+00,"",,"a,""b"',
        '2,2026-09-02 00:00:00+00,"",,"a,""b"',
    ]


def test_csv_escapes_formulas_in_text_and_names_but_not_numbers(run: Run) -> None:
    done = run("""SELECT '=1' AS "=x", '＋1' AS y, -1.5 AS z""", "--format", "csv")
    assert done.stdout == "'=x,y,z\n'=1,'＋1,-1.5\n"


def test_json(run: Run) -> None:
    done = run("SELECT id, payload, 'nan'::DOUBLE AS n FROM events ORDER BY id DESC", "--format", "json")
    assert json.loads(done.stdout) == [{"id": id, "payload": RESULT[4], "n": None} for id in (2, 1)]
    assert json.loads(run("FROM events WHERE false", "--format", "json").stdout) == []


def test_parquet_is_nothing_but_parquet(variables: dict[str, str]) -> None:
    done = subprocess.run(
        [*LEADERBOARD, "sql", "SELECT id, success_rate FROM events ORDER BY id", "--format", "parquet"],
        env=environment(**variables),
        capture_output=True,
        timeout=60,
        check=True,
    )
    expected = pl.DataFrame({"id": [1, 2], "success_rate": [0.5, 0.5]})
    assert pl.read_parquet(io.BytesIO(done.stdout)).equals(expected)


def test_parquet_is_not_for_a_terminal(variables: dict[str, str]) -> None:
    leader, terminal = pty.openpty()
    done = subprocess.run(
        [*LEADERBOARD, "sql", "FROM events", "--format", "parquet"],
        env=environment(**variables),
        stdout=terminal,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    os.close(terminal)
    os.close(leader)
    assert done.returncode == 2
    assert b"send it to a file or a pipe" in done.stderr


def test_a_long_table_says_that_it_is_not_all(run: Run) -> None:
    done = run("FROM range(1001)")
    assert len(done.stdout.splitlines()) == 1001
    assert done.stderr == "these are the first 1,000 rows; --format csv prints all\n"
    assert run("FROM range(1000)").stderr == ""


def test_a_statement_comes_from_standard_input(run: Run) -> None:
    done = run("-", "--format", "csv", stdin="CREATE TABLE t AS FROM events;\nSELECT count(*) AS n FROM t;\n")
    assert (done.returncode, done.stdout) == (0, "n\n2\n")


@pytest.mark.parametrize(
    ("statement", "form", "message"),
    [
        ("SELEC 1", "table", "syntax error"),
        ("SELECT nope FROM events", "json", '"nope" not found'),
        ("SELECT 'x'::INTEGER", "parquet", "Could not convert string 'x'"),
        ("COPY events TO '/tmp/leak.csv'", "csv", "disabled by configuration"),
    ],
)
def test_a_mistake_is_one_message(run: Run, statement: str, form: str, message: str) -> None:
    done = run(statement, "--format", form)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("Error: ") <= 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_no_statement_is_told(run: Run) -> None:
    done = run("  ")
    assert done.returncode == 2
    assert "there is no statement" in done.stderr


def test_a_place_that_is_away_is_one_line(run: Run, tmp_path: Path) -> None:
    done = run_leaderboard(
        "sql", "--lake-only", "FROM events", LAKE_URL=str(tmp_path / "none"), POSTGRES="postgresql://x/y"
    )
    assert (done.returncode, done.stdout) == (75, "")
    assert done.stderr.startswith("Error: there is no lake in")
    done = run_leaderboard("sql", "FROM events", POSTGRES="postgresql://u:hush@127.0.0.1:1/x")
    assert done.returncode == 75
    assert len(done.stderr.splitlines()) == 1
    assert "hush" not in done.stderr


def test_ctrl_c_ends_it(variables: dict[str, str]) -> None:
    with subprocess.Popen(
        [*LEADERBOARD, "sql", ENDLESS],
        env=environment(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # in the background of a script it would be out of reach of Ctrl-C
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        try:
            while not busy(process.pid):
                time.sleep(0.1)
            process.send_signal(signal.SIGINT)
            output, words = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 1
    assert output == b""
    assert b"Traceback" not in words


def busy(pid: int) -> bool:
    """Whether a process has used six seconds of a core, which no start takes."""
    return sum(psutil.Process(pid).cpu_times()[:2]) > 6

"""``leaderboard sql``."""

import io
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import psutil
import pytest
from click.testing import Result

from leaderboard.lake.sync import sync
from queries import PostgresEvents
from tests.conftest import load_events
from tests.leaderboard.cli.conftest import RunCommand
from tests.support.commands import LEADERBOARD, environment
from tests.support.terminal import Terminal
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

ADDRESS = "0x" + "a" * 40
RESULT = [datetime(2026, 9, 2, tzinfo=UTC).timestamp(), ADDRESS, "FRA", "transcoding", {"success_rate": 0.5, "x": [1]}]
ENDLESS = "SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b"
MANY_ROWS = "FROM range(100000000000)"


@pytest.fixture
def settings(database: str, tmp_path: Path) -> dict[str, str]:
    """The settings of a database with a lake. One event is in both, and one in the database alone."""
    load_events(database, [RESULT])
    postgres = PostgresEvents(database)
    sync(postgres, str(tmp_path / "lake"), lambda *_: None)
    postgres.close()
    load_events(database, [RESULT])
    return {"POSTGRES": database, "LAKE_URL": str(tmp_path / "lake"), "COLUMNS": "80"}


@pytest.fixture
def run_sql(run: RunCommand, settings: dict[str, str]) -> RunCommand:
    """Runs ``leaderboard sql``."""

    def run_sql(*arguments: str, **more: str) -> Result:
        return run("sql", *arguments, **settings | more)

    return run_sql


@contextmanager
def started(settings: dict[str, str], *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that runs ``leaderboard sql``, which Ctrl-C reaches."""
    # a shell starts background processes with SIGINT ignored, and tests may run in the background
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(
            [*LEADERBOARD, "sql", *arguments],
            env=environment(**settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    finally:
        signal.signal(signal.SIGINT, before)
    with process:
        try:
            yield process
        finally:
            process.kill()


def cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def test_table_shows_null_and_markup_as_they_are(run_sql: RunCommand) -> None:
    result = run_sql("SELECT region, count(*) AS n, NULL AS nothing, '[b]' AS text FROM events GROUP BY region")
    assert (result.exit_code, result.stderr) == (0, "")
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["region", "n", "nothing", "text"],
        ["FRA", "2", "NULL", "[b]"],
    ]


def test_pipe_gets_long_values_whole(run_sql: RunCommand) -> None:
    assert "x" * 500 in run_sql("SELECT repeat('x', 500)").stdout


def test_lake_alone_is_enough(run_sql: RunCommand) -> None:
    options = ("--lake-only", "--format", "csv")
    result = run_sql("SELECT count(*) AS n FROM events", *options, POSTGRES="postgresql://127.0.0.1:1/x")
    assert (result.exit_code, result.stdout) == (0, "n\n1\n")


def test_csv_quotes_and_escapes_formulas(run_sql: RunCommand) -> None:
    statement = "SELECT id, event_time, '' AS empty, NULL AS nothing, 'a,\"b' AS q, '=1+1' AS f, -1 AS n FROM events"
    assert run_sql(statement, "--format", "csv").stdout.splitlines() == [
        "id,event_time,empty,nothing,q,f,n",
        '1,2026-09-02 00:00:00+00,"",,"a,""b",\'=1+1,-1',
        '2,2026-09-02 00:00:00+00,"",,"a,""b",\'=1+1,-1',
    ]


def test_json_is_one_array(run_sql: RunCommand) -> None:
    result = run_sql("SELECT id, payload, 'nan'::DOUBLE AS n FROM events ORDER BY id DESC", "--format", "json")
    assert json.loads(result.stdout) == [{"id": number, "payload": RESULT[4], "n": None} for number in (2, 1)]
    assert json.loads(run_sql("FROM events WHERE false", "--format", "json").stdout) == []


def test_ndjson_has_one_object_on_each_line(run_sql: RunCommand) -> None:
    result = run_sql("SELECT id, payload FROM events ORDER BY id", "--format", "ndjson")
    assert [json.loads(line) for line in result.stdout.splitlines()] == [
        {"id": number, "payload": RESULT[4]} for number in (1, 2)
    ]


def test_parquet_is_nothing_but_parquet(run_sql: RunCommand) -> None:
    result = run_sql("SELECT id, success_rate FROM events ORDER BY id", "--format", "parquet")
    expected = pl.DataFrame({"id": [1, 2], "success_rate": [0.5, 0.5]})
    assert pl.read_parquet(io.BytesIO(result.stdout_bytes)).equals(expected)


def test_terminal_is_refused_parquet(settings: dict[str, str]) -> None:
    with Terminal("sql", "FROM events", "--format", "parquet", **settings) as terminal:
        assert "a terminal cannot show --format parquet" in terminal.read_until("send it to a file or a pipe")
        assert terminal.exit_code() == 2


def test_long_table_says_that_it_is_cut(run_sql: RunCommand) -> None:
    result = run_sql("FROM range(1001)")
    assert len(result.stdout.splitlines()) == 1001
    assert result.stderr == "these are the first 1,000 rows; --format csv prints all\n"
    assert run_sql("FROM range(1000)").stderr == ""


def test_statements_come_from_standard_input(run_sql: RunCommand) -> None:
    text = "CREATE TABLE t AS FROM events;\nSELECT count(*) AS n FROM t;\n"
    result = run_sql("-", "--format", "csv", stdin=text)
    assert (result.exit_code, result.stdout) == (0, "n\n2\n")


@pytest.mark.parametrize(
    ("file_format", "printed"),
    [
        ("csv", "a\n1\n\nb\n2\n"),
        ("json", '[{"a":1}]\n[{"b":2}]\n'),
        ("ndjson", '{"a":1}\n{"b":2}\n'),
        ("table", "a\n1\n\nb\n2\n"),
    ],
)
def test_each_statement_prints_its_result(run_sql: RunCommand, file_format: str, printed: str) -> None:
    result = run_sql("SELECT 1 AS a; SET VARIABLE b = 2; SELECT getvariable('b') AS b", "--format", file_format)
    assert (result.exit_code, result.stdout, result.stderr) == (0, printed, "")


def test_results_before_a_failing_statement_are_printed(run_sql: RunCommand) -> None:
    result = run_sql("SELECT 1 AS a; SELECT nope FROM events; SELECT 3 AS c", "--format", "csv")
    assert result.exit_code == 1
    assert result.stdout.startswith("a\n1\n")
    assert "c" not in result.stdout


def test_parquet_takes_one_result(run_sql: RunCommand) -> None:
    refused = run_sql("SELECT 1 AS a; SELECT 2 AS b", "--format", "parquet")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "one statement that returns rows, not 2" in refused.stderr
    result = run_sql("CREATE TABLE t AS SELECT 1 AS a; FROM t", "--format", "parquet")
    assert pl.read_parquet(io.BytesIO(result.stdout_bytes)).to_dicts() == [{"a": 1}]


@pytest.mark.parametrize(
    ("statement", "file_format", "message"),
    [
        ("SELEC 1", "table", "syntax error"),
        ("SELECT nope FROM events", "json", '"nope" not found'),
        ("SELECT 'x'::INTEGER", "parquet", "Could not convert string 'x'"),
        ("COPY events TO '/tmp/leak.csv'", "csv", "disabled by configuration"),
    ],
)
def test_mistake_is_one_line(run_sql: RunCommand, statement: str, file_format: str, message: str) -> None:
    result = run_sql(statement, "--format", file_format)
    assert (result.exit_code, result.stdout) == (1, "")
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("Error: ")
    assert message in result.stderr


def test_missing_statement_is_wrong_usage(run_sql: RunCommand) -> None:
    empty = run_sql("  ")
    assert (empty.exit_code, "there is no statement" in empty.stderr) == (2, True)
    missing = run_sql()
    assert (missing.exit_code, "STATEMENT is missing" in missing.stderr) == (2, True)


def test_missing_lake_is_one_line(run_sql: RunCommand, tmp_path: Path) -> None:
    result = run_sql("--lake-only", "FROM events", LAKE_URL=str(tmp_path / "none"))
    assert (result.exit_code, result.stdout) == (75, "")
    assert result.stderr.startswith("Error: there is no lake in")
    assert len(result.stderr.splitlines()) == 1


def test_ctrl_c_ends_a_statement_that_computes(settings: dict[str, str]) -> None:
    with started(settings, f"SELECT 1 AS one; {ENDLESS}", "--format", "csv") as process:
        assert process.stdout is not None
        assert process.stdout.read(6) == b"one\n1\n"
        running = psutil.Process(process.pid)
        before = cpu_seconds(running)
        eventually(lambda: cpu_seconds(running) > before + 1, seconds=300)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert b"Traceback" not in errors


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 1), (signal.SIGTERM, 128 + signal.SIGTERM)])
def test_signal_ends_output_to_a_full_pipe(settings: dict[str, str], number: int, code: int) -> None:
    with started(settings, MANY_ROWS, "--format", "csv") as process:
        assert process.stdout is not None
        assert process.stdout.read(6) == b"range\n"
        # it waits for somebody to read more
        running = psutil.Process(process.pid)
        eventually(lambda: running.cpu_percent(interval=0.5) < 5)
        process.send_signal(number)
        assert process.wait(60) == code


def test_closed_pipe_ends_a_statement(settings: dict[str, str]) -> None:
    with started(settings, MANY_ROWS, "--format", "csv") as process:
        assert process.stdout is not None
        assert process.stdout.read(6) == b"range\n"
        process.stdout.close()
        assert process.wait(60) == 1
        assert process.stderr is not None
        assert b"Traceback" not in process.stderr.read()


def test_large_results_are_not_held_in_memory(settings: dict[str, str]) -> None:
    few, many = (
        peak_memory_mib(settings, f"SELECT range, repeat('x', 100) AS text FROM range({count})")
        for count in (10_000, 4_000_000)
    )
    # the larger result has 400 MiB
    assert many - few < 200


def peak_memory_mib(settings: dict[str, str], statement: str) -> float:
    """The largest memory of a process that prints the result of a statement."""
    with started(settings, statement, "--format", "csv") as process:
        assert process.stdout is not None
        while process.stdout.read(1 << 20):
            pass
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss / 1024


class TestPrompt:
    def test_statements_may_take_several_lines(self, settings: dict[str, str]) -> None:
        with Terminal("sql", "--format", "csv", **settings) as terminal:
            terminal.read_until("sql> ")
            terminal.type("SELECT count(*) AS n,\n")
            terminal.read_until("...> ")
            terminal.type("';\n")
            terminal.read_until("...> ")
            terminal.type("' AS text FROM events; SELECT 5 AS five;\n")
            shown = terminal.read_until("sql> ")
            assert 'n,text\n2,";\n"\n\nfive\n5\n' in shown
            terminal.type("\x04")
            assert terminal.exit_code() == 0

    def test_mistake_keeps_the_prompt(self, settings: dict[str, str]) -> None:
        with Terminal("sql", "--format", "csv", **settings) as terminal:
            terminal.read_until("sql> ")
            terminal.type("CREATE TABLE t AS SELECT 7 AS seven;\n")
            terminal.read_until("sql> ")
            terminal.type("SELEC;\n")
            assert "Error: Parser Error: syntax error" in terminal.read_until("sql> ")
            terminal.type("FROM t;\n")
            assert "seven\n7\n" in terminal.read_until("sql> ")
            terminal.type("exit\n")
            assert terminal.exit_code() == 0

    def test_ctrl_c_cancels_what_is_typed(self, settings: dict[str, str]) -> None:
        with Terminal("sql", "--format", "csv", **settings) as terminal:
            terminal.read_until("sql> ")
            terminal.type("SELECT nonsense\n")
            terminal.read_until("...> ")
            terminal.interrupt_until("cancelled")
            terminal.read_until("sql> ")
            terminal.type("SELECT 1 AS one;\n")
            assert "one\n1\n" in terminal.read_until("sql> ")
            terminal.type("\x04")
            assert terminal.exit_code() == 0

    def test_ctrl_c_cancels_a_statement_that_runs(self, settings: dict[str, str]) -> None:
        with Terminal("sql", "--format", "csv", **settings) as terminal:
            terminal.read_until("sql> ")
            process = psutil.Process(terminal.pid)
            before = cpu_seconds(process)
            terminal.type(f"{ENDLESS};\n")
            eventually(lambda: cpu_seconds(process) > before + 2, seconds=300)
            terminal.type("\x03")
            terminal.read_until("cancelled")
            terminal.read_until("sql> ")
            terminal.type("SELECT 1 AS one;\n")
            assert "one\n1\n" in terminal.read_until("sql> ")
            terminal.type("\x04")
            assert terminal.exit_code() == 0

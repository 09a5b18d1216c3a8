"""``leaderboard simulate``."""

import json
from pathlib import Path

import pytest

from queries import open_events
from queries.times import MAX_TIME, MIN_TIME
from tests.conftest import rows
from tests.leaderboard.cli.conftest import RunCommand
from tests.support.terminal import Terminal


def answer_on_a_terminal(answer: str, *arguments: str, **settings: str) -> tuple[int, str]:
    """The exit code and the output of a command that asks a question on its terminal."""
    with Terminal(*arguments, **settings) as terminal:
        shown = terminal.read_until("[y/N]")
        terminal.type(answer)
        shown += terminal.read_to_the_end()
        return terminal.exit_code(), shown


def test_results_are_stored_and_scored(run: RunCommand, database: str) -> None:
    result = run("simulate", "2000", "--days", "2", "--until", "2026-09-01")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "2,000 results stored\n")
    stored = rows(
        database, "SELECT count(*), min(event_time) >= '2026-08-30Z', max(event_time) <= '2026-09-01Z' FROM events"
    )
    assert stored == [(2000, True, True)]
    scored = run("scores", "--since", "2026-08-30T00:00:00Z", "--until", "2026-09-01T00:00:00Z", "--json")
    assert len(json.loads(scored.stdout)) == 100


def test_printed_results_are_those_that_would_be_stored(run: RunCommand, database: str) -> None:
    options = ("simulate", "50", "--until", "1790000000", "--seed", "3")
    run(*options)
    printed = run(*options, "--ndjson", POSTGRES="postgresql://127.0.0.1:1/nothing")
    assert printed.stderr == ""
    stored = [payload for (payload,) in rows(database, "SELECT payload FROM events ORDER BY id")]
    assert len(stored) == 50
    assert [json.loads(line) for line in printed.stdout.splitlines()] == stored


def test_lake_is_written_without_the_database(run: RunCommand, tmp_path: Path) -> None:
    lake, options = str(tmp_path / "lake"), ("--until", "2026-09-01", "--days", "2")
    written = run("simulate", "200", *options, "--lake", lake, POSTGRES="postgresql://127.0.0.1:1/nothing")
    assert (written.exit_code, written.stderr) == (0, f"200 results written to {lake}\n")
    assert open_events(lake).window(MIN_TIME, MAX_TIME).collect().height == 200
    again = run("simulate", "200", *options, "--lake", lake)
    assert again.exit_code == 1
    assert again.stderr == f"Error: there is a lake in {lake} already; simulate to another place\n"


@pytest.mark.parametrize("others", [("--ndjson",), ("--append",)])
def test_lake_excludes_other_places(run: RunCommand, others: tuple[str, ...], tmp_path: Path) -> None:
    result = run("simulate", "1", "--lake", str(tmp_path), *others)
    assert (result.exit_code, [*tmp_path.iterdir()]) == (2, [])


def test_database_with_results_needs_append(run: RunCommand, database: str) -> None:
    run("simulate", "10")
    result = run("simulate", "10")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: the database already holds 10 results; --append adds to them\n"
    assert run("simulate", "10", "--append").exit_code == 0
    assert rows(database, "SELECT count(*) FROM events") == [(20,)]


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "code", "count"), [("y\n", 0, 20), ("n\n", 1, 10), ("\n", 1, 10)])
def test_terminal_is_asked_before_results_are_added(
    run: RunCommand, database: str, answer: str, code: int, count: int
) -> None:
    run("simulate", "10")
    exit_code, shown = answer_on_a_terminal(answer, "simulate", "10", POSTGRES=database)
    assert exit_code == code
    assert "The database already holds 10 results. Add simulated ones to them?" in shown
    assert rows(database, "SELECT count(*) FROM events") == [(count,)]


def test_time_before_the_calendar_begins_is_wrong_usage(run: RunCommand) -> None:
    result = run("simulate", "1", "--until", "0001-01-01T00:00:00Z")
    assert result.exit_code == 2
    assert "there are no 365 days before --until" in result.stderr


def test_unregistered_region_stores_nothing_of_its_batch(run: RunCommand, database: str) -> None:
    rows(database, "DELETE FROM regions WHERE name = 'FRA'")
    result = run("simulate", "1000")
    assert result.exit_code == 1
    assert "region 'FRA' is not registered" in result.stderr
    assert rows(database, "SELECT * FROM events") == []

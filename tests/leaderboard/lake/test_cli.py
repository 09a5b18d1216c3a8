"""``leaderboard lake`` and ``leaderboard prune``, as a person and a scheduler use them."""

import json
import subprocess
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg2
import pytest
from click.testing import CliRunner

from leaderboard.cli import main
from leaderboard.lake.lock import LOCK_ID
from tests.conftest import TEMPLATE, clone, drop, rows
from tests.leaderboard.lake.conftest import ADDRESS, insert, put

DAY = timedelta(days=1)
NOW = datetime.now(UTC)

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(database: str, tmp_path: Path) -> Run:
    """Runs the command, in this process, with the test's database of four days and its lake."""
    put(database, *(NOW - days * DAY for days in range(4)))

    def run(*arguments: str, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        settings = {"POSTGRES": database, "LAKE_URL": str(tmp_path / "lake"), "COLUMNS": "80"} | variables
        done = CliRunner().invoke(main, arguments, input=stdin, env=settings)
        return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)

    return run


def status(run: Run) -> dict[str, object]:
    return json.loads(run("lake", "status", "--json").stdout)


def test_a_sync_says_what_it_did_on_standard_error(run: Run) -> None:
    done = run("lake", "sync")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("4 results written; the lake reaches id 4, as of 20")
    assert run("lake", "sync").stderr.startswith("0 results written; the lake reaches id 4,")


def test_a_sync_beside_another_one_says_so_and_is_no_failure(run: Run, database: str) -> None:
    with closing(psycopg2.connect(database)) as other, other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", (LOCK_ID,))
        done = run("lake", "sync")
        assert (done.returncode, done.stderr) == (0, "nothing done: another process is at work on the lake\n")
        # who asked for more is told that it was not done
        assert run("prune", "--older-than", "2", "--yes").returncode == 75
        assert run("lake", "optimize").returncode == 75
    assert run("lake", "sync").stderr.startswith("4 results written")


def test_the_status_tells_how_far_the_lake_lags(run: Run, database: str) -> None:
    run("lake", "sync")
    latest = datetime.now(UTC)
    put(database, latest, latest)
    told = status(run)
    assert told["watermark"] == told["events"] == 4
    assert told["lag_events"] == 2
    assert 0 <= told["lag_seconds"] < 60
    assert told["files"] >= 1
    assert told["bytes"] > 0
    assert told["pruned_before"] is None
    assert datetime.fromisoformat(told["last_event"]) == latest.replace(microsecond=0)
    text = run("lake", "status").stdout
    assert "watermark      4\n" in text
    assert "pruned before  -\n" in text


@pytest.mark.parametrize("what", [("status",), ("verify",), ("optimize",)])
def test_without_a_lake_it_is_told_how_to_make_one(run: Run, what: tuple[str, ...], tmp_path: Path) -> None:
    done = run("lake", *what)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"Error: there is no lake in {tmp_path / 'lake'}; leaderboard lake sync makes one\n"
    assert not (tmp_path / "lake").exists()


def test_verify_names_the_days_that_differ_and_fails(run: Run, database: str) -> None:
    run("lake", "sync")
    whole = run("lake", "verify")
    assert (whole.returncode, whole.stdout, whole.stderr) == (0, "", "4 days compared, 0 differ\n")
    rows(database, "UPDATE events SET payload = '{}' WHERE id = 2")
    differing = run("lake", "verify")
    assert differing.returncode == 1
    assert differing.stderr == "4 days compared, 1 differ\n"
    assert differing.stdout.split("\n")[1].split() == [str((NOW - DAY).date()), "1", "1", "differ"]
    days = [json.loads(line) for line in run("lake", "verify", "--json").stdout.splitlines()]
    assert [day["same"] for day in days] == [True, True, False, True]
    run("lake", "rebuild")
    assert run("lake", "verify").returncode == 0


def test_optimize_says_what_it_did(run: Run, database: str) -> None:
    run("lake", "sync")
    put(database, NOW, NOW - DAY)
    run("lake", "sync")
    assert "files deleted" in run("lake", "optimize").stderr
    assert run("lake", "optimize", "--keep-hours", "0").returncode == 0
    assert status(run)["events"] == 6


def test_pruning_asks_first(run: Run, database: str) -> None:
    run("lake", "sync")
    asked = run("prune", "--older-than", "2", stdin="n\n")
    assert asked.returncode == 1
    assert asked.stdout == ""
    day = (NOW - 2 * DAY).date()
    assert f"Delete 1 results from before {day} from the database? The lake has them. [y/N]" in asked.stderr
    assert rows(database, "SELECT count(*) FROM events") == [(4,)]
    assert run("prune", "--older-than", "2", stdin="y\n").stderr.endswith("1 results deleted\n")
    assert rows(database, "SELECT count(*) FROM events") == [(3,)]
    assert run("prune", "--older-than", "2", "--yes").stderr == f"nothing to prune before {day}\n"


def test_what_was_pruned_is_still_scored(run: Run) -> None:
    run("lake", "sync")
    before = run("scores", "--since", "1", "--json").stdout
    assert ADDRESS in before
    assert run("prune", "--older-than", "1", "--yes").returncode == 0
    assert run("scores", "--since", "1", "--json").stdout == before
    # the lake knows of it by then, and is read where it can be
    assert status(run)["lag_events"] == 0
    assert run("lake", "verify").returncode == 0


def test_a_day_that_the_lake_does_not_have_whole_is_not_pruned(run: Run, database: str) -> None:
    run("lake", "sync")
    rows(database, "UPDATE events SET payload = '{}' WHERE id = 4")
    done = run("prune", "--older-than", "1", "--yes")
    assert done.returncode == 1
    assert done.stderr == f"Error: the lake differs on {(NOW - 3 * DAY).date()}; leaderboard lake sync mends it\n"
    assert rows(database, "SELECT count(*) FROM events") == [(4,)]


@pytest.mark.parametrize("days", ["0", "-1", "x", "10000000"])
def test_an_age_that_is_none_is_told(run: Run, days: str) -> None:
    done = run("prune", "--older-than", days, "--yes")
    assert done.returncode == 2
    assert "--older-than" in done.stderr


@pytest.mark.parametrize("arguments", [("lake", "sync"), ("lake", "status"), ("prune", "--older-than", "1", "--yes")])
def test_a_database_that_is_away_is_told(run: Run, arguments: tuple[str, ...]) -> None:
    done = run(*arguments, POSTGRES="postgresql://localhost:1/none", DB_TIMEOUT="1")
    assert done.returncode == 75
    assert done.stderr.startswith("Error: ")
    assert "Traceback" not in done.stderr


def test_a_lake_of_another_database_is_refused_until_it_is_adopted(run: Run, database: str, server: str) -> None:
    run("lake", "sync")
    other = clone(server, TEMPLATE, "other_of_lake")
    try:
        put(other, NOW)
        refused = run("lake", "sync", POSTGRES=other)
        assert refused.returncode == 1
        assert "another database" in refused.stderr
        assert "leaderboard lake adopt" in refused.stderr
        assert run("lake", "adopt", POSTGRES=other).returncode == 0
        assert json.loads(run("lake", "status", "--json", POSTGRES=other).stdout)["events"] == 1
    finally:
        drop(server, "other_of_lake")


def test_an_open_transaction_is_waited_for_and_told(run: Run, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leaderboard.lake.settle.MAX_SETTLE_SECONDS", 0.1)
    with closing(psycopg2.connect(database)) as other, other.cursor() as cursor:
        insert(cursor)
        done = run("lake", "sync")
        assert done.returncode == 1
        assert "has been open for" in done.stderr

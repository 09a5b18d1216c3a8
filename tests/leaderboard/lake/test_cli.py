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
from leaderboard.lake.lock import lake_lock_id
from leaderboard.lake.table import LakeTable, SyncPosition
from tests.conftest import TEMPLATE, clone, drop, rows
from tests.leaderboard.lake.conftest import ADDRESS, insert_events, insert_uncommitted
from tests.support.older_lake import make_older

pytestmark = pytest.mark.slow

DAY = timedelta(days=1)
NOW = datetime.now(UTC)

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(database: str, tmp_path: Path) -> Run:
    """Runs the command, in this process, with the test's database of four days and its lake."""
    insert_events(database, *(NOW - days * DAY for days in range(4)))

    def run(*arguments: str, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        settings = {"POSTGRES": database, "LAKE_URL": str(tmp_path / "lake"), "COLUMNS": "80"} | variables
        done = CliRunner().invoke(main, arguments, input=stdin, env=settings)
        return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)

    return run


def status(run: Run) -> dict[str, object]:
    return json.loads(run("lake", "status", "--json").stdout)


def test_sync_prints_its_result_to_stderr(run: Run) -> None:
    done = run("lake", "sync")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("4 results written; the lake reaches id 4, as of 20")
    assert run("lake", "sync").stderr.startswith("0 results written; the lake reaches id 4,")


def test_upgrade_of_an_older_lake_shows_in_status_and_sync(run: Run, tmp_path: Path) -> None:
    run("lake", "sync")
    make_older(tmp_path / "lake")
    figures = status(run)
    assert figures["older_files"] == figures["files"] > 0
    upgraded = f"0 results written, {figures['files']} files of an older release upgraded; the lake reaches id 4,"
    assert run("lake", "sync").stderr.startswith(upgraded)
    assert status(run)["older_files"] == 0
    assert run("lake", "sync").stderr.startswith("0 results written; ")


def test_sync_beside_another_exits_with_0_and_says_so(run: Run, database: str, tmp_path: Path) -> None:
    run("lake", "sync")
    insert_events(database, NOW)
    lock_id = lake_lock_id(LakeTable(str(tmp_path / "lake")).id)
    with closing(psycopg2.connect(database)) as other, other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", (lock_id,))
        done = run("lake", "sync")
        assert (done.returncode, done.stderr) == (0, "nothing done: another process is at work on the lake\n")
        # who asked for more is told that it was not done
        assert run("prune", "--older-than", "2", "--yes").returncode == 75
        assert run("lake", "optimize").returncode == 75
        # the server notices a closed connection some time later
        cursor.execute("SELECT pg_advisory_unlock(%s)", (lock_id,))
    assert run("lake", "sync").stderr.startswith("1 results written")


def test_status_prints_the_figures_of_the_lake(run: Run, database: str, tmp_path: Path) -> None:
    run("lake", "sync")
    figures = status(run)
    assert figures["watermark"] == figures["events"] == 4
    assert figures["files"] == len(list((tmp_path / "lake").rglob("*.parquet")))
    assert figures["bytes"] == sum(file.stat().st_size for file in (tmp_path / "lake").rglob("*.parquet"))
    assert figures["pruned_before"] is None
    assert datetime.fromisoformat(figures["first_event"]) == (NOW - 3 * DAY).replace(microsecond=0)
    assert datetime.fromisoformat(figures["last_event"]) == NOW.replace(microsecond=0)
    text = run("lake", "status").stdout
    assert "watermark      4\n" in text
    assert "pruned before  -\n" in text


def test_status_has_no_lag_if_the_lake_lacks_nothing(run: Run, tmp_path: Path) -> None:
    run("lake", "sync")
    table = LakeTable(str(tmp_path / "lake"))
    synced = table.snapshot()
    yesterday = SyncPosition(synced.watermark, synced.as_of - DAY, synced.database, synced.changes)
    table.commit(table.stage([]), yesterday)
    figures = status(run)
    assert datetime.fromisoformat(figures["as_of"]) < NOW - timedelta(hours=23)
    assert (figures["lag_events"], figures["lag_seconds"]) == (0, 0)


def test_status_lags_by_the_age_of_the_oldest_event_that_the_lake_lacks(run: Run, database: str) -> None:
    run("lake", "sync")
    received = datetime.now(UTC)
    insert_events(database, received - timedelta(minutes=5), received - timedelta(minutes=20), received)
    figures = status(run)
    age = (datetime.now(UTC) - received + timedelta(minutes=20)).total_seconds()
    assert figures["lag_events"] == 3
    assert 20 * 60 <= figures["lag_seconds"] <= round(age)


def test_status_ignores_the_age_of_events_from_the_future(run: Run, database: str) -> None:
    run("lake", "sync")
    insert_events(database, NOW + DAY)
    figures = status(run)
    assert (figures["lag_events"], figures["lag_seconds"]) == (1, 0)


@pytest.mark.parametrize("command", ["status", "verify", "optimize"])
def test_missing_lake_is_an_error_that_says_how_to_make_one(run: Run, command: str, tmp_path: Path) -> None:
    done = run("lake", command)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"Error: there is no lake in {tmp_path / 'lake'}; leaderboard lake sync makes one\n"
    assert not (tmp_path / "lake").exists()


def test_verify_prints_days_that_differ_and_exits_with_1(run: Run, database: str) -> None:
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


def test_optimize_prints_its_result(run: Run, database: str) -> None:
    run("lake", "sync")
    insert_events(database, NOW, NOW - DAY)
    run("lake", "sync")
    assert "files deleted" in run("lake", "optimize").stderr
    assert run("lake", "optimize", "--keep-hours", "0").returncode == 0
    assert status(run)["events"] == 6


def test_prune_asks_before_it_deletes(run: Run, database: str) -> None:
    # far from the bound, which moves at midnight
    insert_events(database, NOW - 40 * DAY)
    run("lake", "sync")
    bounds = {(datetime.now(UTC) - 20 * DAY).date()}
    asked = run("prune", "--older-than", "20", stdin="n\n")
    assert asked.returncode == 1
    assert asked.stdout == ""
    assert rows(database, "SELECT count(*) FROM events") == [(5,)]
    assert run("prune", "--older-than", "20", stdin="y\n").stderr.endswith("1 results deleted\n")
    assert rows(database, "SELECT count(*) FROM events") == [(4,)]
    nothing = run("prune", "--older-than", "20", "--yes").stderr
    bounds.add((datetime.now(UTC) - 20 * DAY).date())
    question = "Delete 1 results from before {} from the database? The lake has them. [y/N]"
    assert any(question.format(day) in asked.stderr for day in bounds)
    assert nothing in {f"nothing to prune before {day}\n" for day in bounds}


def test_pruned_results_still_count_in_scores(run: Run) -> None:
    run("lake", "sync")
    before = run("scores", "--since", "1", "--json").stdout
    assert ADDRESS in before
    assert run("prune", "--older-than", "1", "--yes").returncode == 0
    assert run("scores", "--since", "1", "--json").stdout == before
    # the lake knows of it by then, and is read where it can be
    assert status(run)["lag_events"] == 0
    assert run("lake", "verify").returncode == 0


def test_prune_refuses_days_that_differ(run: Run, database: str) -> None:
    run("lake", "sync")
    rows(database, "UPDATE events SET payload = '{}' WHERE id = 4")
    done = run("prune", "--older-than", "1", "--yes")
    assert done.returncode == 1
    assert done.stderr == f"Error: the lake differs on {(NOW - 3 * DAY).date()}; leaderboard lake sync mends it\n"
    assert rows(database, "SELECT count(*) FROM events") == [(4,)]


@pytest.mark.parametrize("days", ["0", "-1", "x", "10000000"])
def test_invalid_age_is_a_usage_error(run: Run, days: str) -> None:
    done = run("prune", "--older-than", days, "--yes")
    assert done.returncode == 2
    assert "--older-than" in done.stderr


@pytest.mark.parametrize("arguments", [("lake", "sync"), ("lake", "status"), ("prune", "--older-than", "1", "--yes")])
def test_unavailable_database_is_one_sentence(run: Run, arguments: tuple[str, ...]) -> None:
    done = run(*arguments, POSTGRES="postgresql://localhost:1/none", DB_TIMEOUT="1")
    assert done.returncode == 75
    assert done.stderr.startswith("Error: ")
    assert "Traceback" not in done.stderr


def test_lake_of_another_database_must_be_adopted(run: Run, database: str, server: str) -> None:
    run("lake", "sync")
    other = clone(server, TEMPLATE, "other_of_lake")
    try:
        insert_events(other, NOW)
        refused = run("lake", "sync", POSTGRES=other)
        assert refused.returncode == 1
        assert "another database" in refused.stderr
        assert "leaderboard lake adopt" in refused.stderr
        assert run("lake", "adopt", POSTGRES=other).returncode == 0
        assert json.loads(run("lake", "status", "--json", POSTGRES=other).stdout)["events"] == 1
    finally:
        drop(server, "other_of_lake")


def test_sync_names_a_transaction_that_stays_open(run: Run, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leaderboard.lake.settle.MAX_SETTLE_SECONDS", 0.1)
    with closing(psycopg2.connect(database)) as other, other.cursor() as cursor:
        insert_uncommitted(cursor)
        done = run("lake", "sync")
        assert done.returncode == 1
        assert "has been open for" in done.stderr

"""A standby: nothing is settled there, so nothing is exported from it, and the lake never leaves a gap beside it."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg2
import pytest
from psycopg2.extensions import parse_dsn

from leaderboard.export.datasets import EVENTS
from leaderboard.export.runner import ExportProgress, export_dataset
from leaderboard.export.targets import open_target
from queries import HybridEvents, PostgresEvents
from queries.errors import ReadOnlyDatabase, StoreUnavailable
from tests.conftest import rows
from tests.leaderboard.lake.conftest import NOON, Stores, insert_events, insert_uncommitted
from tests.support.commands import run_leaderboard
from tests.support.postgres import StoppablePostgres
from tests.support.standby import Standby

EX_TEMPFAIL = 75
DAY = timedelta(days=1)


def ids(stores: Stores) -> list[int]:
    return stores.hybrid_events()["id"].to_list()


def all_ids(url: str) -> list[int]:
    return [number for (number,) in rows(url, "SELECT id FROM events ORDER BY id")]


def test_commands_that_need_settled_ids_refuse_a_standby(
    stoppable_postgres: StoppablePostgres, standby: Standby, tmp_path: Path
) -> None:
    insert_events(stoppable_postgres.url, NOON)
    standby.wait_for(stoppable_postgres)
    target = tmp_path / "export"
    commands = [
        ("lake", "sync"),
        ("lake", "rebuild"),
        ("lake", "adopt"),
        ("lake", "status"),
        ("lake", "verify"),
        ("lake", "optimize"),
        ("prune", "--older-than", "1", "--yes"),
        ("export", "events", "--to", str(target / "{date}.csv")),
        ("export", "scores", "--to", str(target / "day.csv"), "--day", f"{NOON:%Y-%m-%d}"),
        ("simulate", "10"),
    ]
    lake = tmp_path / "lake"
    for command in commands:
        done = run_leaderboard(*command, POSTGRES=standby.url, LAKE_URL=str(lake))
        assert (command, done.returncode, done.stdout) == (command, EX_TEMPFAIL, "")
        (line,) = done.stderr.strip().splitlines()
        assert "is a standby" in line
        assert "use its primary" in line
    assert not lake.exists()
    assert not target.exists() or list(target.iterdir()) == []


def test_commands_that_only_read_say_how_far_a_standby_reaches(
    stoppable_postgres: StoppablePostgres, standby: Standby
) -> None:
    insert_events(stoppable_postgres.url, NOON)
    standby.wait_for(stoppable_postgres)
    window = ("--since", "2026-09-01", "--until", "2026-09-02")
    of_primary = run_leaderboard("scores", *window, "--json", POSTGRES=stoppable_postgres.url)
    of_standby = run_leaderboard("scores", *window, "--json", POSTGRES=standby.url)
    assert (of_standby.returncode, of_standby.stdout) == (0, of_primary.stdout)
    assert json.loads(of_standby.stdout)
    assert "is a standby with the results committed until" in of_standby.stderr
    assert of_primary.stderr == ""


def test_nothing_is_settled_on_a_standby(stoppable_postgres: StoppablePostgres, standby: Standby) -> None:
    with psycopg2.connect(stoppable_postgres.url) as writer, writer.cursor() as cursor:
        open_id = insert_uncommitted(cursor)
        insert_events(stoppable_postgres.url, NOON)
        standby.wait_for(stoppable_postgres)
        assert all_ids(standby.url) == [open_id + 1]
        events = PostgresEvents(standby.url)
        with pytest.raises(ReadOnlyDatabase, match="is a standby"):
            events.read_writer_snapshot()
        with pytest.raises(ReadOnlyDatabase, match="is a standby"):
            events.oldest_writer_start()
        events.close()
    writer.close()


def test_lake_that_is_newer_than_the_standby_leaves_no_gap_and_no_double(
    stoppable_postgres: StoppablePostgres, standby: Standby, open_stores: Callable[..., Stores]
) -> None:
    primary = open_stores(stoppable_postgres.url)
    insert_events(primary.url, NOON - DAY, NOON)
    primary.sync()
    replica = open_stores(standby.url)
    standby.wait_for(stoppable_postgres)
    assert ids(replica) == ids(primary)

    standby.pause()
    behind = all_ids(standby.url)
    insert_events(primary.url, NOON + DAY, NOON - DAY)
    primary.sync()
    rows(primary.url, f"DELETE FROM events WHERE id = {behind[-1]}")
    assert ids(replica) == behind

    # the primary deletes what the lake has; the standby learns of it later
    rows(primary.url, f"INSERT INTO pruned VALUES ('{NOON:%Y-%m-%d}+00')")
    rows(primary.url, f"DELETE FROM events WHERE event_time < '{NOON:%Y-%m-%d}+00'")
    insert_events(primary.url, NOON - DAY, NOON)
    assert ids(replica) == behind
    standby.resume()
    standby.wait_for(stoppable_postgres)
    expected = sorted({*replica.lake_events(until=NOON.replace(hour=0))["id"].to_list(), *all_ids(standby.url)})
    assert ids(replica) == expected
    assert len(expected) > len(all_ids(standby.url))


def test_events_that_a_failover_lost_are_not_answered_from_the_lake(
    stoppable_postgres: StoppablePostgres, standby: Standby, open_stores: Callable[..., Stores]
) -> None:
    primary = open_stores(stoppable_postgres.url)
    insert_events(primary.url, NOON)
    standby.wait_for(stoppable_postgres)
    standby.stop()
    # more than the 32 ids that a sequence logs ahead, so that the standby gives these ids to other events
    insert_events(primary.url, *[NOON + DAY] * 40, rate=0.25)
    primary.sync()
    stoppable_postgres.stop()
    standby.start()
    standby.promote()

    promoted = open_stores(standby.url)
    assert ids(promoted) == all_ids(standby.url)
    insert_events(standby.url, *[NOON + DAY] * 20, rate=0.75)
    assert ids(promoted) == all_ids(standby.url)
    assert 0.25 not in promoted.success_rates()
    assert promoted.sync().rewritten_days == [(NOON + DAY).date()]
    assert ids(promoted) == all_ids(standby.url)
    assert promoted.lake_events()["id"].to_list() == all_ids(standby.url)
    assert datetime.now(UTC) >= promoted.snapshot().as_of


def test_export_during_a_failover_writes_no_part_of_a_day(
    stoppable_postgres: StoppablePostgres, standby: Standby, tmp_path: Path
) -> None:
    insert_events(stoppable_postgres.url, NOON - DAY, NOON)
    standby.wait_for(stoppable_postgres)
    # libpq takes the first host that is a primary
    folders = [parse_dsn(url)["host"] for url in (standby.url, stoppable_postgres.url)]
    url = f"postgresql://postgres@/leaderboard?host={','.join(folders)}&port=5432,5432"
    source = HybridEvents(PostgresEvents(url))

    def fail_over(progress: ExportProgress) -> None:
        if progress.step == f"exporting {NOON.date()}" and not progress.rows - 1:
            stoppable_postgres.stop()
            standby.promote()

    target = open_target(str(tmp_path / "{date}.csv"), "csv")
    with pytest.raises(StoreUnavailable, match="another server took over"):
        export_dataset(source, EVENTS, target, None, ExportProgress(fail_over))
    assert [file.name for file in tmp_path.iterdir()] == [f"{NOON - DAY:%Y-%m-%d}.csv"]
    export_dataset(source, EVENTS, target, None, ExportProgress())
    assert len(list(tmp_path.iterdir())) == 2
    source.close()

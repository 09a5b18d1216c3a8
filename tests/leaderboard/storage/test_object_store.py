"""A lake and exports work in an object store as they do in a folder."""

import subprocess
import sys
from collections.abc import Iterator

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from leaderboard.lake.sync import Rewrite, SyncOptions, SyncResult, sync
from leaderboard.lake.table import LakeTable
from leaderboard.lake.verify import compare_days
from queries import HybridEvents, LakeEvents, PostgresEvents, StoreUnavailable, collect, connect, open_events
from queries.times import MAX_TIME, MIN_TIME
from tests.conftest import conformance, load_events
from tests.support.commands import environment, run_leaderboard
from tests.support.s3 import BUCKET, S3Server

pytestmark = pytest.mark.slow

EVENTS = conformance("events")["events"]
WRITER_COUNT = 4
RUN_SYNC = """
import sys
from leaderboard.lake.sync import sync
from leaderboard.lake.errors import LakeConflict
from queries import PostgresEvents
postgres = PostgresEvents(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
try:
    print(sync(postgres, sys.argv[2], lambda *_: None).events)
except LakeConflict:
    print("conflict")
"""


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with S3Server() as server:
        yield server


@pytest.fixture
def lake(s3: S3Server, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """The URL of a lake that does not exist yet."""
    for name, value in s3.settings.items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/lakes/{request.node.name}"


@pytest.fixture
def postgres(database: str) -> Iterator[PostgresEvents]:
    events = PostgresEvents(database)
    yield events
    events.close()


def run_sync(postgres: PostgresEvents, lake: str, rewrite: Rewrite = Rewrite.IF_CHANGED) -> SyncResult:
    return sync(postgres, lake, lambda *_: None, SyncOptions(rewrite))


def read_lake(lake: str) -> pl.DataFrame:
    return collect(LakeEvents(lake).window(MIN_TIME, MAX_TIME)).sort("id")


def read_database(postgres: PostgresEvents) -> pl.DataFrame:
    return postgres.window(MIN_TIME, MAX_TIME).collect().sort("id")


def test_each_sync_adds_new_events(postgres: PostgresEvents, database: str, lake: str) -> None:
    load_events(database, EVENTS[:1000])
    assert run_sync(postgres, lake).events == 1000
    assert_frame_equal(read_lake(lake), read_database(postgres))
    load_events(database, EVENTS[1000:1500])
    assert run_sync(postgres, lake).events == 500
    assert run_sync(postgres, lake).events == 0
    assert_frame_equal(read_lake(lake), read_database(postgres))
    assert compare_days(postgres, LakeEvents(lake).require_snapshot(), MIN_TIME, 2**62, lambda *_: None)["same"].all()


def test_rewrite_compact_and_vacuum_keep_the_events(postgres: PostgresEvents, database: str, lake: str) -> None:
    load_events(database, EVENTS[:1000])
    run_sync(postgres, lake)
    run_sync(postgres, lake, Rewrite.ALL)
    load_events(database, EVENTS[1000:1500])
    run_sync(postgres, lake)
    table = LakeTable(lake)
    assert table.compact() > 0
    assert table.vacuum(0) > 0
    assert_frame_equal(read_lake(lake), read_database(postgres))


def test_database_and_lake_read_as_one_source(postgres: PostgresEvents, database: str, lake: str) -> None:
    load_events(database, EVENTS[:1000])
    run_sync(postgres, lake)
    load_events(database, EVENTS[1000:])
    stored = collect(HybridEvents(postgres, LakeEvents(lake)).rows(MIN_TIME, MAX_TIME)).sort("id")
    assert_frame_equal(stored.drop("payload"), read_database(postgres))
    orchestrator, since, until = stored["orchestrator"][0], stored["event_time"].min(), stored["event_time"].max()
    from_lake = collect(LakeEvents(lake).results(orchestrator, since, until, "transcoding")).sort("id")
    from_database = postgres.results(orchestrator, since, until, "transcoding").collect().sort("id")
    assert_frame_equal(from_lake, from_database.filter(pl.col("id").is_in(read_lake(lake)["id"].implode())))


def test_sql_reads_the_lake(postgres: PostgresEvents, database: str, lake: str) -> None:
    load_events(database, EVENTS[:1000])
    run_sync(postgres, lake)
    load_events(database, EVENTS[1000:1010])
    for url, lake_url, count in ((lake, None, 1000), (database, lake, 1010)):
        with connect(url, lake=lake_url) as connection:
            assert connection.sql("SELECT count(*), count(DISTINCT id) FROM events").fetchall() == [(count, count)]
            events = connection.sql("SELECT id, success_rate FROM events ORDER BY id").pl()
        assert_frame_equal(events, read_database(postgres).select("id", "success_rate").head(count))


def test_of_concurrent_syncs_one_wins_and_no_event_is_lost_or_doubled(
    postgres: PostgresEvents, database: str, lake: str, s3: S3Server
) -> None:
    total = 0
    for events in (EVENTS[:1000], EVENTS[1000:1500], EVENTS[1500:1600]):
        load_events(database, events)
        writers = [
            subprocess.Popen(
                [sys.executable, "-c", RUN_SYNC, database, lake],
                env=environment(**s3.settings),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(WRITER_COUNT)
        ]
        for writer in writers:
            assert writer.stdout.readline() == "ready\n"
        for writer in writers:
            writer.stdin.write("\n")
            writer.stdin.flush()
        outputs = [writer.communicate(timeout=60)[0].strip() for writer in writers]
        # a sync that starts late finds nothing left to add
        assert sorted(set(outputs) - {"0", "conflict"}) == [str(len(events))]
        assert outputs.count(str(len(events))) == 1
        total += len(events)
        assert read_lake(lake)["id"].to_list() == read_database(postgres)["id"].to_list()
        assert LakeEvents(lake).require_snapshot().files["events"].sum() == total


def test_exports_to_the_store_are_read_back(postgres: PostgresEvents, database: str, lake: str, s3: S3Server) -> None:
    load_events(database, EVENTS[:1000])
    expected = read_database(postgres).cast({pl.Categorical: pl.String})
    for file_format, to, url in (("parquet", "{date}.parquet", "*.parquet"), ("delta", "table", "table")):
        done = run_leaderboard(
            *("export", "events", "--format", file_format, "--to", f"{lake}/{to}"), POSTGRES=database, **s3.settings
        )
        assert done.returncode == 0, done.stderr
        assert_frame_equal(open_events(f"{lake}/{url}").window(MIN_TIME, MAX_TIME).collect().sort("id"), expected)


def test_unreachable_store_is_unavailable(lake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(StoreUnavailable):
        LakeEvents(lake, timeout=5).snapshot()

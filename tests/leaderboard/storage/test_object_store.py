"""A lake in an object store is as good as one in a folder."""

import subprocess
import sys
from collections.abc import Iterator

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from leaderboard.lake.sync import Rewrite, SyncResult, sync
from leaderboard.lake.table import LakeTable
from leaderboard.lake.verify import compare_days
from queries import HybridEvents, LakeEvents, PostgresEvents, StoreUnavailable, collect, connect, open_events
from queries.times import MAX_TIME, MIN_TIME
from tests.conftest import conformance, load_events
from tests.support.commands import environment, run_leaderboard
from tests.support.s3 import BUCKET, S3Server

pytestmark = pytest.mark.slow

EVENTS = conformance("events")["events"]
WRITERS = 4
WRITE = """
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
    """The URL of a lake that is not there yet."""
    for name, value in s3.settings.items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/lakes/{request.node.name}"


@pytest.fixture
def postgres(database: str) -> Iterator[PostgresEvents]:
    events = PostgresEvents(database)
    yield events
    events.close()


def bring(postgres: PostgresEvents, lake: str, rewrite: Rewrite = Rewrite.IF_CHANGED) -> SyncResult:
    return sync(postgres, lake, lambda *_: None, rewrite)


def of_lake(lake: str) -> pl.DataFrame:
    return collect(LakeEvents(lake).window(MIN_TIME, MAX_TIME)).sort("id")


def of_database(postgres: PostgresEvents) -> pl.DataFrame:
    return postgres.window(MIN_TIME, MAX_TIME).collect().sort("id")


def test_each_sync_adds_what_is_new(postgres: PostgresEvents, database: str, lake: str) -> None:
    load_events(database, EVENTS[:1000])
    assert bring(postgres, lake).events == 1000
    assert_frame_equal(of_lake(lake), of_database(postgres))
    load_events(database, EVENTS[1000:1500])
    assert bring(postgres, lake).events == 500
    assert bring(postgres, lake).events == 0
    assert_frame_equal(of_lake(lake), of_database(postgres))
    assert compare_days(postgres, LakeEvents(lake).require_snapshot(), MIN_TIME, 2**62, lambda *_: None)["same"].all()


def test_days_are_written_anew_compacted_and_cleared_away(postgres: PostgresEvents, database: str, lake: str) -> None:
    load_events(database, EVENTS[:1000])
    bring(postgres, lake)
    bring(postgres, lake, Rewrite.ALL)
    load_events(database, EVENTS[1000:1500])
    bring(postgres, lake)
    table = LakeTable(lake)
    assert table.compact() > 0
    assert table.vacuum(0) > 0
    assert_frame_equal(of_lake(lake), of_database(postgres))


def test_the_database_and_the_lake_are_one_source(postgres: PostgresEvents, database: str, lake: str) -> None:
    load_events(database, EVENTS[:1000])
    bring(postgres, lake)
    load_events(database, EVENTS[1000:])
    stored = collect(HybridEvents(postgres, LakeEvents(lake)).rows(MIN_TIME, MAX_TIME)).sort("id")
    assert_frame_equal(stored.drop("payload"), of_database(postgres))
    orchestrator, since, until = stored["orchestrator"][0], stored["event_time"].min(), stored["event_time"].max()
    ours = collect(LakeEvents(lake).results(orchestrator, since, until, "transcoding")).sort("id")
    theirs = postgres.results(orchestrator, since, until, "transcoding").collect().sort("id")
    assert_frame_equal(ours, theirs.filter(pl.col("id").is_in(of_lake(lake)["id"].implode())))


def test_sql_reads_it(postgres: PostgresEvents, database: str, lake: str) -> None:
    load_events(database, EVENTS[:1000])
    bring(postgres, lake)
    load_events(database, EVENTS[1000:1010])
    for url, of_it, count in ((lake, None, 1000), (database, lake, 1010)):
        with connect(url, lake=of_it) as connection:
            assert connection.sql("SELECT count(*), count(DISTINCT id) FROM events").fetchall() == [(count, count)]
            events = connection.sql("SELECT id, success_rate FROM events ORDER BY id").pl()
        assert_frame_equal(events, of_database(postgres).select("id", "success_rate").head(count))


def test_of_writers_at_once_one_wins_and_no_row_is_lost_or_doubled(
    postgres: PostgresEvents, database: str, lake: str, s3: S3Server
) -> None:
    held = 0
    for events in (EVENTS[:1000], EVENTS[1000:1500], EVENTS[1500:1600]):
        load_events(database, events)
        writers = [
            subprocess.Popen(
                [sys.executable, "-c", WRITE, database, lake],
                env=environment(**s3.settings),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(WRITERS)
        ]
        for writer in writers:
            assert writer.stdout.readline() == "ready\n"
        for writer in writers:
            writer.stdin.write("\n")
            writer.stdin.flush()
        said = [writer.communicate(timeout=60)[0].strip() for writer in writers]
        # a late one finds nothing left to do
        assert sorted(set(said) - {"0", "conflict"}) == [str(len(events))]
        assert said.count(str(len(events))) == 1
        held += len(events)
        assert of_lake(lake)["id"].to_list() == of_database(postgres)["id"].to_list()
        assert LakeEvents(lake).require_snapshot().files["events"].sum() == held


def test_exports_are_read_from_it(postgres: PostgresEvents, database: str, lake: str, s3: S3Server) -> None:
    load_events(database, EVENTS[:1000])
    expected = of_database(postgres).cast({pl.Categorical: pl.String})
    for form, to, url in (("parquet", "{date}.parquet", "*.parquet"), ("delta", "table", "table")):
        done = run_leaderboard(
            *("export", "events", "--format", form, "--to", f"{lake}/{to}"), POSTGRES=database, **s3.settings
        )
        assert done.returncode == 0, done.stderr
        assert_frame_equal(open_events(f"{lake}/{url}").window(MIN_TIME, MAX_TIME).collect().sort("id"), expected)


def test_a_store_that_is_away_is_told(lake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(StoreUnavailable):
        LakeEvents(lake, timeout=5).snapshot()

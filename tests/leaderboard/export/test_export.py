"""Exports as a scheduler runs them: whole or not there, and the same again."""

import csv
import json
import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import psycopg2
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from polars.testing import assert_frame_equal

from leaderboard.cli import main
from leaderboard.export import datasets, runner
from leaderboard.export.datasets import EVENTS, RAW, SCORES, SCORES_BY_DAY, Content
from leaderboard.export.errors import TargetConflict, TargetError
from leaderboard.export.runner import NotYet, Tally, Wanted
from leaderboard.export.targets import target
from leaderboard.lake.sync import sync
from leaderboard.results.completion import whole
from queries import (
    EVENT_SCHEMA,
    EventFilter,
    HybridEvents,
    LakeEvents,
    PostgresEvents,
    StoreUnavailable,
    aggregated_stats,
    score_history,
)
from queries.times import MAX_TIME, MIN_TIME, day_bounds
from tests.conftest import clone, conformance, load_events, rows
from tests.support.commands import LEADERBOARD, environment, run_leaderboard

FORMATS = ("parquet", "csv", "ndjson", "arrow")
AGO = 730 * 86_400
"""Seconds by which the events of the conformance set are brought into the past."""
SINCE, UNTIL = day_bounds(date(2024, 9, 10))[0], day_bounds(date(2024, 9, 16))[1]
WEEK = Wanted(SINCE, UNTIL)
LATEST = UNTIL.timestamp() + 2 * 86_400
DAYS = [f"2024-09-{day}" for day in range(10, 19)]
"""Those that have events."""
ADDRESS = "0x" + "a" * 40
RESULT = {"success_rate": 1, "round_trip_time": 0.7, "seg_duration": 2}
INSERT = "INSERT INTO events (event_time, orchestrator, region_id, payload) VALUES (%s, %s, 1, '{}')"
CONTENTS = pytest.mark.parametrize(
    "content", [EVENTS, RAW, SCORES_BY_DAY, SCORES], ids=["events", "raw", "scores by day", "scores"]
)
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def past(server: str, template: str) -> str:
    """The URL of a database with a hundred events a day from SINCE on, for reading."""
    url = clone(server, template, "exports")
    events = [[moment - AGO, *event] for moment, *event in conformance("events")["events"] if moment - AGO < LATEST]
    load_events(url, events)
    return url


@pytest.fixture
def source(past: str) -> Iterator[HybridEvents]:
    with closing(HybridEvents(PostgresEvents(past))) as source:
        yield source


@pytest.fixture(scope="module")
def lake(past: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A lake with all events of the past."""
    url = str(tmp_path_factory.mktemp("lake") / "events")
    with closing(PostgresEvents(past)) as postgres:
        sync(postgres, url, lambda *_: None)
    return url


@pytest.fixture
def exporting(past: str, tmp_path: Path) -> Run:
    """Runs ``leaderboard export`` with the events of the past, and no lake."""

    def exporting(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return run_leaderboard("export", *arguments, **variables_of(past, tmp_path) | variables)

    return exporting


def variables_of(url: str, folder: Path) -> dict[str, str]:
    return {"POSTGRES": url, "LAKE_URL": str(folder / "no lake"), "COLUMNS": "200"}


def made(source: HybridEvents, content: Content, to: str | Path, form: str, wanted: Wanted | None = WEEK) -> Tally:
    """What an export says of itself."""
    tally = Tally(lambda _: None)
    runner.export(source, content, target(str(to), form), wanted, tally)
    return tally


def read(to: Path, form: str, like: pl.DataFrame) -> pl.DataFrame:
    """What a file or a table has, with the types of a frame."""
    if form == "parquet":
        return pl.read_parquet(to)
    if form == "arrow":
        return pl.read_ipc(to)
    if form == "delta":
        return pl.read_delta(str(to)).select(like.columns).cast(dict(like.schema))
    if form == "ndjson":
        return _typed(pl.read_ndjson(to, infer_schema_length=None), like)
    return _typed(pl.read_csv(to, infer_schema=False), like)


def _typed(found: pl.DataFrame, like: pl.DataFrame) -> pl.DataFrame:
    as_text = {
        pl.Datetime("us", "UTC"): lambda name: pl.col(name).str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_zone="UTC"),
        pl.Date: lambda name: pl.col(name).str.to_date(),
    }
    parsed = found.with_columns(as_text[dtype](name) for name, dtype in like.schema.items() if dtype in as_text)
    return parsed.cast(dict(like.schema))


def sorted_by_all(frame: pl.DataFrame) -> pl.DataFrame:
    keys = [name for name in ("day", "event_time", "id", "job_type", *score_keys()) if name in frame.columns]
    return frame.sort(keys, nulls_last=True)


def score_keys() -> list[str]:
    return ["orchestrator", "region", "pipeline", "model"]


def expected(past: str, content: Content) -> pl.DataFrame:
    """What the week has of it, read from the database at once."""
    with closing(PostgresEvents(past)) as postgres:
        events = postgres.window(SINCE, UNTIL, payload=True).collect().sort("event_time", "id")
    assert events.height > 600
    if content is EVENTS:
        return events.select(list(EVENT_SCHEMA))
    if content is RAW:
        return events.drop("success_rate", "round_trip_time", "seg_duration")
    if content is SCORES:
        events = events.with_columns(event_time=pl.lit(SINCE))
    history = pl.concat(score_history(events, EventFilter(job_type=job_type)) for job_type in ("transcoding", "ai"))
    if content is SCORES_BY_DAY:
        return history.select(pl.col("bucket").dt.date().alias("day"), pl.exclude("bucket"))
    ends = (pl.col("bucket").alias("since"), pl.lit(UNTIL, pl.Datetime("us", "UTC")).alias("until"))
    return history.select(*ends, pl.exclude("bucket"))


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def contents_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class TestContents:
    @CONTENTS
    @pytest.mark.parametrize("form", [*FORMATS, "delta"])
    def test_what_is_written_is_what_the_database_has(
        self, source: HybridEvents, past: str, tmp_path: Path, content: Content, form: str
    ) -> None:
        if form == "delta" and content is SCORES:
            pytest.skip("a table has days")
        if form == "ndjson" and content is RAW:
            pytest.skip("has a test of its own")
        want = expected(past, content)
        assert made(source, content, tmp_path / "it", form).rows == want.height
        found = read(tmp_path / "it", form, want)
        in_order = found if form != "delta" and content not in (SCORES_BY_DAY,) else sorted_by_all(found)
        want = want if in_order is found else sorted_by_all(want)
        assert_frame_equal(in_order, want, abs_tol=1e-9, rel_tol=1e-12)

    def test_a_line_of_raw_results_is_the_result_as_it_is_answered_and_when_it_came(
        self, source: HybridEvents, past: str, tmp_path: Path
    ) -> None:
        made(source, RAW, tmp_path / "raw.ndjson", "ndjson")
        lines = [json.loads(line) for line in (tmp_path / "raw.ndjson").read_bytes().splitlines()]
        stored = expected(past, RAW).select("event_time", "payload", "region", "orchestrator", "job_type").rows()
        assert lines == [
            json.loads(whole(*result)) | {"event_time": f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}"} for moment, *result in stored
        ]

    def test_a_field_of_a_tester_is_not_taken_for_when_the_result_came(self, database: str, tmp_path: Path) -> None:
        theirs = [RESULT | {"event_time": "never"}, RESULT | {"note": 'an "event_time"'}]
        load_events(database, [[1700000000 + n, ADDRESS, "FRA", "transcoding", it] for n, it in enumerate(theirs)])
        with closing(HybridEvents(PostgresEvents(database))) as source:
            made(source, RAW, tmp_path / "raw.ndjson", "ndjson", Wanted(None, day_bounds(date(2024, 1, 1))[1]))
        first, second = map(json.loads, (tmp_path / "raw.ndjson").read_text().splitlines())
        assert first["event_time"] == "2023-11-14T22:13:20.000000Z"
        assert (second["event_time"], second["note"]) == ("2023-11-14T22:13:21.000000Z", 'an "event_time"')

    def test_csv_is_as_its_rfc_has_it(self, source: HybridEvents, past: str, tmp_path: Path) -> None:
        made(source, RAW, tmp_path / "raw.csv", "csv")
        body = (tmp_path / "raw.csv").read_bytes()
        assert body.startswith(b"id,event_time,orchestrator,region,job_type,pipeline,model,payload\r\n")
        assert body.endswith(b"\r\n")
        with (tmp_path / "raw.csv").open(encoding="utf-8", newline="") as file:
            header, *lines = csv.reader(file, strict=True)
        payloads = expected(past, RAW)["payload"].to_list()
        assert [line[header.index("payload")] for line in lines] == payloads

    def test_scores_of_a_window_are_those_that_are_answered(
        self, source: HybridEvents, past: str, tmp_path: Path
    ) -> None:
        made(source, SCORES, tmp_path / "scores.parquet", "parquet")
        exported = pl.read_parquet(tmp_path / "scores.parquet")
        jobs = exported.select("job_type", "pipeline", "model").unique()
        assert jobs.height > 2
        events = source.window(SINCE, UNTIL)
        for job_type, pipeline, model in jobs.iter_rows():
            query = EventFilter(job_type=job_type, pipeline=pipeline, model=model)
            answered = aggregated_stats(events, query).collect()
            of_job = exported.filter(
                pl.col("job_type") == job_type,
                pl.col("pipeline").eq_missing(pipeline),
                pl.col("model").eq_missing(model),
            ).select(answered.columns)
            assert_frame_equal(of_job, answered.cast(dict(of_job.schema)), abs_tol=1e-9)

    def test_a_longer_time_follows_from_the_sums_of_days(self, source: HybridEvents, tmp_path: Path) -> None:
        made(source, SCORES_BY_DAY, tmp_path / "{date}.parquet", "parquet")
        made(source, SCORES, tmp_path / "week.parquet", "parquet")
        keys = ["orchestrator", "region", "job_type", "pipeline", "model"]
        days = pl.read_parquet(tmp_path / "2024-*.parquet").group_by(keys).agg(pl.col("^sum_.*$|^events$").sum())
        week = pl.read_parquet(tmp_path / "week.parquet")
        recomputed = days.with_columns(success_rate=pl.col("sum_success_rate") / pl.col("events"))
        assert_frame_equal(
            sorted_by_all(recomputed.select(*keys, "events", "success_rate")),
            sorted_by_all(week.select(*keys, "events", "success_rate")),
            abs_tol=1e-9,
        )

    @CONTENTS
    def test_much_is_written_in_pieces(
        self, source: HybridEvents, past: str, tmp_path: Path, content: Content, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        two_days = Wanted(SINCE, SINCE + timedelta(days=2))
        made(source, content, tmp_path / "at-once.csv", "csv", two_days)
        monkeypatch.setattr(datasets, "PIECE", 20)
        made(source, content, tmp_path / "pieces.csv", "csv", two_days)
        assert (tmp_path / "pieces.csv").read_bytes() == (tmp_path / "at-once.csv").read_bytes()
        assert len(list(EVENTS.read(source, two_days.since, two_days.until))) > 4

    @CONTENTS
    def test_a_lake_changes_no_byte(self, past: str, tmp_path: Path, content: Content, lake: str) -> None:
        with (
            closing(HybridEvents(PostgresEvents(past))) as without,
            closing(HybridEvents(PostgresEvents(past), LakeEvents(lake))) as with_lake,
        ):
            assert with_lake.lake() is not None
            made(without, content, tmp_path / "without.parquet", "parquet")
            made(with_lake, content, tmp_path / "with.parquet", "parquet")
        assert (tmp_path / "with.parquet").read_bytes() == (tmp_path / "without.parquet").read_bytes()


class TestTheSameAgain:
    @CONTENTS
    @pytest.mark.parametrize("form", FORMATS)
    def test_a_file_is_the_same_to_the_byte(
        self, source: HybridEvents, tmp_path: Path, content: Content, form: str
    ) -> None:
        made(source, content, tmp_path / "it", form)
        first = (tmp_path / "it").read_bytes()
        made(source, content, tmp_path / "it", form)
        assert contents_of(tmp_path) == {"it": first}

    @pytest.mark.parametrize("content", [EVENTS, RAW, SCORES_BY_DAY], ids=["events", "raw", "scores"])
    def test_a_table_has_the_same_rows(self, source: HybridEvents, tmp_path: Path, content: Content) -> None:
        made(source, content, tmp_path / "table", "delta")
        first = sorted_by_all(pl.read_delta(str(tmp_path / "table")))
        made(source, content, tmp_path / "table", "delta", Wanted(*day_bounds(SINCE.date())))
        assert_frame_equal(sorted_by_all(pl.read_delta(str(tmp_path / "table"))), first, check_exact=True)
        assert first["day"].n_unique() == 7

    @pytest.mark.parametrize("form", [*FORMATS, "delta"])
    def test_a_day_is_replaced_by_what_the_database_has_now(self, database: str, tmp_path: Path, form: str) -> None:
        event = [1700000000, ADDRESS, "FRA", "transcoding", RESULT]
        load_events(database, [event, event])
        day = Wanted(*day_bounds(date(2023, 11, 14)))
        to = tmp_path / ("table" if form == "delta" else f"{{date}}.{form}")
        with closing(HybridEvents(PostgresEvents(database))) as source:
            for left in (2, 1, 0):
                rows(database, f"DELETE FROM events WHERE id > {left}")
                assert made(source, EVENTS, to, form, day).rows == left
                if form == "delta":
                    assert pl.read_delta(str(to)).height == left
                elif form == "parquet":
                    assert pq.read_metadata(tmp_path / "2023-11-14.parquet").num_rows == left

    def test_two_at_once_leave_what_one_leaves(self, exporting: Run, past: str, tmp_path: Path) -> None:
        (tmp_path / "alone").mkdir()
        (tmp_path / "both").mkdir()
        assert exporting("raw", "--to", str(tmp_path / "alone" / "{date}.csv")).returncode == 0
        both = [start(past, tmp_path, "raw", "--to", str(tmp_path / "both" / "{date}.csv")) for _ in range(2)]
        assert [process.wait(60) for process in both] == [0, 0]
        assert contents_of(tmp_path / "both") == contents_of(tmp_path / "alone")

    def test_of_two_that_overlap_in_a_table_one_is_to_be_tried_again(
        self, source: HybridEvents, tmp_path: Path
    ) -> None:
        day = day_bounds(date(2024, 9, 12))

        def overlapping() -> Iterator[pl.DataFrame]:
            yield from EVENTS.read(source, *day)
            made(source, EVENTS, tmp_path / "table", "delta", Wanted(*day))

        with pytest.raises(TargetConflict):
            target(str(tmp_path / "table"), "delta").write(overlapping(), day[0].date())
        assert pl.read_delta(str(tmp_path / "table"))["id"].is_unique().all()

    def test_two_at_once_leave_one_table(self, past: str, tmp_path: Path) -> None:
        table = ("events", "--format", "delta", "--to", str(tmp_path / "table"))
        both = [start(past, tmp_path, *table, "--day", "2024-09-12") for _ in range(2)]
        assert sorted(process.wait(60) for process in both) in ([0, 0], [0, 75])
        with closing(HybridEvents(PostgresEvents(past))) as source:
            events = source.window(*day_bounds(date(2024, 9, 12))).collect()
        assert sorted(pl.read_delta(str(tmp_path / "table"))["id"]) == sorted(events["id"])


def start(url: str, folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    variables = environment(**variables_of(url, folder))
    return subprocess.Popen([*LEADERBOARD, "export", *arguments], env=variables, stderr=subprocess.DEVNULL, text=True)


class TestCatchingUp:
    def test_every_day_that_has_events_is_made_once(self, exporting: Run, tmp_path: Path) -> None:
        to = str(tmp_path / "{date}.csv")
        done = exporting("scores", "--by", "day", "--to", to)
        assert (done.returncode, done.stdout) == (0, "")
        assert done.stderr.startswith("scores of 9 days: ")
        assert len(done.stderr.splitlines()) == 1
        assert visible(tmp_path) == [f"{day}.csv" for day in DAYS]
        again = exporting("scores", "--by", "day", "--to", to)
        assert (again.returncode, again.stderr) == (0, f"nothing to do: all whole days are at {to}\n")

    @pytest.mark.parametrize("form", ["csv", "delta"])
    def test_what_is_missing_is_made_and_nothing_else(self, source: HybridEvents, tmp_path: Path, form: str) -> None:
        to = tmp_path / "table" if form == "delta" else tmp_path / "day {date}" / "events.csv"
        week = [
            Wanted(day_bounds(date(2024, 9, 10))[0], UNTIL - timedelta(days=2)),
            Wanted(*day_bounds(date(2024, 9, 17))),
        ]
        assert [made(source, EVENTS, to, form, wanted).days for wanted in week] == [5, 1]
        assert made(source, EVENTS, to, form, None).days == 3
        assert made(source, EVENTS, to, form, None).days == 0

    def test_a_day_without_events_is_made_only_where_it_is_named(self, exporting: Run, tmp_path: Path) -> None:
        done = exporting("events", "--day", "2020-02-29", "--to", str(tmp_path / "{date}.csv"))
        assert (done.returncode, done.stderr[:24]) == (0, "events of 1 day: 0 rows ")
        assert (tmp_path / "2020-02-29.csv").read_bytes() == (",".join(EVENT_SCHEMA) + "\r\n").encode()

    def test_a_month_is_a_file_for_each_of_its_days(self, exporting: Run, tmp_path: Path) -> None:
        done = exporting("raw", "--month", "2024-09", "--to", str(tmp_path / "{date}" / "raw.ndjson"))
        assert (done.returncode, len(visible(tmp_path))) == (0, 30)
        lines = [len((tmp_path / day / "raw.ndjson").read_bytes().splitlines()) for day in DAYS]
        assert f"raw of 30 days: {sum(lines):,} rows" in done.stderr
        assert min(lines) > 0

    def test_a_month_is_one_file_where_its_name_has_no_date(self, exporting: Run, past: str, tmp_path: Path) -> None:
        done = exporting("events", "--month", "2024-09", "--to", str(tmp_path / "september.parquet"))
        assert done.returncode == 0
        ids = pl.read_parquet(tmp_path / "september.parquet")["id"].sort().to_list()
        assert [(id_,) for id_ in ids] == rows(past, "SELECT id FROM events ORDER BY id")

    def test_today_is_left_for_later(self, database: str, tmp_path: Path) -> None:
        load_events(database, [[moment, ADDRESS, "FRA", "transcoding", RESULT] for moment in (1700000000, time.time())])
        with closing(HybridEvents(PostgresEvents(database))) as source:
            assert made(source, EVENTS, tmp_path / "{date}.csv", "csv", None).days == 1
            before = datetime.now(UTC).date() - timedelta(days=2)
            with pytest.raises(NotYet, match="is not over"):
                made(source, EVENTS, tmp_path / "{date}.csv", "csv", Wanted(day_bounds(before)[0], MAX_TIME))
        assert f"{before}.csv" in visible(tmp_path)
        assert len(visible(tmp_path)) <= 3
        assert f"{datetime.now(UTC).date()}.csv" not in visible(tmp_path)

    def test_a_writer_that_began_before_midnight_holds_back_the_day_before(
        self, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = datetime.now(UTC)
        yesterday = now.date() - timedelta(days=1)
        day_before, late = day_bounds(yesterday - timedelta(days=1))[0], day_bounds(yesterday)[1]
        to = tmp_path / "{date}.csv"
        with (
            closing(HybridEvents(PostgresEvents(database))) as source,
            closing(psycopg2.connect(database)) as writer,
            writer.cursor() as cursor,
        ):
            load_events(
                database,
                [
                    [it.timestamp() + 60, ADDRESS, "FRA", "transcoding", RESULT]
                    for it in (day_before, day_bounds(yesterday)[0])
                ],
            )
            cursor.execute(INSERT, (late, ADDRESS))
            time.sleep(0.1)
            # as if midnight had been just now, after that transaction began
            monkeypatch.setattr(runner, "GRACE", datetime.now(UTC) - day_bounds(now.date())[0])
            assert made(source, EVENTS, to, "csv", None).days == 1
            assert visible(tmp_path) == [f"{day_before.date()}.csv"]
            with pytest.raises(NotYet):
                made(source, EVENTS, to, "csv", Wanted(*day_bounds(yesterday)))
            writer.commit()
            assert made(source, EVENTS, to, "csv", None).rows == 2
        assert late.strftime("%H:%M:%S.%f") in (tmp_path / f"{yesterday}.csv").read_text()

    def test_a_writer_whose_beginning_is_not_to_be_seen_holds_back_everything(
        self, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rows(database, "CREATE ROLE reader LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
        monkeypatch.setattr("leaderboard.lake.sync.PATIENCE", 0.2)
        load_events(database, [[1700000000, ADDRESS, "FRA", "transcoding", RESULT]])
        try:
            with (
                closing(HybridEvents(PostgresEvents(database.replace("postgres@", "reader@")))) as source,
                closing(psycopg2.connect(database)) as writer,
                writer.cursor() as cursor,
            ):
                cursor.execute(INSERT, (datetime.now(UTC), ADDRESS))
                with pytest.raises(NotYet, match="a transaction that writes events has been open"):
                    made(source, EVENTS, tmp_path / "{date}.csv", "csv", None)
                writer.commit()
                assert made(source, EVENTS, tmp_path / "{date}.csv", "csv", None).days == 1
        finally:
            rows(database, "DROP OWNED BY reader; DROP ROLE reader")

    def test_days_are_those_of_utc_wherever_the_database_is(self, database: str) -> None:
        moments = [
            datetime(2024, 3, 10, 23, 59, 59, tzinfo=UTC),
            datetime(2024, 3, 12, tzinfo=UTC),
            datetime(2024, 11, 3, 4, 30, tzinfo=UTC),
        ]
        load_events(database, [[it.timestamp(), ADDRESS, "FRA", "transcoding", RESULT] for it in moments])
        rows(database, INSERT % ("'infinity'", f"'{ADDRESS}'"))
        name = database.rpartition("/")[2].partition("?")[0]
        rows(database, f"ALTER DATABASE {name} SET timezone = 'America/New_York'")
        with closing(HybridEvents(PostgresEvents(database))) as source:
            assert source.days(MIN_TIME, MAX_TIME) == [it.date() for it in moments]
            assert source.days(*day_bounds(date(2024, 3, 11))) == []

    def test_days_that_are_in_the_lake_alone_are_made_as_well(self, database: str, tmp_path: Path) -> None:
        moments = (1700000000, 1700000000 + 86_400)
        load_events(database, [[moment, ADDRESS, "FRA", "transcoding", RESULT] for moment in moments])
        lake = str(tmp_path / "lake")
        with (
            closing(PostgresEvents(database)) as postgres,
            closing(HybridEvents(postgres, LakeEvents(lake))) as source,
        ):
            sync(postgres, lake, lambda *_: None)
            rows(
                database,
                "INSERT INTO pruned VALUES ('2023-11-15Z'); DELETE FROM events WHERE event_time < '2023-11-15Z'",
            )
        with closing(HybridEvents(PostgresEvents(database), LakeEvents(lake))) as source:
            assert made(source, RAW, tmp_path / "out" / "{date}.ndjson", "ndjson", None).days == 2
        with closing(HybridEvents(PostgresEvents(database))) as source, pytest.raises(StoreUnavailable):
            made(source, RAW, tmp_path / "other" / "{date}.ndjson", "ndjson", None)


class TestWhatGoesWrong:
    def test_one_that_is_killed_leaves_no_part_and_the_next_one_completes(
        self, exporting: Run, past: str, tmp_path: Path
    ) -> None:
        folder = tmp_path / "out"
        folder.mkdir()
        to = str(folder / "{date}.parquet")
        process = start(past, tmp_path, "raw", "--to", to)
        while not list(folder.glob(".*.partial")):
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        left = visible(folder)
        assert len(left) < 9
        for name in left:
            pl.read_parquet(folder / name)
        assert list(folder.glob(".*.partial"))
        assert exporting("raw", "--to", to).returncode == 0
        assert sorted(os.listdir(folder)) == [f"{day}.parquet" for day in DAYS]

    @pytest.mark.parametrize("form", [*FORMATS, "delta"])
    def test_a_full_disk_leaves_what_was_there(self, past: str, tmp_path: Path, form: str) -> None:
        folder = tmp_path / "out"
        place = ["--to", str(folder / ("table" if form == "delta" else f"it.{form}"))]
        place += ["--format", form, "--since", "2024-09-10", "--until", "2024-09-16"]
        variables = environment(**variables_of(past, tmp_path))
        done = subprocess.run(
            [*LEADERBOARD, "export", "raw", *place],
            # what measures the coverage would find the disk full as well
            env={name: value for name, value in variables.items() if not name.startswith("COVERAGE")},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
        )
        assert done.returncode == 73, done.stderr
        assert "cannot be written" in done.stderr
        assert "Traceback" not in done.stderr
        if form == "delta":
            assert run_leaderboard("export", "raw", *place, **variables_of(past, tmp_path)).returncode == 0
            assert pl.read_delta(str(folder / "table"))["day"].n_unique() == 7
        else:
            assert os.listdir(folder) == []

    @pytest.mark.parametrize("form", ["csv", "delta"])
    def test_a_place_that_cannot_be_written_to_is_one_line(self, exporting: Run, tmp_path: Path, form: str) -> None:
        (tmp_path / "file").write_text("x")
        to = str(tmp_path / "file" / "{date}.csv").replace("{date}", "day" if form == "delta" else "{date}")
        done = exporting("events", "--format", form, "--to", to)
        assert (done.returncode, len(done.stderr.splitlines())) == (73, 1)
        assert done.stderr.startswith(f"Error: {to} cannot be")

    def test_a_table_of_something_else_is_left_as_it_is(self, source: HybridEvents, tmp_path: Path) -> None:
        made(source, SCORES_BY_DAY, tmp_path / "table", "delta")
        before = pl.read_delta(str(tmp_path / "table"))
        with pytest.raises(TargetError):
            made(source, RAW, tmp_path / "table", "delta")
        assert_frame_equal(pl.read_delta(str(tmp_path / "table")), before)

    @pytest.mark.parametrize(
        ("arguments", "named"),
        [
            (("--to", "ftp://x/{date}.csv"), "--to"),
            (("--to", "x/{day}.csv"), "--to"),
            (("--to", "/tmp/{date}/"), "--format"),
            (("--to", "/tmp/{date}/", "--format", "csv"), "--to"),
            (("--to", "/tmp", "--format", "csv", "--day", "2024-09-10"), "--to"),
            (("--to", "s3://bucket", "--format", "csv", "--day", "2024-09-10"), "--to"),
            (("--to", "/tmp/{date}", "--format", "delta"), "--to"),
            (("--to", "x/{date}"), "--format"),
            (("--to", "x.csv"), "--to"),
            (("--day", "2024-09-10"), "--to"),
            (("--to", "x/{date}.csv", "--format", "xls"), "--format"),
            (("--to", "x.csv", "--day", "2024-02-30"), "--day"),
            (("--to", "x.csv", "--day", "yesterday"), "--day"),
            (("--to", "x.csv", "--month", "2024-13"), "--month"),
            (("--to", "x.csv", "--month", "2024-9"), "--month"),
            (("--to", "x.csv", "--day", "2024-09-10", "--month", "2024-09"), "--month"),
            (("--to", "x.csv", "--day", "2024-09-10", "--since", "2024-09-01"), "--since"),
            (("--to", "x.csv", "--since", "2024-09-31"), "--since"),
            (("--to", "x.csv", "--since", "1e99"), "--since"),
            (("--to", "x.csv", "--since", "2024-09-02", "--until", "2024-09-01"), "--until"),
            (("--to", "x/{date}.csv", "--since", "2024-09-02T12:00:00Z"), "--since"),
            (("--to", "x/{date}.csv", "--since", "2024-09-02", "--until", "2024-09-03T00:00:00Z"), "--until"),
        ],
    )
    def test_what_cannot_be_meant_names_its_option(
        self, arguments: tuple[str, ...], named: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        done = CliRunner().invoke(main, ["export", "events", *arguments])
        assert done.exit_code == 2, done.output
        assert named in done.stderr.splitlines()[-1]

    def test_scores_in_a_table_are_by_day(self) -> None:
        done = CliRunner().invoke(main, ["export", "scores", "--format", "delta", "--to", "x"])
        assert (done.exit_code, "--by day" in done.stderr) == (2, True)

    def test_a_database_that_is_away_is_to_be_tried_again(self, exporting: Run, tmp_path: Path) -> None:
        done = exporting("events", "--to", str(tmp_path / "{date}.csv"), POSTGRES="postgresql://127.0.0.1:1/x")
        assert (done.returncode, len(done.stderr.splitlines())) == (75, 1)
        assert visible(tmp_path) == []

    def test_a_database_that_is_too_slow_is_to_be_tried_again(
        self, exporting: Run, database: str, tmp_path: Path
    ) -> None:
        with closing(psycopg2.connect(database)) as other, other.cursor() as cursor:
            cursor.execute("LOCK TABLE regions")
            load = ("events", "--day", "2024-09-10", "--to", str(tmp_path / "{date}.csv"))
            done = exporting(*load, POSTGRES=database, DB_TIMEOUT="0.5")
        assert (done.returncode, len(done.stderr.splitlines())) == (75, 1)
        assert os.listdir(tmp_path) == []

    def test_a_day_that_is_not_over_is_to_be_tried_again(self, exporting: Run, tmp_path: Path) -> None:
        today = datetime.now(UTC).date()
        for to in ("{date}.csv", "one.csv"):
            done = exporting("events", "--day", f"{today}", "--to", str(tmp_path / to))
            assert (done.returncode, len(done.stderr.splitlines())) == (75, 1)
            assert "not over" in done.stderr or "not past" in done.stderr
        assert visible(tmp_path) == []

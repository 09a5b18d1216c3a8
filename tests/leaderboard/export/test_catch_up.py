"""Which days an export makes, and that it waits for events that are not committed yet."""

import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import psycopg2
import pytest

from leaderboard.export.datasets import EVENTS, RAW_RESULTS
from leaderboard.export.errors import IncompletePeriod
from leaderboard.export.runner import ExportPeriod, ExportProgress, export_dataset
from leaderboard.export.targets import open_target
from leaderboard.lake.sync import sync
from queries import EVENT_SCHEMA, HybridEvents, LakeEvents, PostgresEvents, StoreUnavailable
from queries.times import MAX_TIME, MIN_TIME, day_bounds
from tests.conftest import load_events, rows
from tests.support.exports import ADDRESS, DAYS, RESULT, UNTIL, RunExport, export_to, visible_names

INSERT = "INSERT INTO events (event_time, orchestrator, region_id, payload) VALUES (%s, %s, 1, '{}')"


def test_catch_up_makes_every_day_with_events_once(run_export: RunExport, tmp_path: Path) -> None:
    to = str(tmp_path / "{date}.csv")
    done = run_export("scores", "--by", "day", "--to", to)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.splitlines()[-1].startswith("scores (formula 2) of 9 days: ")
    assert visible_names(tmp_path) == [f"{day}.csv" for day in DAYS]
    again = run_export("scores", "--by", "day", "--to", to)
    assert (again.returncode, again.stderr.splitlines()[-1]) == (0, f"nothing to do: all whole days are at {to}")


@pytest.mark.parametrize("file_format", ["csv", "delta"])
def test_catch_up_makes_only_missing_days(source: HybridEvents, tmp_path: Path, file_format: str) -> None:
    to = tmp_path / "table" if file_format == "delta" else tmp_path / "day {date}" / "events.csv"
    periods = [
        ExportPeriod(day_bounds(date(2024, 9, 10))[0], UNTIL - timedelta(days=2)),
        ExportPeriod(*day_bounds(date(2024, 9, 17))),
    ]
    assert [export_to(source, EVENTS, to, file_format, period).days_done for period in periods] == [5, 1]
    assert export_to(source, EVENTS, to, file_format, None).days_done == 3
    assert export_to(source, EVENTS, to, file_format, None).days_done == 0


def test_catch_up_reports_each_step_day_and_chunk(source: HybridEvents, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int, int]] = []
    progress = ExportProgress(lambda now: seen.append((now.step, now.days_done, now.days_total, now.rows)))
    export_dataset(source, EVENTS, open_target(str(tmp_path / "{date}.csv"), "csv"), None, progress)
    assert seen[:3] == [
        ("waiting for open transactions", 0, 0, 0),
        ("looking for days", 0, 0, 0),
        (f"exporting {DAYS[0]}", 0, len(DAYS), 0),
    ]
    steps = [step for step, done, _, _ in seen if step == f"exporting {DAYS[done % len(DAYS)]}"]
    assert list(dict.fromkeys(steps)) == [f"exporting {day}" for day in DAYS]
    assert seen[-1] == (f"exporting {DAYS[-1]}", len(DAYS), len(DAYS), progress.rows)
    counts = [row_count for *_, row_count in seen]
    assert counts == sorted(counts)
    assert len(set(counts)) == 1 + len(DAYS)


@pytest.mark.parametrize("name", ["{date}.csv", "all.csv"])
def test_step_is_told_before_its_events_are_read(source: HybridEvents, tmp_path: Path, name: str) -> None:
    progress = ExportProgress(lambda _: None)
    steps = []

    def read_span(events: HybridEvents, since: datetime, until: datetime) -> pl.LazyFrame:
        steps.append(progress.step)
        return events.window(since, until)

    dataset = replace(EVENTS, read_span=read_span)
    export_dataset(source, dataset, open_target(str(tmp_path / name), "csv"), ExportPeriod(None, UNTIL), progress)
    assert len(steps) > 0
    assert all(step.startswith("exporting ") for step in steps)


def test_named_day_without_events_is_made(run_export: RunExport, tmp_path: Path) -> None:
    done = run_export("events", "--day", "2020-02-29", "--to", str(tmp_path / "{date}.csv"))
    assert done.returncode == 0
    assert done.stderr.splitlines()[-1].startswith("events of 1 day: 0 rows ")
    assert (tmp_path / "2020-02-29.csv").read_bytes() == (",".join(EVENT_SCHEMA) + "\r\n").encode()


def test_month_is_one_file_per_day(run_export: RunExport, tmp_path: Path) -> None:
    done = run_export("raw", "--month", "2024-09", "--to", str(tmp_path / "{date}" / "raw.ndjson"))
    assert (done.returncode, len(visible_names(tmp_path))) == (0, 30)
    lines = [len((tmp_path / day / "raw.ndjson").read_bytes().splitlines()) for day in DAYS]
    assert f"raw of 30 days: {sum(lines):,} rows" in done.stderr
    assert min(lines) > 0


def test_month_is_one_file_without_date_in_its_name(run_export: RunExport, past: str, tmp_path: Path) -> None:
    done = run_export("events", "--month", "2024-09", "--to", str(tmp_path / "september.parquet"))
    assert done.returncode == 0
    ids = pl.read_parquet(tmp_path / "september.parquet")["id"].sort().to_list()
    assert [(id_,) for id_ in ids] == rows(past, "SELECT id FROM events ORDER BY id")


def test_today_is_left_for_later(database: str, tmp_path: Path) -> None:
    load_events(database, [[moment, ADDRESS, "FRA", "transcoding", RESULT] for moment in (1700000000, time.time())])
    with closing(HybridEvents(PostgresEvents(database))) as source:
        assert export_to(source, EVENTS, tmp_path / "{date}.csv", "csv", None).days_done == 1
        day_before_yesterday = datetime.now(UTC).date() - timedelta(days=2)
        period = ExportPeriod(day_bounds(day_before_yesterday)[0], MAX_TIME)
        with pytest.raises(IncompletePeriod, match="is not over"):
            export_to(source, EVENTS, tmp_path / "{date}.csv", "csv", period)
    assert f"{day_before_yesterday}.csv" in visible_names(tmp_path)
    assert len(visible_names(tmp_path)) <= 3
    assert f"{datetime.now(UTC).date()}.csv" not in visible_names(tmp_path)


def test_open_transaction_from_before_midnight_holds_back_the_day(database: str, tmp_path: Path) -> None:
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
                [midnight.timestamp() + 60, ADDRESS, "FRA", "transcoding", RESULT]
                for midnight in (day_before, day_bounds(yesterday)[0])
            ],
        )
        cursor.execute(INSERT, (late, ADDRESS))
        # as if midnight had been just now, after that transaction began
        margin_seconds = (datetime.now(UTC) - day_bounds(now.date())[0]).total_seconds()
        assert export_to(source, EVENTS, to, "csv", None, margin_seconds=margin_seconds).days_done == 1
        assert visible_names(tmp_path) == [f"{day_before.date()}.csv"]
        period = ExportPeriod(*day_bounds(yesterday))
        with pytest.raises(IncompletePeriod):
            export_to(source, EVENTS, to, "csv", period, margin_seconds=margin_seconds)
        writer.commit()
        assert export_to(source, EVENTS, to, "csv", None, margin_seconds=margin_seconds).rows == 2
    assert late.strftime("%H:%M:%S.%f") in (tmp_path / f"{yesterday}.csv").read_text()


def test_writer_of_unknown_age_holds_back_everything(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows(database, "CREATE ROLE reader LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
    monkeypatch.setattr("leaderboard.lake.settle.MAX_SETTLE_SECONDS", 0.2)
    load_events(database, [[1700000000, ADDRESS, "FRA", "transcoding", RESULT]])
    try:
        with (
            closing(HybridEvents(PostgresEvents(database.replace("postgres@", "reader@")))) as source,
            closing(psycopg2.connect(database)) as writer,
            writer.cursor() as cursor,
        ):
            cursor.execute(INSERT, (datetime.now(UTC), ADDRESS))
            with pytest.raises(IncompletePeriod, match="a transaction that writes events has been open"):
                export_to(source, EVENTS, tmp_path / "{date}.csv", "csv", None)
            writer.commit()
            assert export_to(source, EVENTS, tmp_path / "{date}.csv", "csv", None).days_done == 1
    finally:
        rows(database, "DROP OWNED BY reader; DROP ROLE reader")


def test_days_are_utc_days_in_any_time_zone_of_the_database(database: str) -> None:
    moments = [
        datetime(2024, 3, 10, 23, 59, 59, tzinfo=UTC),
        datetime(2024, 3, 12, tzinfo=UTC),
        datetime(2024, 11, 3, 4, 30, tzinfo=UTC),
    ]
    load_events(database, [[moment.timestamp(), ADDRESS, "FRA", "transcoding", RESULT] for moment in moments])
    rows(database, INSERT % ("'infinity'", f"'{ADDRESS}'"))
    name = database.rpartition("/")[2].partition("?")[0]
    rows(database, f"ALTER DATABASE {name} SET timezone = 'America/New_York'")
    with closing(HybridEvents(PostgresEvents(database))) as source:
        assert source.days(MIN_TIME, MAX_TIME) == [moment.date() for moment in moments]
        assert source.days(*day_bounds(date(2024, 3, 11))) == []


def test_days_that_only_the_lake_has_are_made(database: str, tmp_path: Path) -> None:
    moments = (1700000000, 1700000000 + 86_400)
    load_events(database, [[moment, ADDRESS, "FRA", "transcoding", RESULT] for moment in moments])
    lake = str(tmp_path / "lake")
    with closing(PostgresEvents(database)) as postgres:
        sync(postgres, lake, lambda *_: None)
        rows(
            database,
            "INSERT INTO pruned VALUES ('2023-11-15Z'); DELETE FROM events WHERE event_time < '2023-11-15Z'",
        )
    with closing(HybridEvents(PostgresEvents(database), LakeEvents(lake))) as source:
        to = tmp_path / "out" / "{date}.ndjson"
        assert export_to(source, RAW_RESULTS, to, "ndjson", None).days_done == 2
    with closing(HybridEvents(PostgresEvents(database))) as source, pytest.raises(StoreUnavailable):
        export_to(source, RAW_RESULTS, tmp_path / "other" / "{date}.ndjson", "ndjson", None)

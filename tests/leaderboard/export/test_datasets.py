"""An export has the rows of the database, in every format."""

import csv
import json
from contextlib import closing
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from leaderboard.export.datasets import EVENTS, RAW_RESULTS, Dataset
from leaderboard.export.runner import ExportPeriod
from leaderboard.export.targets import open_target
from leaderboard.lake.sync import sync
from leaderboard.results.completion import complete
from queries import EventFilter, HybridEvents, LakeEvents, PostgresEvents, aggregated_stats
from queries.times import day_bounds
from tests.conftest import load_events
from tests.support.exports import (
    ADDRESS,
    ALL_FORMATS,
    DAILY_SCORES,
    KEYS,
    RESULT,
    SCORES,
    SINCE,
    UNTIL,
    every_dataset,
    export_to,
    read_back,
    read_week,
    sort_rows,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def lake(past: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A lake with all events of the past."""
    url = str(tmp_path_factory.mktemp("lake") / "events")
    with closing(PostgresEvents(past)) as postgres:
        sync(postgres, url, lambda *_: None)
    return url


@every_dataset
@pytest.mark.parametrize("file_format", ALL_FORMATS)
def test_export_has_the_rows_of_the_database(
    source: HybridEvents, past: str, tmp_path: Path, dataset: Dataset, file_format: str
) -> None:
    if file_format == "delta" and dataset is SCORES:
        pytest.skip("a table is written by day")
    if file_format == "ndjson" and dataset is RAW_RESULTS:
        pytest.skip("raw results as NDJSON have a test of their own")
    expected = read_week(past, dataset)
    assert export_to(source, dataset, tmp_path / "out", file_format).rows == expected.height
    found = read_back(tmp_path / "out", file_format, expected)
    if file_format == "delta" or dataset is DAILY_SCORES:
        found, expected = sort_rows(found), sort_rows(expected)
    assert_frame_equal(found, expected, abs_tol=1e-9, rel_tol=1e-12)


def test_line_of_raw_ndjson_is_the_answered_result_and_its_event_time(
    source: HybridEvents, past: str, tmp_path: Path
) -> None:
    export_to(source, RAW_RESULTS, tmp_path / "raw.ndjson", "ndjson")
    lines = [json.loads(line) for line in (tmp_path / "raw.ndjson").read_bytes().splitlines()]
    stored = read_week(past, RAW_RESULTS).select("event_time", "payload", "region", "orchestrator", "job_type").rows()
    assert lines == [
        json.loads(complete(*result)) | {"event_time": f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}"} for moment, *result in stored
    ]


def test_posted_field_event_time_is_replaced(database: str, tmp_path: Path) -> None:
    posted = [RESULT | {"event_time": "never"}, RESULT | {"note": 'an "event_time"'}]
    load_events(database, [[1700000000 + n, ADDRESS, "FRA", "transcoding", result] for n, result in enumerate(posted)])
    with closing(HybridEvents(PostgresEvents(database))) as source:
        period = ExportPeriod(None, day_bounds(date(2024, 1, 1))[1])
        export_to(source, RAW_RESULTS, tmp_path / "raw.ndjson", "ndjson", period)
    first, second = map(json.loads, (tmp_path / "raw.ndjson").read_text().splitlines())
    assert first["event_time"] == "2023-11-14T22:13:20.000000Z"
    assert (second["event_time"], second["note"]) == ("2023-11-14T22:13:21.000000Z", 'an "event_time"')


def test_csv_follows_rfc_4180(source: HybridEvents, past: str, tmp_path: Path) -> None:
    export_to(source, RAW_RESULTS, tmp_path / "raw.csv", "csv")
    body = (tmp_path / "raw.csv").read_bytes()
    assert body.startswith(b"id,event_time,orchestrator,region,job_type,pipeline,model,payload\r\n")
    assert body.endswith(b"\r\n")
    with (tmp_path / "raw.csv").open(encoding="utf-8", newline="") as file:
        header, *lines = csv.reader(file, strict=True)
    payloads = read_week(past, RAW_RESULTS)["payload"].to_list()
    assert [line[header.index("payload")] for line in lines] == payloads


def test_csv_escapes_formulas_unless_told_to_keep_them(database: str, tmp_path: Path) -> None:
    models = ["=1+1", "＋1", "\nx", "plain=1"]
    events = [[1700000000, ADDRESS, "FRA", "ai", RESULT | {"pipeline": "@p", "model": model}] for model in models]
    load_events(database, events)
    found = {}
    with closing(HybridEvents(PostgresEvents(database))) as source:
        for keep_formulas in (False, True):
            target = open_target(str(tmp_path / f"{keep_formulas}.csv"), "csv", keep_formulas=keep_formulas)
            target.write(EVENTS.read(source, *day_bounds(date(2023, 11, 14))), None)
            with (tmp_path / f"{keep_formulas}.csv").open(encoding="utf-8", newline="") as file:
                found[keep_formulas] = [(row["pipeline"], row["model"]) for row in csv.DictReader(file)]
    assert found[False] == [("'@p", "'=1+1"), ("'@p", "'＋1"), ("'@p", "'\nx"), ("'@p", "plain=1")]
    assert found[True] == [("@p", model) for model in models]


def test_scores_of_a_window_equal_aggregated_stats(source: HybridEvents, tmp_path: Path) -> None:
    export_to(source, SCORES, tmp_path / "scores.parquet", "parquet")
    exported = pl.read_parquet(tmp_path / "scores.parquet")
    jobs = exported.select("job_type", "pipeline", "model").unique()
    assert jobs.height > 2
    events = source.window(SINCE, UNTIL)
    for job_type, pipeline, model in jobs.iter_rows():
        event_filter = EventFilter(job_type=job_type, pipeline=pipeline, model=model)
        answered = aggregated_stats(events, event_filter).collect()
        of_job = exported.filter(
            pl.col("job_type") == job_type,
            pl.col("pipeline").eq_missing(pipeline),
            pl.col("model").eq_missing(model),
        ).select(answered.columns)
        assert_frame_equal(of_job, answered.cast(dict(of_job.schema)), abs_tol=1e-9)


def test_weekly_means_follow_from_daily_sums(source: HybridEvents, tmp_path: Path) -> None:
    export_to(source, DAILY_SCORES, tmp_path / "{date}.parquet", "parquet")
    export_to(source, SCORES, tmp_path / "week.parquet", "parquet")
    keys = [*KEYS, "job_type"]
    days = pl.read_parquet(tmp_path / "2024-*.parquet").group_by(keys).agg(pl.col("^sum_.*$|^events$").sum())
    week = pl.read_parquet(tmp_path / "week.parquet")
    recomputed = days.with_columns(success_rate=pl.col("sum_success_rate") / pl.col("events"))
    assert_frame_equal(
        sort_rows(recomputed.select(*keys, "events", "success_rate")),
        sort_rows(week.select(*keys, "events", "success_rate")),
        abs_tol=1e-9,
    )


@every_dataset
def test_size_of_chunks_does_not_change_the_file(source: HybridEvents, tmp_path: Path, dataset: Dataset) -> None:
    two_days = (SINCE, SINCE + timedelta(days=2))
    for name, chunk_rows in (("one", 100_000), ("many", 20)):
        frames = dataset.read(source, *two_days, chunk_rows=chunk_rows)
        open_target(str(tmp_path / f"{name}.csv"), "csv").write(frames, None)
    assert (tmp_path / "many.csv").read_bytes() == (tmp_path / "one.csv").read_bytes()
    assert len(list(EVENTS.read(source, *two_days, chunk_rows=20))) > 4


@pytest.mark.parametrize("dataset", [EVENTS, RAW_RESULTS, DAILY_SCORES], ids=["events", "raw", "daily scores"])
def test_days_that_follow_each_other_share_reads(past: str, monkeypatch: pytest.MonkeyPatch, dataset: Dataset) -> None:
    reads: list[timedelta] = []
    read = HybridEvents._read

    def counted(self: HybridEvents, since: datetime, until: datetime, *rest: Any, **options: Any) -> Any:
        reads.append(until - since)
        return read(self, since, until, *rest, **options)

    monkeypatch.setattr(HybridEvents, "_read", counted)
    # the third day is left out, as one that is exported already
    days = [day_bounds(SINCE.date() + timedelta(days=number)) for number in (0, 1, 3, 4, 5, 6)]
    with closing(HybridEvents(PostgresEvents(past))) as source:
        together = [pl.concat(frames) for frames in dataset.read_windows(source, days)]
        assert len(reads) < len(days)
        assert sum(reads, timedelta()) < timedelta(days=len(days))
        alone = [pl.concat(dataset.read(source, *day)) for day in days]
    for one, other in zip(together, alone, strict=True):
        assert_frame_equal(one, other)


@every_dataset
def test_lake_does_not_change_the_file(past: str, tmp_path: Path, dataset: Dataset, lake: str) -> None:
    with (
        closing(HybridEvents(PostgresEvents(past))) as without,
        closing(HybridEvents(PostgresEvents(past), LakeEvents(lake))) as with_lake,
    ):
        assert with_lake.lake() is not None
        export_to(without, dataset, tmp_path / "without.parquet", "parquet")
        export_to(with_lake, dataset, tmp_path / "with.parquet", "parquet")
    assert (tmp_path / "with.parquet").read_bytes() == (tmp_path / "without.parquet").read_bytes()

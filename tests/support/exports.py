"""Exports of the conformance set's events, and how to read them back."""

import subprocess
from collections.abc import Callable
from contextlib import closing
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from leaderboard.export.datasets import EVENTS, RAW_RESULTS, Dataset, daily_scores, window_scores
from leaderboard.export.file_target import FILE_FORMATS
from leaderboard.export.runner import ExportPeriod, ExportProgress, export_dataset
from leaderboard.export.targets import open_target
from queries import EVENT_SCHEMA, FORMULA_2, RESULT_COLUMNS, EventFilter, HybridEvents, PostgresEvents, score_history
from queries.times import day_bounds
from tests.support.commands import LEADERBOARD, environment

SINCE, UNTIL = day_bounds(date(2024, 9, 10))[0], day_bounds(date(2024, 9, 16))[1]
WEEK = ExportPeriod(SINCE, UNTIL)
DAYS = [f"2024-09-{day}" for day in range(10, 19)]
"""The days that have events."""
ADDRESS = "0x" + "a" * 40
RESULT = {"success_rate": 1, "round_trip_time": 0.7, "seg_duration": 2}
ALL_FORMATS = (*FILE_FORMATS, "delta")
SCORES, DAILY_SCORES = window_scores(FORMULA_2), daily_scores(FORMULA_2)
KEYS = ("orchestrator", "region", "pipeline", "model")

every_dataset = pytest.mark.parametrize(
    "dataset", [EVENTS, RAW_RESULTS, DAILY_SCORES, SCORES], ids=["events", "raw", "daily scores", "scores"]
)
RunExport = Callable[..., subprocess.CompletedProcess[str]]


def export_to(
    source: HybridEvents,
    dataset: Dataset,
    to: str | Path,
    file_format: str,
    period: ExportPeriod | None = WEEK,
    **options: float,
) -> ExportProgress:
    """Exports a dataset and returns how far it has come at the end."""
    progress = ExportProgress()
    export_dataset(source, dataset, open_target(str(to), file_format), period, progress, **options)
    return progress


def read_back(to: Path, file_format: str, like: pl.DataFrame) -> pl.DataFrame:
    """The rows of a file or a table, with the types of ``like``."""
    if file_format == "parquet":
        return pl.read_parquet(to)
    if file_format == "arrow":
        return pl.read_ipc(to)
    if file_format == "delta":
        return pl.read_delta(str(to)).select(like.columns).cast(dict(like.schema))
    if file_format == "ndjson":
        return _parse_text(pl.read_ndjson(to, infer_schema_length=None), like)
    return _parse_text(pl.read_csv(to, infer_schema=False), like)


def _parse_text(text: pl.DataFrame, like: pl.DataFrame) -> pl.DataFrame:
    parsers = {
        pl.Datetime("us", "UTC"): lambda name: pl.col(name).str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_zone="UTC"),
        pl.Date: lambda name: pl.col(name).str.to_date(),
        pl.Boolean: lambda name: pl.col(name).replace_strict({"true": True, "false": False}, return_dtype=pl.Boolean),
    }
    columns = [name for name, dtype in text.schema.items() if dtype == pl.String and like.schema[name] in parsers]
    parsed = text.with_columns(parsers[like.schema[name]](name) for name in columns)
    return parsed.cast(dict(like.schema))


def sort_rows(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows in an order that does not depend on where they were."""
    keys = [name for name in ("day", "event_time", "id", "job_type", *KEYS) if name in frame.columns]
    return frame.sort(keys, nulls_last=True)


def read_week(url: str, dataset: Dataset) -> pl.DataFrame:
    """The dataset over WEEK, computed from one read of the database."""
    with closing(PostgresEvents(url)) as postgres:
        events = postgres.window(SINCE, UNTIL, payload=True).collect().sort("event_time", "id")
    assert events.height > 600
    if dataset is EVENTS:
        return events.select(list(EVENT_SCHEMA))
    if dataset is RAW_RESULTS:
        return events.select(list(RESULT_COLUMNS))
    if dataset is SCORES:
        events = events.with_columns(event_time=pl.lit(SINCE))
    history = pl.concat(score_history(events, EventFilter(job_type=job_type)) for job_type in ("transcoding", "ai"))
    formula = pl.lit("2").alias("formula")
    if dataset is DAILY_SCORES:
        return history.select(formula, pl.col("bucket").dt.date().alias("day"), pl.exclude("bucket"))
    bounds = (pl.col("bucket").alias("since"), pl.lit(UNTIL, pl.Datetime("us", "UTC")).alias("until"))
    return history.select(formula, *bounds, pl.exclude("bucket"))


def visible_names(folder: Path) -> list[str]:
    """The names of the finished files of a folder."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def read_folder(folder: Path) -> dict[str, bytes]:
    """The bytes of every file of a folder, hidden ones included."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def export_variables(url: str, folder: Path) -> dict[str, str]:
    """The settings of ``leaderboard export`` over a database without a lake."""
    return {"POSTGRES": url, "LAKE_URL": str(folder / "no lake"), "COLUMNS": "200"}


def start_export(url: str, folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    """A running ``leaderboard export``."""
    variables = environment(**export_variables(url, folder))
    return subprocess.Popen([*LEADERBOARD, "export", *arguments], env=variables, stderr=subprocess.DEVNULL, text=True)

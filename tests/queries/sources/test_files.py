"""Exported files as a source of events."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable, write_deltalake
from polars.testing import assert_frame_equal

from leaderboard.export.datasets import EVENTS
from leaderboard.export.runner import ExportPeriod
from leaderboard.storage.table_formats import write_table
from queries import (
    FileEvents,
    HybridEvents,
    LakeEvents,
    PostgresEvents,
    SchemaError,
    StoreUnavailable,
    conform,
    connect,
    open_events,
    sample_data,
)
from queries.schema import OPTIONAL_COLUMNS
from tests.support.exports import export_to

FORMATS = ("parquet", "csv", "ndjson", "arrow")
ALWAYS = datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


def read(url: object, since: datetime = ALWAYS[0], until: datetime = ALWAYS[1]) -> pl.DataFrame:
    return open_events(str(url)).window(since, until).collect().sort("id")


@pytest.fixture(scope="module")
def exports(events_database: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an export in each format, one with a file per day, and one in a Delta table."""
    folder = tmp_path_factory.mktemp("exports")
    with closing(HybridEvents(PostgresEvents(events_database))) as source:
        for file_format in FORMATS:
            export_to(source, EVENTS, folder / f"all.{file_format}", file_format, ExportPeriod(ALWAYS[0], None))
        export_to(source, EVENTS, folder / "days" / "{date}.parquet", "parquet", None)
        export_to(source, EVENTS, folder / "table", "delta", None)
    return folder


def append_to_table(events: pl.DataFrame, folder: Path, partition_by: str | None = None) -> str:
    """Creates a Delta table, or appends to it."""
    table = events.to_arrow(compat_level=pl.CompatLevel.oldest())
    write_deltalake(str(folder), table, mode="append", partition_by=partition_by)
    return str(folder)


@pytest.mark.parametrize("file_format", FORMATS)
def test_export_equals_its_database(exports: Path, events_database: str, file_format: str) -> None:
    with closing(open_events(events_database)) as source:
        expected = source.window(*ALWAYS).collect()
    assert expected.height > 1000
    assert_frame_equal(read(exports / f"all.{file_format}"), expected.sort("id"), check_exact=True)


def test_pattern_reads_the_files_of_all_days(exports: Path) -> None:
    assert len(list((exports / "days").iterdir())) > 1
    assert_frame_equal(read(exports / "days" / "*.parquet"), read(exports / "all.parquet"))


@pytest.mark.parametrize("file_format", FORMATS)
def test_window_includes_both_ends(exports: Path, file_format: str) -> None:
    times = read(exports / "all.parquet")["event_time"].sort()
    since, until = times[10], times[-10]
    found = read(exports / f"all.{file_format}", since, until)["event_time"]
    assert (found.min(), found.max()) == (since, until)
    assert read(exports / f"all.{file_format}", until + timedelta(days=999), ALWAYS[1]).is_empty()


def test_delta_table_equals_files_of_its_days(exports: Path) -> None:
    of_files = read(exports / "days" / "*.parquet")
    for url in (exports / "table", f"{exports}/table/", f"file://{exports}/table"):
        assert_frame_equal(read(url), of_files, check_exact=True)
    times = of_files["event_time"].sort()
    since, until = times[10], times[-10]
    assert_frame_equal(read(exports / "table", since, until), read(exports / "days" / "*.parquet", since, until))
    assert read(exports / "table", until + timedelta(days=999), ALWAYS[1]).is_empty()


def test_only_files_of_the_window_are_opened(tmp_path: Path) -> None:
    events = sample_data.events()
    table = append_to_table(events.with_columns(day=pl.col("event_time").dt.date()), tmp_path / "table", "day")
    first, *others = sorted((tmp_path / "table").glob("day=*/*.parquet"))
    assert others
    first.unlink()
    last = events["event_time"].max()
    assert read(table, last, last).height == 1
    with pytest.raises(FileNotFoundError):
        read(table)


def test_last_microsecond_of_a_compacted_table_is_read(tmp_path: Path) -> None:
    early, late = (datetime(2026, 9, 1, 12, 0, 0, micro, tzinfo=UTC) for micro in (1001, 1999))
    for moment in (early, late):
        at = pl.lit(moment).cast(pl.Datetime("us", "UTC"))
        table = append_to_table(sample_data.events().head(1).with_columns(event_time=at), tmp_path / "table")
    DeltaTable(table).optimize.compact()
    assert [read(table, moment, moment).height for moment in (early, late)] == [1, 1]


def test_table_without_an_event_column_names_the_column(exports: Path, tmp_path: Path) -> None:
    table = append_to_table(sample_data.events().drop("seg_duration"), tmp_path / "table")
    with pytest.raises(SchemaError, match="no column 'seg_duration'"):
        read(table)


def test_broken_table_is_named(tmp_path: Path) -> None:
    table = append_to_table(sample_data.events(), tmp_path / "table")
    source = open_events(table)
    (log,) = (tmp_path / "table" / "_delta_log").glob("*.json")
    log.write_text("not a table")
    with pytest.raises(StoreUnavailable, match="table cannot be read"):
        source.window(*ALWAYS)
    with pytest.raises(StoreUnavailable, match="table cannot be read"):
        open_events(table)


def test_sql_refuses_exports(exports: Path) -> None:
    for url in (exports / "table", exports / "all.parquet"):
        with pytest.raises(ValueError, match="is an export, which DuckDB reads itself"):
            connect(str(url))


def test_text_that_is_null_in_the_first_row_is_read(tmp_path: Path) -> None:
    events = sample_data.events()
    for file_format in ("csv", "ndjson"):
        getattr(events, f"write_{file_format}")(tmp_path / f"events.{file_format}")
        assert read(tmp_path / f"events.{file_format}")["model"].to_list() == events["model"].to_list()


def test_other_columns_are_left_out(tmp_path: Path) -> None:
    sample_data.results().write_parquet(tmp_path / "results.parquet")
    assert_frame_equal(read(tmp_path / "results.parquet"), sample_data.events())


@pytest.mark.parametrize("file_format", FORMATS)
def test_missing_file_is_named(tmp_path: Path, file_format: str) -> None:
    with pytest.raises(StoreUnavailable, match=rf"there is no file .*none\.{file_format}$"):
        read(tmp_path / f"none.{file_format}")


def test_pattern_without_a_match_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"there is no file .*\*\.parquet$"):
        read(tmp_path / "*.parquet")


@pytest.mark.parametrize("file_format", ["parquet", "arrow"])
def test_file_of_another_format_is_named(tmp_path: Path, file_format: str) -> None:
    (tmp_path / f"odd.{file_format}").write_text("not a table")
    with pytest.raises(StoreUnavailable, match=rf"odd\.{file_format} cannot be read"):
        read(tmp_path / f"odd.{file_format}")


@pytest.mark.parametrize("file_format", ["parquet", "csv", "ndjson"])
def test_missing_column_is_named(tmp_path: Path, file_format: str) -> None:
    getattr(sample_data.events().drop("seg_duration"), f"write_{file_format}")(tmp_path / f"events.{file_format}")
    with pytest.raises(SchemaError, match="no column 'seg_duration'"):
        read(tmp_path / f"events.{file_format}")


def test_extension_tells_files_from_a_lake(exports: Path, tmp_path: Path) -> None:
    assert isinstance(open_events("s3://bucket/events/*.parquet"), FileEvents)
    assert isinstance(open_events(str(exports / "table")), FileEvents)
    assert isinstance(open_events(str(tmp_path)), LakeEvents)
    # a sync that failed leaves an empty table
    unfilled = DeltaTable.create(str(tmp_path / "lake"), pl.DataFrame(sample_data.events()).to_arrow().schema)
    assert isinstance(open_events(unfilled.table_uri), LakeEvents)
    with pytest.raises(ValueError, match=r"a file that ends with \.parquet, \.csv"):
        open_events("ftp://host/events.parquet")


@pytest.mark.parametrize("file_format", [*FORMATS, "delta"])
@pytest.mark.parametrize("older_first", [True, False])
def test_days_of_older_releases_are_read_beside_newer_ones(file_format: str, older_first: bool, tmp_path: Path) -> None:
    events = sample_data.events().with_columns(outcome=pl.lit("passed"), warm=pl.lit(True), error_kind=pl.lit("busy"))
    days = events.with_columns(pl.col("event_time").dt.date().alias("day")).partition_by("day", include_key=False)
    older, newer = (days[0], days[1]) if older_first else (days[1], days[0])
    older = older.drop(OPTIONAL_COLUMNS)
    if file_format == "delta":
        for day in (older, newer):
            write_deltalake(str(tmp_path), day.to_arrow(compat_level=pl.CompatLevel.oldest()), mode="append",
                            schema_mode="merge")  # fmt: skip
        url = str(tmp_path)
    else:
        for name, day in (("1" if older_first else "2", older), ("2" if older_first else "1", newer)):
            with (tmp_path / f"{name}.{file_format}").open("wb") as file:
                write_table([day], file, file_format)
        url = f"{tmp_path}/*.{file_format}"
    expected = pl.concat([conform(older).select(newer.columns), newer]).sort("id")
    assert_frame_equal(read(url), expected.with_columns(pl.selectors.categorical().cast(pl.String)))
    assert set(expected["error_kind"]) == {"none", "busy"}
    assert expected["pipeline_slug"].null_count() == expected["pipeline"].null_count() < expected.height

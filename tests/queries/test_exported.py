"""Exported files as a source of events."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from queries import ExportedEvents, LakeEvents, SchemaError, StoreUnavailable, example, open_events
from tests.http import command

FORMATS = ("parquet", "csv", "ndjson", "arrow")
ALWAYS = datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


def read(url: object, since: datetime = ALWAYS[0], until: datetime = ALWAYS[1]) -> pl.DataFrame:
    return open_events(str(url)).window(since, until).collect().sort("id")


@pytest.fixture(scope="module")
def exports(events_database: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one export in every format, and one in files of a day each."""
    folder = tmp_path_factory.mktemp("exports")
    for form in FORMATS:
        done = command("export", "events", "--since", "0", "--to", f"{folder}/all.{form}", POSTGRES=events_database)
        assert done.returncode == 0, done.stderr
    done = command("export", "events", "--to", f"{folder}/days/{{date}}.parquet", POSTGRES=events_database)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("form", FORMATS)
def test_an_export_has_the_events_of_its_database(exports: Path, events_database: str, form: str) -> None:
    with closing(open_events(events_database)) as source:
        of_database = source.window(*ALWAYS).collect().cast({pl.Categorical: pl.String})
    assert of_database.height > 1000
    assert_frame_equal(read(exports / f"all.{form}"), of_database.sort("id"), check_exact=True)


def test_files_of_days_are_read_together(exports: Path) -> None:
    assert len(list((exports / "days").iterdir())) > 1
    assert_frame_equal(read(exports / "days" / "*.parquet"), read(exports / "all.parquet"))


@pytest.mark.parametrize("form", FORMATS)
def test_a_window_has_both_its_ends(exports: Path, form: str) -> None:
    times = read(exports / "all.parquet")["event_time"].sort()
    since, until = times[10], times[-10]
    found = read(exports / f"all.{form}", since, until)["event_time"]
    assert (found.min(), found.max()) == (since, until)
    assert read(exports / f"all.{form}", until + timedelta(days=999), ALWAYS[1]).is_empty()


def test_text_that_is_absent_at_first_and_named_later_is_read(tmp_path: Path) -> None:
    events = example.events()
    for form in ("csv", "ndjson"):
        getattr(events, f"write_{form}")(tmp_path / f"events.{form}")
        assert read(tmp_path / f"events.{form}")["model"].to_list() == events["model"].to_list()


def test_further_columns_are_left_out(tmp_path: Path) -> None:
    example.results().write_parquet(tmp_path / "results.parquet")
    assert_frame_equal(read(tmp_path / "results.parquet"), example.events())


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_that_is_not_there_is_named(tmp_path: Path, form: str) -> None:
    with pytest.raises(StoreUnavailable, match=rf"there is no file .*none\.{form}$"):
        read(tmp_path / f"none.{form}")


def test_files_of_which_there_are_none_are_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"there is no file .*\*\.parquet$"):
        read(tmp_path / "*.parquet")


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_a_file_of_another_kind_is_named(tmp_path: Path, form: str) -> None:
    (tmp_path / f"odd.{form}").write_text("no such thing")
    with pytest.raises(StoreUnavailable, match=rf"odd\.{form} cannot be read"):
        read(tmp_path / f"odd.{form}")


@pytest.mark.parametrize("form", ["parquet", "csv", "ndjson"])
def test_a_column_that_is_missing_is_named(tmp_path: Path, form: str) -> None:
    getattr(example.events().drop("seg_duration"), f"write_{form}")(tmp_path / f"events.{form}")
    with pytest.raises(SchemaError, match="no column 'seg_duration'"):
        read(tmp_path / f"events.{form}")


def test_a_path_is_of_files_by_its_end_and_of_a_lake_without(tmp_path: Path) -> None:
    assert isinstance(open_events("s3://bucket/events/*.parquet"), ExportedEvents)
    assert isinstance(open_events(str(tmp_path)), LakeEvents)
    with pytest.raises(ValueError, match=r"a file that ends with \.parquet, \.csv"):
        open_events("ftp://host/events.parquet")

"""Every source that a URL names gives frames of one schema, so that they join."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import narwhals.stable.v2 as nw
import polars as pl
import pytest

from leaderboard.lake.sync import sync
from queries import EVENT_SCHEMA, PostgresEvents, open_events
from queries.times import MAX_TIME, MIN_TIME
from tests.conftest import clone, conformance, drop, load_events

SCHEMA = nw.Schema(EVENT_SCHEMA).to_polars()
SOURCES = ("database", "database and lake", "lake", "parquet", "arrow", "categorical parquet", "csv", "ndjson")


@pytest.fixture(scope="module")
def frames(server: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, pl.DataFrame]]:
    """The same events from each kind of source, of which the lake of the second has half."""
    folder = tmp_path_factory.mktemp("sources")
    url, events = clone(server, template, "one_schema"), conformance("events")["events"][:400]
    load_events(url, events[:200])
    bring(url, folder / "half")
    load_events(url, events[200:])
    bring(url, folder / "lake")
    written = read(url)
    written.write_parquet(folder / "events.parquet")
    written.write_ipc(folder / "events.arrow")
    written.cast({pl.String: pl.Categorical}).write_parquet(folder / "categorical.parquet")
    written.write_csv(folder / "events.csv")
    written.write_ndjson(folder / "events.ndjson")
    urls = ("lake", "events.parquet", "events.arrow", "categorical.parquet", "events.csv", "events.ndjson")
    frames = [written, read(url, str(folder / "half")), *(read(str(folder / name)) for name in urls)]
    yield dict(zip(SOURCES, frames, strict=True))
    drop(server, "one_schema")


def bring(url: str, lake: Path) -> None:
    with closing(PostgresEvents(url)) as postgres:
        sync(postgres, str(lake), lambda *_: None)


def read(url: str, lake: str | None = None) -> pl.DataFrame:
    with closing(open_events(url, lake=lake)) as source:
        return source.window(MIN_TIME, MAX_TIME).collect().sort("id")


@pytest.mark.parametrize("one", SOURCES)
def test_each_source_has_the_one_schema(frames: dict[str, pl.DataFrame], one: str) -> None:
    assert dict(frames[one].schema) == dict(SCHEMA)


@pytest.mark.parametrize("one", SOURCES)
def test_frames_of_all_sources_join(frames: dict[str, pl.DataFrame], one: str) -> None:
    for other in SOURCES:
        joined = frames[one].join(frames[other], on=list(SCHEMA), nulls_equal=True, validate="1:1")
        assert joined.height == 400, other


@pytest.mark.parametrize("url", ["", "mysql://host/database", "s4://bucket/lake"])
def test_unknown_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="names no source of events; valid are postgresql://"):
        open_events(url)


def test_lake_without_a_database_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="lake needs the URL of a database"):
        open_events(str(tmp_path / "lake"), lake=str(tmp_path / "other"))

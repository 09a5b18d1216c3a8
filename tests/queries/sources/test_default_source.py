"""Without a URL, the source of an installed application is opened."""

import sys
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import pytest

from queries import HybridEvents, connect, open_events
from queries.sources.default_source import ENTRY_POINT_GROUP
from queries.times import MAX_TIME, MIN_TIME
from tests.conftest import conformance, load_events


@pytest.fixture
def settings_name_it(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings name a database with two events."""
    load_events(database, conformance("events")["events"][:2])
    monkeypatch.setenv("POSTGRES", database)
    monkeypatch.setenv("LAKE_URL", str(tmp_path / "lake"))


@pytest.fixture
def application(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only installed package with a default source. Its module may be written to the path that this returns."""
    installed = tmp_path / "installed"
    info = installed / "application-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: application\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[{ENTRY_POINT_GROUP}]\napplication = application_source:source\n")
    monkeypatch.setattr(sys, "path", [str(installed)])
    return installed / "application_source.py"


@pytest.mark.usefixtures("settings_name_it")
def test_open_events_opens_what_the_settings_name() -> None:
    source = open_events()
    assert isinstance(source, HybridEvents)
    assert source.window(MIN_TIME, MAX_TIME).collect()["id"].sort().to_list() == [1, 2]
    source.close()


@pytest.mark.usefixtures("settings_name_it")
def test_sql_connects_to_what_the_settings_name() -> None:
    with connect() as connection:
        assert connection.sql("SELECT count(*) FROM events").fetchall() == [(2,)]


def test_this_package_registers_the_source_of_its_settings() -> None:
    assert entry_points(group=ENTRY_POINT_GROUP) == (
        EntryPoint("leaderboard", "leaderboard.default_source:default_source", ENTRY_POINT_GROUP),
    )


def test_any_application_may_name_the_source(application: Path, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    application.write_text(f"def source():\n    return {str(lake)!r}, None\n")
    assert getattr(open_events(), "url", None) == str(lake)


def test_two_applications_that_name_a_source_are_refused(application: Path) -> None:
    info = application.parent / "other-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[{ENTRY_POINT_GROUP}]\nother = other_source:source\n")
    with pytest.raises(ValueError, match="found application_source:source, other_source:source"):
        open_events()


def test_without_an_application_a_url_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    for call in (open_events, connect):
        with pytest.raises(ValueError, match=r"^give the URL of a source of events.*found none"):
            call()

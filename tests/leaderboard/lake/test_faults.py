"""A lake that is silent, slow, refusing or wrong: only what it alone has suffers, and only where it is not decoded."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from leaderboard.app import create_app
from leaderboard.export.delta_target import DeltaTarget
from leaderboard.lake.prune import Pruning
from leaderboard.lake.sync import sync
from leaderboard.settings import Settings
from queries import LakeEvents, PostgresEvents, StoreUnavailable
from tests.conftest import clone
from tests.leaderboard.lake.conftest import ADDRESS, insert_events, no_progress
from tests.support.faulty_store import FAULTS, FaultyStore
from tests.support.s3 import BUCKET, S3Server
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

DAY = timedelta(days=1)
NOW = datetime.now(UTC).replace(microsecond=0)
MIDNIGHT = NOW.replace(hour=0, minute=0, second=0)
DB_TIMEOUT_SECONDS = 40.0
MOMENT_SECONDS = 20.0
"""What a busy machine needs for some requests. A request that waits for a store takes longer than this."""


def path(days: int) -> str:
    return f"/api/aggregated_stats?since={int((MIDNIGHT - days * DAY).timestamp())}"


LAST_DAY, IN_DATABASE, ONLY_IN_LAKE = "/api/aggregated_stats", path(3), path(8)
RESULTS = f"/api/raw_stats?orchestrator={ADDRESS}&since={int((MIDNIGHT - 3 * DAY).timestamp())}"


def fill(url: str, lake: str) -> None:
    """Stores an event for each of ten days, of which the older ones are only in the lake."""
    insert_events(url, *(NOW - days * DAY for days in range(10)))
    with closing(PostgresEvents(url)) as postgres:
        sync(postgres, lake, no_progress)
        pruning = Pruning(url, postgres, LakeEvents(lake).require_snapshot(), MIDNIGHT - 5 * DAY, 20)
        assert pruning.prepare(no_progress) > 0
        assert sum(pruning.delete_batches()) > 0
        eventually(lambda: sync(postgres, lake, no_progress).watermark)


@pytest.fixture(scope="module")
def folder(server: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A database and its lake in a folder. Tests only read the database, and copy the folder."""
    url, lake = clone(server, template, "lake_faults"), tmp_path_factory.mktemp("lake") / "lake"
    fill(url, str(lake))
    return url, lake


@pytest.fixture(scope="module")
def in_store(server: str, template: str) -> Iterator[tuple[str, FaultyStore]]:
    """A database and its lake in an object store that can be made faulty."""
    with S3Server() as s3, FaultyStore(s3.port) as store, pytest.MonkeyPatch.context() as environment:
        for name, value in s3.settings.items():
            environment.setenv(name, value)
        environment.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{store.port}")
        url = clone(server, template, "store_faults")
        fill(url, f"s3://{BUCKET}/lake")
        yield url, store


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store is given up sooner than otherwise, to save time."""
    monkeypatch.setattr("queries.sources.lake.LOG_TIMEOUT_SECONDS", 1.5)


@contextmanager
def serving(url: str, lake: str, data_dir: Path) -> Iterator[FlaskClient]:
    """The client of a service that keeps no more than the last day in memory, on a machine of its own."""
    app = create_app(
        Settings(
            lake_sync_interval=0,
            postgres=url,
            lake_url=lake,
            db_timeout=DB_TIMEOUT_SECONDS,
            live_memory_mib=0,
            cache_type="NullCache",
            data_dir=data_dir,
        )
    )
    try:
        yield app.test_client()
    finally:
        app.extensions["leaderboard"].close()


def current_answer(client: FlaskClient, path: str) -> TestResponse:
    """The answer of the database. On a busy machine that may stall for a moment, in which memory answers."""

    def answer() -> TestResponse | None:
        response = client.get(path)
        assert response.status_code == 200, (path, response.json)
        return None if "X-Data-As-Of" in response.headers else response

    found = eventually(answer)
    assert found is not None
    return found


def assert_only_the_lake_suffers(client: FlaskClient) -> None:
    assert client.get(ONLY_IN_LAKE).status_code in (503, 504)
    # the service knows of the fault by now
    began = time.monotonic()
    for path in (LAST_DAY, IN_DATABASE, RESULTS) * 2:
        response = current_answer(client, path)
        assert ADDRESS in path or response.json
    response = client.get(ONLY_IN_LAKE)
    assert response.status_code in (503, 504)
    assert list(response.json) == ["error"]
    assert client.get("/api/health").status_code == 200
    assert time.monotonic() - began < MOMENT_SECONDS


def assert_everything_works(client: FlaskClient) -> None:
    for path in (LAST_DAY, IN_DATABASE, RESULTS, ONLY_IN_LAKE):
        current_answer(client, path)


def wait_until_mapped(client: FlaskClient) -> None:
    events = client.application.extensions["leaderboard"].events
    eventually(lambda: client.get(LAST_DAY) and events.memory is not None and events.memory.mapped_events)


@pytest.mark.parametrize("fault", FAULTS)
def test_only_what_the_store_alone_has_suffers(in_store: tuple[str, FaultyStore], tmp_path: Path, fault: str) -> None:
    url, store = in_store
    lake = f"s3://{BUCKET}/lake"
    with serving(url, lake, tmp_path / "early") as early:
        assert_everything_works(early)
        wait_until_mapped(early)
        store.fault = fault
        try:
            with serving(url, lake, tmp_path / "late") as late:
                assert_only_the_lake_suffers(late)
                assert_everything_works(early)
                store.fault = None
                eventually(lambda: late.get(ONLY_IN_LAKE).status_code == 200)
                assert_everything_works(late)
        finally:
            store.fault = None


def newest_log_entry(lake: Path) -> Path:
    return max((lake / "_delta_log").glob("*.json"))


def add_future_protocol(lake: Path) -> None:
    newest = newest_log_entry(lake)
    protocol = {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["deletionVectors"],
                "writerFeatures": ["deletionVectors"]}  # fmt: skip
    following = newest.with_name(f"{int(newest.stem) + 1:020}.json")
    following.write_text(json.dumps({"protocol": protocol}))


def damage_files(lake: Path, damage: Callable[[Path], object]) -> None:
    for file in lake.glob("month=*/*.parquet"):
        damage(file)


LOG_DAMAGES: dict[str, Callable[[Path], object]] = {
    "the log is garbage": lambda lake: newest_log_entry(lake).write_bytes(bytes(range(256))),
    "the log is no JSON": lambda lake: newest_log_entry(lake).write_text("<html>"),
    "an entry of the log is missing": lambda lake: sorted((lake / "_delta_log").glob("*.json"))[0].unlink(),
}
FILE_DAMAGES: dict[str, Callable[[Path], object]] = {
    "the files are missing": lambda lake: damage_files(lake, Path.unlink),
    "the files are truncated": lambda lake: damage_files(
        lake, lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    ),
    "the files are garbage": lambda lake: damage_files(lake, lambda file: file.write_bytes(bytes(1000))),
    "a future protocol": add_future_protocol,
    "no lake any more": shutil.rmtree,
}


@pytest.mark.parametrize("damage", (LOG_DAMAGES | FILE_DAMAGES).values(), ids=(LOG_DAMAGES | FILE_DAMAGES).keys())
def test_only_what_a_damaged_lake_alone_has_suffers(
    folder: tuple[str, Path], tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    url, original = folder
    lake = tmp_path / "lake"
    shutil.copytree(original, lake)
    with serving(url, str(lake), tmp_path / "early") as early:
        assert_everything_works(early)
        wait_until_mapped(early)
        damage(lake)
        with serving(url, str(lake), tmp_path / "late") as late:
            assert_only_the_lake_suffers(late)
        assert_everything_works(early)


@pytest.mark.parametrize("name", ["la ke*?", "l\u00e4ke#1", "la[k]e"])
def test_lake_may_lie_in_a_folder_of_any_name(folder: tuple[str, Path], tmp_path: Path, name: str) -> None:
    url, original = folder
    shutil.copytree(original, tmp_path / name)
    with serving(url, str(tmp_path / name), tmp_path / "data") as client:
        assert_everything_works(client)


def test_panic_of_deltalake_is_an_error_of_an_export(tmp_path: Path) -> None:
    # deltalake creates a table in such a folder, and cannot overwrite it
    with pytest.raises(StoreUnavailable, match="cannot be written to: Invalid object store url"):
        DeltaTarget(str(tmp_path / "exp[or]t")).write(iter([pl.DataFrame({"event_time": [NOW]})]), NOW.date())

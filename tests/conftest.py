"""One PostgreSQL server per test process, and a database of its own for each test that writes."""

import gzip
import itertools
import json
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import psycopg2
import psycopg2.extensions
import pytest
from flask import Flask
from hypothesis import settings
from psycopg2.extras import Json, execute_values

from leaderboard.app import create_app
from leaderboard.gunicorn_conf import CORES
from leaderboard.postgres.embedded import EmbeddedPostgres
from leaderboard.postgres.migration_files import load
from leaderboard.settings import Settings
from tests.support.postgres import StoppablePostgres, copy_data_dir, make_data_dir, memory_folder
from tests.support.service import SECRET
from tests.support.serving import post_signed
from tests.support.standby import Standby, standby_of

DATA = Path(__file__).parent / "data"
TEMPLATE = "leaderboard"
"""The migrated database that tests clone."""
NEWEST = load()[-1].version
"""The version of a migrated database."""
MAX_WORKERS = 8
"""Each has a PostgreSQL of its own."""
MAX_FINISHED_DATABASES = 4

# the same examples in every run; --hypothesis-profile=thorough tries many others
settings.register_profile("fixed", max_examples=10, derandomize=True, deadline=None)
settings.register_profile("thorough", max_examples=2000, deadline=None)
settings.load_profile("fixed")

_SLOW_FIXTURES = {"data_dir", "stoppable_postgres", "service", "s3", "run_export", "exports", "stores", "places"}

_numbers = itertools.count(1)
_finished_databases: deque[str] = deque()


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """The number of test processes. 0 means none beside this one.

    The whole suite runs in two processes per core, because tests wait for
    other processes about as long as they compute. Chosen tests run in this
    process, because they start sooner.
    """
    chosen = config.args != config.getini("testpaths") or config.option.keyword
    return 0 if chosen else min(2 * CORES, MAX_WORKERS)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks tests as slow if their fixtures start processes or make a lake."""
    for item in items:
        if isinstance(item, pytest.Function) and _SLOW_FIXTURES.intersection(item.fixturenames):
            item.add_marker("slow")


@pytest.fixture(scope="session", autouse=True)
def _own_data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Apps without a DATA_DIR leave nothing in that of this machine."""
    folder = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("leaderboard.setting_parsers.SYSTEM_DATA_DIR", folder)
        patch.setenv("XDG_DATA_HOME", str(folder))
        yield


@pytest.fixture(scope="session")
def data_dir_template() -> Iterator[Path]:
    """A data folder with a migrated database, for copying. No server runs in it."""
    with new_folder() as folder:
        make_data_dir(folder)
        yield folder


@pytest.fixture(scope="session")
def server(data_dir_template: Path) -> Iterator[str]:
    """The URL of the run's PostgreSQL with a gap for the name of a database: ``server.format("name")``."""
    with new_folder() as folder:
        copy_data_dir(data_dir_template, folder)
        postgres = EmbeddedPostgres(folder)
        yield postgres.acquire().replace("/leaderboard?", "/{}?")
        postgres.release()


@pytest.fixture
def data_dir(data_dir_template: Path) -> Iterator[Path]:
    """A data folder of the test's own with a migrated database. No server runs in it yet."""
    with new_folder() as folder:
        copy_data_dir(data_dir_template, folder)
        yield folder


@pytest.fixture
def stoppable_postgres(data_dir: Path) -> Iterator[StoppablePostgres]:
    """A PostgreSQL of the test's own, with a migrated database."""
    server = StoppablePostgres(data_dir)
    yield server
    server.close()


@pytest.fixture
def standby(stoppable_postgres: StoppablePostgres) -> Iterator[Standby]:
    """A standby of ``stoppable_postgres`` that replays at once."""
    with new_folder() as folder, standby_of(stoppable_postgres, folder) as standby:
        yield standby


@pytest.fixture(scope="session")
def template(server: str) -> str:
    """The name of a migrated database, for cloning."""
    return TEMPLATE


@pytest.fixture
def empty_database(server: str) -> Iterator[str]:
    """The URL of a database that does not exist yet."""
    name = f"test_{next(_numbers)}"
    yield server.format(name)
    _drop_later(server, name)


@pytest.fixture
def database(server: str, template: str) -> Iterator[str]:
    """The URL of a fresh migrated database."""
    name = f"test_{next(_numbers)}"
    yield clone(server, template, name)
    _drop_later(server, name)


@pytest.fixture(scope="session")
def events_database(server: str, template: str) -> str:
    """The URL of a database with the events of the conformance set. Tests only read it."""
    url = clone(server, template, "conformance")
    load_events(url, conformance("events")["events"])
    return url


@pytest.fixture
def settings(database: str) -> Settings:
    """The settings of ``app``. A test module or class may override this fixture."""
    return Settings(lake_sync_interval=0, postgres=database, secret=SECRET)


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    """The service over a fresh database. The fixture ``client`` of pytest-flask uses it."""
    app = create_app(settings)
    yield app
    app.extensions["leaderboard"].close()


@pytest.fixture
def post(client: Any) -> Callable[..., Any]:
    """Posts a result with its signature; the result is a dict or the bytes of the body."""

    def post(result: dict[str, Any] | bytes, **headers: str) -> Any:
        return post_signed(client, result, **headers)

    return post


@contextmanager
def new_folder() -> Iterator[Path]:
    """An empty folder that the system user of the embedded PostgreSQL can reach, unlike pytest's ``tmp_path``."""
    with tempfile.TemporaryDirectory(prefix="leaderboard-tests-", dir=memory_folder()) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def clone(server: str, template: str, name: str) -> str:
    """Creates a copy of the template and returns its URL. Replaces a database that an earlier fixture left."""
    drop(server, name)
    _execute(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    return server.format(name)


def sample(name: str) -> Any:
    """Reads a JSON document of tests/data."""
    return json.loads((DATA / name).read_text(encoding="utf-8"))


def conformance(name: str) -> Any:
    """Reads a document of the conformance set: ``events`` or ``answers``."""
    with gzip.open(DATA / f"{name}.json.gz") as file:
        return json.load(file)


def load_events(url: str, events: list[list[Any]]) -> None:
    """Stores rows ``[event_time, orchestrator, region, job_type, payload]`` without validation."""
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT r.name, j.name, r.id FROM regions r JOIN job_types j ON j.id = r.job_type_id")
        ids = {(region, job_type): id_ for region, job_type, id_ in cursor}
        execute_values(
            cursor,
            "INSERT INTO events (event_time, orchestrator, region_id, payload) VALUES %s",
            [
                (datetime.fromtimestamp(moment, UTC), orchestrator, ids[region, job_type], Json(payload))
                for moment, orchestrator, region, job_type, payload in events
            ],
            page_size=1000,
        )
    connection.close()


def rows(url: str, statement: str) -> list[tuple[Any, ...]]:
    """Runs and commits a statement, and returns its rows."""
    connection = psycopg2.connect(url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def _execute(server: str, statement: str) -> None:
    with _admin_connection(server).cursor() as cursor:
        cursor.execute(statement)


@cache
def _admin_connection(server: str) -> psycopg2.extensions.connection:
    # one for the whole run, since each start of a session costs the server as much as a dozen statements
    connection = psycopg2.connect(server.format("postgres"))
    connection.autocommit = True
    return connection


def drop(server: str, name: str) -> None:
    """Drops a database, even if it is in use."""
    _execute(server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def _drop_later(server: str, name: str) -> None:
    """Drops the database of an earlier test.

    The server is still closing the connections of the last test. DROP DATABASE
    would wait 0.1 s for them.
    """
    _finished_databases.append(name)
    if len(_finished_databases) > MAX_FINISHED_DATABASES:
        drop(server, _finished_databases.popleft())

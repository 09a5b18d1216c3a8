"""What the tests of the HTTP interface share."""

import logging
import re
import threading
from collections.abc import Callable, Iterator

import pytest
from fakeredis import TcpFakeServer
from flask import Flask
from flask.testing import FlaskClient

from leaderboard.app import create_app
from leaderboard.settings import Settings
from tests.support.endpoints import load_endpoint_events


@pytest.fixture
def computed(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """The endpoints whose responses the log says were computed, in order."""
    caplog.set_level(logging.DEBUG, logger="leaderboard.web.caching.response_cache")

    def names() -> list[str]:
        found = (re.match(r"computing \('(\w+)'", message) for message in caplog.messages)
        return [match[1] for match in found if match]

    return names


@pytest.fixture(scope="module")
def recorded(events_database: str) -> Iterator[FlaskClient]:
    """The client of a service over the conformance set."""
    app: Flask = create_app(Settings(lake_sync_interval=0, postgres=events_database))
    client = app.test_client()
    # loads all events into memory: the first response about others may differ from later ones in the last bits of means
    assert client.get("/api/aggregated_stats?since=0").status_code == 200
    yield client
    app.extensions["leaderboard"].close()


@pytest.fixture
def endpoint_events(database: str) -> None:
    """The events of tests.support.endpoints, in the database of the app."""
    load_endpoint_events(database)


@pytest.fixture
def redis() -> Iterator[str]:
    """The URL of a Redis server."""
    server = TcpFakeServer(("127.0.0.1", 0), server_type="redis")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"redis://127.0.0.1:{server.server_address[1]}/0"
    server.shutdown()
    server.server_close()

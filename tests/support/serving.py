"""Services that run in the test's own process."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from leaderboard.app import create_app
from leaderboard.results.auth import sign
from leaderboard.services import Service
from leaderboard.settings import Settings
from queries.times import last_hours
from tests.support.service import SECRET
from tests.support.waiting import eventually


def post_signed(client: FlaskClient, body: object, **headers: str) -> TestResponse:
    """Posts a body with its signature: bytes as they are, anything else as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post("/api/post_stats", data=data, headers={"Authorization": sign(SECRET, data)} | headers)


@contextmanager
def serving(settings: Settings) -> Iterator[FlaskClient]:
    """The client of a service that holds its live window in memory."""
    app = create_app(settings)
    try:
        wait_until_warm(app)
        yield app.test_client()
    finally:
        app.extensions["leaderboard"].close()


def wait_until_warm(app: Flask) -> None:
    """Returns when the app holds its live window in memory: two windows with the same events have one version."""
    service: Service = app.extensions["leaderboard"]

    def is_warm() -> bool:
        hours = service.settings.start_time_window
        first, second = (service.events.window(*last_hours(hours)) for _ in range(2))
        return first.version is not None and first.version == second.version

    eventually(is_warm)

"""What the tests of the pages share."""

import time
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from leaderboard.app import create_app
from leaderboard.settings import Settings
from tests.conftest import clone, load_events

FIRST, SECOND, QUIET = (f"0x{digit * 40}" for digit in "abc")
"""An orchestrator that is good, one that fails and is slow, and one that was tested the day before only."""
ONLY_AI = f"0x{'12' * 20}"
ODD_MODEL = "<script>alert(1)</script>/\N{PILE OF POO}\N{RIGHT-TO-LEFT OVERRIDE}'\"&" + "x" * 150


def network_events(now: int) -> list[list[object]]:
    """Two days of results of a small network, in two regions, the last of them a minute ago."""
    events: list[list[object]] = []
    for hour in range(48):
        moment = now - 60 - hour * 3600
        for region in ("FRA", "LAX"):
            good = {"success_rate": 1, "round_trip_time": 0.5, "seg_duration": 2}
            bad = {"success_rate": hour % 2, "round_trip_time": 1.5, "seg_duration": 2}
            events.append([moment, FIRST, region, "transcoding", good])
            events.append([moment, SECOND, region, "transcoding", bad])
        job = {"pipeline": "text-to-image", "model": ODD_MODEL if hour % 2 else "a/b", "seg_duration": 0}
        events.append([moment, FIRST, "FRA", "ai", {"success_rate": 1, "round_trip_time": 3, **job}])
    events.append([now - 600, ONLY_AI, "FRA", "ai", {"success_rate": 1, "round_trip_time": 3, **job}])
    quiet = {"success_rate": 1, "round_trip_time": 1, "seg_duration": 2}
    return [*events, [now - 30 * 3600, QUIET, "FRA", "transcoding", quiet]]


@pytest.fixture(scope="package")
def pages(server: str, template: str) -> Iterator[FlaskClient]:
    """A client of a service over ``network_events``. Tests only read it."""
    url = clone(server, template, "pages")
    load_events(url, network_events(int(time.time())))
    app: Flask = create_app(Settings(lake_sync_interval=0, postgres=url))
    yield app.test_client()
    app.extensions["leaderboard"].close()

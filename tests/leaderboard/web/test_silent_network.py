"""A database that is silent behind a proxy that is not, and answers again over new connections only."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask

from tests.support.relay import Relay
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

RESULTS = f"/api/raw_stats?orchestrator=0x{'a' * 40}"
"""It is never in memory."""


def statuses(app: Flask, path: str) -> set[int]:
    """The statuses of requests at once, more than there are connections."""
    with ThreadPoolExecutor(8) as threads:
        return set(threads.map(lambda _: app.test_client().get(path).status_code, range(8)))


def test_connections_that_hang_for_ever_make_room_for_new_ones(remote_app: Flask, relay: Relay) -> None:
    assert statuses(remote_app, RESULTS) == {200}
    relay.is_silent = True
    assert statuses(remote_app, RESULTS) in ({503}, {504}, {503, 504})
    relay.is_silent = False
    # what was lost never comes, so the old connections stay silent
    eventually(lambda: statuses(remote_app, RESULTS) == {200})
    for path in ("/api/aggregated_stats", "/api/regions"):
        eventually(lambda path=path: "X-Data-As-Of" not in remote_app.test_client().get(path).headers)

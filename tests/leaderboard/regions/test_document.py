"""The region document may fail in any way, at the start and later: only regions that it alone has suffer."""

import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from flask.testing import FlaskClient

from leaderboard.regions.catalyst import MAX_DOCUMENT_BYTES, CatalystError, read_regions
from leaderboard.settings import Settings
from tests.conftest import SECRET, sample
from tests.leaderboard.regions.conftest import CatalystServer
from tests.leaderboard.regions.test_catalyst import dripping
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

SEEDED = sample("regions-seed.json")
ADDRESS = "0x" + "a" * 40
Respond = Callable[[BaseHTTPRequestHandler], None]
MAX_SECONDS = 7.0
"""Testers leave after 8 s."""


def body(text: bytes, status: int = 200) -> Respond:
    def respond(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.end_headers()
        handler.wfile.write(text)

    return respond


def redirect_to_itself(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(302)
    handler.send_header("Location", handler.path)
    handler.end_headers()


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.close()


NEVER = threading.Event()
FAULTS: dict[str, Respond] = {
    "silent": dripping(b"", b"", 60, NEVER),
    "silent after its head": dripping(b"HTTP/1.0 200 OK\r\n\r\n", b" ", 60, NEVER),
    "a byte at a time": dripping(b"HTTP/1.0 200 OK\r\n\r\n", b" ", 0.1, NEVER),
    "a head without end": dripping(b"HTTP/1.0 200 OK\r\n", b"X", 0.1, NEVER),
    "hangs up": hang_up,
    "an error": body(b"{}", 500),
    "no JSON": body(b"<html>"),
    "another shape": body(b'{"prod": {"full_name": {"nyc": 5}}}'),
    "too large": body(b'{"prod": {}}' + b" " * MAX_DOCUMENT_BYTES),
    "redirects without end": redirect_to_itself,
    "codes that fit no column": body(b'{"prod": {"full_name": {"%s": "Long", "": "Empty"}}}' % (b"x" * 57)),
    "names with control characters": body(b'{"prod": {"full_name": {"esc": "\\u001b[31mred", "nul": "\\u0000"}}}'),
    "half a character": body(b'{"prod": {"full_name": {"half": "\\ud800"}}}'),
    "a code that is known": body(b'{"prod": {"full_name": {"fra": "Not Frankfurt"}}}'),
}


@pytest.fixture
def settings(database: str, catalyst: CatalystServer) -> Settings:
    return Settings(
        lake_sync_interval=0,
        postgres=database,
        secret=SECRET,
        catalyst_region_url=catalyst.url,
        regions_cache_timeout=0,
    )


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    began = time.monotonic()
    response = call()
    return response, time.monotonic() - began


@pytest.mark.parametrize(
    ("fault", "begins_well"),
    [
        *[pytest.param(fault, True, id=f"{name}, later") for name, fault in FAULTS.items()],
        *[pytest.param(FAULTS[name], False, id=f"{name}, at the start") for name in ("silent", "hangs up", "no JSON")],
    ],
)
def test_document_that_fails_concerns_nobody_else(
    client: FlaskClient, post: Callable[..., Any], catalyst: CatalystServer, fault: Respond, begins_well: bool
) -> None:
    known = len(SEEDED)
    if begins_well:
        eventually(lambda: len(client.get("/api/regions").json["regions"]) == len(SEEDED) + 2)
        known += 2
    catalyst.respond = fault
    for _ in range(3):
        response, seconds = timed(lambda: client.get("/api/regions"))
        assert (response.status_code, len(response.json["regions"])) == (200, known)
        assert "X-Data-As-Of" not in response.headers
        assert seconds < MAX_SECONDS
    assert [region for region in response.json["regions"] if region["id"] == "FRA"] == [
        {"id": "FRA", "name": "Frankfurt", "type": job_type} for job_type in ("transcoding", "ai")
    ]
    for region, status in (("FRA", 200), ("QQQ", 400), ("QQQ", 400)):
        response, seconds = timed(lambda region=region: post({"region": region, "orchestrator": ADDRESS}))
        assert response.status_code == status
        assert seconds < MAX_SECONDS


def test_document_that_is_well_again_adds_its_regions(
    client: FlaskClient, post: Callable[..., Any], catalyst: CatalystServer, caplog: pytest.LogCaptureFixture
) -> None:
    catalyst.respond = FAULTS["an error"]
    for _ in range(3):
        assert client.get("/api/regions").json["regions"] == SEEDED
    eventually(lambda: "the region document fails: no regions are added from CATALYST_REGION_URL: 500" in caplog.text)
    assert caplog.text.count("CATALYST_REGION_URL") == 1
    catalyst.serve_document(sample("catalysts-shape.json"))
    eventually(lambda: post({"region": "JNB", "orchestrator": ADDRESS}).status_code == 200)
    eventually(lambda: "the region document works again" in caplog.text)


def test_fetch_that_was_given_up_ends(catalyst: CatalystServer) -> None:
    ended = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n")
        try:
            while not ended.wait(0.02):
                handler.wfile.write(b" ")
        except OSError:
            ended.set()

    catalyst.respond = drip
    with pytest.raises(CatalystError, match="Timeout"):
        read_regions(catalyst.url, timeout=0.2)
    assert ended.wait(60)

"""Reading the catalyst document."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler

import pytest

from leaderboard.regions.catalyst import MAX_DOCUMENT_BYTES, CatalystError, read_regions
from queries import AI, TRANSCODING
from tests.leaderboard.regions.conftest import CatalystServer

DRIPS = 1000


def test_codes_are_in_upper_case(catalyst: CatalystServer) -> None:
    catalyst.serve_document({"prod": {"full_name": {"jnb": "Johannesburg", "BOM": "Mumbai"}}, "other": 5})
    assert read_regions(catalyst.url) == {("JNB", TRANSCODING): "Johannesburg", ("BOM", TRANSCODING): "Mumbai"}


def test_document_may_have_ai_regions(catalyst: CatalystServer) -> None:
    catalyst.serve_document({"prod": {"full_name": {"jnb": "Johannesburg"}, "ai": {"jnb": "Joburg", "sea": "Seattle"}}})
    assert read_regions(catalyst.url) == {
        ("JNB", TRANSCODING): "Johannesburg",
        ("JNB", AI): "Joburg",
        ("SEA", AI): "Seattle",
    }


@pytest.mark.parametrize("job_type", ["full_name", "ai"])
def test_regions_that_cannot_be_registered_are_left_out(catalyst: CatalystServer, job_type: str) -> None:
    names = {"": "Empty", "x" * 57: "Long", "yyy": "y" * 129, "z\0z": "NUL", "a b": "Gap", "none": "", "ok": "Fine"}
    catalyst.serve_document({"prod": {job_type: names}})
    assert list(read_regions(catalyst.url).values()) == ["Fine"]


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"prod": None},
        {"prod": {"full_name": ["nyc"]}},
        {"prod": {"full_name": {"nyc": 5}}},
        {"prod": {"full_name": {}, "ai": ["nyc"]}},
        {"prod": {"full_name": {}, "ai": None}},
        {"staging": {"full_name": {"xxx": "X"}}},
    ],
)
def test_document_of_another_shape_is_refused(catalyst: CatalystServer, document: object) -> None:
    catalyst.serve_document(document)
    with pytest.raises(CatalystError, match="ValidationError"):
        read_regions(catalyst.url)


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"\xff", b'{"prod": ' + b"[" * 9999, b'{"prod": {}, "x": ' + b"[" * 9999 + b"]" * 9999 + b"}"],
    ids=["empty", "HTML", "no UTF-8", "incomplete", "nested too deeply"],
)
def test_document_that_is_no_json_is_refused(catalyst: CatalystServer, body: bytes) -> None:
    catalyst.serve_body(body)
    with pytest.raises(CatalystError):
        read_regions(catalyst.url)


def test_status_is_in_the_error(catalyst: CatalystServer) -> None:
    catalyst.serve_body(b"{}", status=500)
    with pytest.raises(CatalystError, match="500 Internal Server Error"):
        read_regions(catalyst.url)


def test_document_that_is_too_large_is_refused(catalyst: CatalystServer) -> None:
    catalyst.serve_body(b'{"prod": {}}' + b" " * MAX_DOCUMENT_BYTES)
    with pytest.raises(CatalystError, match="larger than 1048576 bytes"):
        read_regions(catalyst.url)


@pytest.mark.parametrize(
    ("head", "drip", "pause"),
    [
        (b"HTTP/1.0 200 OK\r\n\r\n", b" ", 60),
        (b"HTTP/1.0 200 OK\r\n\r\n", b" ", 0.02),
        (b"HTTP/1.0 200 OK\r\n", b"X", 0.02),
    ],
    ids=["silent", "drips its body", "drips its headers"],
)
def test_slow_server_is_given_up(catalyst: CatalystServer, head: bytes, drip: bytes, pause: float) -> None:
    given_up = threading.Event()
    catalyst.respond = dripping(head, drip, pause, given_up)
    with pytest.raises(CatalystError, match="Timeout"):
        read_regions(catalyst.url, timeout=0.3)
    given_up.set()


def dripping(head: bytes, drip: bytes, pause: float, given_up: threading.Event) -> Callable[..., None]:
    """A response that goes on, a byte at a time, for longer than any client should wait."""

    def respond(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(head)
        for _ in range(DRIPS):
            if given_up.wait(pause):
                return
            try:
                handler.wfile.write(drip)
            except OSError:
                return

    return respond

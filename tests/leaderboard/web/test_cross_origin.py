"""Pages of other origins read files in parts, as browsers let them."""

import io
from collections.abc import Callable

import polars as pl
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.tables import MEDIA_TYPES, TABLES

SAFE_METHODS = {"GET", "HEAD", "POST"}
SAFE_REQUEST_HEADERS = {"accept", "accept-language", "content-language"}
SAFE_RESPONSE_HEADERS = {"cache-control", "content-language", "content-length", "content-type", "expires", "pragma"}
"""What the Fetch standard allows without a word of the server."""


class Page:
    """A page of another origin: sends and reads no more than a browser would."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client

    def fetch(self, method: str, path: str, **headers: str) -> TestResponse:
        """Sends a preflight and the request. Removes the headers that the page may not read."""
        names = {name.replace("_", "-").lower(): value for name, value in headers.items()}
        origin = {"Origin": "https://page.example"}
        asked = {
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": ",".join(sorted(names.keys() - SAFE_REQUEST_HEADERS)),
        }
        preflight = self.client.options(path, headers=origin | asked)
        assert preflight.status_code == 200
        assert preflight.headers["Access-Control-Allow-Origin"] == "*"
        assert method in SAFE_METHODS | tokens(preflight, "Access-Control-Allow-Methods", str)
        assert names.keys() <= SAFE_REQUEST_HEADERS | tokens(preflight, "Access-Control-Allow-Headers", str.lower)
        # browsers ask for no compression of ranges
        coding = {"Accept-Encoding": "identity" if "range" in names else "gzip, deflate, br, zstd"}
        response = self.client.open(path, method=method, headers=origin | coding | names)
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        readable = SAFE_RESPONSE_HEADERS | tokens(response, "Access-Control-Expose-Headers", str.lower)
        for name in set(response.headers.keys()):
            if name.lower() not in readable:
                del response.headers[name]
        return response


def tokens(response: TestResponse, header: str, case: Callable[[str], str]) -> set[str]:
    return {case(token.strip()) for token in response.headers[header].split(",")}


@pytest.mark.parametrize("name", MEDIA_TYPES)
def test_page_reads_a_file_in_parts(recorded: FlaskClient, name: str) -> None:
    page, path = Page(recorded), f"{TABLES['raw_stats']}&format={name}"
    head = page.fetch("HEAD", path, Range="bytes=0-")
    length = int(head.headers["Content-Length"])
    assert head.headers["Accept-Ranges"] == "bytes"
    body, step = b"", length // 3
    while len(body) < length:
        part = page.fetch("GET", path, Range=f"bytes={len(body)}-{len(body) + step}")
        last = min(len(body) + step, length - 1)
        assert part.status_code == 206
        assert part.headers["Content-Range"] == f"bytes {len(body)}-{last}/{length}"
        body += part.data
    assert body == recorded.get(path).data
    if name == "parquet":
        assert pl.read_parquet(io.BytesIO(body)).height > 0


def test_page_asks_whether_it_has_the_newest(recorded: FlaskClient) -> None:
    page, path = Page(recorded), TABLES["leaderboard"]
    first = page.fetch("GET", path)
    assert first.headers["Content-Encoding"] == "zstd"
    assert "Accept-Encoding" in first.headers["Vary"]
    again = page.fetch("GET", path, If_None_Match=first.headers["ETag"], Cache_Control="no-cache")
    assert (again.status_code, again.data) == (304, b"")


def test_page_reads_why_a_range_is_refused(recorded: FlaskClient) -> None:
    response = Page(recorded).fetch("GET", f"{TABLES['raw_stats']}&format=csv", Range="bytes=999999999-")
    assert (response.status_code, list(response.json)) == (416, ["error"])
    assert response.headers["Content-Range"].startswith("bytes */")


def test_page_reads_what_an_endpoint_takes(recorded: FlaskClient) -> None:
    refused = Page(recorded).fetch("POST", "/api/regions", Content_Type="application/json")
    assert refused.status_code == 405
    assert set(refused.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}

"""Compression of responses."""

import gzip

import pytest
from flask.testing import FlaskClient

from tests.support.tables import TABLES


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_response_is_compressed_as_the_client_accepts(client: FlaskClient, coding: str) -> None:
    response = client.get("/api/regions", headers={"Accept-Encoding": coding})
    assert response.headers["Content-Encoding"] == coding
    assert "Accept-Encoding" in response.headers["Vary"]
    plain = client.get("/api/regions")
    assert len(response.data) < len(plain.data)
    assert response.headers["ETag"] == plain.headers["ETag"]
    if coding == "gzip":
        assert gzip.decompress(response.data) == plain.data
    again = {"Accept-Encoding": coding, "If-None-Match": response.headers["ETag"]}
    assert client.get("/api/regions", headers=again).status_code == 304


@pytest.mark.parametrize(
    ("asked", "coding"),
    [("gzip;q=0", None), ("gzip;q=0, *", "zstd"), ("br;q=0, gzip;q=0.5", "gzip"), ("identity", None), ("x", None)],
)
def test_refused_coding_is_not_used(client: FlaskClient, asked: str, coding: str | None) -> None:
    response = client.get("/api/regions", headers={"Accept-Encoding": asked})
    assert response.headers.get("Content-Encoding") == coding


@pytest.mark.parametrize("name", ["csv", "ndjson"])
def test_text_file_is_compressed(recorded: FlaskClient, name: str) -> None:
    path = f"{TABLES['score_history']}&format={name}"
    compressed = recorded.get(path, headers={"Accept-Encoding": "gzip"})
    assert compressed.headers["Content-Encoding"] == "gzip"
    assert {"Accept", "Accept-Encoding"} <= set(compressed.vary)

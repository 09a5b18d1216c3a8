"""The status of the service as a page."""

import platform
from pathlib import Path

from flask import Flask
from flask.testing import FlaskClient

from leaderboard.app import create_app
from leaderboard.health import REMEDIES, UNAVAILABLE
from leaderboard.settings import Settings
from tests.leaderboard.web.pages.test_ranking_page import text_of
from tests.support.service import free_port


def test_status_says_what_works(pages: FlaskClient) -> None:
    text = text_of(pages.get("/status").text)
    assert "ok : Everything works." in text
    assert f"Python {platform.python_version()}" in text
    assert "PostgreSQL 18." in text
    assert "Schema 9, this release's is 9" in text
    assert "What is wrong" not in text


def test_status_has_the_newest_result_of_each_region(pages: FlaskClient) -> None:
    html = pages.get("/status").text
    rows = [text_of(row) for row in html.split("<tr")]
    assert [row for row in rows if "> FRA ai registered" in row and "minute" in row]
    assert [row for row in rows if "none: is its tester running?" in row]


def test_status_is_read_anew_and_stays_here(pages: FlaskClient) -> None:
    response = pages.get("/status", headers={"Origin": "https://evil.example", "Accept-Encoding": "gzip"})
    assert response.headers["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Origin" not in response.headers
    assert "Access-Control-Allow-Origin" in pages.get("/api/health").headers


def test_status_is_there_without_the_database(tmp_path: Path) -> None:
    url = f"postgresql://alice:hunter2@127.0.0.1:{free_port()}/scores"
    app: Flask = create_app(Settings(lake_sync_interval=0, postgres=url, secret="hunter2", data_dir=tmp_path))
    response = app.test_client().get("/status")
    app.extensions["leaderboard"].close()
    text = text_of(response.text)
    assert response.status_code == 200
    assert "down : Questions cannot be answered." in text
    assert f"Database, Posts : {UNAVAILABLE} {REMEDIES[UNAVAILABLE]}" in text
    assert "127.0.0.1" in text
    assert "Unknown: neither the database nor memory" in text
    assert "hunter2" not in response.text
    assert "alice" not in response.text

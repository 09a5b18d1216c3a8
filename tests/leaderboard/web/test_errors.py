"""Errors over HTTP."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.support.endpoints import ADDRESS

ERRORS = {
    "400": ("GET", "/api/raw_stats", 400),
    "403": ("POST", "/api/post_stats", 403),
    "404": ("GET", "/api/nothing", 404),
    "404 outside": ("GET", "/nothing", 404),
    "405": ("PUT", "/api/regions", 405),
    "405 for a GET": ("GET", "/api/post_stats", 405),
}


@pytest.mark.parametrize(("method", "path", "status"), ERRORS.values(), ids=ERRORS.keys())
def test_error_is_one_sentence_that_is_not_cached_and_any_origin_may_read(
    client: FlaskClient, method: str, path: str, status: int
) -> None:
    response = client.open(path, method=method)
    assert (response.status_code, response.content_type) == (status, "application/json")
    assert list(response.json) == ["error"]
    assert response.json["error"].strip()
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("aggregated_stats?model=x", "pipeline required"),
        ("aggregated_stats?pipeline=x", "model required"),
        ("raw_stats", "orchestrator is a required parameter"),
        (f"raw_stats?orchestrator={ADDRESS}&model=x", "pipeline required"),
    ],
)
def test_error_sentences_that_clients_read(client: FlaskClient, query: str, sentence: str) -> None:
    assert client.get(f"/api/{query}").json == {"error": sentence}


@pytest.mark.parametrize("path", ["/nothing", "/api", "/api/nothing", "/api/orchestrators"])
def test_unknown_path_names_the_page_that_lists_the_endpoints(client: FlaskClient, path: str) -> None:
    assert client.get(path).json == {"error": "unknown endpoint; see docs/http-api.md"}


def test_wrong_method_names_the_right_ones(client: FlaskClient) -> None:
    response = client.get("/api/post_stats")
    assert response.json == {"error": "this endpoint takes OPTIONS, POST"}
    assert set(response.allow) == {"OPTIONS", "POST"}


@pytest.mark.parametrize("path", ["/api//regions", "//api/regions", "/api/regions//"])
def test_malformed_path_is_not_redirected(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_unexpected_error_reveals_nothing(app: Flask, client: FlaskClient) -> None:
    app.add_url_rule("/mistake", view_func=lambda: {}["a password"])
    response = client.get("/mistake")
    assert response.status_code == 500
    assert response.json == {"error": "unexpected error of the service; see its log"}
    assert response.headers["Cache-Control"] == "no-store"

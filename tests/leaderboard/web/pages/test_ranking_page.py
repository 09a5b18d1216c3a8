"""The ranking as a page."""

import re
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient

from leaderboard.app import create_app
from leaderboard.settings import Settings
from tests.leaderboard.web.pages.conftest import FIRST, ODD_MODEL, QUIET, SECOND


def text_of(html: str) -> str:
    """What a person reads, in one line."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def test_best_orchestrator_is_first(pages: FlaskClient) -> None:
    html = pages.get("/").text
    rows = re.findall(r'<tr id="(0x\w+)".*?</tr>', html, re.DOTALL)
    assert rows == [FIRST, SECOND]
    assert "Orchestrators tested 2" in text_of(html)


def test_orchestrator_that_was_not_tested_is_named(pages: FlaskClient) -> None:
    html = pages.get("/").text
    assert "1 orchestrator not tested, but in the window before" in text_of(html)
    assert f"/orchestrators/{QUIET}" in html


def test_numbers_are_those_of_the_api(pages: FlaskClient) -> None:
    first = pages.get("/api/leaderboard?min_events=3").json["leaderboard"][0]
    assert f"{first['score']:.3f}" in text_of(pages.get("/").text)


@pytest.mark.parametrize("query", ["job_type=ai", "region=FRA&view=matrix&sort=events&order=asc"])
def test_each_filter_leads_to_a_page_that_has_it(pages: FlaskClient, query: str) -> None:
    links = {unescape(link) for link in re.findall(r'href="(/(?:\?[^"]*)?)"', pages.get(f"/?{query}").text)}
    assert len(links) > 10
    for link in links:
        assert pages.get(link).status_code == 200, link


def test_text_of_testers_is_never_html(pages: FlaskClient) -> None:
    html = pages.get("/?job_type=ai").text
    assert "<script>alert" not in html
    assert ODD_MODEL in unescape(html)


def test_form_without_values_leads_to_the_short_url(pages: FlaskClient) -> None:
    response = pages.get("/?region=fra&since=&until=&sort=score")
    assert (response.status_code, response.headers["Location"]) == (302, "/?region=fra&sort=score")


@pytest.mark.parametrize("path", ["/?formula=1", "/gateway?region=FRA&formula=1"])
def test_form_keeps_the_chosen_formula(pages: FlaskClient, path: str) -> None:
    assert '<select name="formula">\n<option value="1">1' in re.sub(r"\n\s+", "\n", pages.get(path).text)


def test_search_for_a_whole_address_leads_to_the_orchestrator(pages: FlaskClient) -> None:
    response = pages.get(f"/?q={FIRST.upper().replace('X', 'x')}&region=FRA")
    assert (response.status_code, response.headers["Location"]) == (302, f"/orchestrators/{FIRST}?region=FRA")


def test_search_for_a_part_selects_rows(pages: FlaskClient) -> None:
    assert re.findall(r'<tr id="(0x\w+)"', pages.get("/?q=bbb").text) == [SECOND]


def test_wrong_parameter_is_named_on_a_page(pages: FlaskClient) -> None:
    response = pages.get("/?window=8d")
    assert response.status_code == 400
    assert response.mimetype == "text/html"
    assert "window must be one of 24h, 7d, 30d, 90d, 1y, not '8d'" in text_of(response.text)


def test_empty_window_says_so(pages: FlaskClient) -> None:
    assert "No data for this window" in text_of(pages.get("/?since=2020-01-01&until=2020-01-02").text)


def test_unchanged_page_is_not_sent_again(pages: FlaskClient) -> None:
    etag = pages.get("/").headers["ETag"]
    assert pages.get("/", headers={"If-None-Match": etag}).status_code == 304


def test_page_may_load_only_what_this_service_serves(pages: FlaskClient) -> None:
    response = pages.get("/")
    assert "'unsafe" not in response.headers["Content-Security-Policy"]
    assert not re.search(r'style="|<script>|\son\w+=', response.text)
    assert set(re.findall(r'(?:src|href)="(\w+:|//)', response.text)) == set()


def test_links_follow_the_path_that_a_proxy_names(pages: FlaskClient) -> None:
    html = pages.get("/?region=FRA", headers={"X-Forwarded-Prefix": "/lb"}).text
    assert set(re.findall(r'(?:href|src|action)="(/[^/?"]*)', html)) == {"/lb"}
    html = pages.get("/?region=FRA", headers={"X-Forwarded-Prefix": "//evil.example"}).text
    assert "evil.example" not in html


@pytest.mark.parametrize("path", ["/api/nothing", "/api/", "/api"])
def test_unknown_endpoint_stays_json_for_browsers(pages: FlaskClient, path: str) -> None:
    response = pages.get(path, headers={"Accept": "text/html"})
    assert (response.status_code, response.mimetype) == (404, "application/json")


def test_unknown_path_is_a_page_for_browsers_only(pages: FlaskClient) -> None:
    assert pages.get("/nothing", headers={"Accept": "text/html"}).mimetype == "text/html"
    assert pages.get("/nothing").json == {"error": "unknown endpoint; see docs/http-api.md"}


def test_pages_can_be_turned_off(database: str) -> None:
    app: Flask = create_app(Settings(lake_sync_interval=0, postgres=database, pages=False))
    client = app.test_client()
    for path in ("/", "/network", "/static/style.css"):
        response = client.get(path, headers={"Accept": "text/html"})
        assert (response.status_code, response.mimetype) == (404, "application/json")
    assert client.get("/api/regions").status_code == 200
    app.extensions["leaderboard"].close()

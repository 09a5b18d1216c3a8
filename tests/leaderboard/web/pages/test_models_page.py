"""The models as pages."""

import re
import time
from html import unescape
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient

from leaderboard.app import create_app
from leaderboard.settings import Settings
from tests.conftest import load_events
from tests.leaderboard.web.pages.conftest import FIRST, ODD_MODEL
from tests.leaderboard.web.pages.test_ranking_page import text_of


def test_each_model_has_its_numbers(pages: FlaskClient) -> None:
    text = text_of(pages.get("/models").text)
    assert "a/b text-to-image 12 100 % 3.00 s 3.00 s – 1 " in text
    assert f"{' '.join(ODD_MODEL.split())} text-to-image 13 100 % 3.00 s 3.00 s – 2 " in text


def test_models_can_be_sorted_and_filtered(pages: FlaskClient) -> None:
    html = pages.get("/models?pipeline=Text_to%20image&sort=last_seen&order=asc").text
    assert re.findall(r'<a href="/models?/?[^"]*">(a/b|&lt;script)', html) == ["&lt;script", "a/b"]
    assert "No data for this window" in text_of(pages.get("/models?pipeline=llm").text)


def test_every_model_has_a_page(pages: FlaskClient) -> None:
    links = re.findall(r'<th scope="row" class="model"><a href="([^"]*)"', pages.get("/models?window=7d").text)
    assert len(links) == 2
    for link in map(unescape, links):
        html = pages.get(link).text
        assert f'<tr id="{FIRST}"' in html, link
        assert "<script>alert" not in html
    assert "/models/text-to-image/a/b?window=7d" in links


@pytest.mark.parametrize("name", [ODD_MODEL, "a//b", "../b", "/a", "a/", ".", "a?b#c%d", "a\nb"])
def test_odd_names_keep_their_links(pages: FlaskClient, name: str) -> None:
    html = pages.get(f"/model?pipeline=text-to-image&model={quote(name)}&window=7d").text
    links = {unescape(link) for link in re.findall(r'href="(/model\?[^"]*)"', html)}
    assert {parse_qs(urlsplit(link).query)["model"][0] for link in links} == {name}
    assert all(pages.get(link).status_code == 200 for link in links)


def test_page_of_a_model_says_who_serves_it_and_how_fast(pages: FlaskClient) -> None:
    html = pages.get("/models/text-to-image/a/b").text
    text = text_of(html)
    assert f'id="{FIRST}"' in html
    assert f"{FIRST}: 100 % success, median 3.00 s, 12 tests" in text
    assert "median 3.00 s 95 % within 3.00 s" in text
    # none of these results says whether the model was warm
    assert "unknown 12 jobs" in text
    assert re.search(r"FRA 1 12 100 % 3.00 s – ", text)


def test_live_video_has_a_quality(database: str) -> None:
    job = {"pipeline": "live-video-to-video", "model": "m", "seg_duration": 0}
    results = [{"success_rate": 1, "round_trip_time": quality, **job} for quality in (0.6, 0.7, 0.8)]
    results.append({"success_rate": 0, "round_trip_time": 0, **job})
    load_events(database, [[int(time.time()) - 60, FIRST, "FRA", "ai", result] for result in results])
    app: Flask = create_app(Settings(lake_sync_interval=0, postgres=database))
    text = text_of(app.test_client().get("/models/live-video-to-video/m").text)
    assert "Mean quality 0.700" in text
    assert f"{FIRST}: 75.0 % success, quality 0.70, 4 tests" in text
    assert "Distribution of qualities 3 jobs that succeeded and tell their quality" in text
    assert "quality 0.700" in text_of(app.test_client().get("/models").text)
    app.extensions["leaderboard"].close()


def test_unknown_model_leads_to_others(pages: FlaskClient) -> None:
    html = pages.get("/models/text-to-image/nothing").text
    assert "nothing of text-to-image was not tested in any region, last 24 hours" in text_of(html)
    assert 'href="/models"' in html


def test_model_by_name_needs_both_names(pages: FlaskClient) -> None:
    response = pages.get("/model?pipeline=text-to-image")
    assert response.status_code == 400
    assert "pipeline and model required" in text_of(response.text)

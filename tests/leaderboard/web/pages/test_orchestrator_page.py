"""The page of one orchestrator."""

import re
from datetime import UTC, date, datetime, timedelta
from html import unescape

import pytest
from flask.testing import FlaskClient

from tests.leaderboard.web.pages.conftest import FIRST, ODD_MODEL, ONLY_AI, QUIET, SECOND
from tests.leaderboard.web.pages.test_ranking_page import text_of


def test_first_sentence_is_that_of_the_api(pages: FlaskClient) -> None:
    html = pages.get(f"/orchestrators/{SECOND}").text
    found = pages.get(f"/api/orchestrators/{SECOND}/explanation").json
    (lead,) = re.findall(r'<p class="lead">(.*?)</p>', html)
    assert unescape(lead) == found["sentences"][0]
    assert all(sentence in text_of(html) for sentence in found["sentences"])


def test_costs_are_those_of_the_api(pages: FlaskClient) -> None:
    html = pages.get(f"/orchestrators/{SECOND}").text
    found = pages.get(f"/api/orchestrators/{SECOND}/explanation").json
    table = re.search(r'<table class="costs".*?</table>', html, re.DOTALL)[0]
    rows = [text_of(row) for row in re.findall(r"<tr.*?</tr>", table, re.DOTALL)[1:]]
    assert len(rows) == len(found["jobs"]) + 1
    for row, job in zip(rows, found["jobs"], strict=False):
        assert row.startswith(
            f"transcoding in {job['region']} {job['rank']} of {job['ranked_count']} {job['score']:.3f}"
        )
        assert f"{job['failure_cost']:.3f} ({job['median_failure_cost']:.3f}," in row
    assert f"{found['lost']:.3f}" in rows[-1]
    (changed, *_) = found["what_ifs"]
    assert f"99 % success for all jobs {changed['score']:.3f}" in text_of(html)


def test_failed_results_come_first_and_one_is_shown_as_posted(pages: FlaskClient) -> None:
    html = pages.get(f"/orchestrators/{SECOND}").text
    failed, newest = re.findall(r'<table class="results">.*?</table>', html, re.DOTALL)
    assert failed.count('class="state-failed"') == 10
    assert "succeeded" not in failed
    assert "succeeded" in newest
    link = unescape(re.search(r'href="([^"]*result=\d+)#result"', failed)[1])
    posted = text_of(pages.get(link).text)
    assert '{ "success_rate": 0,' in posted or '"success_rate": 0' in posted
    assert "There is no such result" in text_of(pages.get(f"/orchestrators/{SECOND}?result=999999").text)


def test_every_link_of_the_page_works(pages: FlaskClient) -> None:
    for query in ("", "?job_type=ai"):
        html = pages.get(f"/orchestrators/{FIRST}{query}").text
        links = {unescape(link).partition("#")[0] for link in re.findall(r'(?:href|src)="(/[^"]*)"', html)}
        assert len(links) > 20
        for link in links:
            assert pages.get(link).status_code == 200, link


def test_job_type_is_the_orchestrators_own_unless_asked_for(pages: FlaskClient) -> None:
    assert "All AI jobs" in re.search("<title>(.*?)</title>", pages.get(f"/orchestrators/{ONLY_AI}").text)[1]
    assert "You have no score" in pages.get(f"/orchestrators/{ONLY_AI}?job_type=transcoding").text


def test_text_of_testers_is_never_html(pages: FlaskClient) -> None:
    html = pages.get(f"/orchestrators/{FIRST}?job_type=ai").text
    assert "<script>alert" not in html
    assert ODD_MODEL in unescape(html)


def test_orchestrator_without_results_is_told_why(pages: FlaskClient) -> None:
    html = text_of(pages.get(f"/orchestrators/{QUIET}?since=2020-01-01&until=2020-01-02").text)
    assert "You have no score" in html
    assert "What each job costs" not in html


def test_orchestrator_of_an_earlier_window_has_the_time_of_its_last_test(pages: FlaskClient) -> None:
    last = re.search(r"Last tested (\d{4}-\d\d-\d\d)", text_of(pages.get(f"/orchestrators/{QUIET}").text))[1]
    assert date.fromisoformat(last) < datetime.now(UTC).date()


def test_malformed_address_is_named(pages: FlaskClient) -> None:
    response = pages.get("/orchestrators/0x1")
    assert response.status_code == 400
    assert "orchestrator must be an address" in text_of(response.text)


def test_90_days_have_a_bar_for_each_day_with_tests(pages: FlaskClient) -> None:
    table = re.search(r'<table class="regions">.*?</table>', pages.get(f"/orchestrators/{FIRST}").text, re.DOTALL)[0]
    assert [text_of(region) for region in re.findall(r'<th scope="row">(.*?)</th>', table)] == ["FRA", "LAX"]
    bars = re.findall(r'<svg class="day-bars".*?</svg>', table, re.DOTALL)
    assert re.search("tested on [23] of 90 days", bars[0])
    assert bars[0].count("<rect") in (2, 3)


@pytest.mark.parametrize("end", ["00:00", "23:50"])
def test_bars_are_those_of_90_days_at_the_end_of_a_day_too(pages: FlaskClient, end: str) -> None:
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    window = f"since={yesterday - timedelta(days=1)}&until={yesterday}T{end}:00Z"
    assert "of 90 days" in pages.get(f"/orchestrators/{FIRST}?{window}").text


@pytest.mark.parametrize("part", ["", "/badge.svg", "/feed.atom"])
def test_unchanged_page_is_not_sent_again(pages: FlaskClient, part: str) -> None:
    path = f"/orchestrators/{SECOND}{part}"
    etag = pages.get(path).headers["ETag"]
    assert pages.get(path, headers={"If-None-Match": etag}).status_code == 304

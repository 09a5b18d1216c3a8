"""The page of a gateway."""

import re
from html import unescape

import pytest
from flask.testing import FlaskClient

from tests.leaderboard.web.pages.conftest import FIRST, QUIET, SECOND
from tests.leaderboard.web.pages.test_ranking_page import text_of

STRICT = "/gateway?region=FRA&min_score=0.9"


def rows_of(html: str) -> dict[str, str]:
    """What a person reads in the row of each orchestrator."""
    return {row[1]: text_of(row[0]) for row in re.findall(r'(<tr id="(0x\w+)".*?</tr>)', html, re.DOTALL)}


def test_numbers_are_those_of_the_api(pages: FlaskClient) -> None:
    html = pages.get(STRICT).text
    preview = pages.get("/api/gateway_preview?region=FRA&min_score=0.9").json
    assert [row["orchestrator"] for row in preview["orchestrators"]] == list(rows_of(html))
    assert f"Pass now {preview['counts']['passes']} of 3 orchestrators" in text_of(html)
    assert "uses 1 orchestrator of 3 now" in text_of(html)


def test_steadiness_counts_the_days_of_the_week(pages: FlaskClient) -> None:
    html = pages.get(STRICT).text
    rows = rows_of(html)
    assert "2 of 7" in rows[FIRST]
    assert "0 of 7" in rows[SECOND]
    strip = re.search(rf'<tr id="{FIRST}".*?<svg class="days".*?</svg>', html, re.DOTALL)[0]
    assert re.findall(r'<(?:path|rect) class="(\w+)"', strip) == ["none"] * 5 + ["passed"] * 2 + ["threshold"]


def test_who_lacks_tests_is_named(pages: FlaskClient) -> None:
    html = pages.get("/gateway?region=FRA&show=lacks_tests").text
    assert list(rows_of(html)) == [QUIET]
    assert "not tested" in rows_of(html)[QUIET]
    assert "Left out for lack of tests" in text_of(html)


def test_gateway_uses_all_when_nobody_passes(pages: FlaskClient) -> None:
    assert "A gateway uses all orchestrators when nobody passes" in text_of(pages.get("/gateway?min_score=1").text)
    assert "uses all orchestrators" in text_of(pages.get("/gateway?min_score=0").text)


def test_flags_lead_to_this_service(pages: FlaskClient) -> None:
    html = pages.get("/gateway?region=fra&pipeline=text-to-image&model=a/b&min_score=0.5&window=7d").text
    flags = dict(re.findall(r"-(\w+) '([^']*)'", unescape(html)))
    assert flags["orchPerfStatsUrl"].startswith("http://localhost/api/aggregated_stats?")
    assert "window" not in flags["orchPerfStatsUrl"]
    assert FIRST in pages.get(flags["orchPerfStatsUrl"]).json
    assert "min_score=0.5&trusted=true" in flags["orchWebhookUrl"]
    assert pages.get(flags["orchWebhookUrl"]).status_code == 200


@pytest.mark.parametrize("query", ["", "job_type=ai", "pipeline=text-to-image", "region=NYC", "sort=days_passed"])
def test_each_choice_leads_to_a_page(pages: FlaskClient, query: str) -> None:
    response = pages.get(f"/gateway?{query}")
    assert response.status_code == 200
    links = {unescape(link) for link in re.findall(r'href="(/gateway[^"]*)"', response.text)}
    assert links
    for link in links:
        assert pages.get(link).status_code == 200, link


def test_ai_jobs_need_a_model(pages: FlaskClient) -> None:
    assert "Choose a model" in text_of(pages.get("/gateway?job_type=ai").text)


def test_region_without_tests_says_what_to_do(pages: FlaskClient) -> None:
    assert "no orchestrator was tested for Transcoding in NYC" in text_of(pages.get("/gateway?region=NYC").text)


def test_small_demand_has_no_exponent(pages: FlaskClient) -> None:
    html = unescape(pages.get("/gateway?region=FRA&min_score=0.00001").text)
    assert "-minPerfScore 0.00001 " in html
    assert "min_score=0.00001&" in html


def test_wrong_demand_is_named(pages: FlaskClient) -> None:
    response = pages.get("/gateway?min_score=2")
    assert response.status_code == 400
    assert "min_score must be a number from 0 to 1, not '2'" in text_of(response.text)

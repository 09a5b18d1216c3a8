"""The network as a page."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from flask import Flask
from flask.testing import FlaskClient

from leaderboard.app import create_app
from leaderboard.exclusions.exclusion_table import insert_exclusion
from leaderboard.settings import Settings
from queries import Exclusion
from tests.conftest import load_events
from tests.leaderboard.web.pages.conftest import ODD_MODEL, ONLY_AI, QUIET, network_events
from tests.leaderboard.web.pages.test_ranking_page import text_of


def section(html: str, heading: str) -> str:
    """What stands under a heading of the second order."""
    return re.split(r"<h2", html.split(f'<h2 id="{heading}"')[1])[0]


def test_jobs_have_their_numbers_and_changes(pages: FlaskClient) -> None:
    jobs = text_of(section(pages.get("/network").text, "jobs"))
    # 24 hours, two orchestrators in two regions, one of which fails every other job
    assert re.search(r"Transcoding 96 \S+ 75.0 % \S+ points 5\d\d ms \S+ s 1.50 s 2 ", jobs)
    assert re.search(r"All AI jobs 25 \S+ 100 % \S+ points by model below 2 ", jobs)
    assert re.search(r"a/b text-to-image 12 \S+ 100 % \S+ points 3.00 s \S+ s 3.00 s 1 ", jobs)


def test_each_tester_says_when_its_next_result_is_due(pages: FlaskClient) -> None:
    testers = text_of(section(pages.get("/network").text, "testers"))
    assert re.search(r"FRA AI on time \d+ minutes? ago \S+ \S+ in \d+ minutes 25 2", testers)
    assert re.search(r"LAX Transcoding on time \d+ minutes? ago 1 hour in \d+ minutes 48 2", testers)


def test_new_and_vanished_orchestrators_are_named(pages: FlaskClient) -> None:
    changes = section(pages.get("/network").text, "changes")
    new, vanished = changes.split("Vanished orchestrators (1)")
    assert "New orchestrators (1)" in new
    assert f"/orchestrators/{ONLY_AI}" in new
    assert f"/orchestrators/{QUIET}" in vanished


def test_window_without_one_before_compares_nothing(pages: FlaskClient) -> None:
    assert "nothing can be compared" in text_of(pages.get("/network?window=30d").text)


@pytest.mark.parametrize("query", ["job_type=ai&window=7d", "region=FRA"])
def test_each_link_leads_to_a_page(pages: FlaskClient, query: str) -> None:
    links = {unescape(link) for link in re.findall(r'href="(/[^"]*)', pages.get(f"/network?{query}").text)}
    assert len(links) > 15
    for link in links:
        assert pages.get(link).status_code == 200, link


def test_text_of_testers_is_never_html(pages: FlaskClient) -> None:
    html = pages.get("/network").text
    assert "<script>alert" not in html
    assert ODD_MODEL in unescape(html)


def test_job_of_the_filter_is_shown_alone(pages: FlaskClient) -> None:
    jobs = text_of(section(pages.get("/network?pipeline=text-to-image&model=a/b").text, "jobs"))
    assert "a/b" in jobs
    assert "Transcoding" not in jobs
    assert "All AI jobs" not in jobs


def test_silent_testers_and_exclusions_are_shown(database: str) -> None:
    now = datetime.now(UTC)
    end_of_lax = (now - timedelta(hours=7)).timestamp()
    # four days or more, at whatever time, so that the usual longest pause of a day is one hour
    events = [event for days in (0, 2) for event in network_events(int((now - timedelta(days=days)).timestamp()))]
    load_events(database, [event for event in events if event[2] != "LAX" or event[0] < end_of_lax])
    span = (now - timedelta(hours=9), now - timedelta(hours=8))
    exclusion = Exclusion("FRA", "transcoding", *span, "the tester's <disk> was full")
    app: Flask = create_app(Settings(lake_sync_interval=0, postgres=database))
    service = app.extensions["leaderboard"]
    service.database.run(lambda cursor: insert_exclusion(cursor, exclusion, "an operator"))
    service.exclusions.load()
    html = app.test_client().get("/network").text
    assert "LAX Transcoding silent 7 hours ago" in text_of(section(html, "testers"))
    incidents = section(html, "incidents")
    assert "LAX Transcoding the tester posted nothing 7 hours ago" in text_of(incidents)
    assert "FRA Transcoding the tester's <disk> was full 9 hours ago 8 hours ago an operator" in text_of(incidents)
    assert re.search(r'<rect class="silence" x="[\d.]+%" width="[\d.]+%"', incidents)
    assert re.search(r'<rect class="excluded" x="[\d.]+%" width="[\d.]+%"', incidents)
    service.close()

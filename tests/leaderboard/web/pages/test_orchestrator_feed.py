"""The badge of an orchestrator, and the feed of what changed for it."""

import re
import xml.etree.ElementTree as ET
from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from flask.testing import FlaskClient

from leaderboard.web.pages.orchestrator.changes import LOOK_BACK, changes_of_errors, changes_of_score, changes_of_tests
from tests.conftest import load_events
from tests.leaderboard.web.pages.conftest import FIRST, QUIET
from tests.support.results import transcoding_event

ATOM = {"atom": "http://www.w3.org/2005/Atom"}
ADDRESS = "0x" + "a" * 40
FIRST_DAY = date(2026, 9, 1)


def day(number: int) -> date:
    return FIRST_DAY + timedelta(days=number)


def entries(client: FlaskClient, query: str = "") -> list[tuple[str, str]]:
    """The id and the title of each entry."""
    response = client.get(f"/orchestrators/{ADDRESS}/feed.atom{query}")
    assert response.mimetype == "application/atom+xml"
    feed = ET.fromstring(response.text)
    found = feed.findall("atom:entry", ATOM)
    return [(entry.findtext("atom:id", "", ATOM), entry.findtext("atom:title", "", ATOM)) for entry in found]


@pytest.fixture
def _history(database: str) -> None:
    """Noon of each of the last days: good until four days ago, then failures, then no test."""
    noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    errors = [{"error_code": "Timeout"}]
    load_events(
        database,
        [
            transcoding_event((noon - timedelta(days=ago)).timestamp(), ADDRESS, **({} if ago >= 4 else failed))
            for ago in (6, 5, 4, 3)
            for failed in ({"success_rate": 0, "errors": errors},)
        ],
    )


@pytest.mark.usefixtures("_history")
def test_feed_tells_what_changed_newest_first(client: FlaskClient) -> None:
    found = entries(client)
    assert [title for _, title in found] == [
        "Transcoding: not tested",
        "Transcoding: new errors of the class timeout",
        "Transcoding: the score fell below 0.7",
    ]
    assert len({uuid for uuid, _ in found}) == 3
    assert entries(client) == found
    assert entries(client, "?job_type=ai") == []


@pytest.mark.usefixtures("_history")
def test_min_score_of_the_feed_can_be_chosen(client: FlaskClient) -> None:
    assert "Transcoding: the score fell below 0.5" in [title for _, title in entries(client, "?min_score=0.5")]
    assert client.get(f"/orchestrators/{ADDRESS}/feed.atom?min_score=2").status_code == 400


def test_score_has_to_cross_the_least_one() -> None:
    scores = {day(0): 0.8, day(1): 0.6, day(2): 0.65, day(4): 0.9, day(5 + LOOK_BACK.days): 0.1}
    changes = list(changes_of_score("AI", scores, 0.7))
    assert [(change.title, change.moment.date()) for change in changes] == [
        ("AI: the score fell below 0.7", day(2)),
        ("AI: the score is back at 0.7", day(5)),
    ]
    assert changes[0].text == "The score of 2026-09-02 was 0.600, and 0.800 on 2026-09-01."


def test_only_the_first_day_without_tests_counts() -> None:
    changes = list(changes_of_tests("AI", {day(0), day(1), day(4)}, [day(number) for number in range(6)]))
    assert [(change.title, change.moment.date()) for change in changes] == [
        ("AI: not tested", day(3)),
        ("AI: tested again", day(5)),
        ("AI: not tested", day(6)),
    ]


def test_errors_are_new_after_a_week_without_them() -> None:
    rows = [(day(0), "dns", 1), (day(3), "dns", 2), (day(4), "tls", 1), (day(4 + LOOK_BACK.days), "dns", 1)]
    table = pl.DataFrame(rows, schema=["day", "class", "results"], orient="row")
    changes = changes_of_errors("AI", table, {"dns": "Check it.", "tls": "Check that."})
    assert [(change.title, change.text) for change in changes] == [
        ("AI: new errors of the class dns", "1 result of 2026-09-01 had one. Check it."),
        ("AI: new errors of the class dns", "1 result of 2026-09-12 had one. Check it."),
        ("AI: new errors of the class tls", "1 result of 2026-09-05 had one. Check that."),
    ]


def test_badge_has_the_score_of_the_api(pages: FlaskClient) -> None:
    response = pages.get(f"/orchestrators/{FIRST}/badge.svg")
    (row,) = pages.get(f"/api/leaderboard?orchestrator={FIRST}").json["leaderboard"]
    assert response.mimetype == "image/svg+xml"
    (title,) = re.findall("<title>(.*)</title>", response.text)
    assert title == f"orchestrator: score {row['score']:.3f}, rank 1 of 2"
    ET.fromstring(response.text)


def test_badge_says_where_there_is_no_score(pages: FlaskClient) -> None:
    assert "not tested" in pages.get(f"/orchestrators/{QUIET}/badge.svg").text

"""The comparison of orchestrators as a page."""

import re
from html import unescape

import pytest
from flask.testing import FlaskClient

from tests.leaderboard.web.pages.conftest import FIRST, QUIET, SECOND
from tests.leaderboard.web.pages.test_ranking_page import text_of


def test_without_orchestrators_there_is_a_form_to_choose_them(pages: FlaskClient) -> None:
    html = pages.get("/compare?region=FRA").text
    assert re.findall(r'<input type="checkbox" name="o" value="(0x\w+)"( checked)?', html) == [
        (FIRST, ""),
        (SECOND, ""),
    ]
    assert '<input type="hidden" name="region" value="FRA">' in html
    assert "Choose up to 6 orchestrators" in text_of(html)


def test_orchestrators_stand_side_by_side(pages: FlaskClient) -> None:
    html = pages.get(f"/compare?o={SECOND}&o={FIRST.upper().replace('X', 'x')}").text
    text = text_of(html)
    assert "Rank 2 of 2" in text
    assert "Median time 1.50 s 500 ms best" in text
    assert "Success 50.0 % 24 failed tests 100 % best 0 failed tests" in text
    assert re.search(r"LAX 0.\d{3} 24 tests 0.\d{3} best 24 tests", text)
    assert [f'class="swatch series-{number}"' in html for number in (1, 2, 3)] == [True, True, False]


def test_order_and_number_of_orchestrators_are_kept_apart(pages: FlaskClient) -> None:
    """Pages are cached, and their URLs differ in the second orchestrator only."""
    one, two = (text_of(pages.get(f"/compare?o={FIRST}&o={other}").text) for other in (SECOND, QUIET))
    assert f"{QUIET} was not tested here" in two
    assert "was not tested here" not in one


def test_each_link_keeps_the_orchestrators(pages: FlaskClient) -> None:
    html = pages.get(f"/compare?o={FIRST},{SECOND}&window=7d").text
    links = {unescape(link) for link in re.findall(r'href="(/compare\?[^"]*o=[^"]*)"', html)}
    assert {link.count("0x") for link in links} == {1, 2}
    assert all(pages.get(link).status_code == 200 for link in links)
    assert f'<input type="hidden" name="o" value="{FIRST},{SECOND}">' in html


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("o=0xabc", "o must be an address, 0x and 40 hexadecimal digits, not '0xabc'"),
        ("&".join(f"o=0x{number:040x}" for number in range(7)), "o may name 6 orchestrators at most, not 7"),
    ],
)
def test_wrong_choice_is_answered_with_a_sentence(pages: FlaskClient, query: str, sentence: str) -> None:
    response = pages.get(f"/compare?{query}")
    assert response.status_code == 400
    assert sentence in text_of(response.text)


@pytest.mark.parametrize("window", ["until=9999-12-31", "since=0001-01-01", "since=2026-01-02&until=2026-01-01"])
def test_any_window_can_be_drawn(pages: FlaskClient, window: str) -> None:
    assert pages.get(f"/compare?o={FIRST}&{window}").status_code == 200

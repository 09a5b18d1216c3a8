"""The formulas as a page, and its calculator."""

import json
import math
import re
from statistics import median
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from queries import FORMULA_SYMBOLS, FORMULAS
from tests.leaderboard.web.pages.conftest import FIRST, ODD_MODEL, QUIET
from tests.leaderboard.web.pages.test_ranking_page import text_of

TRANSCODING = {"region": "FRA", "orchestrator": FIRST, "success_rate": 1, "round_trip_time": 0.5, "seg_duration": 2}
IMAGE = {"region": "FRA", "orchestrator": QUIET, "pipeline": "Text to image", "model": "a/b", "success_rate": 1}
LIVE = {"region": "FRA", "orchestrator": FIRST, "pipeline": "live-video-to-video", "model": "m", "success_rate": 1}


def calculated(pages: FlaskClient, result: dict[str, Any], parameters: str = "") -> list[str]:
    """What a person reads of the calculation by each formula."""
    response = pages.get(f"/formulas?{parameters}result={quote(json.dumps(result))}")
    assert response.status_code == 200
    cards = re.findall(r'aria-label="Score by formula.*?</section>', response.text, re.DOTALL)
    return [text_of(f"<{card}") for card in cards]


def test_every_version_and_symbol_is_there(pages: FlaskClient) -> None:
    text = text_of(pages.get("/formulas").text)
    for meaning in FORMULA_SYMBOLS.values():
        assert meaning in text
    for formula in FORMULAS.values():
        assert f"Formula {formula.name}" in text
        for rule in formula.describe()["rules"]:
            assert rule in text


def test_powers_are_raised(pages: FlaskClient) -> None:
    assert "1 − e<sup>−<var>d</var> / <var>t</var></sup>" in pages.get("/formulas").text


def test_transcoding_steps_lead_to_the_score(pages: FlaskClient) -> None:
    score = 1 - math.exp(-4)
    for text in calculated(pages, TRANSCODING):
        assert f"{score:.3f}" in text
        assert f"2 / 0.5 = 4 round_trip_score 1 − e −4 = {score:.4f} score 1 · {score:.4f} = {score:.4f}" in text


def test_ai_result_is_scored_against_the_network(pages: FlaskClient) -> None:
    # 24 hours of the network's jobs of 3 s, in one spelling of the pipeline, and this one
    first, second = calculated(pages, IMAGE | {"round_trip_time": 6})
    assert "of 0 other successful jobs in FRA, and of this one if it succeeded = 6" in first
    assert "0.930" in first
    m = median([3] * 12 + [6])
    assert re.search(r"of 1[12] other successful jobs in all regions, and of this one if it succeeded = 3 ", second)
    assert f"{0.65 + 0.35 * 0.8 ** (6 / m):.3f}" in second


def test_versions_differ_where_their_rules_do(pages: FlaskClient) -> None:
    quality = LIVE | {"round_trip_time": 0.9}
    assert "0.930" in calculated(pages, quality)[0]
    assert "0.965" in calculated(pages, quality)[1]
    busy = quality | {"success_rate": 0, "test_outcome": "unscored_busy"}
    assert "0.000" in calculated(pages, busy)[0]
    assert "the tester posted the outcome unscored_busy" in calculated(pages, busy)[1]
    double = quality | {"errors": [{"error_code": "x", "count": 1}]}
    assert "Left out" in calculated(pages, double)[1]
    capped = TRANSCODING | {"success_rate": 0, "errors": [{"error_code": "OrchestratorCapped", "count": 1}]}
    assert "0.000" in calculated(pages, capped)[1]
    assert "the orchestrator was busy" in calculated(pages, capped, "busy=ignore&")[1]


def test_newest_result_of_an_orchestrator(pages: FlaskClient) -> None:
    html = pages.get(f"/formulas?orchestrator={FIRST.upper().replace('X', 'x')}&job_type=transcoding").text
    assert "The newest result of" in text_of(html)
    assert f"{1 - math.exp(-4):.3f}" in text_of(html)
    assert "transcoding, LAX" in text_of(html)
    html = pages.get(f"/formulas?orchestrator={FIRST}&pipeline=text-to-image&model={quote(ODD_MODEL)}").text
    assert "<script>alert" not in html
    assert "Change its numbers" in html


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("result=x", "the body must be a JSON object"),
        ("result=%7B%7D", "region is required"),
        (f"result={quote(json.dumps(TRANSCODING | {'success_rate': 'x'}))}", "success_rate must be a number"),
        ("orchestrator=0x1", "orchestrator must be an address"),
        (f"orchestrator=0x{'d' * 40}", f"orchestrator 0x{'d' * 40} has no result in this window"),
    ],
)
def test_wrong_input_gives_a_sentence_that_names_the_field(pages: FlaskClient, query: str, sentence: str) -> None:
    response = pages.get(f"/formulas?{query}")
    assert response.status_code == 400
    assert sentence in text_of(response.text)
    assert "Score by formula" not in response.text


def test_links_lead_somewhere(pages: FlaskClient) -> None:
    html = pages.get("/formulas").text
    links = re.findall(r'href="(/(?:formulas|api)[^"#]*)', html)
    assert "/formulas/notebook.ipynb" in links
    assert "/formulas/source/formulas.py" in links
    for link in links:
        assert pages.get(link).status_code == 200, link
    assert pages.get("/formulas/source/nothing.py").status_code == 404

"""The list for a gateway's discovery webhook, against values worked out by hand."""

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest

from queries import AI, EventFilter, discovery
from tests.queries.conftest import make_events, to_polars

Engine = Callable[[pl.DataFrame], Any]
JOB = {"job_type": AI, "pipeline": "llm", "model": "m", "seg_duration": 0.0, "round_trip_time": 2.0}
GOOD, BAD = "https://good.example.org:8935", "https://bad.example.org:8935"
FAILED = {"success_rate": 0.0}
AI_JOBS = EventFilter(AI)


def found(engine: Engine, rows: list[dict[str, Any]], query: EventFilter = AI_JOBS, **options: Any) -> pl.DataFrame:
    return to_polars(discovery(engine(make_events(rows)), query, **options))


def addresses(engine: Engine, rows: list[dict[str, Any]], query: EventFilter = AI_JOBS, **options: Any) -> list[str]:
    return found(engine, rows, query, **options)["address"].to_list()


def test_nodes_come_best_first_with_the_score_of_their_own_results(on_engine: Engine) -> None:
    rows = [
        JOB | {"service_uri": BAD},
        JOB | FAILED | {"service_uri": BAD},
        JOB | {"service_uri": GOOD},
        JOB | FAILED,
    ]
    answer = found(on_engine, rows)
    assert answer["address"].to_list() == [GOOD, BAD]
    assert answer["score"].to_list() == pytest.approx([0.65 + 0.35 * 0.8, 0.65 * 0.5 + 0.35 * 0.8], abs=1e-9)
    assert answer.select("events", "regions").rows() == [(1, 1), (2, 1)]


def test_score_is_the_mean_over_the_regions_of_the_mean_over_the_jobs(on_engine: Engine) -> None:
    node, other = {"service_uri": GOOD}, {"model": "n"}
    rows = [
        *[JOB | node] * 2,
        JOB | FAILED | node | other,
        JOB | {"orchestrator": "0xb"} | other,
        JOB | FAILED | node | {"region": "SEA"},
    ]
    full, failed = 0.93, 0.0
    assert found(on_engine, rows)["score"].to_list() == pytest.approx(
        [((2 * full + failed) / 3 + failed) / 2], abs=1e-9
    )
    assert found(on_engine, rows, EventFilter(AI, region="FRA", pipeline="LLM", model="m"))["score"].item() == (
        pytest.approx(full, abs=1e-9)
    )


def test_nodes_below_the_least_score_or_number_of_events_are_left_out(on_engine: Engine) -> None:
    rows = [JOB | {"service_uri": GOOD}, *[JOB | FAILED | {"service_uri": BAD}] * 3]
    assert addresses(on_engine, rows) == [GOOD, BAD]
    # a least score that equals the score, but for its last bits
    assert addresses(on_engine, rows, min_score=0.93) == [GOOD]
    assert addresses(on_engine, rows, min_events=2) == [BAD]


def test_node_without_a_scored_result_has_no_score_to_list(on_engine: Engine) -> None:
    assert addresses(on_engine, [JOB | {"service_uri": GOOD, "outcome": "unscored_busy"}]) == []


def test_nodes_with_equal_scores_are_in_the_order_of_their_addresses(on_engine: Engine) -> None:
    rows = [JOB | {"service_uri": uri} for uri in (GOOD, BAD)]
    assert addresses(on_engine, rows) == [BAD, GOOD]


@pytest.mark.parametrize(
    "uri",
    [
        "https://node.example.org:8935",
        "HTTP://203.0.113.7:8935/",
        "https://[2001:db8::1]:8935",
        "https://node.example.org/path%20x?y=1",
    ],
)
def test_addresses_that_a_gateway_parses_are_listed_as_they_are(uri: str) -> None:
    assert discovery(make_events([JOB | {"service_uri": uri}]))["address"].to_list() == [uri]


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "node.example.org:8935",
        "ftp://node.example.org",
        "https://",
        "https://:8935",
        "https://user:secret@node.example.org",
        "https://node.example.org:port",
        "https://node.example.org:8935 ",
        "https://node.example.org/%zz",
        "https://node.example.org/\n",
        "javascript:alert(1)//https://node.example.org",
    ],
)
def test_other_texts_are_not_listed(on_engine: Engine, uri: str) -> None:
    assert addresses(on_engine, [JOB | {"service_uri": uri}]) == []


def test_transcoding_nodes_are_listed_on_request(on_engine: Engine) -> None:
    assert addresses(on_engine, [{"service_uri": GOOD}, JOB | {"service_uri": BAD}], EventFilter()) == [GOOD]

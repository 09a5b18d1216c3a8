"""Query strings, and the filters and windows that they mean."""

from datetime import UTC, datetime, timedelta

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from leaderboard.web import params
from leaderboard.web.params import InvalidParameter
from queries import AI, TRANSCODING, EventFilter
from queries.times import MIN_TIME


def request_with(query: str) -> Request:
    return Request(EnvironBuilder(path="/", query_string=query).get_environ())


def test_default_window_is_the_last_hours() -> None:
    since, until = params.time_range(request_with(""), default_hours=24)
    assert until - since == timedelta(hours=24)
    assert abs(until - datetime.now(UTC)) < timedelta(minutes=1)


def test_since_alone_ends_now() -> None:
    since, until = params.time_range(request_with("since=5"), default_hours=24)
    assert since == datetime(1970, 1, 1, 0, 0, 5, tzinfo=UTC)
    assert abs(until - datetime.now(UTC)) < timedelta(minutes=1)


def test_until_alone_begins_at_the_earliest_time() -> None:
    assert params.time_range(request_with("until=5"), default_hours=24) == (
        MIN_TIME,
        datetime(1970, 1, 1, 0, 0, 5, tzinfo=UTC),
    )


def test_window_longer_than_time_begins_at_the_earliest_time() -> None:
    assert params.time_range(request_with(""), default_hours=1e12).since == MIN_TIME


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", EventFilter(TRANSCODING)),
        ("&", EventFilter(TRANSCODING)),
        ("orchestrator=&region=&pipeline=&model=&job_type=", EventFilter(TRANSCODING)),
        ("orchestrator=0xAB&region=fra", EventFilter(TRANSCODING, orchestrator="0xab", region="FRA")),
        ("pipeline=Text+to%20image&model=m", EventFilter(AI, pipeline="Text to image", model="m")),
        ("job_type=transcoding&other=1&region=a&region=b", EventFilter(TRANSCODING, region="A")),
        ("job_type=transcoding&pipeline=p&model=m", EventFilter(TRANSCODING, pipeline="p", model="m")),
    ],
)
def test_filter_of_aggregated_stats(query: str, expected: EventFilter) -> None:
    assert params.scores_filter(request_with(query)) == expected


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("model=m", "pipeline required"),
        ("pipeline=p", "model required"),
        ("job_type=transcoding&pipeline=p", "model required"),
        ("job_type=ai", "pipeline and model required"),
        ("job_type=AI", "job_type must be"),
        ("job_type=video", "job_type must be"),
        ("region=%00", "region must not contain"),
    ],
)
def test_invalid_filter_of_aggregated_stats(query: str, sentence: str) -> None:
    with pytest.raises(InvalidParameter, match=sentence):
        params.scores_filter(request_with(query))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("orchestrator=0xAB", EventFilter(TRANSCODING, orchestrator="0xab")),
        ("orchestrator=0xab&pipeline=p", EventFilter(AI, orchestrator="0xab", pipeline="p")),
        ("orchestrator=0xab&job_type=ai", EventFilter(AI, orchestrator="0xab")),
        ("orchestrator=0xab&pipeline=p&model=m", EventFilter(AI, orchestrator="0xab", pipeline="p", model="m")),
    ],
)
def test_filter_of_raw_stats(query: str, expected: EventFilter) -> None:
    assert params.results_filter(request_with(query)) == (expected.orchestrator, expected)


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("", "^orchestrator is a required parameter$"),
        ("orchestrator=", "^orchestrator is a required parameter$"),
        ("orchestrator=0xab&model=m", "^pipeline required$"),
        ("orchestrator=0xab&job_type=ai&model=m", "^pipeline required$"),
    ],
)
def test_invalid_filter_of_raw_stats(query: str, sentence: str) -> None:
    with pytest.raises(InvalidParameter, match=sentence):
        params.results_filter(request_with(query))


def test_window_names_a_span_that_ends_now() -> None:
    since, until = params.time_range(request_with("window=7d"), default_hours=24)
    assert until - since == timedelta(days=7)
    assert abs(until - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("window=8d", "window must be one of 24h, 7d, 30d, 90d, 1y, not '8d'"),
        ("window=7d&since=0", "window must not be combined with since or until"),
        ("window=7d&until=2026-09-01", "window must not be combined with since or until"),
    ],
)
def test_wrong_window_is_refused(query: str, sentence: str) -> None:
    with pytest.raises(InvalidParameter, match=sentence):
        params.time_range(request_with(query), default_hours=24)

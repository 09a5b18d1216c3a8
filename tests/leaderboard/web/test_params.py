"""What a query string means."""

from datetime import UTC, datetime, timedelta

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from leaderboard.web import params
from leaderboard.web.params import InvalidParameter
from queries import AI, TRANSCODING, EventFilter
from queries.times import MIN_TIME


def asked(query: str) -> Request:
    return Request(EnvironBuilder(path="/", query_string=query).get_environ())


def test_neither_end_is_the_last_hours() -> None:
    since, until = params.time_range(asked(""), default_hours=24)
    assert until - since == timedelta(hours=24)
    assert abs(until - datetime.now(UTC)) < timedelta(minutes=1)


def test_only_since_is_until_now() -> None:
    since, until = params.time_range(asked("since=5"), default_hours=24)
    assert since == datetime(1970, 1, 1, 0, 0, 5, tzinfo=UTC)
    assert abs(until - datetime.now(UTC)) < timedelta(minutes=1)


def test_only_until_is_everything_before() -> None:
    assert params.time_range(asked("until=5"), default_hours=24) == (
        MIN_TIME,
        datetime(1970, 1, 1, 0, 0, 5, tzinfo=UTC),
    )


def test_a_window_longer_than_time_begins_with_it() -> None:
    assert params.time_range(asked(""), default_hours=1e12).since == MIN_TIME


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
def test_what_aggregated_stats_is_asked(query: str, expected: EventFilter) -> None:
    assert params.scores_filter(asked(query)) == expected


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
def test_what_aggregated_stats_cannot_be_asked(query: str, sentence: str) -> None:
    with pytest.raises(InvalidParameter, match=sentence):
        params.scores_filter(asked(query))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("orchestrator=0xAB", EventFilter(TRANSCODING, orchestrator="0xab")),
        ("orchestrator=0xab&pipeline=p", EventFilter(AI, orchestrator="0xab", pipeline="p")),
        ("orchestrator=0xab&job_type=ai", EventFilter(AI, orchestrator="0xab")),
        ("orchestrator=0xab&pipeline=p&model=m", EventFilter(AI, orchestrator="0xab", pipeline="p", model="m")),
    ],
)
def test_what_raw_stats_is_asked(query: str, expected: EventFilter) -> None:
    assert params.results_filter(asked(query)) == (expected.orchestrator, expected)


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("", "^orchestrator is a required parameter$"),
        ("orchestrator=", "^orchestrator is a required parameter$"),
        ("orchestrator=0xab&model=m", "^pipeline required$"),
        ("orchestrator=0xab&job_type=ai&model=m", "^pipeline required$"),
    ],
)
def test_what_raw_stats_cannot_be_asked(query: str, sentence: str) -> None:
    with pytest.raises(InvalidParameter, match=sentence):
        params.results_filter(asked(query))

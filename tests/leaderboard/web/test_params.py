"""What a query string means."""

from datetime import UTC, datetime, timedelta

import pytest
from flask import Request
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder

from leaderboard.web import params
from leaderboard.web.params import InvalidParameter
from queries import AI, TRANSCODING, EventFilter
from queries.times import MIN_TIME, parse_moment


def asked(query: str) -> Request:
    return Request(EnvironBuilder(path="/", query_string=query).get_environ())


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("0", datetime(1970, 1, 1, tzinfo=UTC)),
        ("1789371400", datetime(2026, 9, 14, 7, 36, 40, tzinfo=UTC)),
        ("1789371400.123", datetime(2026, 9, 14, 7, 36, 40, 123000, tzinfo=UTC)),
        ("1.7893714e9", datetime(2026, 9, 14, 7, 36, 40, tzinfo=UTC)),
        ("-1", datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("2026-09-14T07:36:40Z", datetime(2026, 9, 14, 7, 36, 40, tzinfo=UTC)),
        ("2026-09-14t07:36:40.5z", datetime(2026, 9, 14, 7, 36, 40, 500000, tzinfo=UTC)),
        ("2026-09-14T09:36:40+02:00", datetime(2026, 9, 14, 7, 36, 40, tzinfo=UTC)),
        ("2026-09-14T09:36:40 02:00", datetime(2026, 9, 14, 7, 36, 40, tzinfo=UTC)),
        ("2026-09-14 05:36:40-02:00", datetime(2026, 9, 14, 7, 36, 40, tzinfo=UTC)),
        ("-1e11", MIN_TIME),
        ("1e11", datetime(5138, 11, 16, 9, 46, 40, tzinfo=UTC)),
    ],
)
def test_a_moment_is_unix_seconds_or_rfc_3339(given: str, expected: datetime) -> None:
    assert parse_moment(given) == expected


@pytest.mark.parametrize(
    "given",
    ["abc", "nan", "inf", "-Infinity", "1_000", "0x10", "1e999", "٣", "2026-09-14", "2026-13-01T00:00:00Z", "1 2"],
)
def test_what_is_no_moment_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match=f"must be .*{given}"):
        parse_moment(given)


@pytest.mark.parametrize("given", ["1789371400000", "100000000001", "-100000000001"])
def test_milliseconds_are_told_apart(given: str) -> None:
    with pytest.raises(ValueError, match="seconds"):
        parse_moment(given)


@given(st.text(max_size=40))
def test_any_text_is_a_moment_or_refused(given: str) -> None:
    try:
        assert parse_moment(given).tzinfo is UTC
    except ValueError as error:
        assert str(error).startswith("must be")  # noqa: PT017  most texts are refused, some are not


def test_neither_end_is_the_last_hours() -> None:
    since, until = params.window(asked(""), hours=24)
    assert until - since == timedelta(hours=24)
    assert abs(until - datetime.now(UTC)) < timedelta(minutes=1)


def test_only_since_is_until_now() -> None:
    since, until = params.window(asked("since=5"), hours=24)
    assert since == datetime(1970, 1, 1, 0, 0, 5, tzinfo=UTC)
    assert abs(until - datetime.now(UTC)) < timedelta(minutes=1)


def test_only_until_is_everything_before() -> None:
    assert params.window(asked("until=5"), hours=24) == (MIN_TIME, datetime(1970, 1, 1, 0, 0, 5, tzinfo=UTC))


def test_a_window_longer_than_time_begins_with_it() -> None:
    assert params.window(asked(""), hours=1e12).since == MIN_TIME


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
    assert params.scores_query(asked(query)) == expected


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
        params.scores_query(asked(query))


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
    assert params.results_query(asked(query)) == expected


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
        params.results_query(asked(query))

"""Moments and windows of time."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queries.times import EPOCH, MAX_TIME, MIN_TIME, from_micros, last_hours, parse_moment, time_range, to_micros


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
        ("2026-09-14", datetime(2026, 9, 14, tzinfo=UTC)),
        (" 0001-01-01 ", MIN_TIME),
        ("-1e11", MIN_TIME),
        ("1e11", datetime(5138, 11, 16, 9, 46, 40, tzinfo=UTC)),
    ],
)
def test_parse_moment_reads_unix_seconds_rfc_3339_and_dates(given: str, expected: datetime) -> None:
    assert parse_moment(given) == expected


@pytest.mark.parametrize(
    "given",
    [
        "abc",
        "nan",
        "inf",
        "-Infinity",
        "1_000",
        "0x10",
        "1e999",
        "٣",
        "2026-9-14",
        "2026-13-01T00:00:00Z",
        "2026-02-30",
        "20260914T",
        "1 2",
    ],
)
def test_parse_moment_refuses_anything_else(given: str) -> None:
    with pytest.raises(ValueError, match=f"must be .*{given}"):
        parse_moment(given)


@pytest.mark.parametrize("given", ["1789371400000", "100000000001", "-100000000001"])
def test_parse_moment_suspects_milliseconds(given: str) -> None:
    with pytest.raises(ValueError, match="seconds"):
        parse_moment(given)


@given(st.text(max_size=40))
def test_parse_moment_returns_utc_or_raises_for_any_text(given: str) -> None:
    try:
        assert parse_moment(given).tzinfo is UTC
    except ValueError as error:
        assert str(error).startswith("must be")  # noqa: PT017  most texts are refused, some are not


def test_time_range_without_since_begins_at_the_earliest_time() -> None:
    assert time_range(None, EPOCH, 24) == (MIN_TIME, EPOCH)


def test_time_range_without_bounds_is_the_last_hours() -> None:
    since, until = time_range(None, None, 24)
    assert until - since == timedelta(hours=24)


def test_last_hours_cannot_reach_before_the_earliest_time() -> None:
    assert last_hours(1e12).since == MIN_TIME


@given(st.datetimes(timezones=st.just(UTC)))
def test_micros_convert_back_to_the_same_moment(moment: datetime) -> None:
    assert from_micros(to_micros(moment)) == moment


def test_micros_after_the_last_moment_become_the_last_moment() -> None:
    assert from_micros(to_micros(MAX_TIME) + 1) == MAX_TIME

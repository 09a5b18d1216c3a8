"""A ranking is cut after a row, whatever comes before it."""

from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from leaderboard.web.pagination import Paging, resume, take_page
from leaderboard.web.params import InvalidParameter
from queries.ranking import RANKING_COLUMNS
from queries.times import TimeRange

WINDOW = TimeRange(datetime.min.replace(tzinfo=UTC), datetime(2026, 9, 1, 1, 2, 3, 4, tzinfo=UTC))


def ranking(**values: list[Any]) -> pl.DataFrame:
    """A ranking of 0xa, 0xb and so on that has these values."""
    (length,) = {len(column) for column in values.values()}
    plain = {name: [1.0] * length for name in RANKING_COLUMNS} | {
        "orchestrator": [f"0x{'abcdef'[n]}" for n in range(length)]
    }
    return pl.DataFrame(plain | values)


def names(frame: pl.DataFrame, paging: Paging) -> list[list[str]]:
    """The orchestrators of all portions."""
    portions, cursor = [], ""
    while cursor is not None:
        part, cursor = take_page(frame, resume(paging, cursor) if cursor else paging)
        portions.append([name[2:] for name in part["orchestrator"]])
    return portions


@pytest.mark.parametrize("limit", [1, 2, 3, 10])
@pytest.mark.parametrize(("descending", "expected"), [(False, "cbeadf"), (True, "ebcadf")])
def test_those_without_a_value_come_last(limit: int, descending: bool, expected: str) -> None:
    frame = ranking(p50_round_trip_time=[None, 2.0, 1.0, None, 3.0, None])
    found = names(frame, Paging("p50_round_trip_time", descending, limit, "q", WINDOW))
    assert "".join(name for portion in found for name in portion) == expected
    assert [len(portion) for portion in found[:-1]] == [limit] * (len(found) - 1)


@pytest.mark.parametrize("descending", [False, True])
def test_equal_values_come_by_address_though_their_last_bits_differ(descending: bool) -> None:
    frame = ranking(score=[0.1 + 0.2, 0.3, 0.1 + 0.2])
    assert names(frame, Paging("score", descending, 1, "q", WINDOW)) == [["a"], ["b"], ["c"]]


def test_a_row_that_is_gone_leaves_no_gap() -> None:
    frame, paging = ranking(score=[0.9, 0.8, 0.7, 0.6]), Paging("score", True, 2, "q", WINDOW)
    _, cursor = take_page(frame, paging)
    after, _ = take_page(frame.filter(pl.col("orchestrator") != "0xb"), resume(paging, cursor))
    assert after["orchestrator"].to_list() == ["0xc", "0xd"]


def test_a_cursor_keeps_the_window_to_the_microsecond() -> None:
    paging = Paging("score", True, 1, "q", WINDOW)
    _, cursor = take_page(ranking(score=[1.0, 0.5]), paging)
    later = paging._replace(time_range=TimeRange(WINDOW.until, WINDOW.until))
    assert resume(later, cursor).time_range == WINDOW


def test_a_cursor_of_text_is_none_of_numbers() -> None:
    _, cursor = take_page(ranking(score=[1.0, 0.5]), Paging("orchestrator", False, 1, "q", WINDOW))
    with pytest.raises(InvalidParameter, match=r"^cursor must come with the other parameters"):
        resume(Paging("score", True, 1, "q", WINDOW), cursor)

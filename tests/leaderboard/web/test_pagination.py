"""Pages begin after a row, whatever rows come before it."""

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
    """A ranking of 0xa, 0xb and so on with these values in some columns, and 1.0 in the others."""
    (length,) = {len(column) for column in values.values()}
    plain = {name: [1.0] * length for name in RANKING_COLUMNS} | {
        "orchestrator": [f"0x{'abcdef'[n]}" for n in range(length)]
    }
    return pl.DataFrame(plain | values)


def names(frame: pl.DataFrame, paging: Paging) -> list[list[str]]:
    """The last letters of the orchestrators on each page."""
    pages, cursor = [], ""
    while cursor is not None:
        page, cursor = take_page(frame, resume(paging, cursor) if cursor else paging)
        pages.append([name[2:] for name in page["orchestrator"]])
    return pages


@pytest.mark.parametrize("limit", [1, 2, 3, 10])
@pytest.mark.parametrize(("descending", "expected"), [(False, "cbeadf"), (True, "ebcadf")])
def test_rows_without_a_value_are_last(limit: int, descending: bool, expected: str) -> None:
    frame = ranking(p50_round_trip_time=[None, 2.0, 1.0, None, 3.0, None])
    found = names(frame, Paging("p50_round_trip_time", descending, limit, "q", WINDOW))
    assert "".join(name for page in found for name in page) == expected
    assert [len(page) for page in found[:-1]] == [limit] * (len(found) - 1)


@pytest.mark.parametrize("descending", [False, True])
def test_values_equal_but_for_their_last_bits_are_in_the_order_of_addresses(descending: bool) -> None:
    frame = ranking(score=[0.1 + 0.2, 0.3, 0.1 + 0.2])
    assert names(frame, Paging("score", descending, 1, "q", WINDOW)) == [["a"], ["b"], ["c"]]


def test_row_that_disappears_leaves_no_gap() -> None:
    frame, paging = ranking(score=[0.9, 0.8, 0.7, 0.6]), Paging("score", True, 2, "q", WINDOW)
    _, cursor = take_page(frame, paging)
    after, _ = take_page(frame.filter(pl.col("orchestrator") != "0xb"), resume(paging, cursor))
    assert after["orchestrator"].to_list() == ["0xc", "0xd"]


def test_cursor_keeps_the_window_to_the_microsecond() -> None:
    paging = Paging("score", True, 1, "q", WINDOW)
    _, cursor = take_page(ranking(score=[1.0, 0.5]), paging)
    later = paging._replace(time_range=TimeRange(WINDOW.until, WINDOW.until))
    assert resume(later, cursor).time_range == WINDOW


def test_cursor_of_a_text_column_is_no_cursor_of_a_number_column() -> None:
    _, cursor = take_page(ranking(score=[1.0, 0.5]), Paging("orchestrator", False, 1, "q", WINDOW))
    with pytest.raises(InvalidParameter, match=r"^cursor must come with the other parameters"):
        resume(Paging("score", True, 1, "q", WINDOW), cursor)

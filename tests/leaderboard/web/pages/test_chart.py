"""The charts of courses over time."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from leaderboard.web.pages.drawing.axes import round_steps, time_ticks
from leaderboard.web.pages.drawing.chart import REFERENCE, SECONDS, Band, Point, Series, history_chart
from queries.times import TimeRange

UNTIL = datetime(2026, 9, 9, 12, tzinfo=UTC)
WEEK = TimeRange(UNTIL - timedelta(days=7), UNTIL)
DAY = timedelta(days=1)


def days(*points: Point | None) -> dict[datetime, Point]:
    first = datetime(2026, 9, 2, tzinfo=UTC)
    return {first + number * DAY: point for number, point in enumerate(points) if point}


def data_of(figure: str) -> dict[str, object]:
    return json.loads(re.search(r'<script type="application/json">(.*)</script>', figure)[1])


def test_line_has_a_gap_where_nothing_was_tested() -> None:
    points = days((0.5, 9), (0.5, 9), None, (1.0, 9), (None, 4), (0.0, 9), (0.0, 9))
    figure = history_chart("Score", WEEK, DAY, [Series("one", points)])
    assert len(re.findall("M", re.search(r'class="line" d="([^"]*)"', figure)[1])) == 3
    assert re.findall(r'class="dot" d="([^"]*)"', figure) == ["M428.6 0h0"]
    assert data_of(figure)["series"][0]["values"] == [0.5, 0.5, None, 1, None, 0, 0]


def test_points_of_few_tests_are_hollow() -> None:
    points = days((0.5, 2), (0.5, 9), (0.25, 1))
    figure = history_chart("Score", WEEK, DAY, [Series("one", points)])
    assert re.search(r'class="dot-hole" d="([^"]*)"', figure)[1] == "M0 500h0M285.7 750h0"
    assert "dot-hole" not in history_chart("Score", WEEK, DAY, [Series("median", points, REFERENCE)])


def test_values_stand_in_the_middle_of_their_step_and_inside_of_the_window() -> None:
    points = days(*[(0.5, 9)] * 8)
    times = data_of(history_chart("Score", WEEK, DAY, [Series("one", points)]))["times"]
    # the first step begins, and the last ends, outside of the window
    assert (times[0], times[1], times[-1]) == (
        WEEK.since.timestamp(),
        (WEEK.since + DAY).timestamp(),
        UNTIL.timestamp(),
    )


def test_text_is_escaped_everywhere() -> None:
    evil = "</script><script>alert(1)</script>\"'&"
    band = Band(WEEK.since, UNTIL, evil)
    figure = history_chart(evil, WEEK, DAY, [Series(evil, days((0.5, 9)))], bands=[band])
    assert figure.count("<script") == figure.count("</script>") == 1
    assert data_of(figure)["bands"][0][2] == evil


def test_summary_tells_who_does_not_see_the_chart() -> None:
    figure = history_chart("Times", WEEK, DAY, [Series("one", days((1.5, 9), (4.5, 9), (2.0, 9)))], unit=SECONDS)
    assert 'aria-label="Times. one: 1.50 s to 4.50 s, last 2.00 s"' in figure


def test_axis_begins_with_the_first_result_of_a_long_window() -> None:
    window = TimeRange(datetime(1970, 1, 1, tzinfo=UTC), UNTIL)
    data = data_of(history_chart("Score", window, DAY, [Series("one", days((0.5, 9)))]))
    assert data["range"] == [datetime(2026, 9, 2, tzinfo=UTC).timestamp(), UNTIL.timestamp()]


def test_without_values_the_figure_says_so() -> None:
    figure = history_chart("Score", WEEK, DAY, [Series("one", days((None, 3)))])
    assert "No data for this window" in figure
    assert "data-chart" not in figure


@pytest.mark.parametrize(
    ("length", "labels"),
    [
        (timedelta(hours=10), ["02:00", "04:00", "06:00", "08:00", "10:00", "12:00"]),
        (timedelta(days=2), ["12:00", "8 Sep", "12:00", "9 Sep", "12:00"]),
        (timedelta(days=9), ["2 Sep", "4 Sep", "6 Sep", "8 Sep"]),
        (timedelta(days=400), ["Oct 2025", "Jan 2026", "Apr 2026", "Jul 2026"]),
    ],
)
def test_time_ticks_are_round_moments(length: timedelta, labels: list[str]) -> None:
    assert [tick.label for tick in time_ticks(UNTIL - length, UNTIL)] == labels


@pytest.mark.parametrize(
    ("largest", "steps"),
    [(1, [0, 0.25, 0.5, 0.75, 1]), (0.03, [0, 0.01, 0.02, 0.03]), (7, [0, 2, 4, 6, 8]), (130, [0, 50, 100, 150])],
)
def test_value_ticks_are_round(largest: float, steps: list[float]) -> None:
    assert round_steps(largest) == steps

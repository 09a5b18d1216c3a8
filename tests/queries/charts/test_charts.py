"""The charts show what the questions answered."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import altair as alt
import duckdb
import polars as pl
import pytest
import vl_convert

from queries import (
    AI,
    SUGGESTED_MIN_EVENTS,
    EventFilter,
    aggregated_stats,
    charts,
    orchestrator_errors,
    ranking,
    score_history,
)
from queries.charts.history import MAX_COLOURS
from queries.charts.palette import SCORE_STEPS
from queries.times import TimeRange
from tests.queries.conftest import make_events

NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)
ADDRESS = "0x10e0a91e652b05e9c7449ff457cf2e96c3037fb7"
NOTHING = "No results in this window."
EMPTY = make_events([])


def drawn(chart: alt.TopLevelMixin) -> str:
    """The chart as SVG, without its descriptions for screen readers."""
    return re.sub(r' aria-[a-z]+="[^"]*"', "", vl_convert.vegalite_to_svg(chart.to_dict()))


def texts(svg: str) -> list[str]:
    return re.findall(r"<(?:text|tspan)[^>]*>([^<]+)</", svg)


def marks(svg: str, kind: str) -> int:
    """How many marks of a kind there are: as many as there are rows."""
    groups = re.findall(rf'<g class="mark-{kind} role-mark[^"]*"[^>]*[^/]>(.*?)</g>', svg, re.DOTALL)
    return sum(len(re.findall("<path|<line", group)) for group in groups)


def job(orchestrator: str, region: str = "FRA", **fields: Any) -> dict[str, Any]:
    return {"orchestrator": orchestrator, "region": region} | fields


def make_unscored(rows: list[dict[str, Any]], unscored: str) -> pl.DataFrame:
    """AI events, of which those of one orchestrator are unscored."""
    events = make_events([row | {"job_type": "ai", "pipeline": "llm", "model": "m"} for row in rows])
    return events.with_columns(outcome=pl.when(pl.col("orchestrator") == unscored).then(pl.lit("unscored_busy")))


def ai(model: str, orchestrator: str = "0xa", **fields: Any) -> dict[str, Any]:
    return job(orchestrator, job_type="ai", pipeline="llm", model=model) | fields


class TestRanking:
    def test_ranking_has_a_bar_and_a_rank_per_orchestrator(self) -> None:
        svg = drawn(charts.ranking(ranking(make_events([job(ADDRESS), job("0xb", round_trip_time=9.0)]))))
        assert marks(svg, "rect") == marks(svg, "rule") == marks(svg, "symbol") == 2
        found = texts(svg)
        assert found.index("1   0x10e0a9…7fb7") < found.index("2   0xb")

    def test_highlight_colours_one_bar(self) -> None:
        rows = ranking(make_events([job("0xa"), job("0xb")]))
        shade = charts.theme.ACCENT
        assert drawn(charts.ranking(rows)).count(shade) == 0
        assert drawn(charts.ranking(rows, highlight="0xb")).count(shade) == 1

    def test_hundred_orchestrators_are_all_labelled(self) -> None:
        rows = ranking(make_events([job(f"0x{n:040x}", round_trip_time=1.0 + n) for n in range(100)]))
        assert (
            sum(text.partition(" ")[0].isdigit() and "…" in text for text in texts(drawn(charts.ranking(rows)))) == 100
        )

    def test_orchestrators_without_a_score_are_counted_in_the_subtitle(self) -> None:
        rows = ranking(make_unscored([job("0xa"), job("0xb")], unscored="0xb"), EventFilter(job_type=AI))
        svg = drawn(charts.ranking(rows))
        assert marks(svg, "rect") == 1
        assert "1 not shown, since they have no score." in texts(svg)
        assert NOTHING not in texts(drawn(charts.ranking(rows.filter(orchestrator="0xb"))))


class TestHeatMap:
    def test_heat_map_has_a_cell_per_tested_pair(self) -> None:
        rows = aggregated_stats(
            make_events([job("0xa", "FRA"), job("0xa", "NYC"), job("0xb", "FRA", success_rate=0.0)])
        )
        svg = drawn(charts.heat_map(rows))
        assert marks(svg, "rect") == 3
        found = texts(svg)
        assert found.index("0xa") < found.index("0xb")
        assert {"FRA", "NYC"} < set(found)

    def test_heat_map_colours_span_0_to_1(self) -> None:
        svg = drawn(charts.heat_map(aggregated_stats(make_events([job("0xa", success_rate=0.0)]))))
        assert {"0.00", "0.50", "1.00"} < set(texts(svg))
        assert re.search(rf'fill="({SCORE_STEPS[0]}|rgb\(0, 34, 78\))"', svg)

    def test_cells_have_an_outline_that_sets_them_off_from_no_score(self) -> None:
        svg = drawn(charts.heat_map(aggregated_stats(make_events([job("0xa", success_rate=0.0), job("0xb")]))))
        assert len(re.findall(rf'<path[^>]*stroke="{charts.theme.TEXT_MUTED}"', svg)) == 2

    def test_heat_map_shows_the_given_field(self) -> None:
        rows = aggregated_stats(make_events([job("0xa")]))
        assert "Success rate by region" in texts(drawn(charts.heat_map(rows, field="success_rate")))


class TestHistory:
    def days(self, *orchestrators: str, regions: tuple[str, ...] = ("FRA",)) -> pl.DataFrame:
        moments = [NOON + timedelta(days=day) for day in range(4)]
        return make_events(
            [job(o, region, event_time=at) for o in orchestrators for region in regions for at in moments]
        )

    def test_history_draws_dots_and_a_line(self) -> None:
        svg = drawn(charts.history(score_history(self.days("0xa"))))
        assert (marks(svg, "line"), marks(svg, "symbol")) == (1, 4)
        assert {"Score over time · transcoding · region FRA · 0xa", "03 Sep", "time (UTC)"} < set(texts(svg))

    def test_history_has_a_panel_per_region(self) -> None:
        svg = drawn(charts.history(score_history(self.days("0xa", regions=("FRA", "NYC")))))
        assert marks(svg, "line") == 2
        assert {"FRA", "NYC"} < set(texts(svg))

    def test_history_has_a_panel_per_model(self) -> None:
        svg = drawn(charts.history(score_history(make_events([ai("m"), ai("n")]), EventFilter(job_type=AI))))
        assert {"m", "n"} < set(texts(svg))

    def test_panel_titles_fit_their_panels(self) -> None:
        models = [f"{n}/a-model-{'of-many-words-' * 10}" for n in range(2)]
        found = texts(drawn(charts.history(score_history(make_events(map(ai, models)), EventFilter(job_type=AI)))))
        assert sum(text.startswith(("0/a-model", "1/a-model")) and text.endswith("…") for text in found) == 2

    def test_few_orchestrators_have_a_colour_each(self) -> None:
        svg = drawn(charts.history(score_history(self.days("0xa", ADDRESS))))
        assert marks(svg, "line") == 2
        assert {"0xa", "0x10e0a9…7fb7"} < set(texts(svg))

    def test_many_orchestrators_are_faint_with_their_median(self) -> None:
        crowd = [f"0x{n}" for n in range(MAX_COLOURS + 1)]
        svg = drawn(charts.history(score_history(self.days(*crowd))))
        assert marks(svg, "line") == len(crowd) + 1
        assert f"Faint: {len(crowd)} orchestrators. Strong: their median." in texts(svg)

    def test_history_of_hours_labels_the_hour(self) -> None:
        events = make_events([job("0xa", event_time=NOON + timedelta(hours=hour)) for hour in range(6)])
        assert "01 Sep 14:00" in texts(drawn(charts.history(score_history(events, interval="1h"))))

    def test_bucket_without_a_score_has_no_dot_and_ends_the_line(self) -> None:
        days = self.days("0xa", "0xb").with_columns(job_type=pl.lit("ai"), pipeline=pl.lit("llm"), model=pl.lit("m"))
        second = (pl.col("orchestrator") == "0xa") & (pl.col("event_time") == NOON + timedelta(days=1))
        events = days.with_columns(outcome=pl.when(second).then(pl.lit("unscored_busy")))
        svg = drawn(charts.history(score_history(events, EventFilter(job_type=AI))))
        assert marks(svg, "symbol") == 7
        # that of 0xa has a gap
        paths = re.findall(r'<path[^>]* d="(M[^"]*)"[^>]*stroke="#[0-9a-f]{6}"[^>]*stroke-width="1.5"', svg)
        assert max(path.count("M") for path in paths) == 2


class TestSuccessAgainstLatency:
    def test_each_orchestrator_has_a_dot_and_an_interval(self) -> None:
        svg = drawn(charts.success_against_latency(ranking(make_events([job("0xa"), job("0xb", round_trip_time=2.0)]))))
        assert marks(svg, "symbol") == marks(svg, "rule") == 2

    def test_orchestrators_without_a_success_are_counted_in_the_subtitle(self) -> None:
        rows = ranking(make_events([job("0xa"), job("0xb", success_rate=0.0)]))
        svg = drawn(charts.success_against_latency(rows))
        assert marks(svg, "symbol") == 1
        assert "1 not shown, since they have no successful job with a round trip time." in texts(svg)

    def test_highlight_rings_and_names_one_orchestrator(self) -> None:
        svg = drawn(charts.success_against_latency(ranking(make_events([job(ADDRESS), job("0xb")])), highlight=ADDRESS))
        assert marks(svg, "symbol") == 3
        assert "0x10e0a9…7fb7" in texts(svg)


class TestRoundTripTimes:
    def test_median_of_successful_jobs_is_marked(self) -> None:
        times = [1.0, 2.0, 4.0]
        events = make_events(
            [job("0xa", round_trip_time=t) for t in times] + [job("0xa", success_rate=0, round_trip_time=99.0)]
        )
        svg = drawn(charts.round_trip_times(events))
        assert (marks(svg, "rect"), marks(svg, "rule")) == (3, 1)
        assert "2.0 s, n = 3" in texts(svg)

    def test_each_model_has_a_panel_with_its_median(self) -> None:
        svg = drawn(
            charts.round_trip_times(make_events([ai("m"), ai("n", round_trip_time=7.0)]), EventFilter(job_type=AI))
        )
        assert {"llm · m", "llm · n", "1.0 s, n = 1", "7.0 s, n = 1"} < set(texts(svg))

    def test_orchestrator_is_drawn_over_the_network(self) -> None:
        events = make_events([job("0xa"), job("0xb", round_trip_time=3.0)])
        svg = drawn(charts.round_trip_times(events, EventFilter(orchestrator="0xb")))
        assert (marks(svg, "rect"), marks(svg, "rule")) == (3, 2)
        assert {"network", "0xb", "2.0 s, n = 2", "3.0 s, n = 1"} < set(texts(svg))


def test_errors_are_bars_with_counts() -> None:
    payloads = ['{"errors":[{"error_code":"Timeout","count":3},{"count":2}]}', '{"errors":[{"error_code":"Timeout"}]}']
    results = make_events([job("0xa", id=number, payload=text) for number, text in enumerate(payloads)])
    svg = drawn(charts.errors(orchestrator_errors(results, EventFilter(orchestrator="0xa"))))
    assert marks(svg, "rect") == 2
    found = texts(svg)
    assert found.index("Timeout") < found.index("no code")
    assert {"4", "2"} < set(found)


def test_few_tests_look_different() -> None:
    """Hollow dots, faint bars and marked cells, which the subtitle explains."""
    many = [job("0xa", event_time=NOON + timedelta(minutes=minute)) for minute in range(SUGGESTED_MIN_EVENTS)]
    events = make_events([*many, job("0xb")])
    counts = events.group_by("orchestrator", "region").agg(events=pl.len())
    ranked = ranking(events)
    own = EventFilter(orchestrator="0xb")
    drawings: list[tuple[str, Callable[[pl.DataFrame], alt.TopLevelMixin], pl.DataFrame]] = [
        ("Hollow dot", charts.ranking, ranked),
        ("Hollow dot", charts.success_against_latency, ranked),
        ("Hollow dot", charts.history, score_history(events)),
        ("Faint bars", lambda rows: charts.round_trip_times(rows, own), events),
        ("Dot", charts.heat_map, aggregated_stats(events).join(counts, on=["orchestrator", "region"])),
    ]
    for mark, draw, rows in drawings:
        note = f"{mark}: fewer than {SUGGESTED_MIN_EVENTS} scored tests."
        assert note in texts(drawn(draw(rows)))
        assert note not in texts(drawn(draw(rows.filter(orchestrator="0xa"))))
    fills = re.findall(r'fill="(#[0-9a-f]{6})"[^>]*stroke="' + charts.theme.PRIMARY, drawn(charts.ranking(ranked)))
    assert fills.count(charts.theme.SURFACE) == 1


WEEK = TimeRange(NOON - timedelta(days=7), NOON)


def test_titles_name_jobs_and_window() -> None:
    llm = EventFilter(AI, region="FRA", pipeline="llm", model="m")
    rows = ranking(EMPTY, llm)
    for chart, title in (
        (charts.ranking(rows, llm, window=WEEK), "Ranking · AI · llm · m · region FRA"),
        (charts.success_against_latency(rows, llm, window=WEEK), "Success against latency · AI · llm · m · region FRA"),
        (
            charts.heat_map(aggregated_stats(EMPTY), EventFilter(warm=True), window=WEEK),
            "Score by region · transcoding · model loaded",
        ),
        (
            charts.round_trip_times(EMPTY, EventFilter(orchestrator=ADDRESS), window=WEEK),
            "Round trip times of successful jobs · transcoding · 0x10e0a9…7fb7",
        ),
        (
            charts.history(score_history(make_events([ai("m")]), llm), window=WEEK),
            "Score over time · AI · llm · m · region FRA · 0xa",
        ),
    ):
        assert {title, "2026-08-25 12:00 to 2026-09-01 12:00 UTC"} < set(texts(drawn(chart)))


# SVG has none of these, and its renderer ends the process where it meets one
CONTROLS = "\x00\x07\x1b\x7f\x85\u202e\ufffe\uffff"


@pytest.fixture
def notebook() -> Iterator[None]:
    """Charts are drawn as a notebook draws them."""
    charts.draw_as_svg()
    yield
    alt.renderers.enable("default")


def test_control_characters_are_drawn_as_signs(notebook: None) -> None:
    odd = f"m{CONTROLS}n"
    events = make_events([ai(odd, orchestrator=odd, region=odd)])
    llm = EventFilter(AI, model=odd, orchestrator=odd)
    found = orchestrator_errors(events.with_columns(payload=pl.lit(json.dumps({"errors": [{"error_code": odd}]}))), llm)
    own = alt.Chart(pl.DataFrame({"name": [odd]})).mark_text().encode(text="name:N").properties(title=f"{odd}\ud800")
    ranked = ranking(events, llm)
    for chart in (
        charts.ranking(ranked, llm, highlight=odd),
        charts.success_against_latency(ranked, llm, highlight=odd),
        charts.heat_map(aggregated_stats(events, llm), llm),
        charts.history(score_history(events, llm), llm),
        charts.round_trip_times(events, llm),
        charts.errors(found, orchestrator=odd),
    ):
        found_texts = texts(drawn(chart))
        assert not re.search(f"[{CONTROLS}]", "".join(found_texts))
        assert any("m␀␇␛␡" in text for text in found_texts)
    svg = own._repr_mimebundle_()["image/svg+xml"]
    assert {"m␀␇␛␡����n", "m␀␇␛␡����n�"} <= set(texts(svg))


CHARTS: dict[str, Callable[[], alt.TopLevelMixin]] = {
    "ranking": partial(charts.ranking, ranking(EMPTY)),
    "heat_map": partial(charts.heat_map, aggregated_stats(EMPTY)),
    "history": partial(charts.history, score_history(EMPTY)),
    "history of the network": partial(charts.history, score_history(EMPTY, group_columns=[])),
    "success_against_latency": partial(charts.success_against_latency, ranking(EMPTY)),
    "round_trip_times": partial(charts.round_trip_times, EMPTY),
    "round_trip_times of one": partial(charts.round_trip_times, EMPTY, EventFilter(job_type=AI, orchestrator="0xa")),
    "errors": lambda: charts.errors(
        orchestrator_errors(EMPTY.with_columns(payload=pl.lit("{}")), EventFilter(orchestrator="0xa"))
    ),
}


@pytest.mark.parametrize("chart", CHARTS.values(), ids=CHARTS.keys())
def test_empty_chart_says_so(chart: Callable[[], alt.TopLevelMixin]) -> None:
    assert {NOTHING, "No errors in this window."} & set(texts(drawn(chart())))


def test_empty_ai_chart_keeps_the_size_of_a_chart() -> None:
    svg = drawn(charts.round_trip_times(make_events([]), EventFilter(job_type=AI)))
    assert int(re.search(r'width="(\d+)"', svg)[1]) > 600


def test_charts_take_frames_of_any_engine() -> None:
    events = make_events([job("0xa"), job("0xb")])
    lazy = charts.round_trip_times(events.lazy().with_columns(pl.col(pl.String).cast(pl.Categorical)))
    eager = charts.round_trip_times(events)
    of_duckdb = charts.ranking(ranking(duckdb.from_arrow(events.to_arrow())))
    assert drawn(lazy) == drawn(eager)
    assert marks(drawn(of_duckdb), "rect") == 2


def test_notebooks_show_charts_as_svg(notebook: None) -> None:
    bundle = charts.heat_map(aggregated_stats(make_events([job("0xa")])))._repr_mimebundle_()
    assert bundle.keys() == {"image/svg+xml", "text/plain"}
    assert "0xa" in texts(bundle["image/svg+xml"])


def test_importing_queries_loads_no_charts() -> None:
    code = "import sys, queries; print({'altair', 'vl_convert'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"

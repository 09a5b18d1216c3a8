"""Up to six orchestrators side by side: their scores over time on one axis, and their numbers in one table."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

import polars as pl
from flask import Response, request
from markupsafe import Markup

import queries
from leaderboard.results.validation import ADDRESS
from leaderboard.web.caching.incidents import incidents_beside
from leaderboard.web.pages.drawing.chart import Band, Point, Series, history_chart
from leaderboard.web.pages.layout import formats
from leaderboard.web.pages.layout.blueprint import bp
from leaderboard.web.pages.layout.facets import job_choices, region_choices
from leaderboard.web.pages.layout.history import STEPS, scores_by_step, step_of
from leaderboard.web.pages.layout.rendering import current_state, page_response
from leaderboard.web.pages.layout.state import PageState
from leaderboard.web.pages.layout.stats import network_stats
from leaderboard.web.params import InvalidParameter
from leaderboard.web.rendering import run_aggregated_stats, run_query
from leaderboard.web.windows import scored_window
from queries import AI, SUGGESTED_MIN_EVENTS, EventFilter, EventWindow
from queries.errors import quote
from queries.times import TimeRange

MAX_ORCHESTRATORS = 6
"""As many lines as there are colours that can be told apart."""
MAX_CANDIDATES = 100
"""Of the orchestrators to choose from, the best by rank."""

Row = Mapping[str, Any]
Points = dict[datetime, Point]
"""Scores by the start of their step."""


class Cell(NamedTuple):
    """A value of one orchestrator, what it rests on, and whether it is the best of the row."""

    text: Any
    basis: str = ""
    is_best: bool = False


class Measure(NamedTuple):
    """A row of the table: its label, the column of ``ranking``, how it is written, and what it rests on.

    ``best`` picks the best value, None where none is better than another.
    """

    label: str
    column: str
    write: Callable[[Any], Any]
    basis: Callable[[Row], str] = lambda _: ""
    best: Callable[[Sequence[float]], float] | None = None


@bp.get("/compare")
def compare() -> Response:
    """The orchestrators that ``o`` names, several times or with commas; without any, a form to choose them."""
    addresses = _addresses()
    state = current_state()
    # links and forms take all of them along
    state = replace(state, given={**state.given, **({"o": ",".join(addresses)} if addresses else {})})
    window = scored_window(state.time_range, state.formula)

    def values() -> dict[str, Any]:
        ranked = run_query(queries.ranking, window, state.event_filter, formula=state.formula)
        ranked = ranked.cast({"orchestrator": pl.String})
        rows = {row["orchestrator"]: row for row in ranked.iter_rows(named=True)}
        candidates = ranked.head(MAX_CANDIDATES)["orchestrator"].to_list()
        regions = network_stats(window, state, "region", region=None)["region"].to_list()
        kinds, pipelines = job_choices(state, run_query(queries.pipelines, window, EventFilter(job_type=AI)))
        return {
            "job_kinds": kinds,
            "pipeline_choices": pipelines,
            "region_choices": region_choices(state, regions),
            "max_orchestrators": MAX_ORCHESTRATORS,
            "ranked_count": ranked.height,
            "columns": [_column(state, addresses, address, rows) for address in addresses],
            "candidates": [
                {"address": address, "is_chosen": address in addresses, "row": rows.get(address)}
                for address in dict.fromkeys((*addresses, *candidates))
            ],
            **(_comparison(window, state, addresses, rows, ranked.height) if addresses else {"measures": []}),
        }

    return page_response(state, [window], "compare.html", values)


def _addresses() -> tuple[str, ...]:
    """The addresses in lower case, each once. Raises InvalidParameter."""
    texts = [text.strip() for text in ",".join(request.args.getlist("o")).split(",")]
    addresses = tuple(dict.fromkeys(text.lower() for text in texts if text))
    for address in addresses:
        if not ADDRESS.fullmatch(address):
            raise InvalidParameter(f"o must be an address, 0x and 40 hexadecimal digits, not {quote(address)}")
    if len(addresses) > MAX_ORCHESTRATORS:
        raise InvalidParameter(f"o may name {MAX_ORCHESTRATORS} orchestrators at most, not {len(addresses)}")
    return addresses


def _column(state: PageState, addresses: Sequence[str], address: str, rows: Mapping[str, Row]) -> dict[str, Any]:
    """The head of an orchestrator's column, with the URL of the page without it."""
    others = ",".join(other for other in addresses if other != address)
    return {
        "address": address,
        "style": _style(addresses.index(address)),
        "url_without": state.link(o=others or None),
        "was_tested": address in rows,
    }


def _style(position: int) -> str:
    return f"series-{position + 1}"


def _comparison(
    window: EventWindow, state: PageState, addresses: Sequence[str], rows: Mapping[str, Row], ranked_count: int
) -> dict[str, Any]:
    chosen = [rows.get(address) for address in addresses]
    return {
        "chart": _chart(window, state, addresses),
        "measures": [(one.label, _cells(one, chosen)) for one in _measures(state, ranked_count)],
        "regions": _regions(window, state, addresses),
    }


def _measures(state: PageState, ranked_count: int) -> list[Measure]:
    """The rows of the table. Times only where all are of the same job, warm models only of AI."""

    def ranks(row: Row) -> str:
        return f"of {ranked_count}" + (f", perhaps {row['rank_low']} to {row['rank_high']}" if row["rank_low"] else "")

    def interval(row: Row) -> str:
        low, high = row["score_ci_low"], row["score_ci_high"]
        return "" if low is None else f"{formats.score(low)} to {formats.score(high)}"

    def unscored(row: Row) -> str:
        return f"and {row['unscored']:,} unscored" if row["unscored"] else ""

    times = [
        Measure("Median time", "p50_round_trip_time", formats.seconds, best=min),
        Measure("95 % within", "p95_round_trip_time", formats.seconds, best=min),
    ]
    warm = [
        Measure("Success on warm models", "warm_success_rate", formats.percent, _tests("warm_events"), max),
        Measure("Success on cold models", "cold_success_rate", formats.percent, _tests("cold_events"), max),
    ]
    return [
        Measure("Rank", "rank", formats.count, ranks, min),
        Measure("Score", "score", formats.score, interval, max),
        Measure(
            "Success", "success_rate", formats.percent, lambda row: formats.plural(row["failed"], "failed test"), max
        ),
        *(times if state.names_one_job else []),
        *(warm if state.event_filter.job_type == AI else []),
        Measure("Tests", "events", formats.count, unscored),
        Measure("Regions", "regions", formats.count),
        Measure("Last seen", "last_seen", formats.moment),
    ]


def _tests(column: str) -> Callable[[Row], str]:
    return lambda row: formats.plural(row[column], "test")


def _cells(measure: Measure, rows: Sequence[Row | None]) -> list[Cell | None]:
    """A cell per orchestrator, None for one that was not tested. None is the best where all are equal."""
    values = [row[measure.column] for row in rows if row is not None and row[measure.column] is not None]
    best = measure.best(values) if measure.best is not None and len(set(values)) > 1 else None
    return [
        None
        if row is None
        else Cell(
            measure.write(row[measure.column]),
            measure.basis(row),
            best is not None and row[measure.column] == best,
        )
        for row in rows
    ]


def _chart(window: EventWindow, state: PageState, addresses: Sequence[str]) -> Markup:
    """The scores over time, with the incidents of the job's testers shaded."""
    step = step_of(state.time_range)
    scores = scores_by_step(window, state, addresses)
    points: dict[str, Points] = {address: {} for address in addresses}
    for address, bucket, score, events in scores.iter_rows():
        points[address][bucket] = (score, events)
    series = [
        Series(formats.short_address(address), points[address], _style(position))
        for position, address in enumerate(addresses)
    ]
    incidents = incidents_beside(window, state.time_range, state.event_filter.job_type)
    bands = [
        Band(row["begin"], row["end"], f"{row['kind']} at the tester {row['region']}") for row in incidents.to_dicts()
    ]
    label = f"Score per {step}; hollow dots rest on fewer than {SUGGESTED_MIN_EVENTS} tests, incidents are shaded"
    since, until = state.time_range
    return history_chart(label, TimeRange(since, min(until, datetime.now(UTC))), STEPS[step], series, bands=bands)


def _regions(window: EventWindow, state: PageState, addresses: Sequence[str]) -> list[tuple[str, list[Cell | None]]]:
    """The scores by region, each with its number of tests."""
    stats = network_stats(window, state, "orchestrator", "region")
    scores = run_aggregated_stats(window, state.event_filter, state.formula)
    found = (
        scores.select(pl.col("orchestrator", "region").cast(pl.String), "score")
        .filter(pl.col("orchestrator").is_in(addresses))
        .join(stats.select("orchestrator", "region", "events"), on=["orchestrator", "region"], how="left")
    )
    rows = {(row["region"], row["orchestrator"]): row for row in found.iter_rows(named=True)}
    measure = Measure("", "score", formats.score, _tests("events"), max)
    return [
        (region, _cells(measure, [rows.get((region, address)) for address in addresses]))
        for region in sorted({region for region, _ in rows})
    ]

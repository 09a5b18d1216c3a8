"""The ranking: who is best, how sure that is, what changed, and who was not tested."""

from collections.abc import Callable
from typing import Any

import polars as pl
from flask import redirect, request
from werkzeug.wrappers import Response

import queries
from leaderboard.results.validation import ADDRESS
from leaderboard.web import params
from leaderboard.web.caching.incidents import incidents_beside
from leaderboard.web.pages.drawing.small import score_bar, sparkline
from leaderboard.web.pages.layout import formats
from leaderboard.web.pages.layout.blueprint import bp
from leaderboard.web.pages.layout.facets import job_choices, region_choices
from leaderboard.web.pages.layout.history import histories
from leaderboard.web.pages.layout.rendering import current_state, page_response
from leaderboard.web.pages.layout.state import PageState
from leaderboard.web.pages.layout.stats import network_stats
from leaderboard.web.pages.layout.tables import Figure, current_page, current_sort, take_rows
from leaderboard.web.rendering import run_aggregated_stats, run_query
from leaderboard.web.windows import scored_window, window_before
from queries import AI, SUGGESTED_MIN_EVENTS, EventFilter, EventWindow

SORTS = ("score", "rank", "orchestrator", "success_rate", "p50_round_trip_time", "events", "regions", "last_seen")
"""The columns that sort the table, first the default."""
HEAT_STEPS = 10


@bp.get("/")
def ranking() -> Response:
    """The ranking of a window. A search for a whole address leads to the orchestrator."""
    state = current_state()
    search = state.given.get("q", "").strip().lower()
    if ADDRESS.fullmatch(search):
        return redirect(state.link("pages.orchestrator", address=search))
    sort, page = current_sort(SORTS), current_page()
    is_matrix = params.choice(request, "view", ("table", "matrix")) == "matrix"
    window = scored_window(state.time_range, state.formula)
    before = window_before(window, state.previous_range, state.formula)

    def values() -> dict[str, Any]:
        ranked = _ranked(window, state)
        found = ranked.filter(pl.col("orchestrator").cast(pl.String).str.contains(search, literal=True))
        rows, pages = take_rows(found, sort, page, ("rank", "orchestrator"))
        return {
            "sort": sort,
            "is_matrix": is_matrix,
            "search": search,
            "pages": pages,
            "ranked_count": ranked.height,
            "suggested_min_events": SUGGESTED_MIN_EVENTS,
            **_summary(window, before, state),
            **(_matrix(window, state, rows) if is_matrix else _table(window, before, state, rows)),
            "incidents": incidents_beside(window, state.time_range, state.event_filter.job_type).to_dicts(),
        }

    return page_response(state, [window, *([before] if before else [])], "ranking.html", values)


def _ranked(window: EventWindow, state: PageState) -> pl.DataFrame:
    options = {"min_events": state.min_events, "formula": state.formula}
    return run_query(queries.ranking, window, state.event_filter, **options)


def _summary(window: EventWindow, before: EventWindow | None, state: PageState) -> dict[str, Any]:
    """What stands above the table: the network's numbers and their changes, the choices, and who has no rank."""
    regions = network_stats(window, state, "region", region=None)
    tested = network_stats(window, state, "orchestrator")
    is_unscored = pl.col("events") == 0
    missing = pl.DataFrame()
    if before is not None:
        tested_before = network_stats(before, state, "orchestrator")
        missing = tested_before.join(tested, on="orchestrator", how="anti").sort("orchestrator")
    kinds, pipelines = job_choices(state, run_query(queries.pipelines, window, EventFilter(job_type=AI)))
    return {
        "figures": _figures(network_stats(window, state), network_stats(before, state) if before else None, state),
        # of different jobs, times cannot be compared
        "times_are_comparable": state.names_one_job,
        "newest_by_region": regions.select("region", "last_seen", "events").to_dicts(),
        "region_choices": region_choices(state, regions["region"].to_list()),
        "job_kinds": kinds,
        "pipeline_choices": pipelines,
        "too_few": tested.filter(pl.col("events") < state.min_events, ~is_unscored).to_dicts(),
        "only_unscored": tested.filter(is_unscored).to_dicts(),
        "missing": missing.to_dicts(),
    }


def _figures(totals: pl.DataFrame, totals_before: pl.DataFrame | None, state: PageState) -> list[Figure]:
    """The network's numbers, each with its change. None where nothing was tested."""
    if totals.is_empty():
        return []
    now = totals.row(0, named=True)
    has_before = totals_before is not None and not totals_before.is_empty()
    before = totals_before.row(0, named=True) if totals_before is not None and has_before else {}

    def difference(name: str) -> Any:
        values = now[name], before.get(name)
        return None if None in values else values[0] - values[1]

    def changed(name: str, write: Callable[[Any], str]) -> str:
        return "" if (value := difference(name)) is None else write(value)

    figures = [
        Figure(
            "Orchestrators tested",
            formats.count(now["orchestrators"]),
            formats.plural(now["events"], "test"),
            changed("orchestrators", formats.change),
        ),
        Figure(
            "Success rate",
            formats.percent(now["success_rate"]),
            formats.plural(now["failed"], "failed test"),
            changed("success_rate", formats.points),
        ),
    ]
    if state.names_one_job and now["p50_round_trip_time"] is not None:
        figures.append(
            Figure(
                "Median round trip",
                formats.seconds(now["p50_round_trip_time"]),
                f"95 % within {formats.seconds(now['p95_round_trip_time'])}",
                changed("p50_round_trip_time", lambda value: formats.change(1000 * value, 0, " ms")),
            )
        )
    unscored = formats.plural(now["unscored"], "unscored result") if now["unscored"] else ""
    return [*figures, Figure("Newest result", formats.moment(now["last_seen"]), unscored)]


def _table(window: EventWindow, before: EventWindow | None, state: PageState, rows: pl.DataFrame) -> dict[str, Any]:
    """The rows of the table, with their pictures and changes of rank."""
    ranked_before = _ranked(before, state).select(pl.col("orchestrator").cast(pl.String), "rank") if before else None
    ranks = {} if ranked_before is None else dict(ranked_before.drop_nulls().iter_rows())
    courses = histories(window, state)
    pictured = []
    for row in rows.iter_rows(named=True):
        rank, rank_before = row["rank"], ranks.get(row["orchestrator"])
        pictured.append(
            row
            | {
                "bar": score_bar(row["score"], row["score_ci_low"], row["score_ci_high"]),
                "spark": sparkline(courses.get(row["orchestrator"], ())),
                "places_gained": None if rank is None or rank_before is None else rank_before - rank,
            }
        )
    return {"has_changes": bool(ranks), "rows": pictured}


def _matrix(window: EventWindow, state: PageState, rows: pl.DataFrame) -> dict[str, Any]:
    """The scores of the rows by region, each with the number of results on which it rests."""
    stats = network_stats(window, state, "orchestrator", "region").select("orchestrator", "region", "events")
    scores = run_aggregated_stats(window, state.event_filter, state.formula)
    cells = {
        (orchestrator, region): {"score": score, "events": events, "step": round(score * HEAT_STEPS)}
        for orchestrator, region, score, events in scores.select(
            pl.col("orchestrator", "region").cast(pl.String), "score"
        )
        .join(stats, on=("orchestrator", "region"), how="left")
        .iter_rows()
    }
    regions = sorted({region for _, region in cells})
    return {
        "matrix_regions": regions,
        "rows": [
            row | {"cells": [cells.get((row["orchestrator"], region)) for region in regions]}
            for row in rows.iter_rows(named=True)
        ],
    }

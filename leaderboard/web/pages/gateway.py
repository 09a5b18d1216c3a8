"""Gateway: who passes its least score now and over a week, how steadily, who lacks tests, and what to set for that."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
from flask import Response, request

import queries
from leaderboard.services import service
from leaderboard.web import params, table_params
from leaderboard.web.pages.drawing.days import Day, day_strip
from leaderboard.web.pages.layout import formats
from leaderboard.web.pages.layout.blueprint import bp
from leaderboard.web.pages.layout.facets import Choice, job_choices, job_name, region_choices
from leaderboard.web.pages.layout.rendering import current_state, page_response
from leaderboard.web.pages.layout.state import WINDOW_PARAMETERS, PageState
from leaderboard.web.pages.layout.stats import network_stats
from leaderboard.web.pages.layout.tables import Figure, current_page, current_sort, take_rows
from leaderboard.web.rendering import run_query
from leaderboard.web.table_params import GatewayOptions
from leaderboard.web.windows import scored_week
from queries import AI, EventFilter, EventWindow

DAYS = 7
SORTS = ("score", "orchestrator", "week_score", "days_passed", "events", "last_seen")
"""The columns that sort the table, first the default."""
SHOWN = {"all": "All", "passes": "Pass now", "lacks_tests": "Lack tests", "steady": "Passed all days", "fails": "Fail"}
"""The values of ``show``: which orchestrators are listed."""
STATES = {
    "passes": "passes",
    "too_low": "score too low",
    "few_events": "score too low, few tests",
    "only_unscored": "unscored results only",
    "not_tested": "not tested",
}
"""The states of gateway_preview in words."""
REFERENCE = datetime(2026, 1, 1, tzinfo=UTC)
"""A midnight that stands for now."""


@bp.get("/gateway")
def gateway() -> Response:
    """What a gateway with these demands does. Without a region, that of the region with the most tests."""
    state, options = current_state(), table_params.gateway_options(request)
    sort, page = current_sort(SORTS), current_page()
    shown = params.choice(request, "show", tuple(SHOWN)) or "all"
    window, since = scored_week(service().settings.start_time_window, state.formula)

    def values() -> dict[str, Any]:
        regions = _regions(window, state)
        asked = _with_region(state, regions)
        found: dict[str, Any] = {
            "state": asked,
            "options": options,
            "sort": sort,
            "is_region_chosen": state.event_filter.region is not None,
            "recent_label": f"{service().settings.start_time_window:g} hours",
            "needs_model": not asked.names_one_job,
            **_choices(asked, regions, window),
            "job_label": job_name(asked),
            "table": None,
        }
        if asked.names_one_job and asked.event_filter.region is not None:
            found |= _flags(asked, options, window, since)
            table = _table(window, since, asked, options)
            rows, pages = take_rows(_select(table, shown), sort, page, ("orchestrator",))
            found |= {"pages": pages, **_summary(table, asked, options, shown), **_rows(rows, options)}
        return found

    return page_response(state, [window], "gateway.html", values)


def _regions(window: EventWindow, state: PageState) -> pl.DataFrame:
    """The regions that have results of the job, by their number."""
    stats = network_stats(window, state, "region", region=None)
    return stats.select("region", "events").sort("events", "region", descending=[True, False])


def _with_region(state: PageState, regions: pl.DataFrame) -> PageState:
    """The state with a region, and without a window, as a gateway's are always the same."""
    region = state.event_filter.region or (None if regions.is_empty() else regions["region"][0])
    given = {name: value for name, value in state.given.items() if name not in WINDOW_PARAMETERS}
    if region is not None:
        given["region"] = region
    return replace(state, given=given, event_filter=state.event_filter_with(region=region))


def _choices(state: PageState, regions: pl.DataFrame, window: EventWindow) -> dict[str, Any]:
    """Regions and jobs as links. A gateway has one region, and one model where its jobs are AI jobs."""
    (transcoding, _), pipelines = job_choices(state, run_query(queries.pipelines, window, EventFilter(job_type=AI)))
    return {
        "region_choices": region_choices(state, regions["region"].to_list())[1:],
        "job_kinds": (transcoding,),
        "model_choices": {group.pipeline.label: group.models for group in pipelines},
    }


def _table(window: EventWindow, since: datetime, state: PageState, options: GatewayOptions) -> pl.DataFrame:
    """The rows of gateway_preview with the scores of each of the last seven days, and how many of them passed."""
    recent = timedelta(hours=service().settings.start_time_window)
    moved, shift = _move_to_reference(window, since + recent)
    preview = run_query(
        queries.gateway_preview,
        moved,
        state.event_filter,
        since=REFERENCE - recent,
        formula=state.formula,
        **options._asdict(),
    ).with_columns(pl.col("orchestrator").cast(pl.String), pl.col("last_seen") - shift)
    days = _days(moved, state).group_by("orchestrator").agg(pl.struct("day", "score", "events").alias("days"))
    passed = pl.col("days").list.eval(pl.element().struct.field("score") >= options.min_score).list.sum()
    return preview.join(days, on="orchestrator", how="left").with_columns(
        days_passed=passed.fill_null(0).cast(pl.Int64), days_tested=pl.col("days").list.len().fill_null(0)
    )


def _move_to_reference(window: EventWindow, now: datetime) -> tuple[EventWindow, timedelta]:
    """The window with the time of its events as if REFERENCE were now, and by how much they moved.

    So days that end now end at a midnight, as buckets of scores do. And query
    functions are asked with the same times again and again, so they plan once.
    """
    shift = REFERENCE - now
    moved_time = pl.col("event_time") + shift
    return window.map_events(lambda events: events.with_columns(moved_time)), shift


def _days(moved: EventWindow, state: PageState) -> pl.DataFrame:
    """The score and number of results of each orchestrator in each span of 24 hours (day 6 ends now) that has any."""
    options = {"interval": "1d", "group_columns": ("orchestrator",), "formula": state.formula}
    history = run_query(queries.score_history, moved, state.event_filter, **options)
    day = DAYS - (REFERENCE - pl.col("bucket")).dt.total_days()
    scored = history.select(pl.col("orchestrator").cast(pl.String), "score", "events", day=day).drop_nulls("score")
    return scored.filter(pl.col("day").is_between(0, DAYS - 1))


def _select(table: pl.DataFrame, shown: str) -> pl.DataFrame:
    """The rows that ``show`` names."""
    conditions = {
        "passes": pl.col("passes"),
        "lacks_tests": pl.col("lacks_tests"),
        "steady": pl.col("days_passed") == DAYS,
        "fails": ~pl.col("passes"),
    }
    return table.filter(conditions[shown]) if shown in conditions else table


def _summary(table: pl.DataFrame, state: PageState, options: GatewayOptions, shown: str) -> dict[str, Any]:
    """How many pass, and what a gateway makes of that."""
    counts = {name: _select(table, name).height for name in SHOWN}
    passing, minimum = counts["passes"], _decimal(options.min_score)
    of_all = f"of {formats.plural(table.height, 'orchestrator')}"
    week = int(table["passes_week"].sum())
    newest: datetime | None = table.select(pl.col("last_seen").max()).item()
    figures = [
        Figure("Pass now", formats.count(passing), f"{of_all}, score at least {minimum}"),
        Figure("Pass over 7 days", formats.count(week), of_all),
        Figure("Passed each of 7 days", formats.count(counts["steady"]), "in each span of 24 hours"),
        Figure("Lack tests", formats.count(counts["lacks_tests"]), "pass over 7 days, but have too few tests now"),
        Figure("Newest result", formats.moment(newest), formats.plural(int(table["events"].sum()), "recent test")),
    ]
    return {
        "figures": figures if table.height else [],
        "orchestrator_count": table.height,
        "passing_count": passing,
        "missing": _select(table, "lacks_tests").to_dicts(),
        "states": STATES,
        "show_choices": [
            Choice(f"{label} ({counts[name]})", state.link(show=None if name == "all" else name), name == shown)
            for name, label in SHOWN.items()
        ],
    }


def _rows(rows: pl.DataFrame, options: GatewayOptions) -> dict[str, Any]:
    """The rows of the table with their strips."""
    ages = [formats.plural(DAYS - 1 - position, "day") for position in range(DAYS - 1)]
    titles = [*(f"24 hours that ended {age} ago" for age in ages), "last 24 hours"]
    return {
        "table": [
            row | {"strip": day_strip(_strip_days(row["days"] or [], titles, options.min_score), options.min_score)}
            for row in rows.iter_rows(named=True)
        ]
    }


def _strip_days(scored: list[dict[str, Any]], titles: list[str], min_score: float) -> list[Day]:
    by_position = {day["day"]: day for day in scored}
    days = []
    for position, title in enumerate(titles):
        day = by_position.get(position)
        if day is None:
            days.append(Day(None, False, f"{title}: not scored"))
            continue
        tests = formats.plural(day["events"], "test")
        days.append(Day(day["score"], day["score"] >= min_score, f"{title}: {formats.score(day['score'])}, {tests}"))
    return days


def _flags(state: PageState, options: GatewayOptions, window: EventWindow, since: datetime) -> dict[str, Any]:
    """The flags of go-livepeer, the URL of its discovery webhook, and how many nodes that lists now."""
    region = state.event_filter.region
    names_model = state.event_filter.model is not None
    node_filter = state.event_filter if names_model else EventFilter(job_type=AI, region=region)
    nodes = window.collect(
        lambda events: queries.discovery(
            events.filter(pl.col("event_time") >= since),
            node_filter,
            min_score=options.min_score,
            formula=state.formula,
        )
    )
    minimum = _decimal(options.min_score)
    node_state = state if names_model else replace(state, given=_without(state, "job_type", "busy"))
    return {
        "names_model": names_model,
        "stats_url": state.api_link("aggregated_stats", absolute=True),
        "stats_parameters": {"min_score": minimum, "min_events": options.min_events},
        "min_score": minimum,
        "discovery_url": node_state.api_link("discovery", absolute=True, min_score=minimum, trusted="true"),
        "node_count": nodes.height,
    }


def _without(state: PageState, *names: str) -> dict[str, str]:
    return {name: value for name, value in state.given.items() if name not in names}


def _decimal(share: float) -> str:
    """A number from 0 to 1 without an exponent, as flags and parameters take it."""
    return f"{share:.15f}".rstrip("0").rstrip(".")

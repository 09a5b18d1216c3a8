"""The pipelines and models: who serves them, how fast and how reliably."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import polars as pl
from werkzeug.wrappers import Response

import queries
from leaderboard.web.pages.compare import MAX_ORCHESTRATORS
from leaderboard.web.pages.drawing.distribution import Line, Part, quality_distribution, time_distribution
from leaderboard.web.pages.drawing.scatter import Dot, success_against_quality, success_against_time
from leaderboard.web.pages.drawing.small import score_bar
from leaderboard.web.pages.layout import formats
from leaderboard.web.pages.layout.blueprint import bp
from leaderboard.web.pages.layout.facets import Choice, region_choices
from leaderboard.web.pages.layout.model_links import model_link
from leaderboard.web.pages.layout.rendering import current_state, page_response
from leaderboard.web.pages.layout.state import PageState
from leaderboard.web.pages.layout.stats import network_stats
from leaderboard.web.pages.layout.tables import Figure, current_page, current_sort, take_rows
from leaderboard.web.params import InvalidParameter
from leaderboard.web.rendering import run_query
from leaderboard.web.windows import scored_window, window_before
from queries import AI, SUGGESTED_MIN_EVENTS, EventWindow, slug_of

SORTS = (
    *("events", "pipeline", "orchestrators", "success_rate", "p50_round_trip_time", "p95_round_trip_time"),
    *("warm_share", "last_seen"),
)
"""The columns that sort the table, first the default."""
MAX_ROWS = 200
"""Of the orchestrators on the page of a model. The ranking has all of them."""
WARM_NAMES = {True: "warm", False: "cold", None: "unknown"}
"""Whether a model was loaded before a job came, by the value of ``warm``."""


class JobTotals(NamedTuple):
    """The sums of a model in the window, and in the window before; empty where there is nothing."""

    now: Mapping[str, Any]
    before: Mapping[str, Any]


@bp.get("/models")
def models() -> Response:
    """All pipelines and models that were tested in a window."""
    state = _ai_state(current_state())
    sort, page = current_sort(SORTS), current_page()
    window = scored_window(state.time_range, state.formula)

    def values() -> dict[str, Any]:
        found = _stats(window, state, "pipeline", "model", pipeline=None, model=None)
        regions = _stats(window, state, "region", pipeline=None, model=None, region=None)["region"]
        rows, pages = take_rows(found.filter(_is_of_pipeline(state, found)), sort, page, ("pipeline", "model"))
        return {
            "sort": sort,
            "pipeline_choices": _pipeline_choices(state, found["pipeline"]),
            "region_choices": region_choices(state, regions.to_list()),
            "suggested_min_events": SUGGESTED_MIN_EVENTS,
            "pages": pages,
            "rows": [row | {"url": model_link(state, row["pipeline"], row["model"])} for row in rows.to_dicts()],
        }

    return page_response(state, [window], "models.html", values)


@bp.get("/models/<pipeline>/<path:model>")
def model(pipeline: str, model: str) -> Response:
    """One model of a pipeline."""
    return _model_page(current_state(), pipeline, model)


@bp.get("/model")
def model_by_name() -> Response:
    """A model whose names cannot be parts of a path."""
    state = current_state()
    if state.event_filter.model is None or state.event_filter.pipeline is None:
        raise InvalidParameter("pipeline and model required")
    return _model_page(state, state.event_filter.pipeline, state.event_filter.model)


def _model_page(state: PageState, pipeline: str, model: str) -> Response:
    given = {name: value for name, value in state.given.items() if name != "job_type"}
    job = {"pipeline": pipeline, "model": model}
    state = replace(_ai_state(state, **job), given=given | job)
    window = scored_window(state.time_range, state.formula)
    before = window_before(window, state.previous_range, state.formula)

    def values() -> dict[str, Any]:
        ranked = _ranked(window, state)
        jobs = run_query(queries.job_measures, window, state.event_filter, formula=state.formula)
        regions = _stats(window, state, "region", region=None)
        totals = JobTotals(_first(_stats(window, state)), _first(_stats(before, state)) if before else {})
        is_live = totals.now.get("quality") is not None
        return {
            **job,
            "is_live": is_live,
            "figures": _figures(totals, is_live=is_live),
            "region_choices": region_choices(state, regions["region"].to_list()),
            "warm_choices": _warm_choices(state),
            "suggested_min_events": SUGGESTED_MIN_EVENTS,
            "max_rows": MAX_ROWS,
            "compare_url": state.link(
                "pages.compare", job_type=AI, o=",".join(ranked["orchestrator"].head(MAX_ORCHESTRATORS))
            ),
            "ranked_count": ranked.height,
            "untimed_count": ranked[_speed_column(is_live=is_live)].null_count(),
            "scatter": _scatter(state, ranked, is_live=is_live),
            "distribution": _distribution(jobs, is_live=is_live),
            "regions": regions.to_dicts(),
            "states": _warm_and_cold(window, state),
            "rows": [
                row | {"bar": score_bar(row["score"], row["score_ci_low"], row["score_ci_high"])}
                for row in ranked.head(MAX_ROWS).iter_rows(named=True)
            ],
        }

    return page_response(state, [window, *([before] if before else [])], "model.html", values)


def _ai_state(state: PageState, **job: str) -> PageState:
    """The state with a filter that selects AI jobs."""
    return replace(state, event_filter=state.event_filter_with(job_type=AI, **job))


def _stats(window: EventWindow, state: PageState, *group_columns: str, **changes: None) -> pl.DataFrame:
    return _with_warm_share(network_stats(window, state, *group_columns, **changes))


def _ranked(window: EventWindow, state: PageState) -> pl.DataFrame:
    """The rows of ``ranking``, with the mean quality of live video."""
    ranked = _with_warm_share(run_query(queries.ranking, window, state.event_filter, formula=state.formula))
    qualities = _stats(window, state, "orchestrator").select("orchestrator", "quality")
    return ranked.join(qualities, on="orchestrator", how="left", maintain_order="left")


def _with_warm_share(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with the share of warm ones among the events that tell; null where none does."""
    told = pl.col("warm_events") + pl.col("cold_events")
    names = [name for name in ("orchestrator", "region", "pipeline", "model") if name in rows.columns]
    return rows.with_columns(
        pl.col(*names).cast(pl.String) if names else [],
        told_events=told,
        warm_share=pl.when(told > 0).then(pl.col("warm_events") / told),
    )


def _first(rows: pl.DataFrame) -> Mapping[str, Any]:
    return {} if rows.is_empty() else rows.row(0, named=True)


def _is_of_pipeline(state: PageState, rows: pl.DataFrame) -> pl.Series:
    """Which rows are of the pipeline that the URL names; all of them where it names none."""
    chosen = state.event_filter.pipeline
    is_chosen = [chosen is None or slug_of(name) == slug_of(chosen) for name in rows["pipeline"]]
    return pl.Series(is_chosen, dtype=pl.Boolean)


def _pipeline_choices(state: PageState, pipelines: pl.Series) -> tuple[Choice, ...]:
    """All pipelines, and each of these."""
    now = state.event_filter.pipeline
    is_current = {name: now is not None and slug_of(name) == slug_of(now) for name in pipelines.unique().sort()}
    choices = (Choice(name, state.link(pipeline=name, model=None), current) for name, current in is_current.items())
    return (Choice("All pipelines", state.link(pipeline=None, model=None), now is None), *choices)


def _warm_choices(state: PageState) -> tuple[Choice, ...]:
    """All jobs, those on warm models, and those on cold ones."""
    labels = {None: "warm and cold", "true": "warm only", "false": "cold only"}
    now = state.given.get("warm")
    return tuple(Choice(label, state.link(warm=value), value == now) for value, label in labels.items())


def _speed_column(*, is_live: bool) -> str:
    """The column that tells how fast an orchestrator is, or of live video how good."""
    return "quality" if is_live else "p50_round_trip_time"


def _figures(totals: JobTotals, *, is_live: bool) -> list[Figure]:
    """The numbers of a model, each with its change to the window before. None where nothing was tested."""
    now, before = totals
    if not now:
        return []

    def changed(name: str, write: Callable[[Any], str]) -> str:
        return "" if None in (now[name], before.get(name)) else write(now[name] - before[name])

    tests = formats.plural(now["events"], "test")
    if is_live:
        speed = Figure(
            "Mean quality", formats.score(now["quality"]), tests, changed("quality", lambda x: formats.change(x, 3))
        )
    else:
        speed = Figure(
            "Median round trip",
            formats.seconds(now["p50_round_trip_time"]),
            f"95 % within {formats.seconds(now['p95_round_trip_time'])}",
            changed("p50_round_trip_time", lambda x: formats.change(x, 2, " s")),
        )
    unscored = formats.plural(now["unscored"], "unscored result") if now["unscored"] else ""
    return [
        Figure("Orchestrators", formats.count(now["orchestrators"]), tests, changed("orchestrators", formats.change)),
        Figure(
            "Success rate",
            formats.percent(now["success_rate"]),
            formats.plural(now["failed"], "failed test"),
            changed("success_rate", formats.points),
        ),
        speed,
        Figure(
            "Warm share",
            formats.percent(now["warm_share"]),
            f"of {formats.plural(now['told_events'], 'test')} that tell",
            changed("warm_share", formats.points),
        ),
        Figure("Newest result", formats.moment(now["last_seen"]), unscored),
    ]


def _scatter(state: PageState, ranked: pl.DataFrame, *, is_live: bool) -> Any:
    """Success against speed, or None where no orchestrator has a speed."""
    speed = _speed_column(is_live=is_live)
    dots = []
    for row in ranked.drop_nulls(speed).iter_rows(named=True):
        measure = f"quality {row[speed]:.2f}" if is_live else f"median {formats.seconds(row[speed])}"
        tests = formats.plural(row["events"], "test")
        title = f"{row['orchestrator']}: {formats.percent(row['success_rate'])} success, {measure}, {tests}"
        url = state.link("pages.orchestrator", address=row["orchestrator"])
        is_few = row["events"] < SUGGESTED_MIN_EVENTS
        dots.append(Dot(row[speed], row["success_rate"], row["orchestrator"], title, url, is_few))
    draw = success_against_quality if is_live else success_against_time
    return draw(dots) if dots else None


def _distribution(jobs: pl.DataFrame, *, is_live: bool) -> dict[str, Any] | None:
    """The picture with its legend and its number of jobs. None where no job has a time or a quality."""
    measure = "quality" if is_live else "round_trip_time"
    measured = jobs.drop_nulls(measure)
    if measured.is_empty():
        return None
    by_state = {name: measured.filter(pl.col("warm").eq_missing(is_warm)) for is_warm, name in WARM_NAMES.items()}
    parts = [Part(name, jobs[measure].to_list()) for name, jobs in by_state.items() if not jobs.is_empty()]
    p50, p95 = (float(measured.select(pl.col(measure).quantile(share, "linear")).item()) for share in (0.5, 0.95))
    lines = [Line(p50, f"median {p50:.2f}" if is_live else f"median {formats.seconds(p50)}")]
    if not is_live:
        lines.append(Line(p95, f"95 % within {formats.seconds(p95)}"))
    return {
        "picture": (quality_distribution if is_live else time_distribution)(parts, lines),
        "legend": [(part.name, len(part.values)) for part in parts],
        "jobs": measured.height,
    }


def _warm_and_cold(window: EventWindow, state: PageState) -> Sequence[Mapping[str, Any]]:
    """The sums of warm jobs and of cold ones, where the filter asks for both."""
    if state.event_filter.warm is not None:
        return []
    filters = {
        name: replace(state.event_filter, warm=is_warm) for is_warm, name in WARM_NAMES.items() if name != "unknown"
    }
    rows = {
        name: _first(run_query(queries.network_stats, window, event_filter, group_columns=(), formula=state.formula))
        for name, event_filter in filters.items()
    }
    return [{"name": name, **row} for name, row in rows.items() if row]

"""Why an orchestrator has its score: the query function."""

from dataclasses import replace
from typing import Any

import narwhals.stable.v2 as nw
import polars as pl

from queries.engines import NarwhalsFrame, Schema, engine_agnostic, to_polars
from queries.error_texts import ERROR_CLASSES
from queries.errors import unreadable_as_unavailable
from queries.explanation.costs import KEY_COLUMNS, causes, highest_score, own_jobs, total_costs, with_losses
from queries.explanation.result import NOT_TESTED, Explanation
from queries.explanation.sentences import with_sentences
from queries.explanation.trouble import own_trouble
from queries.explanation.what_ifs import what_ifs
from queries.filters import EventFilter, slug_of
from queries.orchestrator_errors import classified_errors
from queries.scoring import formulas
from queries.scoring.formula import FORMULA_2, Formula
from queries.scoring.grouping import SCORE_DECIMALS, score_groups
from queries.scoring.scored_events import network_jobs, select_jobs, with_spellings

_GROUP_COLUMNS = (
    *("orchestrator", *KEY_COLUMNS, "events", "succeeded", "unscored", "quality_events", "live"),
    *("success_rate", "round_trip_score", "score", "round_trip_time", "median_round_trip_time"),
)
_ERRORS: Schema = {
    **dict.fromkeys((*KEY_COLUMNS, "class", "what_to_do"), pl.String),
    "results": pl.Int64,
    "count": pl.Int64,
    "share": pl.Float64,
    "last_seen": pl.Datetime("us", "UTC"),
}


def explanation(
    events: Any,
    event_filter: EventFilter,
    *,
    results: Any = None,
    incidents: pl.DataFrame | None = None,
    formula: Formula = FORMULA_2,
) -> Explanation:
    """Why the filter's orchestrator has the score that ``ranking`` gives it with the same filter.

    ``events`` is a frame of any engine. ``results`` are the same results of the
    orchestrator, or more, with the column ``payload``, as ``raw_stats`` takes
    them, in a frame of Polars: errors are taken from those that failed.
    ``incidents`` has rows of ``queries.incidents``, found in a window that
    includes the events. The frames of the answer are of Polars, whichever
    engine the events are on. They have these columns:

    causes

    - cause (String): ``failures``, ``slowness`` and ``quality``
    - cost (Float64): how much of the score failures take, long times, and a low quality of
      live video. The three add up to ``lost``; docs/scores.md has the formulas
    - median, best_tenth (Float64): what the median orchestrator loses that way,
      and the most that the best tenth of all loses

    jobs

    - region, pipeline, model (String; pipeline and model are null for transcoding)
    - weight (Float64): the part of this job in the score. Regions count the same,
      and the jobs in a region as their events do
    - events, failed, unscored, rank, ranked_count (Int64), success_rate,
      round_trip_score, score, round_trip_time, median_round_trip_time: as in ``orchestrator_jobs``
    - failure_cost, slowness_cost, quality_cost (Float64): the part of this job
      in the cost of each cause; ``cost`` is their sum
    - median_failure_cost and so on: what the median of the orchestrators with
      the same job in the same region would lose in this one's place
    - best_tenth_failure_cost and so on: the most that the best tenth of them would lose
    - median_round_trip_score (Float64): the median of these orchestrators
    - rated_success (Float64): of live video, the success rate of streams with a
      quality; null for other jobs

    what_ifs

    - change (String): ``success_99``, a success rate of 0.99 at least in all
      jobs; ``success_99_in_worst_job``, the same in the job where failures cost
      most (region, pipeline, model); ``median_speed``, a round_trip_score like
      the median's at least
    - score, gain (Float64), rank (Int64): then, while all others stay as they are

    error_classes: region, pipeline, model, class, what_to_do (String), results
    (of the failed ones), count, share (of all errors of the job), last_seen, as in
    ``orchestrator_error_classes``, the most frequent first.

    incidents: see ``own_trouble``.

    Raises ValueError where the filter names no orchestrator, and
    StoreUnavailable where a file cannot be read.

    >>> from queries import EventFilter, explanation, sample_data
    >>> why = explanation(sample_data.events(), EventFilter(orchestrator="0xbb"), results=sample_data.results())
    >>> print(why.sentences[1])
    It lacks 0.68 to the highest score: failures 0.50 and slowness 0.18.
    >>> why.jobs.select("region", "weight", "score", "failure_cost", "slowness_cost")
    shape: (2, 5)
    ┌────────┬────────┬──────────┬──────────────┬───────────────┐
    │ region ┆ weight ┆ score    ┆ failure_cost ┆ slowness_cost │
    │ ---    ┆ ---    ┆ ---      ┆ ---          ┆ ---           │
    │ str    ┆ f64    ┆ f64      ┆ f64          ┆ f64           │
    ╞════════╪════════╪══════════╪══════════════╪═══════════════╡
    │ NYC    ┆ 0.5    ┆ 0.0      ┆ 0.5          ┆ 0.0           │
    │ FRA    ┆ 0.5    ┆ 0.632121 ┆ 0.0          ┆ 0.18394       │
    └────────┴────────┴──────────┴──────────────┴───────────────┘
    """
    if event_filter.orchestrator is None:
        raise ValueError("event_filter must name an orchestrator")
    job_type = event_filter.job_type
    # the same for every orchestrator, so that calls share a plan
    groups = _job_scores(events, replace(event_filter, orchestrator=None), formula=formula)
    with unreadable_as_unavailable():
        groups = to_polars(nw.from_native(groups)).with_columns(pl.col("orchestrator", *KEY_COLUMNS).cast(pl.String))
        frame = nw.from_native(events).lazy()
        network = network_jobs(frame, event_filter, formula)
        selected = select_jobs(network, event_filter)
        trouble = own_trouble(incidents, selected, network, event_filter, formula)
        errors = _error_classes(results, selected, event_filter) if results is not None else None
        own = groups.filter(pl.col("orchestrator") == event_filter.orchestrator)
        has_other_results = own.is_empty() and _has_events(frame, event_filter.orchestrator)
    losses = with_losses(groups.filter(pl.col("score").is_not_null()), job_type, formula)
    totals = total_costs(losses)
    scores = dict(totals.select("orchestrator", "score").iter_rows())
    score = scores.pop(event_filter.orchestrator, None)
    others = [round(other, SCORE_DECIMALS) for other in scores.values()]
    jobs = own_jobs(losses, event_filter.orchestrator)
    counts = own.select(pl.col("events", "succeeded", "unscored").sum()).row(0)
    return with_sentences(
        Explanation(
            orchestrator=event_filter.orchestrator,
            job_type=job_type,
            reason=NOT_TESTED,
            sentences=(),
            score=score,
            lost=None if score is None else highest_score(job_type, formula) - score,
            rank=None if score is None else 1 + sum(other > round(score, SCORE_DECIMALS) for other in others),
            ranked_count=len(others) + (score is not None),
            events=counts[0],
            failed=counts[0] - counts[1],
            unscored=counts[2],
            has_other_results=has_other_results,
            causes=causes(totals, event_filter.orchestrator),
            jobs=jobs,
            what_ifs=what_ifs(jobs, others, job_type, formula),
            error_classes=_spelled(errors, jobs, formula) if errors is not None else pl.DataFrame(schema=_ERRORS),
            incidents=trouble,
        )
    )


@engine_agnostic
def _job_scores(events: NarwhalsFrame, event_filter: EventFilter, *, formula: Formula) -> NarwhalsFrame:
    """The scores of every orchestrator's jobs, without the sums."""
    network = network_jobs(events, event_filter, formula)
    jobs = select_jobs(network, event_filter)
    scores = score_groups(jobs, network, event_filter.job_type, formula, ("orchestrator", "region"))
    scores = scores.with_columns(
        live=formulas.is_live().fill_null(value=False),
        round_trip_time=formulas.seconds(formula),
    )
    return with_spellings(scores, events, event_filter, formula).select(*_GROUP_COLUMNS)


def _has_events(events: NarwhalsFrame, orchestrator: str) -> bool:
    own = events.filter(nw.col("orchestrator") == orchestrator)
    return not to_polars(own.select("orchestrator").head(1)).is_empty()


def _error_classes(results: Any, jobs: NarwhalsFrame, event_filter: EventFilter) -> pl.DataFrame:
    """The classes of the errors of failed results; the pipeline is spelled as ``network_jobs`` does."""
    failed_jobs = jobs.filter(nw.col("orchestrator") == event_filter.orchestrator, nw.col("success_rate") < 1)
    failed = to_polars(failed_jobs.select("id", *KEY_COLUMNS)).with_columns(pl.col(KEY_COLUMNS).cast(pl.String)).lazy()
    errors = classified_errors(results.lazy().join(failed, on="id", how="semi"), event_filter)
    classes = errors.drop(KEY_COLUMNS).join(failed, on="id").group_by(*KEY_COLUMNS, "class")
    counts = classes.agg(
        pl.col("id").n_unique().cast(pl.Int64).alias("results"),
        pl.col("count").sum(),
        pl.col("event_time").max().alias("last_seen"),
    )
    remedies = {found.name: found.what_to_do for found in ERROR_CLASSES}
    rows = counts.with_columns(
        share=pl.col("count") / pl.col("count").sum().over(KEY_COLUMNS),
        what_to_do=pl.col("class").replace_strict(remedies, return_dtype=pl.String),
    )
    order = {"region": False, "pipeline": False, "model": False, "count": True, "class": False}
    table: pl.DataFrame = rows.select(*_ERRORS).sort(*order, descending=[*order.values()]).collect()
    return table


def _spelled(errors: pl.DataFrame, jobs: pl.DataFrame, formula: Formula) -> pl.DataFrame:
    """The errors with the pipelines as the jobs spell them."""
    if not formula.merges_spellings:
        return errors
    spellings = {slug_of(pipeline): pipeline for pipeline in jobs["pipeline"].unique() if pipeline is not None}
    return errors.with_columns(pl.col("pipeline").replace(spellings)) if spellings else errors

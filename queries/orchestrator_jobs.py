"""What one orchestrator did, how well, and where it stands among its peers."""

from dataclasses import replace

import narwhals.stable.v2 as nw

from queries.engines import NarwhalsFrame, engine_agnostic
from queries.filters import AI, TRANSCODING, EventFilter, apply_filter, match_columns
from queries.schema import with_optional_columns
from queries.scoring import formulas
from queries.scoring.formula import FORMULA_2, Formula
from queries.scoring.formulas import SCORE_FIELDS
from queries.scoring.grouping import SCORE_DECIMALS, describe_jobs, score_groups
from queries.scoring.scored_events import AI_KEYS, network_jobs, with_spellings
from queries.scoring.warm_and_cold import TIME_COLUMNS, WARM_COLUMNS, with_round_trip_times

JOB_COLUMNS = ("job_type", "region", *AI_KEYS)
"""The columns that name a job: what was done, and where it was tested from."""
_COLUMNS = (
    *("orchestrator", *JOB_COLUMNS, "rank", "ranked_count", "events", "succeeded", "failed", "unscored"),
    *(*SCORE_FIELDS, "round_trip_time", "median_round_trip_time", "last_success", "last_failure"),
    *(*TIME_COLUMNS, *WARM_COLUMNS),
)


@engine_agnostic
def orchestrator_jobs(
    events: NarwhalsFrame,
    event_filter: EventFilter,
    *,
    formula: Formula = FORMULA_2,
    job_types: tuple[str, ...] = (AI, TRANSCODING),
) -> NarwhalsFrame:
    """The jobs of the filter's orchestrator: one row per job_type, region, pipeline and model, sorted by these.

    Only the filter's orchestrator and ``warm`` are used. AI jobs that name no
    pipeline or no model are left out, and so are jobs of other types than
    ``job_types``, which has one at least. Columns:

    - orchestrator, job_type, region, pipeline, model (String; pipeline and
      model are null for transcoding)
    - rank, ranked_count (Int64): the rank by score among the orchestrators with
      a score for the same job in the same region, and their number; 1 for the
      highest score, equal scores share the lowest rank
    - events, succeeded, failed, unscored (Int64): counted as in ``ranking``
    - success_rate, round_trip_score, score (Float64, 0..1): as aggregated_stats
      has them without a region filter; these and rank are null without scored events
    - round_trip_time (Float64, seconds): the mean of these events; for live
      video, whose testers post a quality there, null
    - median_round_trip_time (Float64, seconds): the network's in all regions;
      null for transcoding, and where no job succeeded
    - last_success, last_failure (Datetime, UTC): null where there was none
    - p50_round_trip_time, p95_round_trip_time, warm_events and so on: as ranking has them

    >>> from queries import EventFilter, orchestrator_jobs, sample_data
    >>> jobs = orchestrator_jobs(sample_data.events(), EventFilter(orchestrator="0xbb"))
    >>> jobs.select("job_type", "region", "model", "rank", "events", "failed", "unscored", "score")
    shape: (4, 8)
    ┌─────────────┬────────┬───────────┬──────┬────────┬────────┬──────────┬──────────┐
    │ job_type    ┆ region ┆ model     ┆ rank ┆ events ┆ failed ┆ unscored ┆ score    │
    │ ---         ┆ ---    ┆ ---       ┆ ---  ┆ ---    ┆ ---    ┆ ---      ┆ ---      │
    │ str         ┆ str    ┆ str       ┆ i64  ┆ i64    ┆ i64    ┆ i64      ┆ f64      │
    ╞═════════════╪════════╪═══════════╪══════╪════════╪════════╪══════════╪══════════╡
    │ ai          ┆ FRA    ┆ diffusion ┆ 2    ┆ 1      ┆ 0      ┆ 1        ┆ 0.79     │
    │ ai          ┆ FRA    ┆ small     ┆ 2    ┆ 2      ┆ 1      ┆ 0        ┆ 0.561851 │
    │ transcoding ┆ FRA    ┆ null      ┆ 2    ┆ 1      ┆ 0      ┆ 0        ┆ 0.632121 │
    │ transcoding ┆ NYC    ┆ null      ┆ 2    ┆ 1      ┆ 1      ┆ 0        ┆ 0.0      │
    └─────────────┴────────┴───────────┴──────┴────────┴────────┴──────────┴──────────┘
    """
    parts = [_jobs_of_type(events, replace(event_filter, job_type=job_type), formula) for job_type in job_types]
    return nw.concat(parts).select(*_COLUMNS).sort(*JOB_COLUMNS)


@engine_agnostic
def transcoding_ranks(stats: NarwhalsFrame, orchestrator: str) -> NarwhalsFrame:
    """One row per region of the rows of ``aggregated_stats``: the orchestrator's rank, and ranked_count (Int64).

    They are those of ``orchestrator_jobs``, whose rank is null where the
    orchestrator has no score.

    >>> from queries import aggregated_stats, sample_data
    >>> transcoding_ranks(aggregated_stats(sample_data.events()), "0xbb").rows()
    [('FRA', 2, 2), ('NYC', 2, 2)]
    """
    ranked = stats.with_columns(rank=_rank(("region",)), own=nw.col("orchestrator") == orchestrator)
    return (
        ranked.group_by("region")
        .agg(
            nw.when(nw.col("own")).then(nw.col("rank")).max().alias("rank"),
            nw.col("score").count().cast(nw.Int64()).alias("ranked_count"),
        )
        .sort("region")
    )


def _rank(keys: tuple[str, ...]) -> nw.Expr:
    return nw.col("score").round(SCORE_DECIMALS).rank("min", descending=True).over(*keys).cast(nw.Int64())


def _jobs_of_type(events: NarwhalsFrame, event_filter: EventFilter, formula: Formula) -> NarwhalsFrame:
    job_type = event_filter.job_type
    every_job = EventFilter(job_type=job_type)
    if job_type == AI:
        events = with_same_pipelines(events, event_filter)
    network = network_jobs(events, every_job, formula)
    jobs = match_columns(network, event_filter, "warm")
    keys = ("region", *AI_KEYS) if job_type == AI else ("region",)
    own = nw.col("orchestrator") == event_filter.orchestrator
    own_jobs = jobs.filter(own)
    scores = (
        score_groups(jobs, network, job_type, formula, ("orchestrator", "region"))
        .with_columns(rank=_rank(keys), ranked_count=nw.col("score").count().over(*keys).cast(nw.Int64()))
        .filter(own)
        .join(_last_times(own_jobs, keys), on=list(keys), how="left")
    )
    scores = with_round_trip_times(scores, own_jobs, job_type, formula, keys)
    spelled = with_spellings(scores, events, every_job, formula)
    return describe_jobs(spelled, job_type, formula, "orchestrator", "region").select(*_COLUMNS)


def with_same_pipelines(events: NarwhalsFrame, event_filter: EventFilter) -> NarwhalsFrame:
    """The AI events of all orchestrators with a pipeline, in any spelling, that the filter's orchestrator has."""
    events = apply_filter(with_optional_columns(events), EventFilter(job_type=AI))
    own = match_columns(events, event_filter, "orchestrator").select("pipeline_slug").unique()
    return events.join(own, on="pipeline_slug", how="semi")


def _last_times(events: NarwhalsFrame, keys: tuple[str, ...]) -> NarwhalsFrame:
    """One row per ``keys``: when a job last succeeded, and last failed."""
    time = nw.col("event_time")
    times = events.with_columns(
        last_success=nw.when(formulas.succeeded()).then(time), last_failure=nw.when(~formulas.succeeded()).then(time)
    )
    return times.group_by(*keys).agg(nw.col("last_success", "last_failure").max())

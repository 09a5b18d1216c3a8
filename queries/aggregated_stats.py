"""The scores of each orchestrator in each region."""

import narwhals.stable.v2 as nw

from queries.engines import NarwhalsFrame, engine_agnostic
from queries.filters import AI, TRANSCODING, EventFilter, match_columns
from queries.scoring import formulas
from queries.scoring.formula import FORMULA_2, Formula
from queries.scoring.formulas import SCORE_FIELDS
from queries.scoring.grouping import mean_over_models, score_groups, with_means
from queries.scoring.scored_events import MEASURES, network_jobs, select_jobs


@engine_agnostic
def aggregated_stats(
    events: NarwhalsFrame, event_filter: EventFilter = EventFilter(), *, formula: Formula = FORMULA_2
) -> NarwhalsFrame:
    """One row per orchestrator and region, sorted by both: success_rate, round_trip_score, score (Float64, 0..1).

    The filter's pipeline and model select the jobs. AI jobs are scored against
    the median of the whole network, so its orchestrator, region and ``warm``
    only select what is scored. (With FORMULA_1, the region selects the events
    that the median is taken of, too.) Without a model, a score is the mean of
    the scores of the orchestrator's jobs, weighted by their events. An
    orchestrator without scored events has no row.

    >>> from queries import AI, EventFilter, aggregated_stats, sample_data
    >>> aggregated_stats(sample_data.events(), EventFilter(region="FRA"))
    shape: (2, 5)
    ┌──────────────┬────────┬──────────────┬──────────────────┬──────────┐
    │ orchestrator ┆ region ┆ success_rate ┆ round_trip_score ┆ score    │
    │ ---          ┆ ---    ┆ ---          ┆ ---              ┆ ---      │
    │ str          ┆ str    ┆ f64          ┆ f64              ┆ f64      │
    ╞══════════════╪════════╪══════════════╪══════════════════╪══════════╡
    │ 0xaa         ┆ FRA    ┆ 0.75         ┆ 0.959238         ┆ 0.719428 │
    │ 0xbb         ┆ FRA    ┆ 1.0          ┆ 0.632121         ┆ 0.632121 │
    └──────────────┴────────┴──────────────┴──────────────────┴──────────┘
    >>> aggregated_stats(sample_data.events(), EventFilter(job_type=AI, pipeline="llm", model="small"))
    shape: (2, 5)
    ┌──────────────┬────────┬──────────────┬──────────────────┬──────────┐
    │ orchestrator ┆ region ┆ success_rate ┆ round_trip_score ┆ score    │
    │ ---          ┆ ---    ┆ ---          ┆ ---              ┆ ---      │
    │ str          ┆ str    ┆ f64          ┆ f64              ┆ f64      │
    ╞══════════════╪════════╪══════════════╪══════════════════╪══════════╡
    │ 0xaa         ┆ FRA    ┆ 1.0          ┆ 0.845897         ┆ 0.946064 │
    │ 0xbb         ┆ FRA    ┆ 0.5          ┆ 0.676718         ┆ 0.561851 │
    └──────────────┴────────┴──────────────┴──────────────────┴──────────┘

    Live video is scored by its quality, whatever the spelling of its pipeline:

    >>> live = EventFilter(job_type=AI, pipeline="Live video to video", model="diffusion")
    >>> aggregated_stats(sample_data.events(), live)
    shape: (2, 5)
    ┌──────────────┬────────┬──────────────┬──────────────────┬───────┐
    │ orchestrator ┆ region ┆ success_rate ┆ round_trip_score ┆ score │
    │ ---          ┆ ---    ┆ ---          ┆ ---              ┆ ---   │
    │ str          ┆ str    ┆ f64          ┆ f64              ┆ f64   │
    ╞══════════════╪════════╪══════════════╪══════════════════╪═══════╡
    │ 0xaa         ┆ FRA    ┆ 1.0          ┆ 0.9              ┆ 0.965 │
    │ 0xbb         ┆ FRA    ┆ 1.0          ┆ 0.4              ┆ 0.79  │
    └──────────────┴────────┴──────────────┴──────────────────┴───────┘
    """
    job_type = event_filter.job_type
    network = network_jobs(events, event_filter, formula)
    own = match_columns(select_jobs(network, event_filter), event_filter, "orchestrator")
    scores = score_groups(own, network, job_type, formula, ("orchestrator", "region"))
    names_one_job = event_filter.pipeline is not None and event_filter.model is not None
    if job_type == AI and not names_one_job:
        scores = mean_over_models(scores)
    return _stats(scores)


def has_sums(event_filter: EventFilter, formula: Formula) -> bool:
    """Whether the scores are made of sums over events, as ``transcoding_sums`` has them."""
    return event_filter.job_type == TRANSCODING and formula.half_life is None


@engine_agnostic
def transcoding_sums(events: NarwhalsFrame, warm: bool | None = None, *, formula: Formula = FORMULA_2) -> NarwhalsFrame:
    """One row per orchestrator and region: events (Int64, scored ones) and the sums of the measures (Float64).

    ``warm`` selects events as that of an EventFilter does. ``stats_of_sums``
    makes scores of the rows.
    """
    event_filter = EventFilter(warm=warm)
    jobs = select_jobs(network_jobs(events, event_filter, formula), event_filter)
    return jobs.group_by("orchestrator", "region").agg(formulas.event_count(), *formulas.sums(MEASURES))


@engine_agnostic
def stats_of_sums(
    sums: NarwhalsFrame, event_filter: EventFilter = EventFilter(), *, formula: Formula = FORMULA_2
) -> NarwhalsFrame:
    """The rows of ``aggregated_stats`` from those of ``transcoding_sums`` over the parts of the events, one by one.

    Only for a filter and a formula for which ``has_sums`` is true.

    >>> import polars as pl
    >>> from queries import aggregated_stats, sample_data
    >>> events = sample_data.events()
    >>> parts = [transcoding_sums(part) for part in (events.head(3), events.slice(3))]
    >>> stats_of_sums(pl.concat(parts)).equals(aggregated_stats(events))
    True
    """
    own = match_columns(sums, event_filter, "orchestrator", "region")
    names = ("events", *(f"sum_{name}" for name in MEASURES))
    groups = own.group_by("orchestrator", "region").agg(nw.col(*names).sum())
    groups = groups.with_columns(nw.col("events").cast(nw.Int64()))
    return _stats(formulas.with_transcoding_scores(with_means(groups, MEASURES), formula))


def _stats(scores: NarwhalsFrame) -> NarwhalsFrame:
    return (
        scores.filter(~nw.col("score").is_null())
        .select("orchestrator", "region", *SCORE_FIELDS)
        .sort("orchestrator", "region")
    )

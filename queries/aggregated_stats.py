"""The scores of each orchestrator in each region."""

import narwhals.stable.v2 as nw

from queries.engines import NarwhalsFrame, engine_agnostic
from queries.filters import AI, EventFilter, apply_filter
from queries.scoring import formulas
from queries.scoring.grouping import SCORE_FIELDS


@engine_agnostic
def aggregated_stats(events: NarwhalsFrame, event_filter: EventFilter = EventFilter()) -> NarwhalsFrame:
    """One row per orchestrator and region, sorted by both: success_rate, round_trip_score, score (Float64, 0..1).

    The filter's region, pipeline and model select the events. Its orchestrator
    selects rows of the result only, since AI jobs are scored against the median
    of the whole network.

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
    """
    selected = apply_filter(events, event_filter, "region", "pipeline", "model")
    own = (
        selected
        if event_filter.orchestrator is None
        else selected.filter(nw.col("orchestrator") == event_filter.orchestrator)
    )
    means = own.group_by("orchestrator", "region").agg(*formulas.means())
    if event_filter.job_type == AI:
        median = selected.filter(formulas.successful()).select(formulas.median_round_trip_time())
        scores = formulas.with_ai_scores(means.join(median, how="cross"))
    else:
        scores = formulas.with_transcoding_scores(means)
    return scores.select("orchestrator", "region", *SCORE_FIELDS).sort("orchestrator", "region")

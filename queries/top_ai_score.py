"""The AI job that an orchestrator is best at."""

import narwhals.stable.v2 as nw

from queries.engines import NarwhalsFrame, engine_agnostic
from queries.filters import AI, EventFilter, apply_filter
from queries.scoring import formulas
from queries.scoring.grouping import AI_KEYS, SCORE_DECIMALS, scorable


@engine_agnostic
def top_ai_score(events: NarwhalsFrame, event_filter: EventFilter) -> NarwhalsFrame:
    """The best AI job of the filter's orchestrator: one row, or none where it did no AI job.

    Columns: orchestrator, region, pipeline, model, score (Float64, 0..1, as
    aggregated_stats has it without a region filter). The best job has the
    highest mean success_rate, then the lowest mean round_trip_time, then comes
    first by pipeline, model and region.

    >>> from queries import EventFilter, sample_data, top_ai_score
    >>> top_ai_score(sample_data.events(), EventFilter(orchestrator="0xaa"))
    shape: (1, 5)
    ┌──────────────┬────────┬──────────┬───────┬──────────┐
    │ orchestrator ┆ region ┆ pipeline ┆ model ┆ score    │
    │ ---          ┆ ---    ┆ ---      ┆ ---   ┆ ---      │
    │ str          ┆ str    ┆ str      ┆ str   ┆ f64      │
    ╞══════════════╪════════╪══════════╪═══════╪══════════╡
    │ 0xaa         ┆ FRA    ┆ llm      ┆ small ┆ 0.946064 │
    └──────────────┴────────┴──────────┴───────┴──────────┘
    """
    jobs = scorable(apply_filter(events, EventFilter(job_type=AI)), AI)
    best = (
        jobs.filter(nw.col("orchestrator") == event_filter.orchestrator)
        .group_by("orchestrator", "region", *AI_KEYS)
        .agg(*formulas.means())
        # means differ in their last bits between computations; these do not count
        .with_columns(
            success=nw.col("success_rate").round(SCORE_DECIMALS),
            seconds=nw.col("round_trip_time").round(SCORE_DECIMALS),
        )
        .sort("success", "seconds", *AI_KEYS, "region", descending=[True, *[False] * 4])
        .head(1)
    )
    medians = jobs.filter(formulas.successful()).group_by(*AI_KEYS).agg(formulas.median_round_trip_time())
    scores = formulas.with_ai_scores(best.join(medians, on=list(AI_KEYS), how="left"))
    return scores.select("orchestrator", "region", *AI_KEYS, "score")

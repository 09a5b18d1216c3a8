"""What is an orchestrator best at?"""

import narwhals.stable.v2 as nw
from narwhals.stable.v2.typing import IntoFrameT

from queries.filters import AI, EventFilter, apply_filter
from queries.scoring import formulas


def top_ai_score(events: IntoFrameT, event_filter: EventFilter) -> IntoFrameT:
    """The best AI job of the query's orchestrator: one row, or none where it has done no AI job.

    Columns: orchestrator, region, pipeline, model, score (Float64, 0..1, as
    aggregated_stats has it without a region filter). Best is the highest mean
    success_rate, then the lowest mean round_trip_time, then the first by
    pipeline, model and region.

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
    job = ("pipeline", "model")
    jobs = apply_filter(nw.from_native(events), EventFilter(job_type=AI)).filter(
        ~nw.col("pipeline").is_null(), ~nw.col("model").is_null()
    )
    best = (
        jobs.filter(nw.col("orchestrator") == event_filter.orchestrator)
        .group_by("orchestrator", "region", *job)
        .agg(*formulas.means())
        # jobs that are equal but for the last bits of a mean are equal
        .with_columns(success=nw.col("success_rate").round(12), seconds=nw.col("round_trip_time").round(12))
        .sort("success", "seconds", *job, "region", descending=[True, *[False] * 4])
        .head(1)
    )
    medians = jobs.filter(formulas.successful()).group_by(*job).agg(formulas.median_round_trip_time())
    scored = formulas.with_ai_scores(best.join(medians, on=list(job), how="left"))
    return scored.select("orchestrator", "region", *job, "score").to_native()

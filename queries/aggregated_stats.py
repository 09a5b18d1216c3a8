"""How good is each orchestrator, in each region?"""

import narwhals.stable.v2 as nw
from narwhals.stable.v2.typing import IntoFrameT

from queries.filters import AI, EventFilter, apply_filter
from queries.scoring import formulas
from queries.scoring.grouping import SCORE_FIELDS


def aggregated_stats(events: IntoFrameT, event_filter: EventFilter = EventFilter()) -> IntoFrameT:
    """One row per orchestrator and region, sorted by both: success_rate, round_trip_score, score (Float64, 0..1).

    The query's region, pipeline and model choose the events. Its orchestrator
    chooses the rows of the answer only, since the median that AI jobs are
    scored against is the whole network's.

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
    chosen = apply_filter(nw.from_native(events), event_filter, "region", "pipeline", "model")
    of_answer = (
        chosen
        if event_filter.orchestrator is None
        else chosen.filter(nw.col("orchestrator") == event_filter.orchestrator)
    )
    means = of_answer.group_by("orchestrator", "region").agg(*formulas.means())
    if event_filter.job_type == AI:
        median = chosen.filter(formulas.successful()).select(formulas.median_round_trip_time())
        scored = formulas.with_ai_scores(means.join(median, how="cross"))
    else:
        scored = formulas.with_transcoding_scores(means)
    return scored.select("orchestrator", "region", *SCORE_FIELDS).sort("orchestrator", "region").to_native()

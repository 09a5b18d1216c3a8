"""The AI job that an orchestrator is best at."""

import narwhals.stable.v2 as nw

from queries.engines import NarwhalsFrame, engine_agnostic
from queries.filters import AI, EventFilter, match_columns
from queries.scoring import formulas
from queries.scoring.formula import FORMULA_2, Formula
from queries.scoring.grouping import SCORE_DECIMALS, score_groups
from queries.scoring.scored_events import AI_KEYS, network_jobs, with_spellings


@engine_agnostic
def top_ai_score(events: NarwhalsFrame, event_filter: EventFilter, *, formula: Formula = FORMULA_2) -> NarwhalsFrame:
    """The best AI job of the filter's orchestrator: one row, or none where it did no AI job.

    Columns: orchestrator, region, pipeline, model, score (Float64, 0..1, as
    aggregated_stats has it without a region filter). The best job has the
    highest mean success_rate, then the lowest mean round_trip_time, then comes
    first by pipeline, model and region. Live video, which has no time, comes
    after the jobs that succeed as often.

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
    network = network_jobs(events, EventFilter(job_type=AI), formula)
    own = match_columns(network, event_filter, "orchestrator")
    scores = score_groups(own, network, AI, formula, ("orchestrator", "region")).filter(~nw.col("score").is_null())
    best = (
        with_spellings(scores, events, EventFilter(job_type=AI), formula)
        # means differ in their last bits between computations; these do not count
        .with_columns(
            success=nw.col("success_rate").round(SCORE_DECIMALS),
            seconds=formulas.seconds(formula).round(SCORE_DECIMALS),
        )
        .sort("success", "seconds", *AI_KEYS, "region", descending=[True, *[False] * 4], nulls_last=True)
        .head(1)
    )
    return best.select("orchestrator", "region", *AI_KEYS, "score")

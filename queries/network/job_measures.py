"""The round trip times and qualities of single jobs, of which distributions are drawn."""

import narwhals.stable.v2 as nw

from queries.engines import NarwhalsFrame, engine_agnostic
from queries.filters import AI, EventFilter, match_columns
from queries.scoring import formulas
from queries.scoring.formula import FORMULA_2, Formula
from queries.scoring.scored_events import AI_KEYS, is_timed, network_jobs, select_jobs, with_spellings

_COLUMNS = ("event_time", "orchestrator", "region", *AI_KEYS, "warm", "success_rate", "round_trip_time", "quality")


@engine_agnostic
def job_measures(
    events: NarwhalsFrame, event_filter: EventFilter = EventFilter(), *, formula: Formula = FORMULA_2
) -> NarwhalsFrame:
    """One row per scored event of the filter, sorted by its time, with what scores are made of.

    Columns:

    - event_time (Datetime, UTC), orchestrator, region, pipeline, model (String;
      the last two are null for transcoding), warm (Boolean)
    - success_rate (Float64, 0..1)
    - round_trip_time (Float64, seconds): null unless the job succeeded and took
      time, and for live video
    - quality (Float64, 0..1): of a live stream that succeeded; null for any
      other job, and where the event does not tell

    >>> from queries import AI, EventFilter, job_measures, sample_data
    >>> jobs = job_measures(sample_data.events(), EventFilter(job_type=AI))
    >>> jobs.select("orchestrator", "model", "warm", "success_rate", "round_trip_time", "quality")
    shape: (5, 6)
    ┌──────────────┬───────────┬───────┬──────────────┬─────────────────┬─────────┐
    │ orchestrator ┆ model     ┆ warm  ┆ success_rate ┆ round_trip_time ┆ quality │
    │ ---          ┆ ---       ┆ ---   ┆ ---          ┆ ---             ┆ ---     │
    │ str          ┆ str       ┆ bool  ┆ f64          ┆ f64             ┆ f64     │
    ╞══════════════╪═══════════╪═══════╪══════════════╪═════════════════╪═════════╡
    │ 0xaa         ┆ small     ┆ true  ┆ 1.0          ┆ 3.0             ┆ null    │
    │ 0xbb         ┆ small     ┆ false ┆ 1.0          ┆ 5.0             ┆ null    │
    │ 0xbb         ┆ small     ┆ true  ┆ 0.0          ┆ null            ┆ null    │
    │ 0xaa         ┆ diffusion ┆ true  ┆ 1.0          ┆ null            ┆ 0.9     │
    │ 0xbb         ┆ diffusion ┆ true  ┆ 1.0          ┆ null            ┆ 0.4     │
    └──────────────┴───────────┴───────┴──────────────┴─────────────────┴─────────┘
    """
    job_type = event_filter.job_type
    network = network_jobs(events, event_filter, formula)
    jobs = match_columns(select_jobs(network, event_filter), event_filter, "orchestrator")
    jobs = jobs.filter(~nw.col("success_rate").is_null())
    measured = jobs.with_columns(
        success_rate=formulas.counted_value("success_rate"),
        round_trip_time=nw.when(is_timed(job_type, formula)).then(nw.col("round_trip_time")),
    )
    quality = nw.when(formulas.succeeded()).then(nw.col("quality")) if job_type == AI else nw.lit(None)
    measured = measured.with_columns(quality=quality.cast(nw.Float64()))
    return with_spellings(measured, events, event_filter, formula).sort("event_time", "id").select(*_COLUMNS)

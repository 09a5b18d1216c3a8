"""How each node does: an orchestrator may run many, each with a service URI of its own."""

from dataclasses import replace

import narwhals.stable.v2 as nw

from queries.engines import NarwhalsFrame, engine_agnostic
from queries.filters import AI, TRANSCODING, EventFilter, match_columns
from queries.orchestrator_jobs import JOB_COLUMNS, with_same_pipelines
from queries.scoring.formula import FORMULA_2, Formula
from queries.scoring.formulas import SCORE_FIELDS
from queries.scoring.grouping import describe_jobs, score_groups
from queries.scoring.scored_events import AI_KEYS, network_jobs, select_jobs, with_spellings
from queries.scoring.warm_and_cold import TIME_COLUMNS, with_round_trip_times

_COLUMNS = (
    *("orchestrator", "service_uri", *JOB_COLUMNS, "events", "succeeded", "failed", "unscored"),
    *(*SCORE_FIELDS, "round_trip_time", *TIME_COLUMNS, "last_seen"),
)


@engine_agnostic
def service_uris(
    events: NarwhalsFrame,
    event_filter: EventFilter = EventFilter(),
    *,
    formula: Formula = FORMULA_2,
    job_types: tuple[str, ...] = (AI, TRANSCODING),
) -> NarwhalsFrame:
    """One row per orchestrator, service_uri, job_type, region, pipeline and model, sorted by these.

    Only results of ``job_types``, which has one at least, that name the
    service URI they tested count. The filter's job_type is not used. Columns:

    - orchestrator, service_uri (as it was posted), job_type, region, pipeline,
      model (String; pipeline and model are null for transcoding)
    - events, succeeded, failed, unscored (Int64): counted as in ``ranking``
    - success_rate, round_trip_score, score (Float64, 0..1): of the URI's own
      results; an AI job is scored against the median of the whole network.
      Null without scored events
    - round_trip_time, p50_round_trip_time, p95_round_trip_time (Float64,
      seconds): the mean of the scored events, and the percentiles of the
      successful ones, as in ``orchestrator_jobs``
    - last_seen (Datetime, UTC): the time of the last event

    >>> from queries import EventFilter, sample_data, service_uris
    >>> nodes = service_uris(sample_data.events(), EventFilter(orchestrator="0xbb"))
    >>> nodes.select("service_uri", "region", "model", "events", "failed", "score")
    shape: (2, 6)
    ┌───────────────────────────┬────────┬───────────┬────────┬────────┬──────────┐
    │ service_uri               ┆ region ┆ model     ┆ events ┆ failed ┆ score    │
    │ ---                       ┆ ---    ┆ ---       ┆ ---    ┆ ---    ┆ ---      │
    │ str                       ┆ str    ┆ str       ┆ i64    ┆ i64    ┆ f64      │
    ╞═══════════════════════════╪════════╪═══════════╪════════╪════════╪══════════╡
    │ https://bb-1.example:8935 ┆ FRA    ┆ small     ┆ 2      ┆ 1      ┆ 0.561851 │
    │ https://bb-2.example:8935 ┆ FRA    ┆ diffusion ┆ 1      ┆ 0      ┆ 0.79     │
    └───────────────────────────┴────────┴───────────┴────────┴────────┴──────────┘
    """
    filters = (replace(event_filter, job_type=job_type) for job_type in job_types)
    parts = [_nodes_of_type(events, job_filter, formula) for job_filter in filters]
    return nw.concat(parts).select(*_COLUMNS).sort("orchestrator", "service_uri", *JOB_COLUMNS)


def _nodes_of_type(events: NarwhalsFrame, event_filter: EventFilter, formula: Formula) -> NarwhalsFrame:
    job_type, keys = event_filter.job_type, ("orchestrator", "service_uri", "region")
    if job_type == AI and event_filter.orchestrator is not None:
        events = with_same_pipelines(events, event_filter)
    network = network_jobs(events, event_filter, formula)
    jobs = match_columns(select_jobs(network, event_filter), event_filter, "orchestrator")
    jobs = jobs.filter(~nw.col("service_uri").is_null())
    scores = score_groups(jobs, network, job_type, formula, keys)
    job_keys = (*keys, *AI_KEYS) if job_type == AI else keys
    rows = with_round_trip_times(scores, jobs, job_type, formula, job_keys)
    spelled = with_spellings(rows, events, event_filter, formula)
    return describe_jobs(spelled, job_type, formula, *keys).select(*_COLUMNS)

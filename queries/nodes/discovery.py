"""The nodes that a gateway may use, best first."""

import narwhals.stable.v2 as nw

from queries.engines import NarwhalsFrame, engine_agnostic
from queries.filters import AI, EventFilter, match_columns
from queries.scoring.formula import FORMULA_2, Formula
from queries.scoring.grouping import SCORE_DECIMALS, mean_over_models, score_groups
from queries.scoring.scored_events import network_jobs, select_jobs

ADDRESS_OF_A_NODE = (
    r"^[Hh][Tt][Tt][Pp][Ss]?://"
    r"([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?"
    r"([/?]([!-$&-~]|%[0-9A-Fa-f]{2})*)?$"
)
"""The service URIs that a gateway can parse: http or https, a host, and nothing that is not printable ASCII."""
_COLUMNS = ("address", "score", "success_rate", "events", "regions", "last_seen")


@engine_agnostic
def discovery(
    events: NarwhalsFrame,
    event_filter: EventFilter = EventFilter(job_type=AI),
    *,
    min_score: float = 0.0,
    min_events: int = 1,
    formula: Formula = FORMULA_2,
) -> NarwhalsFrame:
    """One row per service URI with a score of at least ``min_score`` and ``min_events`` scored events.

    Sorted by score, best first, then by address. A URI is scored by its own
    results as ``ranking`` scores an orchestrator: each job against the median
    of the whole network, the mean over its jobs in a region weighted by their
    events, then the mean over the regions. Without a pipeline all jobs of the
    filter's type count.

    Columns: address (String, the service URI; only those that a gateway can
    parse), score, success_rate (Float64, 0..1), events, regions (Int64: scored
    events, and regions with a score), last_seen (Datetime, UTC).

    >>> from queries import discovery, sample_data
    >>> discovery(sample_data.events()).select("address", "score")
    shape: (3, 2)
    ┌───────────────────────────┬──────────┐
    │ address                   ┆ score    │
    │ ---                       ┆ ---      │
    │ str                       ┆ f64      │
    ╞═══════════════════════════╪══════════╡
    │ https://aa.example:8935   ┆ 0.955532 │
    │ https://bb-2.example:8935 ┆ 0.79     │
    │ https://bb-1.example:8935 ┆ 0.561851 │
    └───────────────────────────┴──────────┘
    """
    job_type = event_filter.job_type
    network = network_jobs(events, event_filter, formula)
    jobs = match_columns(select_jobs(network, event_filter), event_filter, "orchestrator")
    # each URI in the place of an orchestrator
    nodes = jobs.with_columns(orchestrator=nw.col("service_uri"))
    named = nodes.filter(~nw.col("orchestrator").is_null())
    regional = score_groups(named, network, job_type, formula, ("orchestrator", "region"))
    if job_type == AI:
        regional = mean_over_models(regional)
    address = nw.col("orchestrator").cast(nw.String())
    rows = (
        regional.group_by("orchestrator")
        .agg(
            nw.col("score", "success_rate").mean(),
            nw.col("events").sum().cast(nw.Int64()),
            nw.col("score").count().cast(nw.Int64()).alias("regions"),
            nw.col("last_seen").max(),
        )
        .with_columns(address.alias("address"), rounded=nw.col("score").round(SCORE_DECIMALS))
    )
    chosen = rows.filter(
        nw.col("address").str.contains(ADDRESS_OF_A_NODE),
        nw.col("events") >= min_events,
        nw.col("rounded") >= min_score,
    )
    return chosen.sort("rounded", "address", descending=[True, False]).select(*_COLUMNS)

"""The results as the testers posted them."""

from queries.engines import NarwhalsFrame, engine_agnostic
from queries.filters import EventFilter, apply_filter
from queries.schema import with_optional_columns


@engine_agnostic
def raw_stats(results: NarwhalsFrame, event_filter: EventFilter) -> NarwhalsFrame:
    """The selected results, newest first; results of the same moment come in the reverse order of their ids.

    ``results`` is a frame of events with the column ``payload``, as
    ``PostgresEvents.results`` returns it; it does not need the measures. Where
    it has no column ``warm``, a filter by that selects nothing.
    Columns: region, orchestrator, payload (String, the result as JSON),
    event_time (when the service received it).

    >>> from queries import EventFilter, raw_stats, sample_data
    >>> results = raw_stats(sample_data.results(), EventFilter(orchestrator="0xaa", region="NYC"))
    >>> results.select("event_time", "region", "orchestrator")
    shape: (1, 3)
    ┌─────────────────────────┬────────┬──────────────┐
    │ event_time              ┆ region ┆ orchestrator │
    │ ---                     ┆ ---    ┆ ---          │
    │ datetime[μs, UTC]       ┆ str    ┆ str          │
    ╞═════════════════════════╪════════╪══════════════╡
    │ 2026-09-01 18:00:00 UTC ┆ NYC    ┆ 0xaa         │
    └─────────────────────────┴────────┴──────────────┘
    >>> print(results["payload"].item())
    {"success_rate":1.0,"round_trip_time":1.0,"errors":null}
    """
    return (
        apply_filter(
            with_optional_columns(results), event_filter, "orchestrator", "region", "pipeline", "model", "warm"
        )
        .sort("event_time", "id", descending=True)
        .select("region", "orchestrator", "payload", "event_time")
    )

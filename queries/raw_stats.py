"""What exactly did the testers post?"""

import narwhals.stable.v2 as nw
from narwhals.stable.v2.typing import IntoFrameT

from queries.filters import EventFilter, apply_filter


def raw_stats(results: IntoFrameT, event_filter: EventFilter) -> IntoFrameT:
    """The results the query chooses, newest first.

    Columns: region, orchestrator, payload (String, the result as JSON),
    event_time (when it was received).

    ``results`` is a frame of events with the column ``payload``, as
    ``PostgresEvents.results`` gives it; it need not have the measures. Results
    of the same moment come in the reverse order of their ids.

    >>> from queries import EventFilter, sample_data, raw_stats
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
        apply_filter(nw.from_native(results), event_filter, "orchestrator", "region", "pipeline", "model")
        .sort("event_time", "id", descending=True)
        .select("region", "orchestrator", "payload", "event_time")
        .to_native()
    )

"""What exactly did the testers post?"""

import narwhals.stable.v2 as nw
from narwhals.stable.v2.typing import IntoFrameT

from queries.query import Query, select


def raw_stats(results: IntoFrameT, query: Query) -> IntoFrameT:
    """The results the query chooses, newest first.

    Columns: region, orchestrator, payload (String, the result as JSON),
    event_time (when it was received).

    ``results`` is a frame of events with the column ``payload``, as
    ``PostgresEvents.results`` gives it; it need not have the measures. Results
    of the same moment come in the reverse order of their ids.
    """
    return (
        select(nw.from_native(results), query, "orchestrator", "region", "pipeline", "model")
        .sort("event_time", "id", descending=True)
        .select("region", "orchestrator", "payload", "event_time")
        .to_native()
    )

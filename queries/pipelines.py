"""Which AI jobs have been seen, and where?"""

import narwhals.stable.v2 as nw
from narwhals.stable.v2.typing import IntoFrameT

from queries.filters import AI, EventFilter, apply_filter


def pipelines(events: IntoFrameT, event_filter: EventFilter = EventFilter(job_type=AI)) -> IntoFrameT:
    """One row per pipeline, model and region that AI events name, sorted by the three.

    ``model`` is null where a result named a pipeline alone. Of the query only
    the region matters.

    >>> from queries import sample_data, pipelines
    >>> pipelines(sample_data.events())
    shape: (1, 3)
    ┌──────────┬───────┬────────┐
    │ pipeline ┆ model ┆ region │
    │ ---      ┆ ---   ┆ ---    │
    │ str      ┆ str   ┆ str    │
    ╞══════════╪═══════╪════════╡
    │ llm      ┆ small ┆ FRA    │
    └──────────┴───────┴────────┘
    """
    named = ("pipeline", "model", "region")
    return (
        apply_filter(nw.from_native(events), EventFilter(job_type=AI, region=event_filter.region), "region")
        .filter(~nw.col("pipeline").is_null())
        .select(*named)
        .unique()
        .sort(*named)
        .to_native()
    )

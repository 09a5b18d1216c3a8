"""The AI pipelines that were tested, with their models and regions."""

import narwhals.stable.v2 as nw

from queries.engines import NarwhalsFrame, engine_agnostic
from queries.filters import AI, EventFilter, apply_filter
from queries.schema import with_optional_columns
from queries.scoring.scored_events import newest_spellings


@engine_agnostic
def pipelines(events: NarwhalsFrame, event_filter: EventFilter = EventFilter(job_type=AI)) -> NarwhalsFrame:
    """One row per pipeline, model and region that AI events name, sorted by the three.

    Pipelines with the same slug are one, spelled as its newest event does.
    ``model`` is null where a result named only a pipeline. Only the filter's
    region is used.

    >>> from queries import pipelines, sample_data
    >>> pipelines(sample_data.events())
    shape: (2, 3)
    ┌─────────────────────┬───────────┬────────┐
    │ pipeline            ┆ model     ┆ region │
    │ ---                 ┆ ---       ┆ ---    │
    │ str                 ┆ str       ┆ str    │
    ╞═════════════════════╪═══════════╪════════╡
    │ live-video-to-video ┆ diffusion ┆ FRA    │
    │ llm                 ┆ small     ┆ FRA    │
    └─────────────────────┴───────────┴────────┘
    """
    events = with_optional_columns(events)
    columns = ("pipeline", "model", "region")
    jobs = apply_filter(events, EventFilter(job_type=AI, region=event_filter.region), "region")
    named = jobs.filter(~nw.col("pipeline").is_null()).select("pipeline_slug", "model", "region").unique()
    return named.join(newest_spellings(events), on="pipeline_slug", how="left").select(*columns).sort(*columns)

"""Which events a query function looks at."""

import re
from dataclasses import dataclass

import narwhals.stable.v2 as nw

from queries.engines import NarwhalsFrame

TRANSCODING = "transcoding"
AI = "ai"


@dataclass(frozen=True)
class EventFilter:
    """Selects events; ``None`` selects all.

    ``orchestrator`` is a lower-case address, ``region`` an upper-case code,
    ``job_type`` is ``"transcoding"`` or ``"ai"``. ``pipeline`` in any spelling
    selects all spellings. ``warm`` selects the results whose model was loaded
    already, or was not. The window of time is not part of the filter: the
    source has applied it already.
    """

    job_type: str = TRANSCODING
    orchestrator: str | None = None
    region: str | None = None
    pipeline: str | None = None
    model: str | None = None
    warm: bool | None = None


def apply_filter(events: NarwhalsFrame, event_filter: EventFilter, *columns: str) -> NarwhalsFrame:
    """The events of the filter's job type that match it in each of ``columns``; see match_columns."""
    return match_columns(events, event_filter, "job_type", *columns)


def match_columns(rows: NarwhalsFrame, event_filter: EventFilter, *columns: str) -> NarwhalsFrame:
    """The rows that match the filter in each of ``columns``, where it gives a value for that.

    ``pipeline`` is compared by its slug, ``exact_pipeline`` as it is spelled.
    """
    conditions = []
    for column in columns:
        value = getattr(event_filter, column.removeprefix("exact_"))
        if column == "pipeline" and value is not None:
            conditions.append(nw.col("pipeline_slug") == slug_of(value))
        elif value is not None:
            conditions.append(nw.col(column.removeprefix("exact_")) == value)
    return rows.filter(*conditions) if conditions else rows


def slug_of(pipeline: str) -> str:
    """What a pipeline is known by, however it is spelled: in lower case, with hyphens for spaces and underscores."""
    return re.sub("[ _]", "-", pipeline.lower())

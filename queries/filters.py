"""Which events a query function looks at."""

from dataclasses import dataclass

import narwhals.stable.v2 as nw

from queries.engines import NarwhalsFrame

TRANSCODING = "transcoding"
AI = "ai"


@dataclass(frozen=True)
class EventFilter:
    """Selects events; ``None`` selects all.

    ``orchestrator`` is a lower-case address, ``region`` an upper-case code,
    ``job_type`` is ``"transcoding"`` or ``"ai"``. The window of time is not
    part of the filter: the source has applied it already.
    """

    job_type: str = TRANSCODING
    orchestrator: str | None = None
    region: str | None = None
    pipeline: str | None = None
    model: str | None = None


def apply_filter(events: NarwhalsFrame, event_filter: EventFilter, *columns: str) -> NarwhalsFrame:
    """The events of the filter's job type that match it in each of ``columns``, where it gives a value for that."""
    values = {"job_type": event_filter.job_type} | {column: getattr(event_filter, column) for column in columns}
    return events.filter(*(nw.col(column) == value for column, value in values.items() if value is not None))

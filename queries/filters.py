"""What is asked of a frame of events."""

from dataclasses import dataclass

import narwhals.stable.v2 as nw
from narwhals.stable.v2.typing import FrameT

TRANSCODING = "transcoding"
AI = "ai"


@dataclass(frozen=True)
class EventFilter:
    """Which events a question is about; ``None`` means all of them.

    ``orchestrator`` is a lower-case address, ``region`` an upper-case code,
    ``job_type`` is ``"transcoding"`` or ``"ai"``. The window of time is not
    part of it: the source has cut that already.
    """

    job_type: str = TRANSCODING
    orchestrator: str | None = None
    region: str | None = None
    pipeline: str | None = None
    model: str | None = None


def apply_filter(events: FrameT, event_filter: EventFilter, *columns: str) -> FrameT:
    """The events of the query's job type that equal it in each of ``columns`` it gives a value for."""
    wanted = {"job_type": event_filter.job_type} | {column: getattr(event_filter, column) for column in columns}
    return events.filter(*(nw.col(column) == value for column, value in wanted.items() if value is not None))

"""Spans of time whose events count in no score, because a tester and not the network was at fault."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import narwhals.stable.v2 as nw

from queries.engines import NarwhalsFrame, engine_agnostic


@dataclass(frozen=True)
class Exclusion:
    """The events of one region with since ≤ event_time < until.

    ``until`` is not part of it, so that one exclusion may begin where another
    ends. ``region`` is an upper-case code. A ``job_type`` of None means both.
    ``since`` and ``until`` are aware datetimes.
    """

    region: str
    job_type: str | None
    since: datetime
    until: datetime
    reason: str

    def overlaps(self, since: datetime, until: datetime) -> bool:
        """Whether an event of the window since ≤ event_time ≤ until may be excluded."""
        return self.since <= until and since < self.until


@engine_agnostic
def leave_out(events: NarwhalsFrame, exclusions: Iterable[Exclusion]) -> NarwhalsFrame:
    """The events that no exclusion covers. All columns stay.

    >>> from datetime import UTC, datetime
    >>> from queries import Exclusion, leave_out, sample_data
    >>> day = datetime(2026, 9, 1, tzinfo=UTC), datetime(2026, 9, 2, tzinfo=UTC)
    >>> counted = leave_out(sample_data.events(), [Exclusion("FRA", "transcoding", *day, "the tester's disk was full")])
    >>> sample_data.events().height, counted.height
    (11, 8)
    """
    covered = [_covers(exclusion) for exclusion in exclusions]
    return events.filter(~nw.any_horizontal(*covered, ignore_nulls=False)) if covered else events


def _covers(exclusion: Exclusion) -> nw.Expr:
    time = nw.col("event_time")
    covers = (nw.col("region") == exclusion.region) & (time >= exclusion.since) & (time < exclusion.until)
    return covers if exclusion.job_type is None else covers & (nw.col("job_type") == exclusion.job_type)

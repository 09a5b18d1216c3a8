"""The times of a frame that is sorted by event_time. Looking one up reads a few values and copies none."""

from bisect import bisect_left, bisect_right

import polars as pl


class SortedTimes:
    """The event_time of each of the events, which are sorted by it. Moments are microseconds since 1970."""

    def __init__(self, events: pl.DataFrame) -> None:
        # bisecting a memoryview is far faster than asking Polars for each value
        column = events["event_time"].to_physical().to_arrow()
        values = memoryview(column.buffers()[1] or b"").cast("q")
        self._times = values[column.offset : column.offset + len(column)]

    @property
    def first(self) -> int:
        """The first moment. There is at least one event."""
        return self._times[0]

    @property
    def last(self) -> int:
        """The last moment. There is at least one event."""
        return self._times[-1]

    def slice(self, events: pl.DataFrame, since: int, until: int) -> pl.DataFrame:
        """Those of the events with since ≤ event_time ≤ until, without a copy."""
        start, end = bisect_left(self._times, since), bisect_right(self._times, until)
        return events.slice(start, max(0, end - start))

    def count_from(self, moment: int, *, inclusive: bool) -> int:
        """How many events are at the moment or later, or later only."""
        return len(self._times) - (bisect_left if inclusive else bisect_right)(self._times, moment)

"""The events of one version of a lake, mapped into memory as far as they are decoded."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import polars as pl

from queries.sources.decoded.categories import TextCategories
from queries.sources.decoded.decoded_files import MappedBatch
from queries.sources.lake_snapshot import LakeSnapshot
from queries.times import from_micros


@dataclass(frozen=True, eq=False)
class MappedEvents:
    """All events of a lake's version, from decoded files or by scanning those that are not decoded.

    ``batches`` are those of the mapped files by the uri of the lake's file.
    Moments are microseconds since 1970.
    """

    snapshot: LakeSnapshot
    categories: TextCategories
    batches: Mapping[str, list[MappedBatch]]

    @property
    def is_complete(self) -> bool:
        """Whether every file is mapped."""
        return self._scanned.files.is_empty()

    def window(self, since: int, until: int) -> list[pl.DataFrame | pl.LazyFrame]:
        """The events with since ≤ event_time ≤ until as frames in no order, with text of the categories.

        Those of mapped files are DataFrames that share their memory. The others
        are a LazyFrame, which reads the lake when it is collected. Raises
        StoreUnavailable if the lake may lack some of the events.
        """
        self.snapshot.require_complete(from_micros(since))
        frames: list[pl.DataFrame | pl.LazyFrame] = []
        for batches, first, last, _ in self._files:
            if batches is None or first > until or last < since:
                continue
            if since <= first and last <= until:
                frames += [batch.events for batch in batches]
            else:
                frames += [events for batch in batches if not (events := batch.slice(since, until)).is_empty()]
        if any(batches is None and first <= until and last >= since for batches, first, last, _ in self._files):
            frames.append(self.categories.encode(self._scanned.window(from_micros(since), from_micros(until))))
        return frames

    def batch_of(self, events: pl.DataFrame | pl.LazyFrame) -> MappedBatch | None:
        """The batch of which one of the frames of ``window`` has all events, if it has."""
        return self._batches_by_id.get(id(events))

    def count_from(self, moment: int, *, inclusive: bool) -> int | None:
        """How many events are at the moment or later, or later only. None where a scanned file is around the moment."""
        count = 0
        for batches, first, last, events in self._files:
            if first > moment or (inclusive and first == moment):
                count += events
            elif last > moment or (inclusive and last == moment):
                if batches is None:
                    return None
                count += sum(batch.count_from(moment, inclusive=inclusive) for batch in batches)
        return count

    @cached_property
    def _files(self) -> list[tuple[list[MappedBatch] | None, int, int, int]]:
        """Each file's batches (None if it is scanned), bounds of time and number of events."""
        columns = self.snapshot.files.select("uri", pl.col("since", "until").to_physical(), "events")
        return [(self.batches.get(uri), *numbers) for uri, *numbers in columns.iter_rows()]

    @cached_property
    def _scanned(self) -> LakeSnapshot:
        files = self.snapshot.files
        return replace(self.snapshot, files=files.filter(~pl.col("uri").is_in(list(self.batches))))

    @cached_property
    def _batches_by_id(self) -> dict[int, MappedBatch]:
        # a batch keeps its frame, so that no other one gets the id of that
        return {id(batch.events): batch for batches in self.batches.values() for batch in batches}

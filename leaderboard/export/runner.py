"""Decides which parts of an export to make now, and makes them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Protocol, TypeVar

from leaderboard.export.datasets import Dataset, Frames, Window
from leaderboard.export.errors import IncompletePeriod
from leaderboard.export.targets import Target
from leaderboard.lake.settle import MAX_SETTLE_SECONDS, wait_until_settled
from queries import HybridEvents, StoreUnavailable
from queries.times import MICROSECOND, MIN_TIME, day_bounds

SETTLE_MARGIN_SECONDS = 300.0
"""How far the time of an event may lie before the start of its transaction: results wait in a queue, clocks differ."""


class ExportSource(Protocol):
    """Events that are exported. Every method raises StoreUnavailable and StoreTimeout."""

    def timeline(self) -> str:
        """What changes when another server takes over."""

    def oldest_writer_start(self) -> datetime | None:
        """When the oldest transaction that writes events began, or None where that is unknown."""

    def days(self, since: datetime, until: datetime) -> list[date]:
        """The UTC days that have events with since ≤ event_time ≤ until (aware datetimes), in order."""


Source = TypeVar("Source", bound=ExportSource)


@dataclass(frozen=True)
class ExportPeriod:
    """The time to export, both ends included. None means from the first event, or up to what is settled."""

    since: datetime | None
    until: datetime | None


def _ignore(_: "ExportProgress") -> None:
    pass


@dataclass
class ExportProgress:
    """How far an export has come. It calls ``on_change`` with itself at each step and after each chunk of rows.

    ``step`` says what is being done. ``days_total`` is 0 until the days are
    known, and stays 0 where the target is not written by day.
    """

    on_change: Callable[["ExportProgress"], None] = field(default=_ignore, repr=False)
    step: str = ""
    days_done: int = 0
    days_total: int = 0
    rows: int = 0

    def begin(self, step: str) -> None:
        """Reports the next step."""
        self.step = step
        self.on_change(self)

    def count_rows(self, frames: Frames) -> Frames:
        """The same frames, with their rows counted."""
        for frame in frames:
            self.rows += frame.height
            self.on_change(self)
            yield frame

    def finish_day(self) -> None:
        """Reports that a day is at the target."""
        self.days_done += 1
        self.on_change(self)


def export_dataset(
    source: Source,
    dataset: Dataset[Source],
    target: Target,
    period: ExportPeriod | None,
    progress: ExportProgress,
    *,
    margin_seconds: float = SETTLE_MARGIN_SECONDS,
) -> None:
    """Exports the period; without one, every complete UTC day that has events and is not at the target yet.

    Exports only what is over and settled. Raises IncompletePeriod if that is
    not all of the period, after exporting the days that are complete. Errors
    of reading and writing leave the days before them at the target.
    """
    progress.begin("waiting for open transactions")
    timeline = source.timeline()
    settled = _settled_until(source, margin_seconds)

    def write(frames: Frames, day: date | None) -> None:
        target.write(progress.count_rows(_same_server(source, timeline, frames)), day)

    if target.by_day:
        _export_days(source, dataset, target, period, settled, progress, write)
    elif period is None:
        raise ValueError("a target without {date} needs a period")
    else:
        _export_window(source, dataset, period, settled, progress, write)


def _export_days(
    source: Source,
    dataset: Dataset[Source],
    target: Target,
    period: ExportPeriod | None,
    settled: datetime,
    progress: ExportProgress,
    write: Callable[[Frames, date | None], None],
) -> None:
    complete_until = day_bounds(settled.date())[0] - MICROSECOND
    requested_until = complete_until if period is None or period.until is None else period.until
    progress.begin("looking for days")
    days = _days_to_export(source, target, period, min(complete_until, requested_until))
    progress.days_total = len(days)
    frames_of_days = dataset.read_windows(source, [day_bounds(day) for day in days])
    for day, frames in zip(_announce(days, progress), frames_of_days, strict=True):
        write(frames, day)
        progress.finish_day()
    if requested_until > complete_until:
        raise IncompletePeriod(f"{settled.date()} is not over, or not settled yet")


def _days_to_export(source: ExportSource, target: Target, period: ExportPeriod | None, until: datetime) -> list[date]:
    if period is None:
        return [day for day in source.days(MIN_TIME, until) if not target.has_day(day)]
    if period.since is None:
        return source.days(MIN_TIME, until)
    first, last = period.since.date(), until.date()
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def _export_window(
    source: Source,
    dataset: Dataset[Source],
    period: ExportPeriod,
    settled: datetime,
    progress: ExportProgress,
    write: Callable[[Frames, date | None], None],
) -> None:
    since, until = period.since or MIN_TIME, period.until or settled
    if since > until or until > settled:
        raise IncompletePeriod(f"{until:%Y-%m-%dT%H:%M:%SZ} is not past, or not settled yet")
    windows = [(since, until)]
    if not dataset.whole_window:
        progress.begin("looking for days")
        days = [day_bounds(day) for day in source.days(since, until)]
        # without events, one empty window still gives the columns
        windows = [(max(since, first), min(until, last)) for first, last in days] or [(until, until)]
    write(_read_windows(source, dataset, windows, progress), None)


def _read_windows(source: Source, dataset: Dataset[Source], windows: list[Window], progress: ExportProgress) -> Frames:
    days = (until.date() for _, until in windows)
    for _, frames in zip(_announce(days, progress), dataset.read_windows(source, windows), strict=True):
        yield from frames


def _announce(days: Iterable[date], progress: ExportProgress) -> Iterator[date]:
    """The same days, each of which is reported before its frames are asked for, since that may read them."""
    for day in days:
        progress.begin(f"exporting {day}")
        yield day


def _same_server(source: ExportSource, timeline: str, frames: Frames) -> Frames:
    """The same frames. Raises StoreUnavailable after them if another server, which may lack events, has taken over."""
    yield from frames
    if source.timeline() != timeline:
        raise StoreUnavailable("another server took over while its events were read; try again")


def _settled_until(source: ExportSource, margin_seconds: float) -> datetime:
    """A moment up to which every event is committed."""
    writers_began = source.oldest_writer_start()
    if writers_began is None:
        # the database hides when the writers began, so wait until they end
        settled = wait_until_settled(source) if isinstance(source, HybridEvents) else None
        if settled is None:
            raise IncompletePeriod(
                f"a transaction that writes events has been open for more than {MAX_SETTLE_SECONDS:g} s"
            )
        writers_began = settled.as_of
    return writers_began - timedelta(seconds=margin_seconds)

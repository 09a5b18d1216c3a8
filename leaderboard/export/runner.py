"""Which parts of an export are to be made now, and making them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import chain

from leaderboard.export.datasets import Content, Frames
from leaderboard.export.targets import Target
from leaderboard.lake.sync import PATIENCE, settle
from queries import HybridEvents
from queries.times import MICROSECOND, MIN_TIME, day_bounds

GRACE = timedelta(minutes=5)
"""By which the time of an event may be before its transaction begins: it waits for its turn, and clocks differ."""
DAY = timedelta(days=1)


class NotYet(Exception):
    """What is asked for is not whole yet; the same export works later."""


@dataclass(frozen=True)
class Wanted:
    """A window, both ends inclusive. None is from the first event on, and up to what is settled."""

    since: datetime | None
    until: datetime | None


@dataclass
class Tally:
    """What has been made so far: whole days of how many, and rows. ``tell`` is called with it as it grows."""

    tell: Callable[["Tally"], None] = field(repr=False)
    days: int = 0
    of: int = 0
    rows: int = 0

    def counted(self, frames: Frames) -> Frames:
        """The frames, counting their rows."""
        for frame in frames:
            self.rows += frame.height
            self.tell(self)
            yield frame


def export(source: HybridEvents, content: Content, target: Target, wanted: Wanted | None, tally: Tally) -> None:
    """Makes what is wanted, or without that every whole day that has events and is not at the target yet.

    Only what is over and all settled is made. Raises NotYet where that is not
    all that was wanted, after the days that are have been made, and what
    reading and writing raise, after the days before.
    """
    settled = _settled(source)
    if target.of_days:
        _days(source, content, target, wanted, settled, tally)
    elif wanted is None:
        raise ValueError("one window has to be named")
    else:
        _window(source, content, target, wanted, settled, tally)


def _days(
    source: HybridEvents, content: Content, target: Target, wanted: Wanted | None, settled: datetime, tally: Tally
) -> None:
    # up to here all days are whole
    whole = day_bounds(settled.date())[0] - MICROSECOND
    asked = whole if wanted is None or wanted.until is None else wanted.until
    until = min(whole, asked)
    if wanted is None:
        days = [day for day in source.days(MIN_TIME, until) if not target.has(day)]
    elif wanted.since is None:
        days = source.days(MIN_TIME, until)
    else:
        days = _between(wanted.since.date(), until.date())
    tally.of = len(days)
    for day in days:
        target.write(tally.counted(content.read(source, *day_bounds(day))), day)
        tally.days += 1
        tally.tell(tally)
    if asked > whole:
        raise NotYet(f"{whole.date() + DAY} is not over, or not settled yet")


def _window(
    source: HybridEvents, content: Content, target: Target, wanted: Wanted, settled: datetime, tally: Tally
) -> None:
    since, until = wanted.since or MIN_TIME, wanted.until or settled
    if since > until or until > settled:
        raise NotYet(f"{until:%Y-%m-%dT%H:%M:%SZ} is not past, or not settled yet")
    if not content.of_days:
        frames = content.read(source, since, until)
    else:
        days = source.days(since, until)
        ends = [(max(since, first), min(until, last)) for first, last in map(day_bounds, days)]
        frames = chain.from_iterable(content.read(source, *window) for window in ends or [(until, until)])
    target.write(tally.counted(frames), None)


def _between(first: date, last: date) -> list[date]:
    return [date.fromordinal(number) for number in range(first.toordinal(), last.toordinal() + 1)]


def _settled(source: HybridEvents) -> datetime:
    """A moment for which no event of it, or of one before, is still to be committed."""
    began = source.writers_began()
    if began is None:
        # those who write are not to be seen, so they are waited for
        settled, began = settle(source)
        if settled < 0:
            raise NotYet(f"a transaction that writes events has been open for {PATIENCE:g} s and more")
    return began - GRACE

"""What changed for an orchestrator, day by day: the entries of its feed.

All follows from the results of complete days of UTC, so an entry is the same
whenever it is computed, until its results are deleted or left out.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from uuid import NAMESPACE_URL, UUID, uuid5

import polars as pl

FEED_DAYS = timedelta(days=14)
LOOK_BACK = timedelta(days=7)
"""So much before a day tells what is new on it."""


class Change(NamedTuple):
    """One entry: when its day ended, a title and a sentence. ``name`` tells it from others of the orchestrator."""

    moment: datetime
    name: str
    title: str
    text: str

    def uuid(self, address: str) -> UUID:
        """The identity of the entry."""
        return uuid5(NAMESPACE_URL, f"leaderboard:{address}:{self.name}")


def changes_of_score(job: str, scores: dict[date, float], min_score: float) -> Iterator[Change]:
    """The days on which the score fell below ``min_score``, or rose above it again, by the score of each day."""
    before: tuple[date, float] | None = None
    for day, score in sorted(scores.items()):
        if before is not None and day - before[0] <= LOOK_BACK and (before[1] < min_score) != (score < min_score):
            fell = score < min_score
            verb = "fell below" if fell else "is back at"
            yield _change(
                day,
                f"{job}:{'below' if fell else 'above'}:{min_score:g}",
                f"{job}: the score {verb} {min_score:g}",
                f"The score of {day} was {score:.3f}, and {before[1]:.3f} on {before[0]}.",
            )
        before = day, score


def changes_of_tests(job: str, tested: set[date], days: Iterable[date]) -> Iterator[Change]:
    """The days on which tests ended or began again. ``tested`` are the days with a result, ``days`` all of them."""
    for day in days:
        is_tested, was_tested = day in tested, day - timedelta(days=1) in tested
        if was_tested and not is_tested:
            yield _change(
                day, f"{job}:not tested", f"{job}: not tested", f"Nobody tested it on {day}, but the day before."
            )
        elif is_tested and not was_tested and any(day - timedelta(days=n) in tested for n in range(2, LOOK_BACK.days)):
            yield _change(day, f"{job}:tested", f"{job}: tested again", f"It was tested on {day}, after a pause.")


def changes_of_errors(job: str, errors: pl.DataFrame, remedies: dict[str, str]) -> Iterator[Change]:
    """The days with a class of errors that none of the days of LOOK_BACK had.

    ``errors`` has one row per day and class: day, class and results, the number of results with such an error.
    """
    for (name,), rows in errors.sort("class", "day").group_by("class", maintain_order=True):
        before: date | None = None
        for day, results in rows.select("day", "results").iter_rows():
            if before is None or day - before > LOOK_BACK:
                yield _change(
                    day,
                    f"{job}:error:{name}",
                    f"{job}: new errors of the class {name}",
                    f"{results} result{'' if results == 1 else 's'} of {day} had one. {remedies[str(name)]}",
                )
            before = day


def _change(day: date, name: str, title: str, text: str) -> Change:
    end = datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC)
    return Change(end, f"{name}:{day}", title, text)

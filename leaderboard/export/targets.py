"""Where exports go: files, one for each day where their names have its date, or a Delta table."""

from datetime import date
from functools import cache
from pathlib import Path
from typing import Protocol

from leaderboard.export.datasets import Frames
from leaderboard.export.delta_target import TableTarget
from leaderboard.export.errors import failures
from leaderboard.export.file_target import FORMATS, write
from leaderboard.storage.files import Files
from queries import STORE_SCHEMES, is_local_path

DATE = "{date}"
DELTA = "delta"


class Target(Protocol):
    """Where an export goes, in whole or day by day. Everything raises TargetError, and what reading frames raises."""

    to: str
    of_days: bool
    """Whether it takes days, and not one window."""

    def has(self, day: date) -> bool:
        """Whether the day is there."""

    def write(self, frames: Frames, day: date | None) -> int:
        """Makes or replaces the day, or all, and returns how many rows it has. Nobody sees a part of it."""


def target(to: str, form: str) -> Target:
    """The target with this place and format. Raises ValueError for a place that cannot be one."""
    scheme, separator, rest = to.partition("://")
    if separator and scheme not in STORE_SCHEMES:
        raise ValueError(f"must be a path, or a URL that begins with {', '.join(f'{s}://' for s in STORE_SCHEMES)}")
    if "{" in to.replace(DATE, "") or "}" in to.replace(DATE, ""):
        raise ValueError(f"may have {DATE} in it, and no other braces")
    if form == DELTA:
        if DATE in to:
            raise ValueError(f"has no {DATE} where the format is delta, as one table has all days")
        return TableTarget(to)
    folder, _, name = (rest if separator else to).rpartition("/")
    if not name or (separator and not folder):
        raise ValueError("must end with the name of a file")
    if is_local_path(to) and DATE not in to and Path(to.removeprefix("file://")).is_dir():
        raise ValueError(f"must be a file, and {to} is a folder")
    return FileTarget(to, form)


class FileTarget:
    """A file, or one for each day."""

    def __init__(self, to: str, form: str) -> None:
        self.to = to
        self.of_days = DATE in to
        self._form = form
        self._files = cache(Files)

    def has(self, day: date) -> bool:
        """Whether there is the day's file."""
        folder, name = self._place(day)
        with failures(self.to):
            return self._files(folder).has(name)

    def write(self, frames: Frames, day: date | None) -> int:
        """Makes or replaces the file, of the day if there is one."""
        folder, name = self._place(day)
        with failures(self.to), self._files(folder).written(name) as file:
            return write(frames, file, self._form)

    def _place(self, day: date | None) -> tuple[str, str]:
        place = self.to if day is None else self.to.replace(DATE, day.isoformat())
        folder, separator, name = place.rpartition("/")
        return folder or separator or ".", name


def suffix_format(to: str) -> str | None:
    """The format that the end of a file's name tells."""
    end = Path(to).suffix.removeprefix(".")
    return end if end in FORMATS else None

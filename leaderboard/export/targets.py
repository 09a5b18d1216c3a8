"""Where exports go: files, standard output, or a Delta table."""

from datetime import date
from pathlib import Path
from typing import Protocol

from leaderboard.export.datasets import Frames
from leaderboard.export.delta_target import DeltaTarget
from leaderboard.export.file_target import DATE_PLACEHOLDER, FILE_FORMATS, STDOUT, FileTarget, StdoutTarget
from queries import STORE_SCHEMES, is_local_path

DELTA = "delta"


class Target(Protocol):
    """Where an export goes. Every method raises TargetError, and whatever reading the frames raises."""

    to: str
    by_day: bool
    """Whether it is written day by day, instead of once with all rows."""

    def has_day(self, day: date) -> bool:
        """Whether the day has been exported."""

    def write(self, frames: Frames, day: date | None) -> int:
        """Creates or replaces the day, or everything where ``day`` is None, and returns how many rows that has.

        In files and tables, readers see all of the new rows or none.
        """


def open_target(to: str, file_format: str, *, keep_formulas: bool = False) -> Target:
    """The target at ``to``, a path or a URL, in one of FILE_FORMATS or DELTA. ``-`` is standard output.

    ``keep_formulas``: see TableOptions. Raises ValueError if ``to`` does not fit.
    """
    scheme, separator, path = to.partition("://")
    if separator and scheme not in STORE_SCHEMES:
        raise ValueError(f"must be a path, or a URL that begins with {', '.join(f'{s}://' for s in STORE_SCHEMES)}")
    if "{" in to.replace(DATE_PLACEHOLDER, "") or "}" in to.replace(DATE_PLACEHOLDER, ""):
        raise ValueError(f"may contain {DATE_PLACEHOLDER}, and no other braces")
    if file_format == DELTA:
        if DATE_PLACEHOLDER in to:
            raise ValueError(f"must not contain {DATE_PLACEHOLDER} with the format delta: one table has all days")
        if to == STDOUT:
            raise ValueError("must be a folder or a URL with the format delta, not standard output")
        return DeltaTarget(to)
    if to == STDOUT:
        return StdoutTarget(file_format, keep_formulas=keep_formulas)
    folder, _, name = (path if separator else to).rpartition("/")
    if not name or (separator and not folder):
        raise ValueError("must end with the name of a file")
    if is_local_path(to) and DATE_PLACEHOLDER not in to and Path(to.removeprefix("file://")).is_dir():
        raise ValueError(f"must be a file, but {to} is a folder")
    return FileTarget(to, file_format, keep_formulas=keep_formulas)


def format_from_suffix(to: str) -> str | None:
    """The format that the suffix of a file's name stands for, or None."""
    suffix = Path(to).suffix.removeprefix(".")
    return suffix if suffix in FILE_FORMATS else None

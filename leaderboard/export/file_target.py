"""Targets that are files, and standard output."""

from datetime import date
from functools import cache
from itertools import chain
from typing import BinaryIO

from leaderboard.export.datasets import Frames
from leaderboard.export.errors import translate_store_errors
from leaderboard.export.result_lines import write_result_lines
from leaderboard.plain_text import standard_output
from leaderboard.storage.files import Files, split_url
from leaderboard.storage.table_formats import TABLE_FORMATS, TableOptions, write_table

DATE_PLACEHOLDER = "{date}"
FILE_FORMATS = tuple(name for name in TABLE_FORMATS if name != "arrows")
"""The format arrows, a stream of Arrow, is for HTTP only: as a file it is arrow."""
STDOUT = "-"


class FileTarget:
    """A file, or one for each day where ``to`` contains {date}."""

    def __init__(self, to: str, file_format: str, *, keep_formulas: bool = False) -> None:
        self.to = to
        self.by_day = DATE_PLACEHOLDER in to
        self._format = file_format
        self._keep_formulas = keep_formulas
        self._open_folder = cache(Files)

    def has_day(self, day: date) -> bool:
        """Whether the file of the day exists."""
        folder, name = self._locate(day)
        with translate_store_errors(self.to):
            return self._open_folder(folder).exists(name)

    def write(self, frames: Frames, day: date | None) -> int:
        """Creates or replaces the file, or that of the day."""
        folder, name = self._locate(day)
        with (
            translate_store_errors(self.to),
            self._open_folder(folder).atomic_write(name) as path,
            path.open("wb") as out,
        ):
            return _write_frames(frames, out, self._format, keep_formulas=self._keep_formulas)

    def _locate(self, day: date | None) -> tuple[str, str]:
        return split_url(self.to if day is None else self.to.replace(DATE_PLACEHOLDER, day.isoformat()))


class StdoutTarget:
    """Standard output, for a pipe. Rows go out while they are read, so only the exit code says that all are there."""

    to = "standard output"
    by_day = False

    def __init__(self, file_format: str, *, keep_formulas: bool = False) -> None:
        self._format = file_format
        self._keep_formulas = keep_formulas

    def has_day(self, _: date) -> bool:
        """Always false: nothing can be read back."""
        return False

    def write(self, frames: Frames, _: date | None) -> int:
        """Writes the frames. Raises BrokenPipeError if the reader of the pipe ends early."""
        out = standard_output()
        with translate_store_errors(self.to):
            rows = _write_frames(frames, out, self._format, keep_formulas=self._keep_formulas)
            out.flush()
        return rows


def _write_frames(frames: Frames, out: BinaryIO, file_format: str, *, keep_formulas: bool) -> int:
    first = next(frames)
    frames = chain([first], frames)
    if file_format == "ndjson" and "payload" in first.columns:
        return write_result_lines(frames, out)
    return write_table(frames, out, file_format, TableOptions(keep_formulas=keep_formulas, line_terminator="\r\n"))

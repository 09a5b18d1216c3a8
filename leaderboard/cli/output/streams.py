"""Standard input, output and error of a command: always open, and always in UTF-8."""

import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from leaderboard.settings import child_environment

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class OutputError(OSError):
    """Standard output cannot be written."""

    def __str__(self) -> str:
        return f"standard output cannot be written: {self.strerror}"


def prepare_streams() -> None:
    """Opens the three streams again, in UTF-8. Starts this process again where Python would not use UTF-8 for files.

    Writing to standard output raises OutputError, or BrokenPipeError. An error
    of standard error is ignored, as nobody can be told.
    """
    if sys.getfilesystemencoding() != "utf-8":
        # arguments and names of files would have other characters, too
        os.execve(sys.executable, sys.orig_argv, child_environment({"PYTHONUTF8": "1"}))
    # a stream that the caller closed reads nothing and cannot be written; no other file may get its number
    for number, flags in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        _open_if_closed(number, flags)
    sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), "utf-8")
    sys.stdout = _text_writer(_StandardOutput(1, "w", closefd=False), "strict")
    sys.stderr = _text_writer(_StandardError(2, "w", closefd=False), "backslashreplace")


class _StandardOutput(io.FileIO):
    _failed = False

    def write(self, data: "ReadableBuffer") -> int:
        """Writes the data. After an error, which is raised once, writes nothing."""
        if self._failed:
            return len(bytes(data))
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            # what is still in a buffer must not raise it again when the process ends
            self._failed = True
            raise OutputError(error.errno, error.strerror) from error


class _StandardError(io.FileIO):
    def write(self, data: "ReadableBuffer") -> int:
        """Writes the data if possible."""
        try:
            return super().write(data)
        except OSError:
            return len(bytes(data))


def _text_writer(raw: io.FileIO, errors: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BufferedWriter(raw), "utf-8", errors, line_buffering=raw.isatty() or raw.fileno() == 2)


def _open_if_closed(number: int, flags: int) -> None:
    try:
        os.fstat(number)
    except OSError:
        opened = os.open(Path(os.devnull), flags)
        if opened != number:
            os.dup2(opened, number)
            os.close(opened)
        os.set_inheritable(number, True)

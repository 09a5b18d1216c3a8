"""Text from outside, such as testers' error messages, made harmless for a terminal and for a log.

Control characters move the cursor, change colours and titles, or begin a line
that looks like another one. Here they become visible escape sequences.
"""

import codecs
import io
import re
import sys
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

# C0 and C1 controls, marks that turn the direction of writing, line separators, and halves of UTF-16 pairs
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_CONTROLS_IN_DATA = re.compile(rf"(?![\t\n])(?!\r\n){_CONTROLS.pattern}")


def escape_controls(text: str) -> str:
    """The text on one line, with every control character as an escape sequence, as Python would write it."""
    return _CONTROLS.sub(_escape, text)


def escape_controls_in_lines(text: str) -> str:
    """The text with every control character escaped except for the ends of lines and tabs."""
    return _CONTROLS_IN_DATA.sub(_escape, text)


def standard_output() -> BinaryIO:
    """Standard output for data in UTF-8. A terminal gets control characters as escape sequences."""
    out = sys.stdout.buffer
    return io.BufferedWriter(_TerminalWriter(out)) if sys.stdout.isatty() else out


class _TerminalWriter(io.RawIOBase):
    """Passes text in UTF-8 on to a terminal. Several writes may share a character."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self._held = ""

    def writable(self) -> bool:
        """Always true."""
        return True

    def write(self, data: "ReadableBuffer") -> int:
        """Writes what of the data is complete."""
        content = bytes(data)
        text = self._held + self._decoder.decode(content)
        # only the next character shows whether this ends a line
        self._held = "\r" if text.endswith("\r") else ""
        self._out.write(escape_controls_in_lines(text.removesuffix(self._held)).encode())
        self._out.flush()
        return len(content)


def _escape(control: re.Match[str]) -> str:
    return control[0].encode("unicode_escape").decode("ascii")

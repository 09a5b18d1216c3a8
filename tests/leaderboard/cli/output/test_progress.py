"""How far a command has come: lines elsewhere, a bar on a terminal."""

import contextlib
import io
import os
import pty

from leaderboard.cli.output.progress import show_progress
from tests.support.waiting import eventually


def test_lines_show_the_latest_progress() -> None:
    stream = io.StringIO()
    with show_progress(stream, line_seconds=0.01) as progress:
        eventually(lambda: "starting (0 s)\n" in stream.getvalue())
        progress("storing", 1000, 5000)
        eventually(lambda: "storing: 1,000 of 5,000 (0 s)\n" in stream.getvalue())
        progress("counting", 7, 0)
        eventually(lambda: "counting: 7 (0 s)\n" in stream.getvalue())


def test_quick_work_prints_no_line() -> None:
    stream = io.StringIO()
    with show_progress(stream) as progress:
        progress("storing", 1, 2)
    assert stream.getvalue() == ""


def read_all(leader: int) -> str:
    """All that was written to a pseudo terminal whose other end is closed."""
    shown = b""
    # reading past the end of a closed terminal is an error
    with contextlib.suppress(OSError):
        while chunk := os.read(leader, 1 << 16):
            shown += chunk
    os.close(leader)
    return shown.decode()


def test_terminal_shows_a_bar_and_clears_it() -> None:
    leader, terminal = pty.openpty()
    with open(terminal, "w", encoding="utf-8") as stream, show_progress(stream) as progress:
        progress("storing", 1, 2)
    shown = read_all(leader)
    assert "storing" in shown
    assert "1/2" in shown
    # the last thing is the sequence that erases a line
    assert shown.endswith("\x1b[2K")

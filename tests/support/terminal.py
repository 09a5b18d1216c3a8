"""A command on a terminal of its own, where it behaves as for a person and Ctrl-C reaches it."""

import os
import pty
import select
import subprocess
import sys
from types import TracebackType
from typing import Self

from tests.support.commands import LEADERBOARD, environment

MAX_SILENCE_SECONDS, REPEAT_SECONDS = 120, 5
# makes the terminal on standard input the one that Ctrl-C comes from, then becomes the command
TAKE_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


class Terminal:
    """``leaderboard`` with these arguments and settings on a terminal. Use it in a ``with`` statement."""

    def __init__(self, *arguments: str, **settings: str) -> None:
        self._leader, follower = pty.openpty()
        # not pty.fork(): a fork of this process, which has threads, may hang before it runs the command
        self._process = subprocess.Popen(
            [sys.executable, "-c", TAKE_TERMINAL, *LEADERBOARD, *arguments],
            env=environment(**settings, TERM="dumb", LOG_LEVEL="ERROR"),
            stdin=follower,
            stdout=follower,
            stderr=follower,
            start_new_session=True,
        )
        os.close(follower)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._leader)

    @property
    def pid(self) -> int:
        """The process of the command."""
        return self._process.pid

    def type(self, text: str) -> None:
        """Types this."""
        os.write(self._leader, text.encode())

    def read_until(self, text: str) -> str:
        """What is shown until this text is, this included."""
        shown = b""
        while text.encode() not in shown:
            ready, _, _ = select.select([self._leader], [], [], MAX_SILENCE_SECONDS)
            assert ready, f"the terminal shows only {shown!r}"
            shown += os.read(self._leader, 1)
        return shown.decode().replace("\r", "")

    def interrupt_until(self, text: str) -> None:
        """Presses Ctrl-C, again every few seconds, until this text is shown.

        Python misses a Ctrl-C in the moment between a prompt and its wait for
        input, and notices it with the next key.
        """
        shown = b""
        while text.encode() not in shown:
            self.type("\x03")
            while text.encode() not in shown and select.select([self._leader], [], [], REPEAT_SECONDS)[0]:
                shown += os.read(self._leader, 1)

    def read_to_the_end(self) -> str:
        """All that is shown until the command ends."""
        shown = b""
        try:
            while chunk := os.read(self._leader, 4096):
                shown += chunk
        except OSError:
            # Linux reports the end of a terminal as an error
            pass
        return shown.decode().replace("\r", "")

    def exit_code(self) -> int:
        """The exit code, once the command has ended."""
        return self._process.wait(MAX_SILENCE_SECONDS)

"""Runs the command line in processes of their own."""

import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]
LEADERBOARD = [str(Path(sys.executable).with_name("leaderboard"))]
Completed = subprocess.CompletedProcess[str]
_PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR", "COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START")


def environment(**settings: str) -> dict[str, str]:
    """The environment of a process that has these settings and no others."""
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ} | settings


def run(*command: str, stdin: str = "", cwd: Path | None = None, seconds: float = 120, **settings: str) -> Completed:
    """Runs a command to its end, with these settings, and captures what it prints."""
    return subprocess.run(
        command,
        input=stdin,
        env=environment(**settings),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def run_python(*arguments: str, cwd: Path | None = None, seconds: float = 120, **settings: str) -> Completed:
    """Runs Python with these arguments and settings to its end."""
    return run(sys.executable, *arguments, cwd=cwd, seconds=seconds, **settings)


def run_leaderboard(*arguments: str, stdin: str = "", **settings: str) -> Completed:
    """Runs ``leaderboard`` with these arguments and settings to its end."""
    return run(*LEADERBOARD, *arguments, stdin=stdin, **settings)

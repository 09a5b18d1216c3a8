"""Runs the command line in processes of their own."""

import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]
LEADERBOARD = [str(Path(sys.executable).with_name("leaderboard"))]
_PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR", "COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START")


def environment(**settings: str) -> dict[str, str]:
    """The environment of a process that has these settings and no others."""
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ} | settings


def run(
    *command: str, stdin: str = "", cwd: Path | None = None, seconds: float = 120, **settings: str
) -> subprocess.CompletedProcess[str]:
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


def run_leaderboard(*arguments: str, stdin: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
    """Runs ``leaderboard`` with these arguments and settings to its end."""
    return run(*LEADERBOARD, *arguments, stdin=stdin, **settings)

"""Tries whether the service keeps its promises while its surroundings fail.

``python -m benchmarks.trust kills`` and so on. Progress goes to standard
error, and the result as JSON to standard output. The exit status is 1 where a
promise was broken.
"""

import json
import sys
from pathlib import Path
from typing import Any

import click

from benchmarks.trust.kills import run_kills


@click.group()
def main() -> None:
    """Try whether the service keeps its promises while its surroundings fail."""


@main.command()
@click.option("--faults", default=100, show_default=True, type=click.IntRange(1), help="Faults, all kinds in turn.")
@click.option("--posters", default=32, show_default=True, type=click.IntRange(1), help="Connections that post.")
@click.option("--readers", default=6, show_default=True, type=click.IntRange(0), help="Connections that read.")
@click.option("--pause", default=0.05, show_default=True, help="Seconds that each waits between two requests.")
@click.option("--log", type=click.Path(path_type=Path, dir_okay=False), help="File for the log of the service.")
def kills(faults: int, posters: int, readers: int, pause: float, log: Path | None) -> None:
    """Kill workers, master and database, cut connections, fill the disk, and compare all answers with a ledger."""
    _finish(run_kills(faults, posters, readers, pause, log))


def _finish(result: dict[str, Any]) -> None:
    """Prints the result, and ends with status 1 where there are violations."""
    click.echo(json.dumps(result, indent=1))
    sys.exit(1 if result.get("violations") else 0)


if __name__ == "__main__":
    main()

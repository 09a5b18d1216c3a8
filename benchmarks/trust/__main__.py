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
from benchmarks.trust.overload import measure_overload
from benchmarks.trust.setup import DATABASES, running
from benchmarks.trust.slow_clients import KINDS, measure_slow_clients
from benchmarks.trust.soak import run_soak
from leaderboard.signals import exit_on_signals


@click.group()
def main() -> None:
    """Try whether the service keeps its promises while its surroundings fail."""
    # the service and its neighbours must end with this process
    exit_on_signals()


_log = click.option("--log", type=click.Path(path_type=Path, dir_okay=False), help="File for the log of the service.")
_nginx = click.option("--nginx", is_flag=True, help="Let clients reach the service through nginx.")
_seconds = click.option("--seconds", default=15, show_default=True, help="Duration of each measurement.")


@main.command()
@click.option("--faults", default=100, show_default=True, type=click.IntRange(1), help="Faults, all kinds in turn.")
@click.option("--posters", default=32, show_default=True, type=click.IntRange(1), help="Connections that post.")
@click.option("--readers", default=6, show_default=True, type=click.IntRange(0), help="Connections that read.")
@click.option("--pause", default=0.05, show_default=True, help="Seconds that each waits between two requests.")
@click.option(
    "--database",
    default="direct",
    type=click.Choice(DATABASES),
    show_default=True,
    help="Whether the service runs it, or reaches it through PgBouncer.",
)
@_nginx
@_log
def kills(faults: int, posters: int, readers: int, pause: float, database: str, nginx: bool, log: Path | None) -> None:
    """Kill workers, master and database, cut connections, fill the disk, and compare all answers with a ledger."""
    with running(log, database=database, proxied=nginx) as setup:
        _finish(run_kills(setup, faults, posters, readers, pause))


@main.command()
@click.option("--minutes", default=10.0, show_default=True, help="Duration.")
@click.option("--results", default=200_000, show_default=True, help="Simulated results that are there before.")
@_log
def soak(minutes: float, results: int, log: Path | None) -> None:
    """Send requests of all kinds at a steady rate, and say what grew."""
    with running(log, results=results) as setup:
        _finish(run_soak(setup.service, setup.database, minutes, _report))


@main.command("slow-clients")
@click.option("--clients", "numbers", default=(16, 64, 256, 1024), show_default=True, multiple=True, help="How many.")
@click.option(
    "--kind", "kinds", default=KINDS, type=click.Choice(KINDS), multiple=True, help="What they do.  [default: all]"
)
@_nginx
@_seconds
@_log
def slow_clients(numbers: tuple[int, ...], kinds: tuple[str, ...], nginx: bool, seconds: int, log: Path | None) -> None:
    """Connect clients that send or read slowly, and say whether others are answered meanwhile."""
    with running(log, large_answer=True, proxied=nginx) as setup:
        _finish(measure_slow_clients(setup.service, setup.port, kinds, numbers, seconds, _report))


@main.command()
@click.option("--connections", default=(64, 256, 1024), show_default=True, multiple=True, help="How many.")
@click.option("--results", default=200_000, show_default=True, help="Simulated results that are asked for.")
@_seconds
@_log
def overload(connections: tuple[int, ...], results: int, seconds: int, log: Path | None) -> None:
    """Ask far more at once than the service can answer, and say what it refuses and how soon it recovers."""
    with running(log, results=results) as setup:
        _finish(measure_overload(setup.service.port, list(connections), seconds, _report))


def _report(sentence: str) -> None:
    click.echo(sentence, err=True)


def _finish(result: dict[str, Any]) -> None:
    """Prints the result, and ends with status 1 where there are violations."""
    click.echo(json.dumps(result, indent=1))
    sys.exit(1 if result.get("violations") else 0)


if __name__ == "__main__":
    main()

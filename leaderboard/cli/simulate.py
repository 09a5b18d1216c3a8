"""``leaderboard simulate``."""

import sys
from datetime import UTC, datetime, timedelta

import click

from leaderboard.cli.moments import Moment
from leaderboard.cli.output.progress import Progress, show_progress
from leaderboard.cli.stores import open_primary
from leaderboard.postgres.pool import Database
from leaderboard.regions.registry import RegionRegistry
from leaderboard.results import writer
from leaderboard.settings import Settings
from leaderboard.simulation.generator import Simulation
from leaderboard.simulation.lake import write_lake

BATCH_TIMEOUT_SECONDS = 600.0
"""The limit for storing one batch, and for counting all results. No client waits for it."""


@click.command()
@click.argument("events", type=click.IntRange(1))
@click.option(
    "--days",
    default=365.0,
    show_default=True,
    type=click.FloatRange(0, 36_500, min_open=True),
    help="Length of the time that the results cover.",
)
@click.option(
    "--until", type=Moment(), help="End of that time: unix seconds, RFC 3339 or a date (UTC midnight).  [default: now]"
)
@click.option("--seed", default=1, show_default=True, help="The same seed and options make the same results.")
@click.option(
    "--orchestrators", default=100, show_default=True, type=click.IntRange(1), help="Number of orchestrators."
)
@click.option("--ai", default=0.2, show_default=True, type=click.FloatRange(0, 1), help="Share of AI jobs.")
@click.option("--ndjson", is_flag=True, help="Print the results as lines of JSON, and do not use the database.")
@click.option(
    "--lake",
    metavar="URL",
    help="Write the results to a new lake, in a folder or at s3://, gs:// or az://, and do not use the database.",
)
@click.option("--append", is_flag=True, help="Store the results even if the database already holds some.")
@click.pass_obj
def simulate(
    settings: Settings,
    /,
    *,
    events: int,
    days: float,
    until: datetime | None,
    seed: int,
    orchestrators: int,
    ai: float,
    ndjson: bool,
    lake: str | None,
    append: bool,
) -> None:
    """Makes results of a simulated network and stores them.

    EVENTS is their number: testers of 100 orchestrators post about 7,000 a day. Where the database already
    holds results, it asks on a terminal, and needs --append elsewhere. With --lake, a large network is there within
    minutes: the lake is complete by itself, and belongs to no database.
    """
    if sum((ndjson, lake is not None, append)) > 1:
        raise click.UsageError("use only one of --ndjson, --lake and --append")
    until = until or datetime.now(UTC)
    try:
        since = until - timedelta(days=days)
    except OverflowError:
        raise click.UsageError(f"there are no {days:g} days before --until") from None
    simulation = Simulation(events, since, until, seed, orchestrators, ai)
    if ndjson:
        for frame in simulation.frames():
            sys.stdout.writelines(f"{payload}\n" for payload in frame["payload"])
        return
    if lake is not None:
        with show_progress() as progress:
            write_lake(simulation, lake, progress)
        click.echo(f"{simulation.events:,} results written to {lake}", err=True)
        return
    database = Database(open_primary(settings), BATCH_TIMEOUT_SECONDS)
    try:
        if not append:
            _confirm(writer.count(database))
        with show_progress() as progress:
            _store(simulation, database, progress)
    finally:
        database.close()
    click.echo(f"{simulation.events:,} results stored", err=True)


def _confirm(existing: int) -> None:
    """Raises unless the database is empty, or a person at the terminal agrees to add to it."""
    if not existing:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.ClickException(f"the database already holds {existing:,} results; --append adds to them")
    click.confirm(f"The database already holds {existing:,} results. Add simulated ones to them?", abort=True, err=True)


def _store(simulation: Simulation, database: Database, progress: Progress) -> None:
    regions = RegionRegistry(database, 0)
    stored = 0
    progress("storing results", 0, simulation.events)
    for frame in simulation.frames():
        writer.copy(database, regions, frame)
        stored += frame.height
        progress("storing results", stored, simulation.events)
    progress("updating the planner's statistics", 0, 0)
    writer.analyze(database)

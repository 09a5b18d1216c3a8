"""``leaderboard simulate``."""

import sys
from datetime import UTC, datetime, timedelta

import click

from leaderboard.cli.stores import open_migrated_database
from leaderboard.cli.moments import Moment
from leaderboard.cli.progress import shown
from leaderboard.postgres.pool import Database
from leaderboard.regions.registry import Regions
from leaderboard.results import writer
from leaderboard.results.validation import InvalidResult
from leaderboard.settings import Settings
from leaderboard.simulation.generator import Simulation
from queries import StoreTimeout, StoreUnavailable

BATCH_TIMEOUT = 600.0
"""Seconds for one batch, or for counting all that there is; nobody waits for an answer."""


@click.command()
@click.argument("events", type=click.IntRange(1))
@click.option(
    "--days",
    default=365.0,
    show_default=True,
    type=click.FloatRange(0, 36_500, min_open=True),
    help="Length of the time they cover.",
)
@click.option("--until", type=Moment(), help="End of that time, unix seconds or RFC 3339.  [default: now]")
@click.option("--seed", default=1, show_default=True, help="The same seed and options make the same results.")
@click.option("--orchestrators", default=100, show_default=True, type=click.IntRange(1), help="How many there are.")
@click.option("--ai", default=0.2, show_default=True, type=click.FloatRange(0, 1), help="Share of AI jobs.")
@click.option(
    "--ndjson", is_flag=True, help="Write them to standard output, a line each, and leave the database alone."
)
@click.option("--append", is_flag=True, help="Store them though the database holds results already.")
@click.pass_obj
def simulate(
    settings: Settings,
    events: int,
    days: float,
    until: datetime | None,
    seed: int,
    orchestrators: int,
    ai: float,
    ndjson: bool,
    append: bool,
) -> None:
    """Makes EVENTS results as a network would, and stores them in the database."""
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
    database = Database(open_migrated_database(settings), BATCH_TIMEOUT)
    try:
        held = writer.count(database)
        if held and not append:
            raise click.ClickException(f"the database holds {held:,} results already; --append adds to them")
        _store(simulation, database)
    except (StoreUnavailable, StoreTimeout, InvalidResult) as error:
        raise click.ClickException(str(error)) from None
    finally:
        database.close()


def _store(simulation: Simulation, database: Database) -> None:
    regions = Regions(database, 0)
    stored = 0
    with shown() as progress:
        for frame in simulation.frames():
            writer.copy(database, regions, frame)
            stored += frame.height
            progress("storing", stored, simulation.events)
    writer.analyze(database)
    click.echo(f"{simulation.events:,} results stored", err=True)

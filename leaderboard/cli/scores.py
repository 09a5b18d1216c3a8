"""``leaderboard scores``."""

import sys
from datetime import datetime

import click
import msgspec
import polars as pl
from rich.console import Console
from rich.table import Table

import queries
from leaderboard.cli.stores import open_stored_events
from leaderboard.cli.moments import Moment
from leaderboard.settings import Settings
from leaderboard.serializers import serialize_scores
from queries import AI, TRANSCODING, EventFilter, StoreTimeout, StoreUnavailable
from queries.times import time_range

HEADINGS = ("orchestrator", "region", "success\nrate", "round trip\nscore", "score")


@click.command()
@click.option("--since", type=Moment(), help="Unix seconds or RFC 3339.  [default: START_TIME_WINDOW hours ago]")
@click.option("--until", type=Moment(), help="Unix seconds or RFC 3339.  [default: now]")
@click.option("--orchestrator", help="Only this address.")
@click.option("--region", help="Only this region.")
@click.option("--pipeline", help="AI jobs of this pipeline; needs --model.")
@click.option("--model", help="AI jobs of this model; needs --pipeline.")
@click.option("--json", "as_json", is_flag=True, help="As the HTTP interface answers it.")
@click.pass_obj
def scores(
    settings: Settings,
    since: datetime | None,
    until: datetime | None,
    orchestrator: str | None,
    region: str | None,
    pipeline: str | None,
    model: str | None,
    as_json: bool,
) -> None:
    """Prints the scores of a window of time, per orchestrator and region."""
    if bool(pipeline) != bool(model):
        raise click.UsageError("--pipeline and --model go together")
    query = EventFilter(
        job_type=AI if pipeline else TRANSCODING,
        orchestrator=orchestrator and orchestrator.lower(),
        region=region and region.upper(),
        pipeline=pipeline,
        model=model,
    )
    events = open_stored_events(settings, settings.db_timeout)
    try:
        window = time_range(since, until, settings.start_time_window)
        frame = queries.collect(queries.aggregated_stats(events.window(*window), query))
    except (StoreUnavailable, StoreTimeout) as error:
        raise click.ClickException(str(error)) from None
    finally:
        events.close()
    if as_json:
        click.echo(msgspec.json.encode(serialize_scores(frame, query.job_type)))
    elif frame.is_empty():
        click.echo("no results in this window", err=True)
    else:
        # what goes into a pipe is cut nowhere
        Console(width=None if sys.stdout.isatty() else 200).print(_table(frame))


def _table(frame: pl.DataFrame) -> Table:
    """The frame as a table that fits a terminal of 80 columns."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading, dtype in zip(HEADINGS, frame.dtypes, strict=True):
        table.add_column(heading, justify="right" if dtype.is_numeric() else "left", no_wrap=True)
    for row in frame.iter_rows():
        table.add_row(*(f"{value:.4f}" if isinstance(value, float) else value for value in row))
    return table

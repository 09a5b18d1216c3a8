"""``leaderboard scores``."""

from contextlib import closing
from datetime import datetime
from typing import Any

import click
import msgspec
import polars as pl

import queries
from leaderboard.cli.formula_options import formula_options
from leaderboard.cli.moments import Moment
from leaderboard.cli.output.tables import print_table
from leaderboard.cli.stores import open_hybrid_events
from leaderboard.plain_text import standard_output
from leaderboard.serializers import serialize_scores
from leaderboard.settings import Settings
from queries import AI, TRANSCODING, EventFilter, Formula
from queries.times import time_range

HEADINGS = ("orchestrator", "region", "success\nrate", "round trip\nscore", "score")
PIPE_WIDTH = 200


@click.command()
@click.option(
    "--since",
    type=Moment(),
    help="Unix seconds, RFC 3339 or a date (UTC midnight).  [default: START_TIME_WINDOW hours ago]",
)
@click.option("--until", type=Moment(), help="Unix seconds, RFC 3339 or a date (UTC midnight).  [default: now]")
@click.option("--orchestrator", help="Only this address.")
@click.option("--region", help="Only this region.")
@click.option("--pipeline", help="AI jobs of this pipeline; needs --model.")
@click.option("--model", help="AI jobs of this model; needs --pipeline.")
@click.option(
    "--warm/--cold", default=None, help="Only results whose model was loaded already, or was not; needs --pipeline."
)
@formula_options
@click.option("--json", "as_json", is_flag=True, help="Print the JSON that /api/aggregated_stats returns.")
@click.pass_obj
def scores(
    settings: Settings,
    /,
    since: datetime | None,
    until: datetime | None,
    formula: Formula,
    as_json: bool,
    **selection: Any,
) -> None:
    """Prints scores per orchestrator and region.

    They cover the results from --since to --until. An orchestrator whose
    results in that time are all unscored is left out.
    """
    event_filter = _event_filter(**selection)
    with closing(open_hybrid_events(settings, settings.db_timeout)) as events:
        window = events.window(*time_range(since, until, settings.start_time_window))
        scored = queries.leave_out(window, events.exclusions()) if formula.applies_exclusions else window
        frame = queries.collect(queries.aggregated_stats(scored, event_filter, formula=formula))
    if as_json:
        click.echo(msgspec.json.encode(serialize_scores(frame, event_filter.job_type)), file=standard_output())
    elif frame.is_empty():
        click.echo("no scored results in this window", err=True)
    else:
        _print_scores(frame)


def _event_filter(
    orchestrator: str | None, region: str | None, pipeline: str | None, model: str | None, warm: bool | None
) -> EventFilter:
    if bool(pipeline) != bool(model):
        raise click.UsageError("--pipeline and --model go together")
    if warm is not None and not pipeline:
        raise click.UsageError("--warm and --cold need --pipeline and --model")
    return EventFilter(
        job_type=AI if pipeline else TRANSCODING,
        orchestrator=orchestrator and orchestrator.lower(),
        region=region and region.upper(),
        pipeline=pipeline,
        model=model,
        warm=warm,
    )


def _print_scores(frame: pl.DataFrame) -> None:
    columns = {heading: dtype.is_numeric() for heading, dtype in zip(HEADINGS, frame.dtypes, strict=True)}
    rows = ([f"{value:.4f}" if isinstance(value, float) else value for value in row] for row in frame.iter_rows())
    print_table(columns, rows, pipe_width=PIPE_WIDTH)

"""``leaderboard export``."""

from collections.abc import Callable
from contextlib import closing
from datetime import date, datetime
from typing import Any

import click
import psycopg2

from leaderboard.cli import period
from leaderboard.cli.database import DatabaseAway, open_stored_events
from leaderboard.cli.failure import CANNOT_WRITE, TRY_AGAIN, database_failure, failure
from leaderboard.cli.period import Bound, Day, Month
from leaderboard.cli.progress import shown
from leaderboard.export import datasets
from leaderboard.export.datasets import Content
from leaderboard.export.errors import TargetConflict, TargetError
from leaderboard.export.file_target import FORMATS
from leaderboard.export.runner import NotYet, Tally, Wanted
from leaderboard.export.runner import export as run
from leaderboard.export.targets import DATE, DELTA, Target, suffix_format, target
from leaderboard.settings import Settings
from queries import StoreTimeout, StoreUnavailable


@click.group()
def export() -> None:
    """Writes events, results or scores to files or to a Delta table, for schedulers and analysts.

    Without --day, --month, --since and --until it catches up: every UTC day
    that is over, has events and is not at --to yet. Every file or day of a
    table appears whole or not at all, and only once all of its events are
    settled; the same command makes the same again.

    Exit codes: 0 done, or nothing to do; 2 wrong usage; 73 --to cannot be
    written; 75 try again later, as the database is away or too slow, the time
    is not over or not settled yet, or another export was first; 1 anything
    else.
    """


def _options(command: Callable[..., None]) -> Callable[..., None]:
    options = (
        click.option(
            "--to",
            required=True,
            help="A path, or a URL s3://, gs:// or az://. With {date} in it, a file for each day.",
        ),
        click.option(
            "--format",
            "form",
            type=click.Choice([*FORMATS, DELTA]),
            help="What is written.  [default: by the end of --to]",
        ),
        click.option("--day", type=Day(), help="This UTC day, 2026-09-14."),
        click.option("--month", type=Month(), help="This month, 2026-09."),
        click.option(
            "--since", type=Bound(), help="A day, unix seconds or RFC 3339.  [default with --until: the first event]"
        ),
        click.option(
            "--until",
            type=Bound(),
            help="The last day or moment.  [default with --since: as far as all is settled, about 5 minutes ago]",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@export.command()
@_options
@click.pass_obj
def events(settings: Settings, **options: Any) -> None:
    """Writes the typed columns of events, a row for each."""
    _export(settings, datasets.EVENTS, **options)


@export.command()
@_options
@click.pass_obj
def raw(settings: Settings, **options: Any) -> None:
    """Writes the results as posted.

    A row has the result as JSON in the column payload. With ndjson a line is
    the result itself, as raw_stats answers it, with event_time, the time at
    which it was received.
    """
    _export(settings, datasets.RAW, **options)


@export.command()
@_options
@click.option("--by", type=click.Choice(["day"]), help="Scores of each day, rather than of the whole time.")
@click.pass_obj
def scores(settings: Settings, by: str | None, **options: Any) -> None:
    """Writes scores per orchestrator, region, job type, pipeline and model.

    With them are the number of events and the sums that they come from, of
    which those of a longer time can be computed.
    """
    if by is None and options["form"] == DELTA:
        raise click.UsageError("--by day is needed with --format delta, as the table holds days")
    _export(settings, datasets.SCORES if by is None else datasets.SCORES_BY_DAY, **options)


def _export(
    settings: Settings,
    content: Content,
    to: str,
    form: str | None,
    day: date | None,
    month: date | None,
    since: date | datetime | None,
    until: date | datetime | None,
) -> None:
    place = _target(to, form)
    whole_days = None
    if place.of_days:
        whole_days = "with --format delta" if form == DELTA else f"with {DATE} in --to"
    elif content is datasets.SCORES_BY_DAY:
        whole_days = "with --by day"
    wanted = period.wanted(since, until, day, month, whole_days=whole_days)
    if wanted is None and not place.of_days:
        raise click.UsageError(
            f"--to has no {DATE}, so the time is to be named: --day, --month, or --since and --until"
        )
    _tell_of(settings, content, place, wanted)


def _target(to: str, form: str | None) -> Target:
    form = form or suffix_format(to)
    if form is None:
        raise click.BadParameter(
            f"is needed where --to does not end with one of {', '.join(f'.{name}' for name in FORMATS)}",
            param_hint="--format",
        )
    try:
        return target(to, form)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--to") from None


def _tell_of(settings: Settings, content: Content, place: Target, wanted: Wanted | None) -> None:
    with shown() as progress:
        tally = Tally(lambda so_far: progress(f"exporting, {so_far.rows:,} rows", so_far.days, so_far.of))
        try:
            with closing(open_stored_events(settings, settings.db_timeout)) as source:
                run(source, content, place, wanted, tally)
        except DatabaseAway as error:
            raise failure(error.message, TRY_AGAIN) from None
        except (StoreUnavailable, StoreTimeout, TargetConflict, NotYet) as error:
            raise failure(_after(tally, error), TRY_AGAIN) from None
        except TargetError as error:
            raise failure(_after(tally, error), CANNOT_WRITE) from None
        except psycopg2.Error as error:
            raise database_failure(error) from None
    if place.of_days and not tally.of:
        click.echo(f"nothing to do: all whole days are at {place.to}", err=True)
    else:
        days = f" of {tally.days:,} {_noun(tally.days, 'day')}" if place.of_days else ""
        click.echo(f"{content.name}{days}: {tally.rows:,} {_noun(tally.rows, 'row')} at {place.to}", err=True)


def _after(tally: Tally, error: Exception) -> str:
    return f"{error}; {tally.days:,} {_noun(tally.days, 'day')} done before" if tally.days else str(error)


def _noun(number: int, noun: str) -> str:
    return noun if number == 1 else f"{noun}s"

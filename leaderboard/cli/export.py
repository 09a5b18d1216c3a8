"""``leaderboard export``."""

import sys
from collections.abc import Callable
from contextlib import closing
from datetime import date, datetime
from typing import Any

import click
import psycopg2

from leaderboard.cli import period
from leaderboard.cli.stores import DatabaseAway, open_stored_events
from leaderboard.cli.errors import CANNOT_WRITE, TRY_AGAIN, database_failure, failure
from leaderboard.cli.period import Bound, Day, Month
from leaderboard.cli.progress import shown
from leaderboard.export import datasets
from leaderboard.export.datasets import Dataset
from leaderboard.export.errors import IncompletePeriod, TargetConflict, TargetError
from leaderboard.export.file_target import DATE_PLACEHOLDER, FILE_FORMATS, STDOUT
from leaderboard.export.runner import ExportPeriod, ExportProgress, export_dataset
from leaderboard.export.targets import DELTA, Target, format_from_suffix, open_target
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
            help="A path, or a URL s3://, gs:// or az://. With {date} in it, a file for each day; - is stdout.",
        ),
        click.option(
            "--format",
            "form",
            type=click.Choice([*FILE_FORMATS, DELTA]),
            help="What is written.  [default: by the end of --to]",
        ),
        click.option(
            "--keep-formulas",
            is_flag=True,
            help="Leave text in CSV as it is, for programs.  [default: a ' before text that a spreadsheet would run]",
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
    _export(settings, datasets.RAW_RESULTS, **options)


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
    _export(settings, datasets.SCORES if by is None else datasets.DAILY_SCORES, **options)


def _export(
    settings: Settings,
    dataset: Dataset,
    *,
    to: str,
    form: str | None,
    keep_formulas: bool,
    day: date | None,
    month: date | None,
    since: date | datetime | None,
    until: date | datetime | None,
) -> None:
    target = _open_target(to, form, keep_formulas)
    whole_days = None
    if target.by_day:
        whole_days = "with --format delta" if form == DELTA else f"with {DATE_PLACEHOLDER} in --to"
    elif dataset is datasets.DAILY_SCORES:
        whole_days = "with --by day"
    wanted = period.wanted(since, until, day, month, whole_days=whole_days)
    if wanted is None and not target.by_day:
        raise click.UsageError(
            f"--to has no {DATE_PLACEHOLDER}, so the time is to be named: --day, --month, or --since and --until"
        )
    _run_export(settings, dataset, target, wanted)


def _open_target(to: str, form: str | None, keep_formulas: bool) -> Target:
    form = form or format_from_suffix(to)
    if form is None:
        raise click.BadParameter(
            f"is needed where --to does not end with one of {', '.join(f'.{name}' for name in FILE_FORMATS)}",
            param_hint="--format",
        )
    if to == STDOUT and form in ("parquet", "arrow") and sys.stdout.isatty():
        raise click.UsageError(f"--format {form} is not to be read on a terminal; send it to a file or a pipe")
    try:
        return open_target(to, form, keep_formulas=keep_formulas)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--to") from None


def _run_export(settings: Settings, dataset: Dataset, target: Target, period: ExportPeriod | None) -> None:
    with shown() as show:
        progress = ExportProgress(
            lambda progress: show(f"{progress.step}, {progress.rows:,} rows", progress.days_done, progress.days_total)
        )
        try:
            with closing(open_stored_events(settings, settings.db_timeout)) as source:
                export_dataset(source, dataset, target, period, progress)
        except DatabaseAway as error:
            raise failure(error.message, TRY_AGAIN) from None
        except (StoreUnavailable, StoreTimeout, TargetConflict, IncompletePeriod) as error:
            raise failure(_with_days_done(progress, error), TRY_AGAIN) from None
        except TargetError as error:
            raise failure(_with_days_done(progress, error), CANNOT_WRITE) from None
        except psycopg2.Error as error:
            raise database_failure(error) from None
    if target.by_day and not progress.days_total:
        click.echo(f"nothing to do: all whole days are at {target.to}", err=True)
    else:
        days = f" of {progress.days_done:,} {_noun(progress.days_done, 'day')}" if target.by_day else ""
        rows = f"{progress.rows:,} {_noun(progress.rows, 'row')}"
        click.echo(f"{dataset.name}{days}: {rows} at {target.to}", err=True)


def _with_days_done(progress: ExportProgress, error: Exception) -> str:
    if not progress.days_done:
        return str(error)
    return f"{error}; {progress.days_done:,} {_noun(progress.days_done, 'day')} done before"


def _noun(number: int, noun: str) -> str:
    return noun if number == 1 else f"{noun}s"

"""The command ``leaderboard export``."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import date, datetime
from typing import Any

import click

from leaderboard.cli.export.period import read_period
from leaderboard.cli.export.spark_source import open_spark_events
from leaderboard.cli.formula_options import formula_options
from leaderboard.cli.moments import Day, DayOrMoment, Month
from leaderboard.cli.output.progress import show_progress
from leaderboard.cli.stores import open_hybrid_events
from leaderboard.export import datasets
from leaderboard.export.datasets import Dataset
from leaderboard.export.file_target import DATE_PLACEHOLDER, FILE_FORMATS, STDOUT
from leaderboard.export.runner import ExportPeriod, ExportProgress, Source, export_dataset
from leaderboard.export.spark import spark_daily_scores, spark_window_scores
from leaderboard.export.targets import DELTA, Target, format_from_suffix, open_target
from leaderboard.settings import Settings
from queries import Formula, HybridEvents

POLARS, SPARK = "polars", "spark"
BINARY_FORMATS = ("parquet", "arrow")


@click.group()
def export() -> None:
    """Writes events, results or scores to files or to a Delta table.

    Without --day, --month, --since and --until it catches up: it exports every
    UTC day that is over, has events and is not at --to yet. Each file, and
    each day of a table, appears complete or not at all, once all of its events
    are settled. Running the same command again writes the same.

    Exit codes: 0 done, or nothing to do; 1 another failure; 2 wrong usage; 73
    --to cannot be written; 75 try again later: the database is unavailable or
    too slow, or a standby; part of the time is not over or not settled yet;
    or another export was first.
    """


def _options(command: Callable[..., None]) -> Callable[..., None]:
    options = (
        click.option(
            "--to",
            required=True,
            help="A path, a URL s3://, gs:// or az://, or - for standard output. {date} in it makes a file per day.",
        ),
        click.option(
            "--format",
            "file_format",
            type=click.Choice([*FILE_FORMATS, DELTA]),
            help="The format.  [default: from the suffix of --to]",
        ),
        click.option(
            "--keep-formulas",
            is_flag=True,
            help="In CSV, leave text that begins like a formula as it is, for programs."
            "  [default: put a ' before it, for spreadsheets]",
        ),
        click.option("--day", type=Day(), help="This UTC day, such as 2026-09-14."),
        click.option("--month", type=Month(), help="This UTC month, such as 2026-09."),
        click.option(
            "--since",
            type=DayOrMoment(),
            help="The first day, or unix seconds or RFC 3339.  [default with --until: the first event]",
        ),
        click.option(
            "--until",
            type=DayOrMoment(),
            help="The last day, which is included, or unix seconds or RFC 3339."
            "  [default with --since: the last settled moment, about 5 minutes ago]",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@export.command()
@_options
@click.pass_obj
def events(settings: Settings, /, **options: Any) -> None:
    """Writes the typed columns of events, one row per event."""
    _export_all(settings, datasets.EVENTS, **options)


@export.command()
@_options
@click.pass_obj
def raw(settings: Settings, /, **options: Any) -> None:
    """Writes the results as they were posted.

    The column payload holds the result as JSON. With ndjson, each line is the
    result itself as /api/raw_stats returns it, plus event_time, the time at
    which the service received it.
    """
    _export_all(settings, datasets.RAW_RESULTS, **options)


@export.command()
@_options
@click.option("--by", type=click.Choice(["day"]), help="Scores of each day.  [default: of the whole time]")
@formula_options
@click.option(
    "--engine",
    type=click.Choice([POLARS, SPARK]),
    default=POLARS,
    show_default=True,
    help="What computes the scores. Spark reads the files of the lake, and needs the extra spark and Java.",
)
@click.option(
    "--master", metavar="URL", help="With --engine spark: its cluster, or local[4].  [default: Spark's own settings]"
)
@click.option(
    "--lake-only",
    is_flag=True,
    help="With --engine spark: do not use the database, which knows what is left out of scores.",
)
@click.pass_obj
def scores(
    settings: Settings,
    /,
    by: str | None,
    formula: Formula,
    engine: str,
    master: str | None,
    lake_only: bool,
    **options: Any,
) -> None:
    """Writes scores per orchestrator, region, job type, pipeline and model.

    Each row also has its formula, and the number of events and the sums behind
    the scores, from which scores of longer times can be computed. A Delta table
    takes scores of one formula only.
    """
    if by is None and options["file_format"] == DELTA:
        raise click.UsageError("--format delta needs --by day, because the table holds days")
    if engine == SPARK:
        spark_scores = spark_window_scores(formula) if by is None else spark_daily_scores(formula)
        _export(spark_scores, open_spark_events(settings, master, lake_only=lake_only), **options)
        return
    if master is not None or lake_only:
        raise click.UsageError("--master and --lake-only need --engine spark")
    _export_all(settings, datasets.window_scores(formula) if by is None else datasets.daily_scores(formula), **options)


def _export_all(settings: Settings, dataset: Dataset[HybridEvents], **options: Any) -> None:
    """Exports from the database and its lake."""
    _export(dataset, _open_events(settings), **options)


@contextmanager
def _open_events(settings: Settings) -> Iterator[HybridEvents]:
    with closing(open_hybrid_events(settings, settings.db_timeout, from_primary=True)) as source:
        yield source


def _export(
    dataset: Dataset[Source],
    opening: AbstractContextManager[Source],
    *,
    to: str,
    file_format: str | None,
    keep_formulas: bool,
    day: date | None,
    month: date | None,
    since: date | datetime | None,
    until: date | datetime | None,
) -> None:
    target = _open_target(to, file_format, keep_formulas)
    whole_days = None
    if target.by_day:
        whole_days = "with --format delta" if file_format == DELTA else f"with {DATE_PLACEHOLDER} in --to"
    elif dataset.by_day:
        whole_days = "with --by day"
    period = read_period(since, until, day, month, whole_days=whole_days)
    if period is None and not target.by_day:
        raise click.UsageError(
            f"--to has no {DATE_PLACEHOLDER}, so it needs a time: --day, --month, or --since and --until"
        )
    _run_export(opening, dataset, target, period)


def _open_target(to: str, file_format: str | None, keep_formulas: bool) -> Target:
    file_format = file_format or format_from_suffix(to)
    if file_format is None:
        suffixes = ", ".join(f".{name}" for name in FILE_FORMATS)
        raise click.BadParameter(f"is needed where --to does not end with one of {suffixes}", param_hint="--format")
    if to == STDOUT and file_format in BINARY_FORMATS and sys.stdout.isatty():
        raise click.UsageError(f"a terminal cannot show --format {file_format}; send it to a file or a pipe")
    try:
        return open_target(to, file_format, keep_formulas=keep_formulas)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--to") from None


def _run_export(
    opening: AbstractContextManager[Source], dataset: Dataset[Source], target: Target, period: ExportPeriod | None
) -> None:
    with show_progress() as show:

        def show_change(progress: ExportProgress) -> None:
            rows = f", {_count(progress.rows, 'row')}" if progress.rows else ""
            show(f"{progress.step}{rows}", progress.days_done, progress.days_total)

        progress = ExportProgress(show_change)
        try:
            with opening as source:
                export_dataset(source, dataset, target, period, progress)
        except Exception as error:
            if progress.days_done:
                error.add_note(f"{_count(progress.days_done, 'day')} done before")
            raise
    if target.by_day and not progress.days_total:
        click.echo(f"nothing to do: all whole days are at {target.to}", err=True)
        return
    days = f" of {_count(progress.days_done, 'day')}" if target.by_day else ""
    click.echo(f"{dataset.name}{days}: {_count(progress.rows, 'row')} at {target.to}", err=True)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"

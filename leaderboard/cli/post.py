"""``leaderboard post``."""

import sys
from typing import BinaryIO

import click

from leaderboard.cli.errors import TryAgain
from leaderboard.cli.output.progress import Progress, show_progress
from leaderboard.plain_text import escape_controls
from leaderboard.posting.batches import BatchPoster, PostEvents, PostOptions, PostReport
from leaderboard.posting.client import Client, OutcomeUnknown, PostError, ServiceRefused, ServiceUnavailable
from leaderboard.posting.reader import NumberedResult, read_results
from leaderboard.results.batches import MAX_BATCH_RESULTS
from leaderboard.settings import Settings
from leaderboard.signals import exit_on_signals


@click.command()
@click.argument("file", type=click.File("rb"))
@click.option("--url", default="http://127.0.0.1:8080", show_default=True, help="The URL of the service.")
@click.option(
    "--batch-size",
    default=1000,
    show_default=True,
    type=click.IntRange(1, MAX_BATCH_RESULTS),
    help="Results in a batch. The service stores a batch whole or not at all.",
)
@click.option(
    "--retry-seconds",
    default=60.0,
    show_default=True,
    type=click.FloatRange(0, 86_400),
    help="How long to try again while the service is unavailable.",
)
@click.option(
    "--resend",
    is_flag=True,
    help="Send a batch again even if it may have been stored, so that results may be stored twice.",
)
@click.option(
    "--from-line", default=1, show_default=True, type=click.IntRange(1), help="Skip what is before this line."
)
@click.pass_obj
def post(
    settings: Settings, /, file: BinaryIO, url: str, batch_size: int, retry_seconds: float, resend: bool, from_line: int
) -> None:
    """Signs results in a file and posts them to a service.

    FILE (- for standard input) holds one result on each line, one result over
    several lines, or a JSON array of results; in an array, the position of a
    result counts as its line. SECRET is the key of the signature.

    A result that the service refuses is reported with its line, and the others
    are posted. If the answer to a batch is lost, the batch may have been
    stored or not. The command then stops and says which lines these are; with
    --resend it sends them again.

    Exit codes: 0 all results are stored; 1 some were refused, there were none,
    or another failure; 2 wrong usage; 75 the service is unavailable, or the
    answer to a batch was lost.
    """
    if settings.secret is None:
        raise click.ClickException("SECRET is not set; it is needed to sign results")
    try:
        client = Client(url, settings.secret)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--url") from None
    exit_on_signals()
    results = (result for result in read_results(file) if result.number >= from_line)
    with show_progress() as progress:
        poster = BatchPoster(
            client,
            PostOptions(batch_size, retry_seconds, resend),
            _report_events(url, progress),
        )
        try:
            poster.post(results)
        except (ServiceUnavailable, OutcomeUnknown) as error:
            raise TryAgain(f"{url} is unavailable: {error}") from error
        except ServiceRefused as error:
            raise click.ClickException(f"posting to {url} failed: {error}") from error
        finally:
            _print_summary(poster.report)
    if poster.report.refused or not poster.report.posted:
        sys.exit(1)


def _report_events(url: str, progress: Progress) -> PostEvents:
    def show_posted(report: PostReport) -> None:
        progress("posting results", report.posted, 0)

    def print_refusal(result: NumberedResult, sentence: str) -> None:
        click.echo(f"line {result.number}: {escape_controls(sentence)}", err=True)

    def print_pause(reason: PostError, seconds: float) -> None:
        message = escape_controls(f"{url} is unavailable ({reason})")
        click.echo(f"{message}; trying again in {seconds:g} s", err=True)

    return PostEvents(show_posted, print_refusal, print_pause)


def _print_summary(report: PostReport) -> None:
    lines = [f"{report.posted} posted, {report.refused} refused"]
    if in_flight := report.in_flight:
        first, last = in_flight[0].number, in_flight[-1].number
        lines.append(
            f"lines {first} to {last} may have been stored: the service did not confirm them. "
            f"--from-line {first} sends them again"
        )
    if report.first_unsent is not None:
        first = report.first_unsent
        lines.append(f"line {first} and after were not posted; run again with --from-line {first}")
    click.echo("\n".join(lines), err=True)

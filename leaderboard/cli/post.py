"""``leaderboard post``."""

import http.client
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import BinaryIO

import click
from rich.console import Console
from rich.progress import track

from leaderboard.results.auth import sign
from leaderboard.settings import Settings

TIMEOUT = 30.0


class Refused(Exception):
    """The service did not take a result; the message is its own sentence."""


@click.command()
@click.argument("file", type=click.File("rb"))
@click.option("--url", default="http://127.0.0.1:8080", show_default=True, help="Where the service is.")
@click.pass_obj
def post(settings: Settings, file: BinaryIO, url: str) -> None:
    """Signs the results in FILE (- for standard input) with SECRET and posts them one by one.

    FILE holds one JSON object, or one on each line. Every line is tried; the
    command fails where any was refused, and stops where the service cannot be
    reached.
    """
    if settings.secret is None:
        raise click.ClickException("SECRET is not set, so nothing can be signed")
    taken = refused = 0
    console = Console(stderr=True)
    lines = track(
        _results(file),
        "posting",
        total=None,
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    for number, body in lines:
        try:
            _post(f"{url.rstrip('/')}/api/post_stats", settings.secret, body)
            taken += 1
        except Refused as error:
            click.echo(f"line {number}: {error}", err=True)
            refused += 1
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise click.ClickException(
                f"line {number}: {url} cannot be reached ({reason}); {taken} posted before"
            ) from None
    click.echo(f"{taken} posted, {refused} refused", err=True)
    if refused or not taken:
        sys.exit(1)


def _results(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """The number of the line on which each result begins, and its bytes."""
    first = b""
    for number, line in enumerate(file, 1):
        if number == 1 and not _is_json(line):
            # one object over several lines, unless it is lines after all
            rest = file.read()
            if _is_json(line + rest):
                yield 1, (line + rest).strip()
                return
            first = rest
        if line.strip():
            yield number, line.strip()
    for number, line in enumerate(first.splitlines(), 2):
        if line.strip():
            yield number, line.strip()


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _post(url: str, secret: str, body: bytes) -> None:
    headers = {"Authorization": sign(secret, body), "Content-Type": "application/json"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=TIMEOUT) as response:
            response.read()
    except urllib.error.HTTPError as error:
        with error:
            raise Refused(_sentence(error.read()) or f"{error.code} {error.reason}") from None


def _sentence(body: bytes) -> str | None:
    try:
        return json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        return None

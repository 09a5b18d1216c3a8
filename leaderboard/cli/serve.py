"""``leaderboard serve``."""

import errno
import os
import socket
import sys
import time

import click

from leaderboard.settings import Settings, SettingsError

ADDRESS_RETRY_SECONDS = 2.0
"""How long workers of a service that was killed may hold the port."""


@click.command()
@click.option("--host", default="0.0.0.0", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port to listen on; 0 is any free port.  [default: PORT, or 8080]"
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Worker processes.  [default: WEB_CONCURRENCY, or one per core, 2 to 8]",
)
@click.option("--threads", type=click.IntRange(1), help="Threads of each worker.  [default: 32]")
def serve(host: str, port: int | None, workers: int | None, threads: int | None) -> None:
    """Serves the HTTP API until Ctrl-C or SIGTERM.

    It runs gunicorn. Where nothing can listen on the port, it ends at once.
    """
    try:
        settings = Settings.load()
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    port = settings.port if port is None else port
    _check_address(host, port)
    bind = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    # -P: the current folder may hold modules of anybody
    command = [sys.executable, "-P", "-m", "leaderboard.server", "--bind", bind]
    for option, value in (("--workers", workers), ("--threads", threads)):
        if value is not None:
            command += [option, str(value)]
    # replaces this process, so that signals reach gunicorn itself
    os.execv(sys.executable, command)


def _check_address(host: str, port: int) -> None:
    """Raises ClickException where nothing can listen there."""
    deadline = time.monotonic() + ADDRESS_RETRY_SECONDS
    while (error := _listen_error(host, port)) is not None:
        is_taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        if not is_taken or time.monotonic() > deadline:
            raise click.ClickException(f"cannot listen on {host} port {port}: {_reason(error)}")
        time.sleep(0.1)


def _listen_error(host: str, port: int) -> OSError | UnicodeError | None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as listener:
            # as gunicorn does: connections of an earlier service that are closing do not count
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
    except (OSError, UnicodeError) as error:
        return error
    return None


def _reason(error: OSError | UnicodeError) -> str:
    return (isinstance(error, OSError) and error.strerror) or "not the name of a host"

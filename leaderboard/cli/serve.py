"""``leaderboard serve``."""

import os
import socket
import sys

import click


@click.command()
@click.option("--host", default="0.0.0.0", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    default=8080,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port to listen on; 0 is any free port.",
)
@click.option("--workers", type=click.IntRange(1), help="Worker processes.  [default: one per core, 2 to 8]")
@click.option("--threads", type=click.IntRange(1), help="Threads of each worker.  [default: 8]")
def serve(host: str, port: int, workers: int | None, threads: int | None) -> None:
    """Serves the HTTP API until Ctrl-C or SIGTERM.

    It runs gunicorn. Where nothing can listen on the port, it ends at once.
    """
    _check_address(host, port)
    bind = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    command = [sys.executable, "-m", "gunicorn", "-c", "python:leaderboard.gunicorn_conf", "--bind", bind]
    for option, value in (("--workers", workers), ("--threads", threads)):
        if value is not None:
            command += [option, str(value)]
    # replaces this process, so that signals reach gunicorn itself
    os.execv(sys.executable, [*command, "leaderboard.app:create_app()"])


def _check_address(host: str, port: int) -> None:
    """Raises ClickException where nothing can listen there. Gunicorn would try for five seconds."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as listener:
            # as gunicorn does: connections of an earlier service that are closing do not count
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
    except (OSError, UnicodeError) as error:
        raise click.ClickException(f"cannot listen on {host} port {port}: {_reason(error)}") from None


def _reason(error: OSError | UnicodeError) -> str:
    return (isinstance(error, OSError) and error.strerror) or "not the name of a host"

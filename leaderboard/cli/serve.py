"""``leaderboard serve``."""

import os
import sys

import click


@click.command()
@click.option("--host", default="0.0.0.0", show_default=True, help="Address to listen on.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="Port to listen on.")
@click.option("--workers", type=click.IntRange(1), help="Processes that answer.  [default: one per core, 2 to 8]")
@click.option("--threads", type=click.IntRange(1), help="Requests that a process answers at a time.  [default: 8]")
def serve(host: str, port: int, workers: int | None, threads: int | None) -> None:
    """Serves the HTTP interface with gunicorn until Ctrl-C or SIGTERM."""
    host = f"[{host}]" if ":" in host else host
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "-c",
        "python:leaderboard.gunicorn_conf",
        "--bind",
        f"{host}:{port}",
    ]
    for option, value in (("--workers", workers), ("--threads", threads)):
        if value is not None:
            command += [option, str(value)]
    # in this process's place, so that signals reach gunicorn itself
    os.execv(sys.executable, [*command, "leaderboard.app:create_app()"])

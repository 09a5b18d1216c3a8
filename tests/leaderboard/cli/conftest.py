"""Runs commands in the test's own process, which starts faster than one of their own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from threading import Thread
from typing import Any

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from werkzeug.serving import make_server

from leaderboard.cli import main
from tests.support.service import SECRET

RunCommand = Callable[..., Result]


@pytest.fixture
def run(database: str) -> RunCommand:
    """Runs a command with the test's database. Fails where the command ends with a traceback."""

    def run(*arguments: str, stdin: str | bytes = "", **settings: str) -> Result:
        variables = {"POSTGRES": database, "SECRET": SECRET, "COLUMNS": "80", "LOG_LEVEL": "ERROR"} | settings
        result = CliRunner().invoke(main, arguments, input=stdin, env=variables)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@contextmanager
def listening(app: Callable[..., object]) -> Iterator[str]:
    """The URL at which a WSGI app listens on another thread."""

    def with_whole_body(environ: dict[str, Any], start_response: Callable[..., Any]) -> object:
        # unlike gunicorn's, this server's stream has no end
        environ["wsgi.input"] = BytesIO(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
        return app(environ, start_response)

    server = make_server("127.0.0.1", 0, with_whole_body, threaded=True)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def service_url(app: Flask) -> Iterator[str]:
    """The URL of a service over the test's database."""
    with listening(app) as url:
        yield url

"""Panics of libraries that are written in Rust, such as Polars.

A panic is no Exception. Neither Flask nor gunicorn expects one, and it would
end the worker with all its requests.
"""

from collections.abc import Iterable, Iterator

from flask import Flask
from flask.typing import ResponseReturnValue

from queries.errors import first_line, is_panic


class LibraryPanic(Exception):
    """A library panicked while it handled a request."""


class PanicSafeFlask(Flask):
    """A Flask app that answers a request with 500 if a library panics."""

    def dispatch_request(self) -> ResponseReturnValue:
        """What the view of the request returns or raises. Raises LibraryPanic instead of a panic."""
        try:
            return super().dispatch_request()
        except BaseException as error:
            _raise_if_panic(error)
            raise


def convert_panics(parts: Iterable[bytes]) -> Iterator[bytes]:
    """The parts of a body that is sent while it is made. Raises LibraryPanic instead of a panic."""
    try:
        yield from parts
    except BaseException as error:
        _raise_if_panic(error)
        raise


def _raise_if_panic(error: BaseException) -> None:
    if is_panic(error):
        raise LibraryPanic(f"a library panicked: {first_line(error)}") from error

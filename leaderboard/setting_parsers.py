"""Parsers of settings: each turns the text of an environment variable into a value.

They raise ValueError with a sentence that completes the name of the variable:
"must be a number, not 'soon'". A value that may hold a password is not in it.
"""

import contextlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

N = TypeVar("N", int, float)
T = TypeVar("T")

SYSTEM_DATA_DIR = Path("/var/lib/leaderboard")
CACHE_TYPES = ("SimpleCache", "FileSystemCache", "RedisCache", "NullCache")
LOG_LEVELS = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR")
# what queries.sources.lake can read; it is repeated here because that module loads Polars
LAKE_SCHEMES = ("file", "s3", "s3a", "gs", "az", "abfs", "abfss")


def is_utf8(value: str) -> bool:
    """Whether a variable or an argument that the operating system passed on was UTF-8."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


def text(value: str) -> str:
    """The text as it is. Every character of a secret counts."""
    return value


def number(minimum: float, maximum: float) -> Callable[[str], float]:
    """A parser of numbers from ``minimum`` to ``maximum``."""
    return _between(float, "number", minimum, maximum)


def count(value: str) -> int:
    """A whole number from 1. A fraction is cut off."""
    return int(number(1, 1_000_000_000)(value))


def whole_number(minimum: int, maximum: int) -> Callable[[str], int]:
    """A parser of whole numbers from ``minimum`` to ``maximum``."""
    return _between(int, "whole number", minimum, maximum)


def _between(convert: Callable[[str], N], kind: str, minimum: N, maximum: N) -> Callable[[str], N]:
    """A parser of what ``convert`` makes of a text. ``kind`` is what errors call it."""

    def parse(value: str) -> N:
        try:
            parsed = convert(value)
        except ValueError:
            raise ValueError(f"must be a {kind}, not {value!r}") from None
        # NaN is not between any two numbers
        if not minimum <= parsed <= maximum:
            raise ValueError(f"must be a {kind} from {minimum:g} to {maximum:g}, not {value!r}")
        return parsed

    return parse


def choice(options: tuple[str, ...], *, upper: bool = False) -> Callable[[str], str]:
    """A parser of one of the options. With ``upper`` they may be written in lower case, too."""

    def parse(value: str) -> str:
        chosen = value.strip().upper() if upper else value.strip()
        if chosen not in options:
            raise ValueError(f"must be one of {', '.join(options)}, not {value!r}")
        return chosen

    return parse


def one_of(values: Mapping[str, T]) -> Callable[[str], T]:
    """A parser of the names of some values."""
    parse_name = choice(tuple(values))
    return lambda value: values[parse_name(value)]


def switch(value: str) -> bool:
    """True or false, in any case."""
    chosen = value.strip().lower()
    if chosen not in ("true", "false"):
        raise ValueError(f"must be true or false, not {value!r}")
    return chosen == "true"


def url(*schemes: str) -> Callable[[str], str]:
    """A parser of URLs with one of the schemes."""
    prefixes = [f"{scheme}://" for scheme in schemes]
    listed = " or ".join([", ".join(prefixes[:-1]), prefixes[-1]] if len(prefixes) > 1 else prefixes)

    def parse(value: str) -> str:
        stripped = value.strip()
        if not stripped.startswith(tuple(prefixes)):
            raise ValueError(f"must begin with {listed}")
        return stripped

    return parse


def postgres_url(value: str) -> str:
    """A URL of a database. A semicolon at the end is dropped."""
    # imported here, so that a start without POSTGRES stays quick
    from queries.db import conninfo

    parsed = url("postgres", "postgresql")(value.strip().rstrip("; "))
    try:
        conninfo(parsed, timeout=1)
    except ValueError as error:
        # the error does not show the URL, which may hold a password
        raise ValueError(f"must be a valid URL: {error}") from None
    return parsed


def folder(value: str) -> Path:
    """An absolute path."""
    try:
        return Path(value.strip()).expanduser().absolute()
    except (RuntimeError, OSError):
        # there is no such home, or the current folder is gone
        raise ValueError(f"must be an absolute path of a folder, not {value!r}") from None


def lake_url(value: str) -> str:
    """An absolute path, or a URL of an object store."""
    stripped = value.strip().rstrip("/") or "/"
    scheme, separator, _ = stripped.partition("://")
    if not separator:
        return str(folder(stripped))
    if scheme not in LAKE_SCHEMES:
        raise ValueError(f"must be a folder, or a URL that begins with {', '.join(f'{s}://' for s in LAKE_SCHEMES)}")
    return stripped


def default_data_dir() -> Path:
    """The folder of the embedded PostgreSQL where DATA_DIR is not set. It need not be there, nor be writable."""
    import platformdirs

    if os.geteuid() != 0:
        # a user that the system does not know, as in some containers, has no home
        with contextlib.suppress(RuntimeError):
            return platformdirs.user_data_path("leaderboard", appauthor=False)
    return SYSTEM_DATA_DIR

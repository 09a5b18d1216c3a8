"""The errors that reading events can raise.

Drivers' own errors become these where the driver is called, and are not
translated again above.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager

MAX_QUOTE_CHARACTERS = 100
"""Of a text from outside in a sentence."""
MAX_LINE_CHARACTERS = 500

UNREADABLE_FILE = ("parquet: ", "unable to decode the encoded schema stored in ARROW:schema")
"""How the messages of Polars begin when a Parquet file is truncated or corrupt."""


class StoreError(Exception):
    """A store of events (a database, a lake or files) did not answer."""


class StoreUnavailable(StoreError):
    """The store cannot be reached or read. The same call may succeed later."""


class SchemaMissing(StoreUnavailable):
    """The database does not exist, or lacks the tables of the leaderboard. Migrating it may help."""


class ReadOnlyDatabase(StoreUnavailable):
    """The database takes no writes: it is a standby, or its failover is not over."""


class StoreTimeout(StoreError):
    """The store took longer than its time limit."""


class OutcomeUnknown(StoreTimeout):
    """A write was sent to be committed, and nobody confirmed it: it may be stored or not.

    A write that raises another StoreError is certainly not stored.
    """


class SchemaError(ValueError):
    """The columns of a frame are not those of EVENT_SCHEMA. The message names the column."""


def is_panic(error: BaseException) -> bool:
    """Whether a library that is written in Rust (Polars, deltalake) has panicked.

    Each library has a PanicException of its own. It is no Exception, so it
    would end the thread that does not expect it.
    """
    return type(error).__name__ == "PanicException"


@contextmanager
def panics_as_unavailable(what: str) -> Iterator[None]:
    """Raises StoreUnavailable where the block panics. ``what`` begins its message: "the lake cannot be read"."""
    try:
        yield
    except BaseException as error:
        if is_panic(error):
            raise StoreUnavailable(f"{what}: {first_line(error)}") from error
        raise


@contextmanager
def unreadable_as_unavailable() -> Iterator[None]:
    """Raises StoreUnavailable where the block cannot read a file of events.

    The file is missing, truncated or corrupt, or its object store cannot be
    reached. Other errors rise as they are.
    """
    try:
        yield
    except OSError as error:
        # missing files and object stores; a frame reads nothing else from outside
        raise StoreUnavailable(f"a file of the lake cannot be read: {first_line(error)}") from error
    except Exception as error:
        # the same error means unreadable files and faulty expressions; only the text differs
        if not str(error).startswith(UNREADABLE_FILE):
            raise
        raise StoreUnavailable(f"a file of the lake cannot be read: {first_line(error)}") from error


def first_line(error: BaseException) -> str:
    """The first line of an error's message. Further lines of a library's message are hints and traces."""
    return shorten(str(error).strip().partition("\n")[0], MAX_LINE_CHARACTERS)


def shorten(text: str, max_characters: int = MAX_QUOTE_CHARACTERS) -> str:
    r"""The beginning of the text, with control characters as JSON writes them (``\u001b``), which no terminal obeys."""
    begin = truncate(text, max_characters)
    if begin.isprintable():
        return begin
    return "".join(character if character.isprintable() else json.dumps(character)[1:-1] for character in begin)


def quote(text: str) -> str:
    """The beginning of a text from outside, in quotation marks, as a sentence may have it."""
    return repr(truncate(text, MAX_QUOTE_CHARACTERS))


def truncate(text: str, max_characters: int) -> str:
    """The text, or its beginning and an ellipsis where it is longer."""
    return text if len(text) <= max_characters else f"{text[:max_characters]}…"

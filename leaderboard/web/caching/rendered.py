"""Rendered responses, and how a cache outside of the process stores them.

Somebody else may be able to write to that cache and must not run code here,
so nothing is pickled. What does not have exactly this format counts as not cached.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, NamedTuple, cast

import msgspec

from leaderboard.web.media_types import ALL_FORMATS, JSON, PAGE_FORMATS, Format

VERSION = b"\x01"
"""The first byte of a stored value. Change it whenever the format of stored values changes."""
ENTRY_OVERHEAD_BYTES = 1024
"""What an entry takes in memory besides its body, at most about."""

_FORMATS = {file_format.name: file_format for file_format in (*ALL_FORMATS, *PAGE_FORMATS)}


class RenderedResponse(NamedTuple):
    """A body that is ready to send, and what its headers need. It can be cached, unless its body is not made yet."""

    body: bytes | Iterable[bytes]
    """Else its parts, which are made while they are sent; several responses may iterate over them."""
    etag: str
    file_format: Format = JSON
    file_name: str = ""
    """Without the suffix. Empty if the endpoint has no format but JSON."""
    next_cursor: str | None = None
    as_of: datetime | None = None
    """During an outage of the database, the moment that the data are from. Else None."""


CachedValue = RenderedResponse | bytes
"""What is cached: responses, and their compressed bodies."""


class _StoredResponse(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    body: bytes
    # these become headers, and a foreign value must not break them
    etag: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{8,128}\Z")]
    file_format: str
    file_name: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-z_]{0,100}\Z")]
    next_cursor: Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Za-z_=-]{1,1000}\Z")] | None
    as_of: Annotated[datetime, msgspec.Meta(tz=True)] | None


_decoder = msgspec.msgpack.Decoder(_StoredResponse | bytes)


def size(value: CachedValue) -> int:
    """The bytes that a value takes in memory, or a little more."""
    body = value if isinstance(value, bytes) else cast("bytes", value.body)
    return len(body) + ENTRY_OVERHEAD_BYTES


def encode(value: CachedValue) -> bytes:
    """The value as it is stored outside of the process."""
    if isinstance(value, bytes):
        return VERSION + msgspec.msgpack.encode(value)
    stored = _StoredResponse(
        cast("bytes", value.body), value.etag, value.file_format.name, value.file_name, value.next_cursor, value.as_of
    )
    return VERSION + msgspec.msgpack.encode(stored)


def decode(stored: bytes) -> CachedValue | None:
    """The stored value, or None if it is foreign, damaged or of another version."""
    if stored[:1] != VERSION:
        return None
    try:
        value = _decoder.decode(memoryview(stored)[1:])
    except (msgspec.MsgspecError, ValueError):
        return None
    if isinstance(value, bytes):
        return value
    if value.file_format not in _FORMATS:
        return None
    file_format = _FORMATS[value.file_format]
    return RenderedResponse(value.body, value.etag, file_format, value.file_name, value.next_cursor, value.as_of)

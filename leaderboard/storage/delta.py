"""What the writers of Delta tables have in common."""

from typing import Any

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError
from obstore.exceptions import BaseError

STORE_TIMEOUT = 120.0
"""Seconds for one request to an object store; a file takes a while."""
FAILURES = (DeltaError, OSError, BaseError)
"""What a folder or an object store that cannot be read or written to raises."""


def open_or_create(
    url: str, schema: pa.Schema, partition_by: str, options: dict[str, str] | None, **description: Any
) -> DeltaTable:
    """The table at ``url``, made where there is none, with what DeltaTable.create takes to describe it."""
    try:
        return DeltaTable(url, storage_options=options)
    except TableNotFoundError:
        pass
    try:
        return DeltaTable.create(url, schema, partition_by=[partition_by], storage_options=options, **description)
    except DeltaError:
        # another process may have been first
        return DeltaTable(url, storage_options=options)


def reason(failure: Exception) -> str:
    """What a failure says, on one line."""
    return (str(failure).splitlines() or [type(failure).__name__])[0]

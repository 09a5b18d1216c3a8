"""Helpers that the writers of Delta tables share."""

from typing import Any

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError
from obstore.exceptions import BaseError

STORE_TIMEOUT_SECONDS = 120.0
"""Time limit of one request to an object store. Sending a large file takes a while."""
STORE_ERRORS = (DeltaError, OSError, BaseError)
"""What reading or writing a folder or an object store raises."""


def open_or_create(
    url: str, schema: pa.Schema, partition_by: str, options: dict[str, str] | None, **description: Any
) -> DeltaTable:
    """Opens the table at ``url``, or creates it. ``description`` goes to DeltaTable.create. Raises STORE_ERRORS."""
    try:
        return DeltaTable(url, storage_options=options)
    except TableNotFoundError:
        pass
    try:
        return DeltaTable.create(url, schema, partition_by=[partition_by], storage_options=options, **description)
    except DeltaError:
        # another process may have created it in the meantime
        return DeltaTable(url, storage_options=options)


def first_line(error: Exception) -> str:
    """The first line of an error's message, or the name of its class if it has none."""
    return (str(error).splitlines() or [type(error).__name__])[0]

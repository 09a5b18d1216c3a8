"""A WSGI app whose process always writes to a Delta table on a thread. ``FOLDER`` in the environment is its place."""

import os
from collections.abc import Iterable
from threading import Thread
from typing import Any

import deltalake
import pyarrow as pa


def write_forever() -> None:
    while True:
        deltalake.write_deltalake(os.environ["FOLDER"], pa.table({"number": [1]}), mode="append")


Thread(target=write_forever, daemon=True).start()


def app(_: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Responds with nothing."""
    start_response("200 OK", [("Content-Length", "0")])
    return []

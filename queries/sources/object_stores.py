"""Folders of this machine and object stores: how their URLs look, and the options for a store."""

from typing import Any

STORE_SCHEMES = ("file", "s3", "s3a", "gs", "az", "abfs", "abfss")
"""The schemes that the URL of a lake or of exported files may have. A URL without a scheme is a local path."""


def is_local_path(url: str) -> bool:
    """Whether the URL is a path on this machine and not in an object store."""
    return "://" not in url or url.startswith("file://")


def store_options(url: str, timeout: float) -> dict[str, str] | None:
    """The options with which deltalake opens an object store, None for a local path.

    ``timeout`` is the limit for one request in seconds, retries included.
    """
    if is_local_path(url):
        return None
    # the default limits of object stores are minutes
    return {"timeout": f"{timeout:g}s", "connect_timeout": "5s", "max_retries": "3", "retry_timeout": f"{timeout:g}s"}


def polars_store_options(options: dict[str, str] | None) -> dict[str, Any] | None:
    """What store_options returns, in the form for Polars, which has other names and asks twice.

    A silent store fails after ``timeout`` all the same.
    """
    if options is None:
        return None
    seconds = float(options["timeout"].removesuffix("s")) / 2
    others = {name: value for name, value in options.items() if name != "retry_timeout"}
    return others | {
        "timeout": f"{seconds:g}s",
        "max_retries": int(options["max_retries"]),
        "retry_timeout_ms": round(seconds * 1000),
    }

"""Opens the source of events that a URL names."""

from queries.sources.default_source import default_source
from queries.sources.files import SCANS, FileEvents, is_file
from queries.sources.hybrid import HybridEvents
from queries.sources.lake import LakeEvents
from queries.sources.object_stores import STORE_SCHEMES
from queries.sources.postgres import PostgresEvents


def open_events(
    url: str | None = None, *, lake: str | None = None, timeout: float = 20.0
) -> HybridEvents | LakeEvents | FileEvents:
    """The source of events at a URL, or without one, the source that an installed application names.

    - ``postgresql://user@host/database`` (or ``postgres://``) is a database,
      and ``lake`` the lake that it is exported to.
    - A path or URL that ends with .parquet, .csv, .ndjson or .arrow is a file
      of exported events, or several files where it has a ``*`` in it.
    - Any other folder or URL is a lake, or the Delta table of an export.

    The service's package is such an application: it names the database and
    the lake of its settings. ``timeout`` is the limit for one read in seconds.

    Raises ValueError where the URL is not valid, or none is given and no
    application names one. Raises StoreUnavailable and StoreTimeout where the
    folder or store of a lake cannot be read.

    >>> from datetime import UTC, datetime
    >>> from queries import sample_data, open_events
    >>> sample_data.events().write_parquet("export.parquet")
    >>> september = datetime(2026, 9, 1, tzinfo=UTC), datetime(2026, 9, 30, tzinfo=UTC)
    >>> events = open_events("export.parquet").window(*september).collect()
    >>> events.select("event_time", "orchestrator", "region", "success_rate", "round_trip_time").head(2)
    shape: (2, 5)
    ┌─────────────────────────┬──────────────┬────────┬──────────────┬─────────────────┐
    │ event_time              ┆ orchestrator ┆ region ┆ success_rate ┆ round_trip_time │
    │ ---                     ┆ ---          ┆ ---    ┆ ---          ┆ ---             │
    │ datetime[μs, UTC]       ┆ str          ┆ str    ┆ f64          ┆ f64             │
    ╞═════════════════════════╪══════════════╪════════╪══════════════╪═════════════════╡
    │ 2026-09-01 12:00:00 UTC ┆ 0xaa         ┆ FRA    ┆ 1.0          ┆ 0.5             │
    │ 2026-09-01 15:00:00 UTC ┆ 0xaa         ┆ FRA    ┆ 0.5          ┆ 0.75            │
    └─────────────────────────┴──────────────┴────────┴──────────────┴─────────────────┘
    """
    if url is None:
        url, default_lake = default_source()
        lake = lake or default_lake
    if url.startswith(("postgres://", "postgresql://")):
        lake_events = None if lake is None else LakeEvents(lake, timeout=timeout)
        return HybridEvents(PostgresEvents(url, timeout=timeout), lake_events)
    if lake is not None:
        raise ValueError("lake needs the URL of a database, postgresql://user@host/database")
    scheme, separator, _ = url.partition("://")
    if not url or (separator and scheme not in STORE_SCHEMES):
        raise ValueError(
            f"{url!r} names no source of events; valid are postgresql://user@host/database, the folder of a "
            f"lake or of an exported table, a file that ends with {', '.join(SCANS)}, and "
            f"{', '.join(f'{scheme}://' for scheme in STORE_SCHEMES)}"
        )
    if is_file(url):
        return FileEvents(url, timeout=timeout)
    events = LakeEvents(url, timeout=timeout)
    return FileEvents(url, timeout=timeout) if events.is_other_table() else events

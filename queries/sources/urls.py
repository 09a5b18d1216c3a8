"""Where events come from."""

from queries.sources.files import SCANS, FileEvents, is_file
from queries.sources.hybrid import HybridEvents
from queries.sources.lake import STORE_SCHEMES, LakeEvents
from queries.sources.postgres import PostgresEvents


def open_events(url: str, *, lake: str | None = None, timeout: float = 20.0) -> HybridEvents | LakeEvents | FileEvents:
    """The source behind a URL: a database's, that of exported files or a table of them, or a lake's.

    ``postgresql://user@host/database`` (or ``postgres://``) is a database, with
    ``lake`` the lake that it is exported to. What ends with .parquet, .csv,
    .ndjson or .arrow is a file of exported events, or several where it has a
    ``*`` in it. Any other URL, or a folder, is a lake, or the Delta table of an
    export where there is one. ``timeout`` is the seconds that one read may
    take. Raises ValueError for a URL that cannot be read, and StoreUnavailable
    and StoreTimeout where what there is in a folder cannot be seen.

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
    if url.startswith(("postgres://", "postgresql://")):
        past = None if lake is None else LakeEvents(lake, timeout=timeout)
        return HybridEvents(PostgresEvents(url, timeout=timeout), past)
    if lake is not None:
        raise ValueError("a lake goes with the URL of a database, postgresql://user@host/database")
    scheme, separator, _ = url.partition("://")
    if not url or (separator and scheme not in STORE_SCHEMES):
        raise ValueError(
            f"no source of events is known for {url!r}; valid are postgresql://user@host/database, the folder of a "
            f"lake or of an exported table, a file that ends with {', '.join(SCANS)}, and "
            f"{', '.join(f'{scheme}://' for scheme in STORE_SCHEMES)}"
        )
    if is_file(url):
        return FileEvents(url, timeout=timeout)
    there = LakeEvents(url, timeout=timeout)
    return FileEvents(url, timeout=timeout) if there.is_other_table() else there

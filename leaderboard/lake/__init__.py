"""The lake: a Delta table of all settled events of a database, and what writes, checks and tidies it.

``leaderboard lake sync``, or the service every LAKE_SYNC_INTERVAL seconds,
brings it up to date. Each write is one commit of the table, so a reader of the
Delta table sees all of it or nothing.

Do not read the folder as plain Parquet files. A file that was replaced, because
a month was compacted or a day was rewritten, stays in the folder until a vacuum
deletes it, so ``read_parquet('lake/**/*.parquet')`` counts its events twice. A
vacuum deletes the files that were replaced more than KEEP_HOURS (24 hours) ago,
so that readers can finish. The service that syncs runs one every 6 hours, which
makes 30 hours at most; without such a service, replaced files stay until
``leaderboard lake optimize``. Read the Delta log instead: ``delta_scan`` in
DuckDB, ``scan_delta`` in Polars, or ``queries.open_events``.
"""
